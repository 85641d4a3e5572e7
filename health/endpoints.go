package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"evenkeel/fsm"
)

// Bounds of names that stand for several addresses.
const (
	// maxEndpoints is how many addresses of a name one probe tries.
	maxEndpoints = 16
	// lookupAge is how long an answer is used, as in the data path.
	lookupAge = 5 * time.Second
)

// lookuper resolves a name; [net.Resolver] is one.
type lookuper interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// endpoints is where a backend's address leads. For a name it keeps the last
// answer, because the data path does so too: a name server that fails must
// neither hide a dead backend nor condemn a working one.
type endpoints struct {
	host   string // empty for an IP address
	port   uint16
	lookup lookuper
	last   []netip.AddrPort
	asked  time.Time // when the name server answered last, or failed to
}

func newEndpoints(address string, lookup lookuper) (*endpoints, error) {
	host, port, ok := fsm.SplitAddress(address)
	if !ok || host == "" {
		return nil, fmt.Errorf("backend address %q: is not host:port", address)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return &endpoints{last: []netip.AddrPort{netip.AddrPortFrom(ip.Unmap(), port)}}, nil
	}
	return &endpoints{host: host, port: port, lookup: lookup}, nil
}

// each runs probe at every endpoint at once and returns nil when one passes:
// the data path uses all addresses of a name and goes on to the next when one
// does not connect, so a backend works as long as any of them does.
func (e *endpoints) each(ctx context.Context, probe func(context.Context, netip.AddrPort) error) error {
	all, err := e.resolve(ctx)
	if err != nil {
		return err
	}
	if len(all) == 1 {
		return probe(ctx, all[0])
	}
	return anyPasses(ctx, all, probe)
}

func (e *endpoints) resolve(ctx context.Context) ([]netip.AddrPort, error) {
	if e.host == "" || (!e.asked.IsZero() && time.Since(e.asked) < lookupAge) {
		return e.last, nil
	}
	addrs, err := e.ask(ctx)
	if err == nil && len(addrs) == 0 {
		err = &net.DNSError{Err: "no addresses", Name: e.host, IsNotFound: true}
	}
	if err != nil && len(e.last) == 0 {
		return nil, unresolved(e.host, err)
	}
	e.asked = time.Now()
	if err == nil {
		e.last = make([]netip.AddrPort, 0, min(len(addrs), maxEndpoints))
		for _, addr := range addrs[:cap(e.last)] {
			e.last = append(e.last, netip.AddrPortFrom(addr.Unmap(), e.port))
		}
	}
	return e.last, nil
}

// ask leaves half of the time to the probe itself if an earlier answer allows
// one: a name server that hangs must not make every sample void.
func (e *endpoints) ask(ctx context.Context) ([]netip.Addr, error) {
	if deadline, ok := ctx.Deadline(); ok && len(e.last) > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	return e.lookup.LookupNetIP(ctx, "ip", e.host)
}

// unresolved blames the backend for a name that does not exist, and this
// node's surroundings for everything else.
func unresolved(host string, err error) error {
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return fmt.Errorf("resolve %q: no such host", host)
	}
	return nodeError{fmt.Errorf("resolve %q: %w", host, err)}
}

// anyPasses returns nil when a probe of any endpoint does, else the error that
// says most. It returns after all probes have.
func anyPasses(ctx context.Context, all []netip.AddrPort, probe func(context.Context, netip.AddrPort) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan error, len(all))
	for _, to := range all {
		go func() { results <- probe(ctx, to) }()
	}
	var worst error
	passed := false
	for range all {
		err := <-results
		if err == nil {
			passed = true
			cancel()
		}
		if gravity(err) > gravity(worst) {
			worst = err
		}
	}
	if passed {
		return nil
	}
	return worst
}

// gravity orders the errors of several endpoints. An address that this node
// cannot use at all, such as an IPv6 one where there is no IPv6, is as good as
// absent; but if this node lacked resources for any, the probe is in doubt.
func gravity(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EAFNOSUPPORT):
		return 1
	case !Void(err):
		return 2
	}
	return 3
}
