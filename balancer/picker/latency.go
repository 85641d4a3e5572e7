package picker

import (
	"math"
	"sync/atomic"
	"time"
)

// latencyMemory is how long a response time counts: after that without a new
// one, about a third of it is left.
const latencyMemory = 10 * time.Second

// Latency is how long a candidate takes to answer, as a moving average that
// follows peaks at once and forgets them slowly (peak EWMA, from Twitter's
// Finagle: "Beyond Round Robin: Load Balancing for Latency", 2015). Each loop
// learns for itself.
//
// The zero value learns nothing, and costs next to nothing, until [Latency.Learn].
type Latency struct{ own atomic.Pointer[[]ownLatency] }

// ownLatency is what one loop knows. Only that loop writes it.
type ownLatency struct {
	average atomic.Uint64 // bits of a float64, in nanoseconds; 0: not known
	at      atomic.Int64  // when it was right
	_       [cacheLine - 16]byte
}

// NewLatency returns one that knows nothing yet and learns, for so many loops.
func NewLatency(loops int) *Latency {
	l := new(Latency)
	l.Learn(loops)
	return l
}

// Learn makes it learn from now on, for so many loops; what it knows stays. Loops
// may use it meanwhile.
func (l *Latency) Learn(loops int) {
	if l.own.Load() != nil {
		return
	}
	own := make([]ownLatency, max(loops, 1))
	l.own.CompareAndSwap(nil, &own)
}

// of returns nil if it does not learn.
func (l *Latency) of(loop int) *ownLatency {
	own := l.own.Load()
	if own == nil {
		return nil
	}
	if uint(loop) >= uint(len(*own)) {
		loop %= len(*own)
	}
	return &(*own)[loop]
}

// Observe takes in that a response took so many nanoseconds. now is monotonic;
// one that lies before the last one counts as that.
func (l *Latency) Observe(loop int, took, now int64) {
	own := l.of(loop)
	if own == nil {
		return
	}
	last, sample := math.Float64frombits(own.average.Load()), float64(max(took, 1))
	// Peaks count at once, the way down is slow. The comparison is with the last
	// average, not with what of it is left: else a slower response could lead to
	// a lower average than a faster one.
	if sample < last {
		keep := own.kept(now)
		sample = last*keep + sample*(1-keep)
	}
	own.average.Store(math.Float64bits(sample))
	own.at.Store(max(now, own.at.Load()))
}

// At is the average in nanoseconds, 0 if nothing is known. Without news it fades
// away, so that a candidate which was slow once is tried again.
func (l *Latency) At(loop int, now int64) float64 {
	own := l.of(loop)
	if own == nil {
		return 0
	}
	return own.faded(now)
}

func (o *ownLatency) faded(now int64) float64 {
	average := math.Float64frombits(o.average.Load())
	if average == 0 {
		return 0
	}
	return average * o.kept(now)
}

// kept is which part of the last average is left, 0 to 1.
func (o *ownLatency) kept(now int64) float64 {
	return math.Exp(-float64(max(now-o.at.Load(), 0)) / float64(latencyMemory))
}
