package picker

// maxTurns bounds the length of a precomputed sequence of a pool with few
// candidates; turnsPerCandidate that of one with many.
const (
	maxTurns          = 2048
	turnsPerCandidate = 4
)

// SmoothWeighted takes turns in proportion to the weights, each candidate's
// turns spread as evenly as the others' allow: after any number of turns each
// has had its exact share, rounded down or up.
//
// nginx made such smoothness known (its round robin of 2012, which adds the
// weights to running counters and scans them at each pick). Here the sequence
// is computed once, by the quota method of Balinski and Young ("The Quota
// Method of Apportionment", American Mathematical Monthly 82, 1975), which is
// proven to keep every prefix within the rounding above, and a pick costs
// O(1). How exact it is under concurrency is said at [RoundRobin].
//
// The sequence is as long as the sum of the weights, divided by their greatest
// common divisor. Where that exceeds 2,048 turns and 4 per candidate, the
// weights are first scaled down to that and rounded, at least to 1: a share is
// then off by up to about half a turn, and very small shares come out larger.
type SmoothWeighted struct{ *cycle }

// NewSmoothWeighted builds the picker; random may be nil. It takes O(m log n)
// for m turns of n candidates.
func NewSmoothWeighted(candidates []Candidate, random Random) SmoothWeighted {
	weights := weightsOf(candidates)
	return SmoothWeighted{newCycle(apportion(scale(weights)), weights, random)}
}

// scale returns the smallest weights of the same proportions, or nearly the
// same if those are too large.
func scale(weights []uint32) []uint32 {
	var divisor, sum uint64
	for _, w := range weights {
		divisor = gcd(divisor, uint64(w))
		sum += uint64(w)
	}
	limit := uint64(max(maxTurns, turnsPerCandidate*len(weights)))
	scaled := make([]uint32, len(weights))
	for i, w := range weights {
		if sum/divisor <= limit {
			scaled[i] = w / uint32(divisor)
		} else {
			scaled[i] = uint32(max((uint64(w)*limit+sum/2)/sum, 1))
		}
	}
	return scaled
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// apportion lays out one turn per unit of weight. At turn t (from 1) a
// candidate with c turns may have it if c < t·weight/sum, which keeps it from
// running ahead of its share; of those the one whose c+1st turn is due first,
// at (c+1)·sum/weight, has it, which keeps all of them from falling behind.
func apportion(weights []uint32) []uint32 {
	var sum uint64
	for _, w := range weights {
		sum += uint64(w)
	}
	// opening[t] starts a list of those who may have a turn from turn t on;
	// after continues it. Both hold the index plus 1.
	opening, after := make([]uint32, sum+1), make([]uint32, len(weights))
	enlist := func(i int, had uint64) {
		if t := had*sum/uint64(weights[i]) + 1; t <= sum {
			after[i], opening[t] = opening[t], uint32(i)+1
		}
	}
	for i := range weights {
		enlist(i, 0)
	}
	turns := make([]uint64, len(weights))
	sequence := make([]uint32, 0, sum)
	open := make(dueHeap, 0, len(weights))
	for t := uint64(1); t <= sum; t++ {
		for i := opening[t]; i != 0; i = after[i-1] {
			open.push(due{float64(turns[i-1]+1) / float64(weights[i-1]), i - 1})
		}
		i := open.pop().index
		sequence = append(sequence, i)
		turns[i]++
		enlist(int(i), turns[i])
	}
	return sequence
}
