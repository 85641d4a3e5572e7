package exchange

import (
	"evenkeel/balancer/table"
)

// load counts n more requests in flight to a backend. Other loops learn of it
// with the batch's end, if the pool's strategy looks at it.
func (l *Loop) load(pool *table.Pool, b *table.Backend, n int64) {
	b.Stats.Load.Add(l.index, n)
	if l.loops > 1 && pool.ReadsLoads() {
		l.unpublished = append(l.unpublished, b)
	}
}

// BatchEnded publishes what other loops' picks depend on.
func (l *Loop) BatchEnded() {
	for _, b := range l.unpublished {
		b.Stats.Load.Publish(l.index)
	}
	clear(l.unpublished)
	l.unpublished = l.unpublished[:0]
}

// answeredAt notes that the head of the response has come.
func (x *exchange) answeredAt(now int64) {
	x.local().FirstByte.Observe(now - x.tries.Began)
	x.target.Stats.Latency.Observe(x.loop.index, now-x.tries.Began, now)
}

// blame counts an attempt that got a connection and no complete response.
func (x *exchange) blame() {
	x.local().Failures.Add(1)
	if x.has(headSent) && !x.has(serverError) {
		x.local().Broken.Add(1)
	}
	x.disappoint()
}
