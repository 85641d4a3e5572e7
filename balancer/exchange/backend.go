package exchange

import (
	"evenkeel/balancer/http1"
	"evenkeel/balancer/table"
)

// Backend is one connection to a backend. Its exported methods are the events
// of its link.
type Backend struct {
	loop      *Loop
	link      Link
	target    *table.Backend // that it was dialled for
	up        *upstream      // that it was kept in last, nil before
	private   *Private       // whose requests alone it serves, nil: anybody's
	x         *exchange      // the request under way, nil if it is idle
	manner    table.Manner   // in which it was made
	place     int            // among the idle ones of up, or -1
	before    int64          // what was sent when the present request began
	progress  http1.Progress
	connected bool
	used      bool // it has served a request before the present one
	shares    bool // its link is a stream at a time of connections that many share
	keep      bool // it may serve another one after it
}

// AppendAnnouncement implements [Announcing].
func (b *Backend) AppendAnnouncement(dst []byte) []byte {
	return announcement(b.x.pool, b.x.client.link, dst)
}

// Connected is a connect that succeeded.
func (b *Backend) Connected() {
	b.connected = true
	if !b.shares {
		b.target.Stats.Local(b.loop.index).Connects.Add(1)
	}
	if b.x != nil {
		b.x.send()
	}
}

// Data takes what the backend sent.
func (b *Backend) Data(p []byte) int {
	taken := 0
	for taken < len(p) {
		var n int
		switch x := b.x; {
		case x == nil: // nobody asked
			b.discard()
			return len(p)
		case x.has(tunnelling):
			n = x.tunnelDown(p[taken:])
		case x.has(responded): // nobody asked for more
			x.discardRest()
			return len(p)
		case !x.has(headSent) && b.used && !b.touched(): // nobody has asked yet
			x.unasked()
			return len(p)
		case !x.has(headSent):
			n = x.readResponse(p[taken:])
		default:
			n = x.fromBackend(p[taken:])
		}
		if n == 0 {
			break
		}
		taken += n
	}
	return taken
}

// discard ends a connection that is of no further use.
func (b *Backend) discard() {
	b.loop.forget(b)
	b.link.Close()
}

// EOF is the backend's end.
func (b *Backend) EOF() {
	switch x := b.x; {
	case x == nil:
		b.discard()
	case x.has(tunnelling):
		x.set(backendHalf)
		x.client.link.CloseWrite()
		x.tunnelEnded()
	case x.has(responded):
		x.discardRest()
	case !x.has(headSent):
		b.link.Unsend()
		b.link.Close()
		x.broke(b, nil)
	case x.body.End() == nil:
		x.finish(false)
	default:
		x.broken(table.FaultReset, resetInternal)
	}
}

// Drained tells that the backend's connection took everything.
func (b *Backend) Drained() {
	if x := b.x; x != nil && x.has(sent) {
		if x.has(tunnelling) {
			x.client.resume()
			return
		}
		x.uploaded()
	}
}

// Failed is a connect that failed, or a connection that broke.
func (b *Backend) Failed(err error) {
	b.loop.forget(b)
	switch x := b.x; {
	case x == nil:
	case !b.connected:
		x.connectEnded(b, err)
	case x.has(tunnelling):
		x.backend, b.x = nil, nil
		x.cut(codeOf(err, resetCancel))
	case x.has(responded):
		x.discardRest()
	case x.has(clientsTime) && x.isOverdue():
		x.backend, b.x = nil, nil
		x.endOverdue()
	case !x.has(headSent) && isUnprocessed(err):
		x.unprocessed(b, err)
	case !x.has(headSent):
		x.broke(b, err)
	case b.loop.world.IsLocal(err):
		x.broken("", resetInternal)
	default:
		x.broken(table.FaultReset, codeOf(err, resetInternal))
	}
}

// Expired is the deadline.
func (b *Backend) Expired() {
	if b.x == nil {
		b.discard()
		return
	}
	b.x.late(b)
}

// Relayed tells of bytes of the response's body that passed by.
func (b *Backend) Relayed(n int64, err error) {
	if b.x != nil {
		b.x.relayed(n, err)
	}
}
