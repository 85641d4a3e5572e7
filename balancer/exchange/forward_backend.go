package exchange

import (
	"evenkeel/balancer/table"
)

// forwardBackend is a [Forward] as the connection to its backend sees it. Of
// several attempts one at a time has a connection.
type forwardBackend Forward

// AppendAnnouncement implements [Announcing].
func (b *forwardBackend) AppendAnnouncement(dst []byte) []byte {
	return announcement(b.pool, b.link, dst)
}

// Connected is a connect that succeeded.
func (b *forwardBackend) Connected() { (*Forward)(b).connected() }

// Data takes what the backend sent.
func (b *forwardBackend) Data(p []byte) int {
	f := (*Forward)(b)
	if f.has(forwardGone) {
		return len(p)
	}
	f.state |= forwardAnswered
	f.pass(&f.down, p, &f.counters().BytesOut)
	return len(p)
}

// EOF is the backend's end.
func (b *forwardBackend) EOF() {
	f := (*Forward)(b)
	f.end(&f.down)
}

// Drained tells that the backend took everything that was sent.
func (b *forwardBackend) Drained() {
	if f := (*Forward)(b); f.has(forwardConnected) {
		f.drained(&f.up)
	}
}

// Relayed tells of bytes from the backend that passed by.
func (b *forwardBackend) Relayed(n int64, err error) {
	f := (*Forward)(b)
	f.relayed(&f.down, n, err, &f.counters().BytesOut)
}

// Failed is a connect that failed, or a connection that was reset.
func (b *forwardBackend) Failed(err error) {
	f := (*Forward)(b)
	f.backend = nil
	if !f.has(forwardConnected) {
		f.notConnected(err)
		f.try()
		return
	}
	if !f.has(forwardAnswered) && !f.loop.world.IsLocal(err) {
		f.counters().BadGateway.Add(1)
		f.local().Failures.Add(1)
	}
	f.gone()
	f.link.Abort(codeOf(err, resetInternal))
}

// Expired is a connect that took too long.
func (b *forwardBackend) Expired() {
	f := (*Forward)(b)
	f.backend.Close()
	f.backend = nil
	f.notConnected(errTimeout)
	f.try()
}

// CutFor ends the connection if it is
// to that backend, whose drain has lasted its time; where it is not connected
// yet, it goes to another one.
func (b *forwardBackend) CutFor(stats *table.Stats) {
	f := (*Forward)(b)
	switch {
	case f.has(forwardGone) || f.target == nil || f.target.Stats != stats:
	case f.has(forwardConnected):
		f.cut()
	default:
		f.backend.Close()
		f.backend = nil
		f.exclude(f.target)
		f.try()
	}
}
