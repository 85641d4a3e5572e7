package picker

import "sync/atomic"

// cacheLine is the unit in which cores contend for memory.
const cacheLine = 64

// cycle hands out the places of a fixed sequence in turn. Each turn is handed
// out exactly once however many goroutines pick, so over a whole sequence
// every candidate gets exactly its number of places; only which goroutine
// gets which turn is left to chance. The price is one counter that all of
// them write: its cache line moves between cores, which costs some ten
// nanoseconds a pick when several cores do nothing but pick.
type cycle struct {
	sequence []uint32
	weights  []uint32
	random   Random

	_    [cacheLine]byte // the counter's writes must not evict the fields above
	next atomic.Uint64
	_    [cacheLine - 8]byte
}

// newCycle starts at a random place. Otherwise all nodes, and each node after
// each change of the pool, would send their first requests to the same
// candidate.
func newCycle(sequence, weights []uint32, random Random) *cycle {
	c := &cycle{sequence: sequence, weights: weights, random: random.orDefault()}
	if len(sequence) > 0 {
		c.next.Store(c.random.below(uint64(len(sequence))))
	}
	return c
}

// Pick implements [Picker]. A retry takes a turn of its own, so that the
// requests of a candidate that fails spread over the others instead of all
// falling on its successor; if that turn is a tried one's, it draws from the
// others in proportion to their weights.
func (c *cycle) Pick(tried *Set) int {
	if len(c.sequence) == 0 {
		return -1
	}
	turn := c.next.Add(1) - 1
	i := int(c.sequence[turn%uint64(len(c.sequence))])
	if tried.Has(i) {
		return drawUntried(c.weights, tried, c.random)
	}
	return i
}
