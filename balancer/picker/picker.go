package picker

import (
	"math/bits"
	"math/rand/v2"
)

// Candidate is one of the choices that a picker is built from.
type Candidate struct {
	// Weight is the candidate's share relative to the others', 1 to 1,000,000;
	// what is outside counts as the nearer bound.
	Weight int
	// Share is how much of its weight the candidate has for now, 1 to 1,000
	// thousandths, such as while it starts slowly; 0 means all of it. It counts
	// where the weight does, and [RoundRobin] heeds it too.
	Share int
	// Name tells the candidate from others, on every node alike. The hashing
	// strategies need it.
	Name string
	// Load is how many requests are in flight to the candidate.
	// [LeastConnections], [TwoChoices], [PeakEWMA] and [Bounded] read it, and they
	// need it.
	Load *Load
	// Latency is how long it takes to answer. [PeakEWMA] needs it.
	Latency *Latency
}

// Request is what a choice may depend on. A nil *Request is one of which
// nothing is known.
type Request struct {
	// Tried are the candidates that are out of the question; nil means none.
	Tried *Set
	// Hash is the hash of the request's key, see [HashBytes], for the hashing
	// strategies.
	Hash uint64
	// Loop is whose state is used: 0 to the number of loops less one. Any
	// goroutine may use any loop's, but two that use the same one contend.
	Loop int
	// Now is a monotonic time in nanoseconds, for [PeakEWMA].
	Now int64
}

func (r *Request) tried() *Set {
	if r == nil {
		return nil
	}
	return r.Tried
}

func (r *Request) hash() uint64 {
	if r == nil {
		return 0
	}
	return r.Hash
}

func (r *Request) loop() int {
	if r == nil {
		return 0
	}
	return r.Loop
}

func (r *Request) now() int64 {
	if r == nil {
		return 0
	}
	return r.Now
}

// Picker chooses among the candidates it was built from. Pick may be called
// from any number of goroutines; it never blocks and never allocates.
type Picker interface {
	// Pick returns the index of a candidate that was not tried, or -1 if there is
	// none.
	Pick(r *Request) int
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

const (
	maxWeight  = 1_000_000
	wholeShare = 1000
)

// weightsOf returns the candidates' weights, reduced to their shares if any of
// them has one. Only their proportions count then.
func weightsOf(candidates []Candidate) []uint32 {
	weights := make([]uint32, len(candidates))
	for i, c := range candidates {
		weights[i] = uint32(min(max(c.Weight, 1), maxWeight))
	}
	if !partial(candidates) {
		return weights
	}
	var divisor uint64
	for i, c := range candidates {
		weights[i] *= share(c)
		divisor = gcd(divisor, uint64(weights[i]))
	}
	for i := range weights {
		weights[i] /= uint32(divisor)
	}
	return weights
}

// partial tells whether any candidate has but a share of its weight.
func partial(candidates []Candidate) bool {
	for _, c := range candidates {
		if share(c) != wholeShare {
			return true
		}
	}
	return false
}

func share(c Candidate) uint32 {
	if c.Share <= 0 || c.Share > wholeShare {
		return wholeShare
	}
	return uint32(c.Share)
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
