package picker

import "sync/atomic"

// cacheLine is the unit in which cores contend for memory.
const cacheLine = 64

// cycle hands out the places of a fixed sequence in turn, to each loop by
// itself. Each turn of a loop is handed out exactly once however many
// goroutines pick, so over a whole sequence every candidate gets exactly its
// number of places from that loop. Loops share nothing; together they are off by
// at most what one sequence of each could be off.
type cycle struct {
	sequence []uint32
	weights  []uint32
	random   Random

	next [turnCounters]atomic.Pointer[turnCounter]
}

// turnCounters is how many counters there may be: with more loops than that,
// some share one.
const turnCounters = 16

// turnCounter is a loop's place in the sequence.
type turnCounter struct {
	next atomic.Uint64
	_    [cacheLine - 8]byte
}

// newCycle has each loop start at a random place. Otherwise all nodes and loops,
// and each after each change of the pool, would send their first requests to the
// same candidate.
func newCycle(sequence, weights []uint32, random Random) *cycle {
	return &cycle{sequence: sequence, weights: weights, random: random.orDefault()}
}

// counter returns a loop's counter, made when it is first used.
func (c *cycle) counter(loop int) *turnCounter {
	slot := &c.next[uint(loop)%turnCounters]
	if counter := slot.Load(); counter != nil {
		return counter
	}
	fresh := new(turnCounter)
	fresh.next.Store(c.random.below(uint64(len(c.sequence))))
	if slot.CompareAndSwap(nil, fresh) {
		return fresh
	}
	return slot.Load()
}

// Pick implements [Picker]. A retry takes a turn of its own, so that the
// requests of a candidate that fails spread over the others instead of all
// falling on its successor; if that turn is a tried one's, it draws from the
// others in proportion to their weights.
func (c *cycle) Pick(r *Request) int {
	if len(c.sequence) == 0 {
		return -1
	}
	turn := c.counter(r.loop()).next.Add(1) - 1
	i := int(c.sequence[turn%uint64(len(c.sequence))])
	if tried := r.tried(); tried.Has(i) {
		return drawUntried(c.weights, tried, c.random)
	}
	return i
}
