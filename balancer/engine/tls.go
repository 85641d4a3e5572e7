package engine

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"

	"evenkeel/balancer/certificates"
	"evenkeel/balancer/exchange"
	"evenkeel/balancer/reactor"
	"evenkeel/balancer/table"
	"evenkeel/balancer/tlslink"
)

// ListenerTLS is how a listener speaks TLS. It is never changed, only replaced:
// handshakes go by the one that is there when they begin, and connections do not
// see another.
type ListenerTLS struct{ config *tlslink.Config }

// NewListenerTLS returns how a listener speaks TLS by a configuration of package
// certificates.
func (e *Engine) NewListenerTLS(config *tls.Config) *ListenerTLS {
	return &ListenerTLS{config: tlslink.NewConfig(config)}
}

// secured is a client's connection that speaks TLS. It has the link's events.
type secured struct {
	*tlslink.Link
	listener *exchange.Listener
}

// Listener is where the client came in.
func (s *secured) Listener() *exchange.Listener { return s.listener }

// End closes it if no request is under way.
func (s *secured) End() {
	if over, ok := s.Upper().(client); ok {
		over.End()
		return
	}
	s.Link.End()
}

// Drain tells its client that no further request is served, where the protocol
// can.
func (s *secured) Drain() {
	if over, ok := s.Upper().(client); ok {
		drain(over)
	}
}

// Cut closes it whatever is under way.
func (s *secured) Cut() {
	if over, ok := s.Upper().(client); ok {
		over.Cut()
		return
	}
	s.Link.End()
}

// secure begins to serve an accepted connection by TLS. It counts as one from the
// beginning; the handshake is part of what [exchange.Settings].ClientHead bounds.
func (a *acceptor) secure(on exchange.Link, peer netip.Addr, t *ListenerTLS) exchange.Events {
	l, listener := a.loop, a.server.listener
	live, counters := &listener.Live[l.on.Index()], &listener.Counters[l.on.Index()]
	live.Connections.Add(1)
	return &secured{listener: listener, Link: l.tls.Accept(on, tlslink.Accept{
		Config:   t.config,
		Deadline: l.on.Now() + int64(listener.Settings.Load().ClientHead),
		Ready: func(over *tlslink.Link, state tls.ConnectionState) exchange.Events {
			live.Connections.Add(-1) // who has it from now on counts it
			if state.DidResume {
				counters.Resumed.Add(1)
			} else {
				counters.FullHandshakes.Add(1)
			}
			over.SetServerName(state.ServerName)
			if len(state.PeerCertificates) > 0 {
				over.SetClientSubject(certificates.Subject(state.PeerCertificates[0]))
			}
			if state.NegotiatedProtocol == certificates.HTTP2 || listener.Settings.Load().HTTP2.Only {
				return l.serveHTTP2(over, listener, peer)
			}
			return l.exchanges.NewClient(over, listener, peer)
		},
		Gone: func(err error) {
			live.Connections.Add(-1)
			if !errors.Is(err, tlslink.ErrSilent) {
				counters.BadHandshakes[handshakeFault(err)].Add(1)
			}
			if listener.Closed != nil {
				listener.Closed()
			}
		},
	})}
}

// handshakeFault is what a handshake failed of.
func handshakeFault(err error) exchange.HandshakeFault {
	op, _ := errors.AsType[*net.OpError](err)
	_, system := errors.AsType[syscall.Errno](err)
	switch {
	case errors.Is(err, tlslink.ErrPlain):
		return exchange.HandshakePlain
	case errors.Is(err, tlslink.ErrSlow):
		return exchange.HandshakeTimeout
	case errors.Is(err, tlslink.ErrEnded):
		return exchange.HandshakeStopped
	case errors.Is(err, tlslink.ErrNoCertificate):
		return exchange.HandshakeNoCertificate
	case errors.Is(err, tlslink.ErrClientCertificate):
		return exchange.HandshakeClientCertificate
	case op != nil && op.Op == "remote error": // an alert, as crypto/tls has it
		return exchange.HandshakeRefused
	case system || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return exchange.HandshakeLeft
	}
	return exchange.HandshakeProtocol
}

// dialTLS connects to a backend and has a handshake with it. The word that it
// cannot be spoken to is for a human, at most once a minute.
func (l *loop) dialTLS(pool *table.Pool, b *table.Backend, to netip.AddrPort, events exchange.Events) (exchange.Link, error) {
	over := l.tls.Dial(pool.TLS.For(b.Address), events, func(err error) { l.warn(b, err) })
	conn, err := l.on.Dial(to, over)
	if err != nil {
		return nil, err
	}
	l.announce(conn, events)
	over.Over(link{conn})
	return over, nil
}

const (
	warnAgain = time.Minute
	warnMost  = 1000 // backends whose last warning is remembered
)

func (l *loop) warn(b *table.Backend, err error) {
	now := l.on.Now()
	if last, told := l.warned[b.Stats]; told && now-last < int64(warnAgain) {
		return
	}
	if l.warned == nil || len(l.warned) >= warnMost {
		l.warned = map[*table.Stats]int64{}
	}
	l.warned[b.Stats] = now
	l.engine.config.Logger.Warn("backend cannot be spoken to by TLS: look at its certificate and at the pool's TLS settings",
		"pool", b.Pool, "backend", b.Name, "address", b.Address, "error", err)
}

// owner is whom the events of a connection go to in the end.
func owner(h reactor.Handler) any {
	if over, ok := h.(interface{ Upper() exchange.Events }); ok && over.Upper() != nil {
		return over.Upper()
	}
	return h
}

// bug cleans up after a handler that met one.
func (l *loop) bug(h reactor.Handler) {
	l.met(owner(h))
	if over, ok := h.(interface{ Drop() }); ok {
		over.Drop()
	}
}
