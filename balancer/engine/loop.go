package engine

import (
	"net/netip"

	"evenkeel/balancer/exchange"
	"evenkeel/balancer/reactor"
)

// loop is an event loop with the exchanges on it. It is their
// [exchange.World].
type loop struct {
	engine    *Engine
	on        *reactor.Loop
	exchanges *exchange.Loop
}

func newLoop(e *Engine, on *reactor.Loop) *loop {
	l := &loop{engine: e, on: on}
	l.exchanges = exchange.NewLoop(l, on.Index())
	return l
}

// Now implements [exchange.World].
func (l *loop) Now() int64 { return l.on.Now() }

// Scratch implements [exchange.World].
func (l *loop) Scratch() []byte { return l.on.Scratch() }

// View implements [exchange.World].
func (l *loop) View() *exchange.View { return l.engine.view.Load() }

// IsLocal implements [exchange.World].
func (l *loop) IsLocal(err error) bool { return reactor.IsLocal(err) }

// Dial implements [exchange.World].
func (l *loop) Dial(to netip.AddrPort, b *exchange.Backend) (exchange.Link, error) {
	conn, err := l.on.Dial(to, b)
	if err != nil {
		return nil, err
	}
	return link{conn}, nil
}

func (l *loop) drop(gone []departure) {
	for _, d := range gone {
		l.exchanges.Drop(d.stats, d.gone)
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
