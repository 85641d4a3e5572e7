package picker

import (
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
)

// Candidate is one of the choices that a picker is built from.
type Candidate struct {
	// Weight is the candidate's share relative to the others', 1 to 1,000,000;
	// what is outside counts as the nearer bound.
	Weight int
	// Load is how many requests are in flight to the candidate. Only
	// [LeastConnections] and [TwoChoices] read it, and they need it.
	Load *atomic.Int64
}

// Picker chooses among the candidates it was built from. Pick may be called
// from any number of goroutines; it never blocks and never allocates.
type Picker interface {
	// Pick returns the index of a candidate that is not in tried, or -1 if
	// there is none. A nil set excludes nothing.
	Pick(tried *Set) int
}

// Random yields uniformly distributed numbers. Pickers call it from every
// goroutine that picks.
type Random func() uint64

// orDefault returns the source of the process if r is nil: it is seeded by the
// system and keeps its state per thread, so that concurrent picks share
// nothing.
func (r Random) orDefault() Random {
	if r == nil {
		return rand.Uint64
	}
	return r
}

// below returns a number from 0 to n-1. It multiplies instead of dividing
// (Lemire, "Fast Random Integer Generation in an Interval", 2019) and leaves
// out the rejection step: the bias is below n/2^64.
func (r Random) below(n uint64) uint64 {
	high, _ := bits.Mul64(r(), n)
	return high
}

const maxWeight = 1_000_000

func weightsOf(candidates []Candidate) []uint32 {
	weights := make([]uint32, len(candidates))
	for i, c := range candidates {
		weights[i] = uint32(min(max(c.Weight, 1), maxWeight))
	}
	return weights
}

// drawUntried draws one that is not in tried, in proportion to the weights, or
// returns -1. It is what every strategy falls back on when its own choice was
// tried already, and costs O(n): only retries pay it.
func drawUntried(weights []uint32, tried *Set, random Random) int {
	var total uint64
	for i, w := range weights {
		if !tried.Has(i) {
			total += uint64(w)
		}
	}
	if total == 0 {
		return -1
	}
	ticket := random.below(total)
	for i, w := range weights {
		if tried.Has(i) {
			continue
		}
		if ticket < uint64(w) {
			return i
		}
		ticket -= uint64(w)
	}
	return -1
}
