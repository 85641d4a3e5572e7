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
//	4  [Check.Observers] of a backend instead of all nodes, votes that stay until
//	   their successors', damping, slow starts, overrides, drains that end, and
//	   all else of checks and pools that [newField] lists
//	5  the journal of revisions, [Txn], [Confirm], keys, reasons and limits to labels
//	   of commands, and tokens
//	6  [Rollback], certificates, the registry's own keys, and what listeners, routes,
//	   pools and checks have for TLS, HTTP/2, gRPC and TCP
const FeatureLevel = 6

// decodeNewest decodes the operations that came with the newest level.
func decodeNewest(kind string, data []byte) (Operation, error) {
	switch kind {
	case Rollback{}.commandKind():
		return decodeAs[Rollback](data)
	case SetDataKey{}.commandKind():
		return decodeAs[SetDataKey](data)
	case RotateTickets{}.commandKind():
		return decodeAs[RotateTickets](data)
	}
	return nil, errKind
}
