package engine

import (
	"net/netip"

	"evenkeel/balancer/exchange"
	"evenkeel/balancer/proxyproto"
	"evenkeel/balancer/reactor"
)

// Accept implements [reactor.Acceptor].
func (a *acceptor) Accept(c *reactor.Conn, peer netip.AddrPort) reactor.Handler {
	c.FailWhilePaused()
	if settings := a.server.listener.Settings.Load(); settings.ProxyHeader {
		return a.announced(c, peer.Addr(), settings)
	}
	return a.serve(link{c}, peer.Addr())
}

// serve returns what serves a connection, by the listener's protocol: it is that
// of the peer, or of the client that a PROXY header named.
func (a *acceptor) serve(on exchange.Link, peer netip.Addr) exchange.Events {
	listener := a.server.listener
	switch settings := listener.Settings.Load(); {
	case settings.Protocol == exchange.ProtocolTCP || settings.Protocol == exchange.ProtocolTLSPassthrough:
		return a.loop.exchanges.NewForward(on, listener, peer)
	case a.server.tls.Load() != nil:
		return a.secure(on, peer, a.server.tls.Load())
	case settings.HTTP2.Only:
		return a.loop.serveHTTP2(on, listener, peer)
	default:
		return a.loop.exchanges.NewClient(on, listener, peer)
	}
}

// announced returns what reads a connection's PROXY header; nil, which closes
// it, if such a peer is not believed what that says.
func (a *acceptor) announced(c *reactor.Conn, peer netip.Addr, settings *exchange.Settings) reactor.Handler {
	exchanges, listener := a.loop.exchanges, a.server.listener
	if !settings.Announces(peer) {
		exchanges.Unannounced(listener)
		a.server.left()
		return nil
	}
	return exchanges.NewAnnounced(link{c}, listener, func(ends proxyproto.Header) exchange.Events {
		var next exchange.Events
		if ends.IsLocal() {
			next = a.serve(link{c}, peer)
		} else {
			next = a.serve(announcedLink{link{c}, ends}, ends.Source.Addr())
		}
		c.SetHandler(next)
		return next
	})
}

// announcedLink is a connection whose ends are not its own.
type announcedLink struct {
	link
	ends proxyproto.Header
}

// Ends implements [exchange.Ended].
func (l announcedLink) Ends() (source, destination netip.AddrPort) {
	return l.ends.Source, l.ends.Destination
}
