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
type Latency struct{ own []ownLatency }

// ownLatency is what one loop knows. Only that loop writes it.
type ownLatency struct {
	average atomic.Uint64 // bits of a float64, in nanoseconds
	at      atomic.Int64  // when it was right
	_       [cacheLine - 16]byte
}

// NewLatency returns one that knows nothing yet, for so many loops.
func NewLatency(loops int) *Latency { return &Latency{own: make([]ownLatency, max(loops, 1))} }

func (l *Latency) of(loop int) *ownLatency {
	if uint(loop) >= uint(len(l.own)) {
		loop %= len(l.own)
	}
	return &l.own[loop]
}

// Observe takes in that a response took so many nanoseconds. now is monotonic.
func (l *Latency) Observe(loop int, took, now int64) {
	own := l.of(loop)
	average, sample := own.decayed(now), float64(took)
	if sample < average { // peaks count at once, the way down is slow
		keep := math.Exp(-float64(now-own.at.Load()) / float64(latencyMemory))
		average = math.Float64frombits(own.average.Load())*keep + sample*(1-keep)
	} else {
		average = sample
	}
	own.average.Store(math.Float64bits(average))
	own.at.Store(now)
}

// At is the average in nanoseconds. Without news it fades away, so that a
// candidate which was slow once is tried again.
func (l *Latency) At(loop int, now int64) float64 { return l.of(loop).decayed(now) }

func (o *ownLatency) decayed(now int64) float64 {
	average := math.Float64frombits(o.average.Load())
	if average == 0 {
		return 0
	}
	return average * math.Exp(-float64(now-o.at.Load())/float64(latencyMemory))
}
