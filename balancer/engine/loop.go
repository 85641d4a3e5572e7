package engine

import (
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync/atomic"
	"time"

	"evenkeel/balancer/exchange"
	"evenkeel/balancer/reactor"
	"evenkeel/balancer/streams"
	"evenkeel/balancer/table"
	"evenkeel/balancer/tlslink"
)

// loop is an event loop with the exchanges on it. It is their
// [exchange.World].
type loop struct {
	engine    *Engine
	on        *reactor.Loop
	exchanges *exchange.Loop
	streams   *streams.Loop // HTTP/2, on either side
	date      []byte        // a Date field line
	dated     int64         // when it was made, by Now
	later     []exchange.Task
	tls       *tlslink.Loop
	warned    map[*table.Stats]int64
	applied   atomic.Uint64 // the newest swap that all its new requests go by
}

func newLoop(e *Engine, on *reactor.Loop) *loop {
	l := &loop{engine: e, on: on}
	l.exchanges = exchange.NewLoop(l, on.Index(), len(e.reactor.Loops()), &e.bounds)
	l.streams = l.newStreams()
	on.OnBatchEnd(l.batchEnded)
	on.OnPanic(l.bug)
	l.tls = tlslink.NewLoop(l, e.signers, &e.tlsBounds)
	on.OnEnd(l.tls.End)
	return l
}

// batchEnded does what was put off until all events of a batch were seen.
func (l *loop) batchEnded() {
	for i := 0; i < len(l.later); i++ {
		l.contain(l.later[i])
	}
	clear(l.later)
	l.later = l.later[:0]
	l.exchanges.BatchEnded()
}

// contain runs a task such that a bug in it does not end the process.
func (l *loop) contain(t exchange.Task) {
	defer func() {
		if fault := recover(); fault != nil {
			l.engine.config.Logger.Error("task met a bug", "panic", fault, "stack", string(debug.Stack()))
			l.met(t)
		}
	}()
	t.Run()
}

// Later implements [exchange.World].
func (l *loop) Later(t exchange.Task) { l.later = append(l.later, t) }

// NewTimer implements [exchange.World].
func (l *loop) NewTimer(f func()) exchange.Timer { return l.on.NewTimer(f) }

// Post implements [tlslink.World].
func (l *loop) Post(f func()) bool { return l.on.Post(f) }

// Now implements [exchange.World].
func (l *loop) Now() int64 { return l.on.Now() }

// Scratch implements [exchange.World].
func (l *loop) Scratch() []byte { return l.on.Scratch() }

// View implements [exchange.World].
func (l *loop) View() *exchange.View { return l.engine.view.Load() }

// Present implements [exchange.World].
func (l *loop) Present(b *table.Backend) *table.Backend {
	return find(l.engine.Table().PoolNamed(b.Pool), b)
}

// Suspect implements [exchange.World].
func (l *loop) Suspect(pool *table.Pool, b *table.Backend, fault string, ejected bool) {
	if suspect := l.engine.config.Suspect; suspect != nil {
		suspect(Suspicion{Pool: pool, Backend: b, Fault: fault, Ejected: ejected, Now: l.on.Now()})
	}
}

// Wake implements [exchange.World].
func (l *loop) Wake(pool string) { l.engine.wake(pool) }

// IsLocal implements [exchange.World].
func (l *loop) IsLocal(err error) bool { return reactor.IsLocal(err) || streams.IsLocal(err) }

// Date implements [exchange.World]. It looks at the clock once a second.
func (l *loop) Date() []byte {
	if now := l.on.Now(); l.date == nil || now-l.dated >= int64(time.Second) {
		l.dated = now
		l.date = append(l.date[:0], "Date: "...)
		l.date = time.Now().UTC().AppendFormat(l.date, http.TimeFormat)
		l.date = append(l.date, "\r\n"...)
	}
	return l.date
}

// Dial implements [exchange.World].
func (l *loop) Dial(pool *table.Pool, b *table.Backend, to netip.AddrPort, events exchange.Events) (exchange.Link, error) {
	if pool.HTTP2 && !exchange.IsWhole(events) {
		return l.streams.Dial(pool, b, to, events)
	}
	return l.connect(pool, b, to, events)
}

// connect opens a connection to a backend.
func (l *loop) connect(pool *table.Pool, b *table.Backend, to netip.AddrPort, events exchange.Events) (exchange.Link, error) {
	if pool.TLS != nil {
		return l.dialTLS(pool, b, to, events)
	}
	conn, err := l.on.Dial(to, events)
	if err != nil {
		return nil, err
	}
	l.announce(conn, events)
	return link{conn}, nil
}

// announce has a connection that was dialled begin with what its backend is told
// of the client: it is kept until there is a connection, and what is written
// later goes behind it.
func (l *loop) announce(conn *reactor.Conn, events exchange.Events) {
	if of, ok := events.(exchange.Announcing); ok {
		if header := of.AppendAnnouncement(l.Scratch()); len(header) > 0 {
			conn.Write(header, true)
		}
	}
}

func (l *loop) drop(gone []*table.Stats) {
	for _, stats := range gone {
		l.exchanges.Drop(stats)
		l.streams.Drop(stats)
	}
}

// cut ends what is under way to backends whose drain has lasted its time.
func (l *loop) cut(overdue []*table.Stats) {
	if len(overdue) == 0 {
		return
	}
	type cutter interface{ CutFor(*table.Stats) }
	for conn := range l.on.Conns {
		if at, ok := owner(conn.Handler()).(cutter); ok {
			for _, stats := range overdue {
				at.CutFor(stats)
			}
		}
	}
	for _, stats := range overdue {
		l.streams.CutFor(stats)
	}
}

// client is what a connection belongs to that a listener accepted.
type client interface {
	Listener() *exchange.Listener
	// End closes it if no request is under way, Cut whatever is.
	End()
	Cut()
}

// clients calls f for each client connection of a server. It runs on the loop.
func (l *loop) clients(of *exchange.Listener, f func(client)) {
	for conn := range l.on.Conns {
		if at, ok := conn.Handler().(client); ok && at.Listener() == of {
			f(at)
		}
	}
}

// link is a connection as exchanges see it.
type link struct{ *reactor.Conn }

// connOf is the connection that a link is; nil if it is something else.
func connOf(on exchange.Link) *reactor.Conn {
	switch on := on.(type) {
	case link:
		return on.Conn
	case announcedLink:
		return on.Conn
	}
	return nil
}

// Relay implements [exchange.Link].
func (l link) Relay(to exchange.Link, n int64) bool {
	other := connOf(to)
	if other != nil {
		l.Conn.Relay(other, n)
	}
	return other != nil
}

// Abort implements [exchange.Link].
func (l link) Abort(uint32) { l.Conn.Abort() }
