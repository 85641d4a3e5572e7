package exchange

import (
	"evenkeel/balancer/table"
)

// upstream is the loop's idle connections to one backend, the one used last at
// the end: the others may then grow old and be closed.
type upstream struct {
	idle    []*Backend
	private []*Backend // likewise, but each for one client
	// closed is set when the backend went, moved or was found down: connections
	// that were busy then are not kept either.
	closed bool
}

// idle takes a connection to a backend from the pool; nil if there is none.
func (l *Loop) idle(b *table.Backend) *Backend {
	u := l.upstreams[b.Stats]
	if u == nil || len(u.idle) == 0 {
		return nil
	}
	last := len(u.idle) - 1
	conn := u.idle[last]
	u.idle[last] = nil
	u.idle = u.idle[:last]
	conn.place = -1
	return conn
}

// keep puts a connection into the pool, unless that holds as many as it may or
// the backend is gone. A connection's first time is when a backend is looked up
// that went while it was busy; later its pool tells.
func (l *Loop) keep(conn *Backend, most int) bool {
	if conn.up == nil && l.world.Present(conn.target) != nil && l.isPresent(conn) {
		if conn.up = l.upstreams[conn.target.Stats]; conn.up == nil {
			conn.up = new(upstream)
			l.upstreams[conn.target.Stats] = conn.up
		}
	}
	u := conn.up
	if u == nil || u.closed || len(u.idle)+len(u.private) >= most || conn.private != nil && !conn.private.add(conn) {
		return false
	}
	list := u.listOf(conn)
	conn.place = len(*list)
	*list = append(*list, conn)
	return true
}

// listOf is where a connection is kept.
func (u *upstream) listOf(conn *Backend) *[]*Backend {
	if conn.private != nil {
		return &u.private
	}
	return &u.idle
}

// isPresent tells whether a connection was made in the manner in which its backend
// is spoken to now.
func (l *Loop) isPresent(conn *Backend) bool {
	pool := l.world.View().Table.PoolNamed(conn.target.Pool)
	return pool != nil && pool.Manner() == conn.manner
}

// forget takes an idle connection out of the pool, which has ended or is one
// client's.
func (l *Loop) forget(conn *Backend) {
	if conn.place < 0 {
		return
	}
	if conn.private != nil {
		conn.private.remove(conn)
	}
	list := conn.up.listOf(conn)
	last := len(*list) - 1
	(*list)[conn.place] = (*list)[last]
	(*list)[conn.place].place = conn.place
	(*list)[last] = nil
	*list = (*list)[:last]
	conn.place = -1
}

// Drop closes the idle connections to a backend, and has those that are busy
// closed when they no longer are.
func (l *Loop) Drop(stats *table.Stats) {
	l.dropLease(stats)
	u := l.upstreams[stats]
	if u == nil {
		return
	}
	for _, conn := range u.idle {
		conn.place = -1
		conn.link.Close()
	}
	for _, conn := range u.private {
		conn.place = -1
		conn.private.remove(conn)
		conn.link.Close()
	}
	u.idle, u.private, u.closed = nil, nil, true
	delete(l.upstreams, stats)
}

// Idle is how many connections the pool holds.
func (l *Loop) Idle() int {
	n := 0
	for _, u := range l.upstreams {
		n += len(u.idle) + len(u.private)
	}
	return n
}
