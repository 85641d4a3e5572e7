package streams

import (
	"errors"
	"net/netip"

	"evenkeel/balancer/exchange"
	"evenkeel/balancer/http2"
	"evenkeel/balancer/table"
)

// ErrNoRoom tells that a request got no stream in time, because so many others
// are under way to the backend. It is no fault of the backend's.
var ErrNoRoom = errors.New("no stream of the connections to the backend became free in time")

// errDropped tells that the backend went while a request waited for a stream.
var errDropped = errors.New("the backend is gone")

// IsLocal tells whether a failure is no backend's fault.
func IsLocal(err error) bool { return err == ErrNoRoom || err == errDropped }

// upstream is the loop's connections to one backend, and the lanes over them.
//
// A request takes the first connection with room, so that few are in use and
// share their writes. If none has, it waits, and another connection is opened
// unless there are as many as the pool allows; who waited for the time of a connect
// goes to another backend. One that is being opened is waited for before the next
// is: as soon as the backend has said how many streams it takes.
type upstream struct {
	loop    *Loop
	pool    *table.Pool    // as the last request had it
	target  *table.Backend // likewise
	scheme  []byte
	conns   []*backendConn
	lanes   []*lane // all that are in use or idle
	waiting []*lane // for room, the oldest first
	left    []*lane // those that were given up, and are still among lanes
	timer   exchange.Timer
	alarm   int64 // when the timer is set; 0: it is not
	due     bool  // Run is
	dropped bool  // no request begins any more
}

// Dial gives a link for requests to a backend that speaks HTTP/2. Its Connected
// tells that there is room for the first.
func (l *Loop) Dial(pool *table.Pool, b *table.Backend, to netip.AddrPort, events exchange.Events) (exchange.Link, error) {
	u := l.upstreams[b.Stats]
	if u != nil && u.pool != pool && u.pool.Manner() != pool.Manner() { // the loop is about to drop them
		l.Drop(b.Stats)
		u = nil
	}
	if u == nil {
		u = &upstream{loop: l}
		u.timer = l.World.NewTimer(u.expired)
		l.upstreams[b.Stats] = u
	}
	if u.pool != pool {
		u.pool, u.scheme = pool, append(u.scheme[:0], l.Scheme(pool)...)
	}
	u.target = b
	if u.roomy() == nil && !u.isConnecting() && u.mayConnect() {
		if err := u.connect(to); err != nil && len(u.conns) == 0 {
			return nil, err
		}
	}
	c := l.takeLane(u, events)
	c.place = len(u.lanes)
	u.lanes = append(u.lanes, c)
	u.waiting = append(u.waiting, c)
	c.set(waiting)
	u.Flush()
	return c, nil
}

// roomy returns a connection on which a stream may be opened, nil if there is
// none.
func (u *upstream) roomy() *backendConn {
	for _, c := range u.conns {
		if c.isUsable() && c.conn.Capacity() > 0 {
			return c
		}
	}
	return nil
}

// isUp tells whether there is a connection, be it without room.
func (u *upstream) isUp() bool {
	for _, c := range u.conns {
		if c.isUsable() {
			return true
		}
	}
	return false
}

func (u *upstream) isConnecting() bool {
	for _, c := range u.conns {
		if c.isConnecting() {
			return true
		}
	}
	return false
}

// mayConnect tells whether another connection is allowed. Those that take no
// further request do not count, as they end by themselves.
func (u *upstream) mayConnect() bool {
	n := 0
	for _, c := range u.conns {
		if c.isConnecting() || c.isUsable() {
			n++
		}
	}
	return !u.dropped && n < max(u.pool.Limits.BackendConnections, 1)
}

func (u *upstream) connect(to netip.AddrPort) error {
	c := &backendConn{up: u}
	link, err := u.loop.Connect(u.pool, u.target, to, c)
	if err != nil {
		return err
	}
	c.link = link
	u.conns = append(u.conns, c)
	c.wait(u.pool.Timeouts.Connect)
	return nil
}

// freed tells that a stream has ended.
func (u *upstream) freed() {
	if len(u.waiting) > 0 {
		u.Flush()
	}
}

// Flush has Run called at the end of the batch of events.
func (u *upstream) Flush() {
	if !u.due {
		u.due = true
		u.loop.World.Later(u)
	}
}

// Run implements [exchange.Task]: whoever waits for room gets what there is.
func (u *upstream) Run() {
	u.due = false
	for len(u.waiting) > 0 && u.roomy() != nil {
		l := u.waiting[0]
		u.waiting[0] = nil
		u.waiting = u.waiting[1:]
		l.clear(waiting)
		if !l.has(closed) && l.begin() {
			l.events.Connected()
		}
	}
	if len(u.waiting) == 0 {
		u.waiting = u.waiting[:0]
	} else if !u.isConnecting() && u.mayConnect() {
		if to, ok := u.target.Endpoint(u.loop.Index); ok {
			_ = u.connect(to) // whoever waits still may get room on those that there are
		}
	}
	u.reap()
}

// connectFailed tells those who wait that a connection came to nothing, unless
// there are others.
func (u *upstream) connectFailed(tell func(*lane)) {
	if u.isUp() || u.isConnecting() {
		return
	}
	told := u.waiting
	u.waiting = nil
	for _, l := range told {
		l.clear(waiting)
		if !l.has(closed) {
			tell(l)
		}
	}
}

// reap takes in the lanes that the exchanges have given up. That is done when
// none of their methods is on the stack.
func (u *upstream) reap() {
	for i, l := range u.left {
		u.left[i] = nil
		if l.has(waiting) {
			u.unwait(l)
		}
		last := len(u.lanes) - 1
		u.lanes[l.place] = u.lanes[last]
		u.lanes[l.place].place = l.place
		u.lanes[last] = nil
		u.lanes = u.lanes[:last]
		u.loop.giveLane(l)
	}
	u.left = u.left[:0]
}

// unwait takes a lane out of those that wait.
func (u *upstream) unwait(l *lane) {
	for i, other := range u.waiting {
		if other == l {
			u.waiting = append(u.waiting[:i], u.waiting[i+1:]...)
			return
		}
	}
}

// wake has expired called by a time.
func (u *upstream) wake(at int64) {
	if at != 0 && (u.alarm == 0 || at < u.alarm) {
		u.alarm = at
		u.timer.Set(at)
	}
}

// expired looks whose deadline has come.
func (u *upstream) expired() {
	now := u.loop.now()
	u.alarm = 0
	for i := 0; i < len(u.lanes); i++ { // there may be more of them meanwhile
		if l := u.lanes[i]; l.deadline != 0 && l.deadline <= now && !l.has(closed) {
			l.expired()
		}
	}
	for _, l := range u.lanes {
		if !l.has(closed) {
			u.wake(l.deadline)
		}
	}
}

// drop lets what is under way end, and nothing else begin.
func (u *upstream) drop() {
	u.dropped = true
	for _, c := range u.conns {
		if c.conn != nil {
			c.conn.Drain()
			c.Flush()
		}
	}
	u.connectFailed(func(l *lane) { l.fail(errDropped) })
}

// cut ends what is under way, as far as it is not repeated elsewhere.
func (u *upstream) cut() {
	type cutter interface{ CutFor(*table.Stats) }
	for i := 0; i < len(u.lanes); i++ {
		if at, ok := u.lanes[i].events.(cutter); ok && !u.lanes[i].has(closed) {
			at.CutFor(u.target.Stats)
		}
	}
}

// Bug cleans up after a bug of Evenkeel's that a lane met: what is under way on
// all connections ends, as nobody knows whose state is whole.
func (u *upstream) Bug() {
	for _, c := range u.conns {
		c.link.Abort(uint32(http2.InternalError))
		c.state |= connGone
	}
	u.conns = nil
	for _, l := range u.lanes {
		if !l.has(closed) {
			l.set(closed)
			u.loop.Exchanges.Bug(l.events)
		}
	}
	u.lanes, u.waiting, u.left = nil, nil, nil
}
