package exchange

import (
	"errors"
	"time"

	"evenkeel/balancer/table"
)

// try sends the request to a backend, or answers it if none is left.
func (x *exchange) try() {
	for {
		if x.addresses > 0 { // a further one of the same backend
			if x.dial(x.target) {
				return
			}
			continue
		}
		b := x.pick()
		if b == nil {
			if !x.full || !x.wait() {
				x.answer(x.failure)
			}
			return
		}
		if x.begun(b) {
			return
		}
	}
}

// pick chooses the next backend; nil if there is none, or trying has gone on
// long enough.
func (x *exchange) pick() *table.Backend {
	if x.exhausted() {
		return nil
	}
	first := !x.picked
	q := x.choice(x.triedBefore())
	b := x.next(q)
	if x.pool.IsSticky() && (!first || b == nil || !x.pool.IsNamed(q, b)) {
		x.set(setCookie)
	}
	permitted := x.permitted(b)
	if permitted != b && permitted != nil && x.pool.IsSticky() {
		x.set(setCookie)
	}
	return permitted
}

// choice is what the pool chooses by. The request's fields are there during its
// first event only; later picks go by the key that was found in them.
func (x *exchange) choice(tried *table.Tried) *table.Choice {
	q := &x.loop.choice
	q.Tried, q.Now = tried, x.loop.now()
	q.Key, q.Keyed = x.key, x.picked
	if q.Keyed {
		q.Fields = nil
		return q
	}
	request := &x.loop.request
	q.Client = x.clientAddr()
	q.Path, q.Query, q.Fields = text(request.Path), text(request.Query), fields{request}
	return q
}

// begun begins an attempt at a backend. It is false if that failed at once.
func (x *exchange) begun(b *table.Backend) bool {
	x.aim(b)
	if conn := x.idle(b); conn != nil && x.mayUse(conn) {
		x.attach(conn)
		x.send()
		return true
	}
	return x.dial(b)
}

// idle takes a connection to a backend that a request has left; nil if there is
// none. One that began with a PROXY header is its client's, and what else came
// over it would count as that client's.
func (x *exchange) idle(b *table.Backend) *Backend {
	if x.pool.ProxyProtocol == 0 {
		return x.loop.idle(b)
	}
	return x.client.private().take(b)
}

// gatherBytes is the longest request that is sure to wait for the other events
// of its batch, among which an unasked response would show itself (see Data)
// before anything was sent.
const gatherBytes = 4 << 10

// mayUse tells whether a pooled connection will do. A request that cannot be
// sent again, or is sent at once, has a closer look at it first. One that was made
// for backends that were spoken to in another manner is none: a new table is there
// before the loop has dropped those.
func (x *exchange) mayUse(conn *Backend) bool {
	if conn.manner == x.pool.Manner() &&
		(!conn.shares && x.method.IsIdempotent() && len(x.request) <= gatherBytes || conn.link.Alive()) {
		return true
	}
	conn.link.Close()
	return false
}

func (x *exchange) attach(conn *Backend) {
	x.backend, conn.x = conn, x
}

func (x *exchange) dial(b *table.Backend) bool {
	endpoint, ok := b.Endpoint(x.loop.index)
	if !ok {
		x.exclude(b)
		return false
	}
	conn := &Backend{loop: x.loop, x: x, target: b, place: -1, shares: x.pool.HTTP2, manner: x.pool.Manner()}
	if x.pool.ProxyProtocol != 0 {
		conn.private = x.client.private()
	}
	link, err := x.loop.world.Dial(x.pool, b, endpoint, conn)
	if err != nil {
		x.notConnected(err)
		return false
	}
	conn.link = link
	x.attach(conn)
	conn.deadline(x.limits.Connect)
	if !x.upload.Done() {
		x.client.pause()
	}
	return true
}

// send gives the request, as far as it has come, to the backend's connection.
func (x *exchange) send() {
	conn := x.backend
	conn.before = conn.link.Sent()
	x.set(sent)
	if !conn.link.Write(x.request, false) {
		x.unsent()
		return
	}
	if x.copies == nil && len(x.request) > replayBytes {
		x.clear(replay)
	}
	x.uploaded()
}

// touched tells whether anything of the present request was sent, or lies where
// it may still be: then the backend may do what it asks.
func (b *Backend) touched() bool { return b.link.Sent() != b.before || b.link.Buffered() > 0 }

// unsent is a pooled connection that turned out broken at the first write.
func (x *exchange) unsent() {
	x.dropBackend()
	x.stale()
}

// unasked is a pooled connection that turned out to hold a response before
// anything of the request was sent.
func (x *exchange) unasked() {
	x.backend.link.Unsend()
	if x.has(replay) {
		x.unsent()
		return
	}
	x.blame()
	x.dropBackend()
	x.answer(badGateway)
}

// stale tries again, with a connection of its own, after a connection was closed before it was used, which is
// nobody's fault: servers close idle connections as they like.
func (x *exchange) stale() {
	x.clear(sent | answered)
	if x.fresh++; x.fresh > x.loop.bounds.Fresh {
		x.blame()
		x.fault(table.FaultReset)
		x.answer(badGateway)
		return
	}
	if !x.dial(x.target) {
		x.try()
	}
}

// broke is a backend's connection that ended before a response began.
func (x *exchange) broke(conn *Backend, err error) {
	x.backend, conn.x = nil, nil
	switch {
	case x.has(replay) && !x.has(answered) && !conn.touched(),
		x.has(replay) && !x.has(answered) && conn.used && x.method.IsIdempotent():
		x.stale()
	case x.repeatable():
		x.blame()
		x.brokenOff(conn, err)
		x.elsewhere(badGateway)
	default:
		x.blame()
		x.brokenOff(conn, err)
		x.answer(badGateway)
	}
}

// unprocessed is a request that the backend did nothing with, as it says. Nobody
// is to blame.
func (x *exchange) unprocessed(conn *Backend, err error) {
	x.backend, conn.x = nil, nil
	refused, _ := errors.AsType[*UnprocessedError](err)
	switch {
	case !x.has(replay):
		x.answer(noBackend)
	case refused.Refused:
		x.elsewhere(noBackend)
	default:
		x.stale()
	}
}

// repeatable tells whether the request, which was sent and not answered, may be
// sent to another backend; that takes from the budget.
func (x *exchange) repeatable() bool {
	return x.has(replay) && !x.has(answered) && x.method.IsIdempotent() && x.mayRepeat()
}

// elsewhere sends the request to another backend. Without one the failure is
// the answer.
func (x *exchange) elsewhere(failure *answer) {
	x.repeats++
	x.failure = failure
	x.exclude(x.target)
	x.clear(sent)
	x.try()
}

// mayRepeat tells whether the bounds and the budget allow one more sending.
func (x *exchange) mayRepeat() bool {
	return x.repeats < x.loop.bounds.Repeats && x.attempts > 1 &&
		x.loop.budgetOf(x.pool).spend(x.loop.now(), x.pool.Budget, x.loop.loops)
}

// connectEnded is a connect that came to nothing.
func (x *exchange) connectEnded(conn *Backend, err error) {
	x.backend, conn.x = nil, nil
	x.notConnected(err)
	x.try()
}

// late is the deadline of a backend.
func (x *exchange) late(conn *Backend) {
	if !conn.connected {
		conn.link.Close()
		x.connectEnded(conn, errTimeout)
		return
	}
	switch {
	case x.has(tunnelling):
		x.cut(resetCancel)
		return
	case x.has(responded):
		x.discardRest()
		return
	}
	x.blame()
	x.fault(table.FaultTimeout)
	x.dropBackend()
	switch {
	case x.has(headSent):
		x.cut(resetCancel)
	case x.repeatable():
		x.elsewhere(gatewayTimeout)
	default:
		x.answer(gatewayTimeout)
	}
}

// deadline sets when the backend is late.
func (b *Backend) deadline(after time.Duration) {
	b.link.SetDeadline(b.loop.now() + int64(after))
}
