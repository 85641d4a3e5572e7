package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// Server serves one listener at one address.
type Server struct {
	handler  *handler
	proxy    *Proxy
	listener *acceptor
	conns    connSet
	http     http.Server
}

// Listen binds the address for the listener of that name, whose counters it
// is given. Nothing is served before [Server.Run].
func (p *Proxy) Listen(ctx context.Context, name, address string, counters *Counters) (*Server, error) {
	var config net.ListenConfig
	// Multipath TCP, Go's default for listeners, would hide the socket that
	// refuseNew has to reach.
	config.SetMultipathTCP(false)
	listener, err := config.Listen(ctx, networkOf(address), address)
	if err != nil {
		return nil, err
	}
	s := &Server{proxy: p, handler: newHandler(p, name, counters)}
	s.conns = connSet{counters: counters, open: map[*clientConn]struct{}{}}
	s.listener = &acceptor{Listener: listener, conns: &s.conns, limits: &p.limits, logger: p.config.Logger}
	s.http = http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: p.limits.clientHead,
		IdleTimeout:       p.limits.clientIdle,
		MaxHeaderBytes:    p.limits.clientHeadBytes,
		ErrorLog:          slog.NewLogLogger(p.config.Logger.Handler(), slog.LevelWarn),
		ConnContext:       withConn,
		ConnState: func(conn net.Conn, state http.ConnState) {
			conn.(*clientConn).became(state)
		},
		// "OPTIONS *" is the backend's to answer.
		DisableGeneralOptionsHandler: true,
		Protocols:                    new(http.Protocols),
	}
	s.http.Protocols.SetHTTP1(true)
	return s, nil
}

// networkOf keeps "0.0.0.0:80" to IPv4, where Go would take it for ":80".
func networkOf(address string) string {
	if endpoint, err := netip.ParseAddrPort(address); err == nil && endpoint.Addr().Is4() {
		return "tcp4"
	}
	return "tcp"
}

// Addr is the bound address, such as "127.0.0.1:8080".
func (s *Server) Addr() string { return s.listener.Addr().String() }

// LastCall makes each response from now on ask its client to close the
// connection. New connections are still served.
func (s *Server) LastCall() { s.handler.closing.Store(true) }

// Run serves until ctx ends, then drains, and returns after its last
// goroutine. It returns an error only if it could accept no longer while ctx
// had not ended.
//
// To drain is: the accept queue is emptied and the listener closed; requests
// under way finish; each response asks for the connection to be closed. A
// connection without a request stays open, so that a client that has just sent
// one, or is about to, gets a response and not a reset. Such a connection holds
// the end up only for so long: once the drain has lasted 1 s and no request is
// under way, it is closed. What is still open after the drain timeout, upgraded
// connections included, is cut.
func (s *Server) Run(ctx context.Context) error {
	accepted := make(chan error, 1)
	go func() { accepted <- s.http.Serve(s.listener) }()
	var err error
	select {
	case err = <-accepted:
		err = fmt.Errorf("accept on %q: %w", s.Addr(), err)
	case <-ctx.Done():
	}
	began := time.Now()
	s.LastCall()
	if err == nil {
		s.listener.stop()
		<-accepted
	}
	s.drain(began)
	return err
}

func (s *Server) drain(began time.Time) {
	limits, timeout := s.proxy.limits, s.proxy.config.DrainTimeout
	ticker := time.NewTicker(limits.drainPoll)
	defer ticker.Stop()
	for cut := false; s.conns.len() > 0 || s.handler.active.Load() > 0; <-ticker.C {
		switch lasted := time.Since(began); {
		case lasted >= timeout && !cut:
			cut = true
			s.cut()
		case lasted >= min(limits.drainIdle, timeout) && s.handler.active.Load() == 0:
			for _, conn := range s.conns.all() {
				conn.end()
			}
		}
	}
}

// cut closes all connections, upgraded ones included.
func (s *Server) cut() {
	conns := s.conns.all()
	s.proxy.config.Logger.Warn("connections cut at the drain timeout", "listener", s.handler.name,
		"address", s.Addr(), "connections", len(conns), "requests", s.handler.active.Load())
	for _, conn := range conns {
		_ = conn.Close() // nothing is left to be done about a connection that does not close
	}
}
