//go:build !oldlevel

package fsm

// FeatureLevel is the highest level whose commands this build can apply. What
// a node may propose follows the level that the state committed.
//
//	1  hosts and paths of routes, five strategies, health checks
//	2  what [newField] lists: HTTP's timeouts, limits, retries and forwarding,
//	   hashes, sticky cookies and zones of pools, all other matches and actions
//	   of routes
//	3  [RestorePart]
const FeatureLevel = 3

// decodeNewest decodes the operations that came with the newest level.
func decodeNewest(kind string, data []byte) (Operation, error) {
	if kind == (RestorePart{}).commandKind() {
		return decodeAs[RestorePart](data)
	}
	return nil, errKind
}
