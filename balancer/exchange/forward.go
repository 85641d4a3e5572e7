package exchange

import (
	"errors"
	"io"
	"net/netip"
	"sync/atomic"
	"time"

	"evenkeel/balancer/hello"
	"evenkeel/balancer/table"
)

// Forward is a client connection that is passed on as it is to one backend, and
// what comes back likewise. Its exported methods are the events of the client's
// link; those of the backend's are forwardBackend's.
//
// Both directions end on their own: the end of one is passed on, and both
// connections are closed once both have ended and all was sent. A reset is
// carried over, and so is a backend's connection that cannot be written to any
// more, but only once what the backend had sent before was read.
type Forward struct {
	seeker
	link     Link
	backend  Link // of the present attempt; nil between attempts
	listener *Listener
	settings *Settings // as they were when it was accepted
	limits   table.PoolTimeouts
	peer     netip.Addr // whose connection it counts as
	hello    hello.Reader
	up, down direction // from the client, and to it
	state    forwardState
}

// forwardState is a set of flags.
type forwardState uint8

const (
	forwardHello     forwardState = 1 << iota // the hello is still to come, or a part of it
	forwardBegan                              // a byte of it has come
	forwardCounted                            // it is under way for a listener that drains
	forwardConnected                          // there is a backend
	forwardAnswered                           // which has sent something
	forwardGone
)

func (f *Forward) has(s forwardState) bool { return f.state&s != 0 }

// NewForward begins to forward a connection that was accepted from peer, or on
// whose behalf it was announced. It may have ended when this returns.
func (l *Loop) NewForward(link Link, listener *Listener, peer netip.Addr) *Forward {
	f := &Forward{link: link, listener: listener, settings: listener.Settings.Load(), peer: peer.Unmap().WithZone("")}
	f.loop, f.began = l, l.now()
	f.live().Connections.Add(1)
	f.counters().Requests.Add(1)
	if f.settings.Protocol == ProtocolTLSPassthrough {
		f.counters().Connections[SpokenTLSPassthrough].Add(1)
		f.state |= forwardHello
		f.deadline(f.settings.ClientHead)
		return f
	}
	f.counters().Connections[SpokenTCP].Add(1)
	f.route("")
	return f
}

func (f *Forward) counters() *Counters { return &f.listener.Counters[f.loop.index] }

func (f *Forward) live() *Live { return &f.listener.Live[f.loop.index] }

// Listener is where the connection came in.
func (f *Forward) Listener() *Listener { return f.listener }

// deadline is the one there is: its meaning follows from the state. It is kept
// at the client's link; a connect's is at the backend's.
func (f *Forward) deadline(after time.Duration) {
	at := int64(0)
	if after > 0 {
		at = f.loop.now() + int64(after)
	}
	f.link.SetDeadline(at)
}

// readHello waits for the name that the connection is for.
func (f *Forward) readHello(p []byte) {
	f.state |= forwardBegan
	h, verdict := f.hello.Read(p)
	switch verdict {
	case hello.Incomplete:
	case hello.Complete:
		f.state &^= forwardHello
		f.hello = hello.Reader{}
		f.deadline(0)
		f.route(text(h.ServerName))
	default:
		f.refuse(&f.counters().Hello)
	}
}

// unrecognizedName is the fatal alert of RFC 6066 section 3, in a record.
const unrecognizedName = "\x15\x03\x01\x00\x02\x02\x70"

// route finds the pool of the connection.
func (f *Forward) route(serverName string) {
	view := f.loop.world.View()
	route := view.Table.Forward(f.listener.Name, serverName)
	if route == nil {
		if f.settings.Protocol == ProtocolTLSPassthrough {
			f.link.Write([]byte(unrecognizedName), false)
		}
		f.refuse(&f.counters().NoRoute)
		return
	}
	if route.Access != nil && !route.Access.Allows(f.peer) {
		f.refuse(&f.counters().Refused)
		return
	}
	if f.pool = view.Table.Pool(route); f.pool == nil {
		f.refuse(&f.counters().NoBackend)
		return
	}
	f.limits, f.attempts = boundsOf(route, f.pool)
	f.began = f.loop.now()
	f.state |= forwardCounted
	f.live().Requests.Add(1)
	f.try()
}

// try connects to a backend, or closes the connection if none is left.
func (f *Forward) try() {
	for {
		if f.addresses > 0 { // a further one of the same backend
			if f.dial() {
				return
			}
			continue
		}
		b := f.pick()
		if b == nil {
			f.none()
			return
		}
		f.aim(b)
		if f.dial() {
			return
		}
	}
}

// none waits for a backend below its bound, if that is what is missing.
func (f *Forward) none() {
	if f.full && f.enqueue(f) {
		f.deadline(f.pool.Limits.QueueTimeout)
		return
	}
	f.refuse(&f.counters().NoBackend)
}

// resumeWith implements [waiter].
func (f *Forward) resumeWith(pool *table.Pool) bool {
	if pool == nil {
		f.refuse(&f.counters().NoBackend)
		return true
	}
	f.renew(pool)
	b := f.pick()
	if b == nil && f.full {
		return false
	}
	f.unqueue()
	f.deadline(0)
	if b == nil {
		f.refuse(&f.counters().NoBackend)
		return true
	}
	if f.aim(b); !f.dial() {
		f.try()
	}
	return true
}

// pick chooses the next backend; nil if there is none, or trying has gone on
// long enough. Whatever the pool hashes, it is the client's address: there is
// nothing else.
func (f *Forward) pick() *table.Backend {
	if f.exhausted() {
		return nil
	}
	q := &f.loop.choice
	q.Tried, q.Now = f.triedBefore(), f.loop.now()
	q.Client, q.Path, q.Query, q.Fields = f.peer, "", "", nil
	q.Key, q.Keyed = table.SourceKey(f.peer), true
	return f.permitted(f.next(q))
}

func (f *Forward) dial() bool {
	endpoint, ok := f.target.Endpoint(f.loop.index)
	if !ok {
		f.exclude(f.target)
		return false
	}
	link, err := f.loop.world.Dial(f.pool, f.target, endpoint, (*forwardBackend)(f))
	if err != nil {
		f.notConnected(err)
		return false
	}
	f.backend = link
	link.SetDeadline(f.loop.now() + int64(f.limits.Connect))
	return true
}

// connected begins to pass bytes on.
func (f *Forward) connected() {
	f.state |= forwardConnected
	f.local().Connects.Add(1)
	now := f.loop.now()
	f.target.Stats.Latency.Observe(f.loop.index, now-f.tries.Began, now)
	// Whether what follows is a success nobody can know who does not know what is
	// spoken. A backend that accepts connections is not ejected: it may close them
	// because of what a client sent.
	f.loop.counted(f.pool, f.target, f.tries, 0)
	f.pool.Succeeded(f.target, f.tries, f.loop.index)
	f.backend.SetDeadline(0)
	f.up = direction{from: f.link, to: f.backend, paused: f.up.paused, ended: f.up.ended}
	f.down = direction{from: f.backend, to: f.link}
	f.alive()
	if f.up.ended {
		f.backend.CloseWrite()
	}
	f.up.resume()
}

// alive starts the time anew for which the connection may be silent.
func (f *Forward) alive() { f.deadline(f.settings.Idle) }

// Data takes what the client sent.
func (f *Forward) Data(p []byte) int {
	switch {
	case f.has(forwardGone):
		return len(p)
	case f.has(forwardHello):
		if f.readHello(p); !f.has(forwardHello) && !f.has(forwardGone) {
			f.up.hold(f.link) // it is the backend's
		}
		return 0
	case !f.has(forwardConnected):
		f.up.hold(f.link)
		return 0
	}
	f.pass(&f.up, p, &f.counters().BytesIn)
	return len(p)
}

// pass gives bytes on.
func (f *Forward) pass(d *direction, p []byte, count *atomic.Uint64) {
	count.Add(uint64(len(p)))
	d.pass(p)
	f.alive()
}

// EOF is the client's end.
func (f *Forward) EOF() {
	switch {
	case f.has(forwardHello):
		if f.has(forwardBegan) {
			f.refuse(&f.counters().Hello)
		} else { // a look whether the port is open
			f.close()
		}
	case !f.has(forwardConnected):
		f.up.ended = true // it may still want to read
	default:
		f.end(&f.up)
	}
}

// end passes the end of a direction on.
func (f *Forward) end(d *direction) {
	d.ended = true
	if d.to.CloseWrite(); d.broken || f.other(d).broken {
		// The end of a connection that could not be written to is a reset, of which
		// the write took the notice.
		f.cut()
		return
	}
	f.alive()
	f.finish()
}

func (f *Forward) other(d *direction) *direction {
	if d == &f.up {
		return &f.down
	}
	return &f.up
}

// finish closes both connections once both directions have ended and nothing is
// kept.
func (f *Forward) finish() {
	if f.up.ended && f.down.ended && !f.up.owes() && !f.down.owes() {
		f.close()
	}
}

// Drained tells that the client took everything that was sent.
func (f *Forward) Drained() {
	if f.has(forwardConnected) {
		f.drained(&f.down)
	}
}

func (f *Forward) drained(d *direction) {
	f.alive()
	d.resume()
	f.finish()
}

// Relayed tells of bytes from the client that passed by.
func (f *Forward) Relayed(n int64, err error) { f.relayed(&f.up, n, err, &f.counters().BytesIn) }

func (f *Forward) relayed(d *direction, n int64, err error, count *atomic.Uint64) {
	if f.has(forwardGone) {
		return
	}
	count.Add(uint64(n))
	switch {
	case err == nil:
		d.relayed(n)
		f.alive()
	case errors.Is(err, io.EOF):
		d.relaying = false
		f.end(d)
	default: // the destination's end tells
		d.relaying, d.broken = false, true
		d.hold(d.from)
	}
}

// Failed is a client that reset its connection, or vanished.
func (f *Forward) Failed(error) {
	if f.has(forwardCounted) && !(f.up.ended && f.down.ended) {
		f.counters().ClientLeft.Add(1)
	}
	f.gone()
	f.abortBackend()
}

// Expired is the deadline.
func (f *Forward) Expired() {
	switch {
	case f.has(forwardHello):
		f.refuse(&f.counters().Hello)
	case f.isQueued():
		f.refuse(&f.counters().NoBackend)
	case f.has(forwardConnected):
		f.counters().Timeout.Add(1)
		if !f.up.owes() && !f.down.owes() {
			f.close()
			return
		}
		f.cut() // who did not take everything is not to think that it has
	}
}

// Connected is for dialled connections.
func (f *Forward) Connected() {}

// refuse closes a connection that no backend has got, and counts why.
func (f *Forward) refuse(count *atomic.Uint64) {
	count.Add(1)
	f.close()
}

// close ends both connections properly.
func (f *Forward) close() {
	f.gone()
	if f.backend != nil {
		f.backend.Close()
		f.backend = nil
	}
	f.link.Close()
}

// cut ends both connections with a reset.
func (f *Forward) cut() {
	f.gone()
	f.abortBackend()
	f.link.Abort(resetInternal)
}

func (f *Forward) abortBackend() {
	if f.backend != nil {
		f.backend.Abort(resetCancel)
		f.backend = nil
	}
}

// gone takes the connection out of all accounts, once.
func (f *Forward) gone() {
	if f.has(forwardGone) {
		return
	}
	f.state |= forwardGone
	f.unqueue()
	f.settle()
	if f.has(forwardCounted) {
		f.live().Requests.Add(-1)
	}
	f.live().Connections.Add(-1)
	if f.listener.Closed != nil {
		f.listener.Closed()
	}
}

// End closes a connection that is on its way to no backend yet; a listener that
// drains asks for it.
func (f *Forward) End() {
	if !f.has(forwardCounted | forwardGone) {
		f.close()
	}
}

// Cut closes the connection whatever is under way.
func (f *Forward) Cut() {
	if !f.has(forwardGone) {
		f.cut()
	}
}

// bug cleans up after a handler of one of the two connections that met a bug.
func (f *Forward) bug() {
	f.counters().Panics.Add(1)
	f.cut()
}
