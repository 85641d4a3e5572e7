package exchange

import (
	"evenkeel/balancer/table"
)

// upstream is the loop's idle connections to one backend, the one used last at
// the end: the others may then grow old and be closed.
type upstream struct {
	idle []*Backend
}

// idle takes a connection to a backend from the pool; nil if there is none.
func (l *Loop) idle(b *table.Backend) *Backend {
	u := l.upstreams[b.Stats]
	if u == nil || len(u.idle) == 0 {
		return nil
	}
	conn := u.idle[len(u.idle)-1]
	u.idle = u.idle[:len(u.idle)-1]
	conn.place = -1
	return conn
}

// keep puts a connection into the pool, or closes it if that is full.
func (l *Loop) keep(conn *Backend, most int) {
	u := l.upstreams[conn.stats]
	if u == nil {
		u = new(upstream)
		l.upstreams[conn.stats] = u
	}
	if len(u.idle) >= most {
		conn.link.Close()
		return
	}
	conn.place = len(u.idle)
	u.idle = append(u.idle, conn)
}

// forget takes an idle connection that has ended out of the pool.
func (l *Loop) forget(conn *Backend) {
	if conn.place < 0 {
		return
	}
	u := l.upstreams[conn.stats]
	last := len(u.idle) - 1
	u.idle[conn.place] = u.idle[last]
	u.idle[conn.place].place = conn.place
	u.idle[last] = nil
	u.idle = u.idle[:last]
	conn.place = -1
	if last == 0 { // perhaps the backend is gone: nothing of it is to stay
		delete(l.upstreams, conn.stats)
	}
}

// Drop closes the idle connections to a backend. gone tells that no request
// will be sent to it any more.
func (l *Loop) Drop(stats *table.Stats, gone bool) {
	u := l.upstreams[stats]
	if u == nil {
		return
	}
	for _, conn := range u.idle {
		conn.place = -1
		conn.link.Close()
	}
	clear(u.idle)
	u.idle = u.idle[:0]
	if gone {
		delete(l.upstreams, stats)
	}
}

// DropAll closes all idle connections to backends.
func (l *Loop) DropAll() {
	for stats := range l.upstreams {
		l.Drop(stats, true)
	}
}

// Idle is how many connections the pool holds.
func (l *Loop) Idle() int {
	n := 0
	for _, u := range l.upstreams {
		n += len(u.idle)
	}
	return n
}
