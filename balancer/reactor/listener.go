package reactor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Acceptor makes the handlers of accepted connections. Its methods are called
// on one loop.
type Acceptor interface {
	// Reserve tells whether a further connection may be accepted now. After a yes
	// comes Accept, or Release if there was none. After a no, accepting goes on
	// when [Listener.Wake] is called for the loop.
	Reserve() bool
	Release()
	// Accept returns the handler of a connection.
	Accept(c *Conn, peer netip.AddrPort) Handler
}

// Listener is an address at which connections are accepted, by all loops. Its
// methods may be called from any goroutine.
type Listener struct {
	reactor *Reactor
	addr    netip.AddrPort
	sockets []*socket // one a loop; where the kernel does not spread, only the first
	stop    sync.Once
	ended   chan struct{}
}

// Listen binds an address, "HOST:PORT"; without a host, all addresses of the
// machine. There is one acceptor for each loop. Nothing is accepted before
// Start.
//
// The address is first bound without SO_REUSEPORT: so a second program on the
// port is an error, for both, and not a thief of connections.
func (r *Reactor) Listen(ctx context.Context, address string, acceptors []Acceptor) (*Listener, error) {
	if len(acceptors) != len(r.loops) {
		return nil, fmt.Errorf("listen on %q: %d acceptors for %d loops", address, len(acceptors), len(r.loops))
	}
	wanted, v4only, err := resolve(ctx, address)
	if err != nil {
		return nil, err
	}
	bound, err := probe(wanted, v4only)
	if err != nil {
		return nil, err
	}
	ln := &Listener{reactor: r, addr: bound, ended: make(chan struct{})}
	for i, l := range r.loops {
		fd, err := listenSocket(bound, v4only)
		if err != nil {
			ln.closeSockets()
			return nil, err
		}
		s := &socket{loop: l, fd: fd, acceptor: acceptors[i], listener: ln}
		if !spreads {
			s.hands = handOver(r.loops, acceptors)
		}
		ln.sockets = append(ln.sockets, s)
		if !spreads {
			break
		}
	}
	if !r.watch(ln) {
		ln.closeSockets()
		return nil, fmt.Errorf("listen on %q: the loops have ended: %w", address, net.ErrClosed)
	}
	return ln, nil
}

// closeSockets is for a listener of which no loop has heard, or none runs.
func (ln *Listener) closeSockets() {
	for _, s := range ln.sockets {
		s.close()
	}
}

// resolve reads an address. "0.0.0.0" means IPv4 alone, no host both families.
func resolve(ctx context.Context, address string) (at netip.AddrPort, v4only bool, err error) {
	if strings.HasPrefix(address, ":") {
		address = "[::]" + address
		if !hasIPv6() {
			address = "0.0.0.0" + strings.TrimPrefix(address, "[::]")
		}
	}
	if at, err := netip.ParseAddrPort(address); err == nil {
		return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), at.Addr().Unmap().Is4(), nil
	}
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, false, fmt.Errorf("read address %q: %w", address, err)
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", service)
	if err != nil {
		return netip.AddrPort{}, false, err
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, false, err
	}
	if len(addrs) == 0 {
		return netip.AddrPort{}, false, fmt.Errorf("resolve host %q: it has no address", host)
	}
	return netip.AddrPortFrom(addrs[0].Unmap(), uint16(port)), addrs[0].Unmap().Is4(), nil
}

// probe binds the address alone, and returns it with the port that it got.
func probe(at netip.AddrPort, v4only bool) (netip.AddrPort, error) {
	network := "tcp"
	if v4only {
		network = "tcp4"
	}
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	l, err := config.Listen(context.Background(), network, at.String())
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer l.Close()
	bound, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}, errors.New("listen: not a TCP address")
	}
	return netip.AddrPortFrom(at.Addr(), uint16(bound.Port)), nil
}

// Addr is the bound address.
func (ln *Listener) Addr() netip.AddrPort { return ln.addr }

// Start begins to accept.
func (ln *Listener) Start() {
	for _, s := range ln.sockets {
		s.loop.Post(s.start)
	}
}

// Wake has the acceptor of a loop asked again.
func (ln *Listener) Wake(loop int) {
	s := ln.sockets[loop%len(ln.sockets)]
	s.loop.Post(s.acceptAll)
}

// Stop ends accepting without a reset for anybody: new handshakes are turned
// away, where the kernel can; what is in the accept queues is accepted, until
// nothing has come for quiet, after most at the latest; then the sockets are
// closed, and so is the returned channel. Connections live on.
func (ln *Listener) Stop(quiet, most time.Duration) <-chan struct{} {
	ln.stop.Do(func() {
		if !ln.reactor.spawn(func() {
			defer close(ln.ended)
			if ln.drain(quiet, most) {
				ln.reactor.forget(ln)
			}
		}) {
			close(ln.ended) // Run closes the sockets
		}
	})
	return ln.ended
}

// drain returns false if the loops end before.
func (ln *Listener) drain(quiet, most time.Duration) bool {
	ln.each(func(s *socket) { s.refuse() })
	until := time.Now().Add(most)
	for time.Now().Before(until) {
		<-time.After(min(quiet, time.Until(until)))
		accepted := 0
		ln.each(func(s *socket) {
			s.acceptAll()
			accepted += s.accepted
			if s.accepted = 0; s.waiting {
				accepted++ // some may wait with it
			}
		})
		if accepted == 0 {
			break
		}
	}
	return ln.each(func(s *socket) {
		for s.acceptTurn() {
		}
		s.close()
	})
}

// each calls f for each socket, on its loop, one after the other. It returns
// false if a loop had ended before.
func (ln *Listener) each(f func(*socket)) bool {
	all := true
	for _, s := range ln.sockets {
		done := make(chan struct{})
		if s.loop.Post(func() { defer close(done); f(s) }) {
			<-done
		} else {
			all = false
		}
	}
	return all
}
