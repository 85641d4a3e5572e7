package table

import (
	"cmp"
	"math"

	"evenkeel/balancer/picker"
	"evenkeel/fsm"
)

// Route is a route as tables see it. It is immutable.
type Route struct {
	Name string

	priority int
	pools    [][]byte // keys of the pools with a weight above 0
	shares   *picker.WeightedRandom
}

func compileRoute(object *fsm.Route, random picker.Random) *Route {
	r := &Route{Name: object.Name, priority: object.Spec.Priority}
	var candidates []picker.Candidate
	for _, pool := range object.Spec.Pools {
		if pool.Weight > 0 {
			r.pools = append(r.pools, []byte(pool.Name))
			candidates = append(candidates, picker.Candidate{Weight: pool.Weight})
		}
	}
	r.shares = picker.NewWeightedRandom(candidates, random)
	return r
}

func (r *Route) draw() []byte {
	switch len(r.pools) {
	case 0:
		return nil
	case 1:
		return r.pools[0]
	default:
		return r.pools[r.shares.Pick(nil)]
	}
}

// match is a route that matches a request, and how closely: the larger the
// rank of host and path, the closer.
type match struct {
	route    *Route
	hostRank int
	pathRank int
}

// Ranks besides those of wildcards and prefixes, which grow with their length.
const (
	rankNone  = 0
	rankExact = math.MaxInt
)

// keepBetter replaces m by other if that takes precedence.
func (m *match) keepBetter(other match) {
	if m.route == nil || precedence(other, *m) < 0 {
		*m = other
	}
}

// precedence is negative if a goes before b.
func precedence(a, b match) int {
	return cmp.Or(
		cmp.Compare(b.route.priority, a.route.priority),
		cmp.Compare(b.hostRank, a.hostRank),
		cmp.Compare(b.pathRank, a.pathRank),
		cmp.Compare(a.route.Name, b.route.Name),
	)
}
