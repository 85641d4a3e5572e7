package engine

import (
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"evenkeel/balancer/exchange"
	"evenkeel/balancer/reactor"
	"evenkeel/balancer/table"
)

// loop is an event loop with the exchanges on it. It is their
// [exchange.World].
type loop struct {
	engine    *Engine
	on        *reactor.Loop
	exchanges *exchange.Loop
	date      []byte        // a Date field line
	dated     int64         // when it was made, by Now
	applied   atomic.Uint64 // the newest swap that all its new requests go by
}

func newLoop(e *Engine, on *reactor.Loop) *loop {
	l := &loop{engine: e, on: on}
	l.exchanges = exchange.NewLoop(l, on.Index(), len(e.reactor.Loops()), &e.bounds)
	on.OnBatchEnd(l.exchanges.BatchEnded)
	on.OnPanic(func(h reactor.Handler) { l.exchanges.Bug(h) })
	return l
}

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
func (l *loop) IsLocal(err error) bool { return reactor.IsLocal(err) }

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
func (l *loop) Dial(to netip.AddrPort, events exchange.Events) (exchange.Link, error) {
	conn, err := l.on.Dial(to, events)
	if err != nil {
		return nil, err
	}
	return link{conn}, nil
}

func (l *loop) drop(gone []*table.Stats) {
	for _, stats := range gone {
		l.exchanges.Drop(stats)
	}
}

// cut ends what is under way to backends whose drain has lasted its time.
func (l *loop) cut(overdue []*table.Stats) {
	if len(overdue) == 0 {
		return
	}
	type cutter interface{ CutFor(*table.Stats) }
	for conn := range l.on.Conns {
		if at, ok := conn.Handler().(cutter); ok {
			for _, stats := range overdue {
				at.CutFor(stats)
			}
		}
	}
}

// clients calls f for each client connection of a server. It runs on the loop.
func (l *loop) clients(of *exchange.Listener, f func(*exchange.Client)) {
	for conn := range l.on.Conns {
		if client, ok := conn.Handler().(*exchange.Client); ok && client.Listener() == of {
			f(client)
		}
	}
}

// link is a connection as exchanges see it.
type link struct{ *reactor.Conn }

// Relay implements [exchange.Link].
func (l link) Relay(to exchange.Link, n int64) { l.Conn.Relay(to.(link).Conn, n) }
