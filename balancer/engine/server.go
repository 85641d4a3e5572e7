package engine

import (
	"context"
	"math"
	"net/netip"
	"sync/atomic"
	"time"

	"evenkeel/balancer/exchange"
	"evenkeel/balancer/http1"
	"evenkeel/balancer/reactor"
	"evenkeel/fsm"
)

const (
	// acceptQuiet: a listener that ends has emptied its accept queue when nothing
	// arrived for so long. It covers the last step of handshakes under way over
	// any usual distance. acceptMax bounds that.
	acceptQuiet = 50 * time.Millisecond
	acceptMax   = 250 * time.Millisecond
	// drainIdle is how long connections without a request keep an ending listener
	// open; see [Server.Run].
	drainIdle = time.Second
	// drainPoll is how often an ending listener looks whether it is done.
	drainPoll = 5 * time.Millisecond
)

// Server serves one listener at one address.
type Server struct {
	engine   *Engine
	listener *exchange.Listener
	socket   *reactor.Listener
	spec     *fsm.Listener // that the settings were made from
	tls      atomic.Pointer[ListenerTLS]

	acceptors []*acceptor // one a loop
	// connections are those that are open or about to be accepted.
	connections atomic.Int64
}

// Counters returns counters for a listener, for [Engine.Listen].
func (e *Engine) Counters() []exchange.Counters { return make([]exchange.Counters, len(e.loops)) }

// Listen binds the address for the listener of that name, whose counters it is
// given. Nothing is served before [Server.Run], which must be called.
func (e *Engine) Listen(ctx context.Context, name, address string, counters []exchange.Counters) (*Server, error) {
	s := &Server{engine: e, listener: &exchange.Listener{
		Name: name, Counters: counters, Live: make([]exchange.Live, len(e.loops)),
	}}
	s.settle(e.Table().State())
	acceptors := make([]reactor.Acceptor, len(e.loops))
	for i, l := range e.loops {
		a := &acceptor{server: s, loop: l}
		s.acceptors, acceptors[i] = append(s.acceptors, a), a
	}
	socket, err := e.reactor.Listen(ctx, address, acceptors)
	if err != nil {
		return nil, err
	}
	s.socket = socket
	s.listener.Closed = s.left
	e.mu.Lock()
	defer e.mu.Unlock()
	e.servers[s] = struct{}{}
	s.settle(e.Table().State()) // it may have changed meanwhile
	return s, nil
}

// settle takes over what a state says of the listener. One that the registry does
// not know any more stays as it was.
func (s *Server) settle(state *fsm.State) {
	spec := state.Listener(s.listener.Name)
	if spec != nil && s.engine.config.TLS != nil { // certificates change without their listener
		s.tls.Store(s.engine.config.TLS(state, spec))
	}
	if s.listener.Settings.Load() != nil && (spec == nil || spec == s.spec) {
		return
	}
	s.spec = spec
	var of fsm.ListenerSpec
	if spec != nil {
		of = spec.Spec
	}
	settings := SettingsOf(of)
	if s.tls.Load() != nil {
		settings.Scheme = "https"
	}
	s.listener.Settings.Store(settings)
	if s.socket != nil { // there may be room for connections that wait
		s.wake()
	}
}

// SettingsOf parses what the registry validated; what it would not accept is
// not trusted.
func SettingsOf(spec fsm.ListenerSpec) *exchange.Settings {
	timeouts, limits, forwarding := spec.EffectiveTimeouts(), spec.EffectiveLimits(), spec.EffectiveForwarding()
	settings := &exchange.Settings{
		ClientHead: time.Duration(timeouts.ClientHead), ClientIdle: time.Duration(timeouts.ClientIdle), Body: time.Duration(timeouts.Body),
		Limits:      http1.Limits{Head: limits.HeadBytes, Line: limits.LineBytes, Fields: limits.Fields},
		Connections: limits.Connections, Protocol: protocolOf(spec.Protocol), Idle: time.Duration(timeouts.Idle),

		NoXForwarded: !forwarding.XForwarded, NoForwarded: !forwarding.Forwarded, Via: forwarding.Via,
	}
	settings.Trusted = networks(spec.TrustedProxies)
	h := spec.EffectiveHTTP2()
	settings.HTTP2 = exchange.HTTP2{Disabled: h.Disabled, Only: h.Only, Streams: h.MaxStreams}
	if spec.Protocol == fsm.ProtocolHTTPS {
		settings.Scheme = "https"
	}
	if p := spec.ProxyProtocol; p != nil {
		settings.ProxyHeader, settings.ProxyTrusted = true, networks(p.Trusted)
	}
	return settings
}

func networks(texts []string) []netip.Prefix {
	var parsed []netip.Prefix
	for _, text := range texts {
		if network, err := netip.ParsePrefix(text); err == nil {
			parsed = append(parsed, network)
		}
	}
	return parsed
}

func protocolOf(name string) exchange.Protocol {
	switch name {
	case fsm.ProtocolTCP:
		return exchange.ProtocolTCP
	case fsm.ProtocolTLSPassthrough:
		return exchange.ProtocolTLSPassthrough
	}
	return exchange.ProtocolHTTP
}

// Addr is the bound address, such as "127.0.0.1:8080".
func (s *Server) Addr() string { return s.socket.Addr().String() }

// LastCall makes each response from now on ask its client to close the
// connection. New connections are still served.
func (s *Server) LastCall() { s.listener.Closing.Store(true) }

// Live returns how many connections and requests there are now.
func (s *Server) Live() (connections, requests int64) {
	for i := range s.listener.Live {
		connections += s.listener.Live[i].Connections.Load()
		requests += s.listener.Live[i].Requests.Load()
	}
	return connections, requests
}

// Run serves until ctx ends, then drains, and returns when the last connection
// has ended.
//
// To drain is: the accept queue is emptied and the listener closed; requests
// under way finish; each response asks for the connection to be closed. A
// connection without a request stays open, so that a client that has just sent
// one, or is about to, gets a response and not a reset. Such a connection holds
// the end up only for so long: once the drain has lasted 1 s and no request is
// under way, it is closed. What is still open after the drain timeout, upgraded
// connections included, is cut.
func (s *Server) Run(ctx context.Context) error {
	s.socket.Start()
	<-ctx.Done()
	began := time.Now()
	s.LastCall()
	s.each(drain)
	<-s.socket.Stop(acceptQuiet, acceptMax)
	s.drain(began)
	s.engine.mu.Lock()
	defer s.engine.mu.Unlock()
	delete(s.engine.servers, s)
	return nil
}

func (s *Server) drain(began time.Time) {
	timeout := s.engine.config.DrainTimeout
	ticker := time.NewTicker(drainPoll)
	defer ticker.Stop()
	for cut := false; ; <-ticker.C {
		connections, requests := s.Live()
		if connections == 0 && requests == 0 {
			return
		}
		switch lasted := time.Since(began); {
		case lasted >= timeout && !cut:
			cut = true
			s.engine.config.Logger.Warn("connections cut at the drain timeout", "listener", s.listener.Name,
				"address", s.Addr(), "connections", connections, "requests", requests)
			s.each(client.Cut)
		case lasted >= min(s.engine.drainIdle, timeout) && requests == 0:
			s.each(client.End)
		}
	}
}

// drain tells a client that no further request is served, where the protocol can.
func drain(c client) {
	if told, ok := c.(interface{ Drain() }); ok {
		told.Drain()
	}
}

// each calls f for each connection, and returns when that is done.
func (s *Server) each(f func(client)) {
	for _, l := range s.engine.loops {
		done := make(chan struct{})
		if l.on.Post(func() { defer close(done); l.clients(s.listener, f) }) {
			<-done
		}
	}
}

// left tells that a connection has ended, or that none came: where their number
// is bounded, another may be accepted.
func (s *Server) left() {
	s.connections.Add(-1)
	s.wake()
}

// wake has those loops try again that found no room.
func (s *Server) wake() {
	for i, a := range s.acceptors {
		if a.refused.Load() && a.refused.Swap(false) {
			s.socket.Wake(i)
		}
	}
}

// acceptor is a server on one loop.
type acceptor struct {
	server  *Server
	loop    *loop
	refused atomic.Bool // connections may wait in the accept queue
}

// Reserve implements [reactor.Acceptor]: it leaves connections above the bound
// in the accept queue.
func (a *acceptor) Reserve() bool {
	s := a.server
	for {
		if s.connections.Add(1) <= s.bound() {
			return true
		}
		// Who leaves after this wakes the loop; who left before it, or a higher
		// bound, is found by looking again.
		a.refused.Store(true)
		if s.connections.Add(-1) >= s.bound() {
			return false
		}
		a.refused.Store(false)
	}
}

// bound is how many connections there may be.
func (s *Server) bound() int64 {
	if most := s.listener.Settings.Load().Connections; most > 0 {
		return int64(most)
	}
	return math.MaxInt64
}

// Release implements [reactor.Acceptor].
func (a *acceptor) Release() { a.server.left() }
