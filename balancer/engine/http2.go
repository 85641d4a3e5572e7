package engine

import (
	"net/netip"

	"evenkeel/balancer/exchange"
	"evenkeel/balancer/streams"
	"evenkeel/balancer/table"
)

// newStreams returns the loop's part in HTTP/2.
func (l *loop) newStreams() *streams.Loop {
	return streams.NewLoop(streams.Config{
		World: l, Exchanges: l.exchanges, Index: l.on.Index(),
		Connect: l.connect, Scheme: schemeOf,
		Linger: int64(l.engine.bounds.Linger),
	})
}

// schemeOf is what requests to the backends of a pool come by.
func schemeOf(pool *table.Pool) string {
	if pool.TLS != nil {
		return "https"
	}
	return "http"
}

// ServeHTTP2 implements [exchange.World]: for a connection of clear text whose
// client knows that it may speak HTTP/2 (RFC 9113 section 3.3). Where TLS is, ALPN says
// so before.
func (l *loop) ServeHTTP2(on exchange.Link, listener *exchange.Listener, peer netip.Addr) exchange.Events {
	plain := connOf(on)
	if plain == nil || listener.Settings.Load().HTTP2.Disabled {
		return nil
	}
	server := l.serveHTTP2(on, listener, peer)
	plain.SetHandler(server)
	return server
}

// serveHTTP2 begins to serve a client's connection of HTTP/2. Whoever calls it
// gives the events of the link to what it returns.
func (l *loop) serveHTTP2(on exchange.Link, listener *exchange.Listener, peer netip.Addr) *streams.Server {
	return l.streams.NewServer(on, listener, peer)
}

// met cleans up after a handler or a task that met a bug of Evenkeel's.
func (l *loop) met(who any) {
	if owner, ok := who.(interface{ Bug() }); ok {
		owner.Bug()
		return
	}
	l.exchanges.Bug(who)
}
