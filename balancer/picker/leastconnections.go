package picker

import (
	"math"
	"math/bits"
)

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
	chosen, least, tied := -1, int64(math.MaxInt64), uint64(0)
	var lot uint64
	candidates := p.candidates
	for i := range candidates {
		c := &candidates[i]
		cost := c.cost(loop)
		if cost > least || tried != nil && tried.has(i) {
			continue
		}
		weight := uint64(c.weight)
		if cost < least || chosen < 0 {
			chosen, least, tied = i, cost, weight
			continue
		}
		// Reservoir sampling: the k-th equal takes the place with its share of
		// those so far. So loads are read once, and may change meanwhile.
		if lot == 0 {
			lot = p.random() | 1
		}
		lot *= lotFactor
		tied += weight
		if high, _ := bits.Mul64(lot, tied); high < weight {
			chosen = i
		}
	}
	return chosen
}

// lotFactor draws one lot from another: a multiplicative congruential generator
// modulo 2^64 of period 2^62 (Steele and Vigna, "Computationally Easy,
// Spectrally Good Multipliers for Congruential Pseudorandom Number Generators",
// 2022), of which the high bits decide.
const lotFactor = 0xf1357aea2e62a9c5
