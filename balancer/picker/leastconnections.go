package picker

import "math"

// LeastConnections takes the candidate with the fewest requests in flight
// relative to its weight (the weighted least-connection scheduling of the
// Linux Virtual Server: Zhang, "Linux Virtual Server for Scalable Network
// Services", 2000). Among equals, as when all are idle, it draws in proportion
// to the weights. A pick scans all candidates, O(n).
//
// Under concurrency it is as exact as the loads that it reads, see [Load]: c
// goroutines that pick before any of them has raised a load may all choose the
// same candidate, so the chosen one is at most c-1 requests from the least; and
// what other loops have sent in their present batch of events is not known yet.
type LeastConnections struct {
	candidates []weighed
	random     Random
}

// NewLeastConnections builds the picker; random may be nil.
func NewLeastConnections(candidates []Candidate, random Random) *LeastConnections {
	return &LeastConnections{candidates: weigh(candidates), random: random.orDefault()}
}

// Pick implements [Picker].
func (p *LeastConnections) Pick(r *Request) int {
	tried, loop := r.tried(), r.loop()
	first, least, tied := -1, int64(math.MaxInt64), uint64(0)
	candidates := p.candidates
	for i := range candidates {
		c := &candidates[i]
		cost := c.cost(loop)
		if cost > least || tried.Has(i) {
			continue
		}
		if cost < least {
			first, least, tied = i, cost, 0
		}
		tied += uint64(c.weight)
	}
	if first < 0 || tied == uint64(p.candidates[first].weight) {
		return first
	}
	return p.drawEqual(first, least, p.random.below(tied), r)
}

// drawEqual returns the holder of the ticket among those that cost least. If
// other picks changed the loads meanwhile there may be none; then it returns
// the last that still costs least, or the first that did.
func (p *LeastConnections) drawEqual(first int, least int64, ticket uint64, r *Request) int {
	tried, loop := r.tried(), r.loop()
	holder, candidates := first, p.candidates
	for i := range candidates {
		c := &candidates[i]
		if c.cost(loop) != least || tried.Has(i) {
			continue
		}
		holder = i
		if ticket < uint64(c.weight) {
			break
		}
		ticket -= uint64(c.weight)
	}
	return holder
}
