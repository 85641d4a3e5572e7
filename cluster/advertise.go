package cluster

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// resolveTimeout bounds one look-up of a name.
const resolveTimeout = 2 * time.Second

// network is what the choice of the advertised address needs to know of the
// machine; tests replace it.
type network struct {
	// resolve returns the addresses of a host name or literal address.
	resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// source returns the address that packets to the given one leave from.
	source func(to netip.AddrPort) (netip.Addr, error)
	// globals returns the machine's global unicast addresses.
	globals func() ([]netip.Addr, error)
}

func systemNetwork() network {
	return network{resolve: lookupHost, source: routeSource, globals: globalAddrs}
}

// advertised returns the address that others are told: the configured one,
// else the bound one if it is definite, else the source of the route to the
// first join address that resolves, else the only global one.
func (n network) advertised(ctx context.Context, c Config, bound netip.AddrPort) (netip.AddrPort, error) {
	if c.Advertise != "" {
		return n.configured(ctx, c.Advertise, bound.Port())
	}
	if !bound.Addr().IsUnspecified() {
		return bound, nil
	}
	for _, join := range c.Join {
		if source, ok := n.routeTo(ctx, join, bound); ok {
			return netip.AddrPortFrom(source, bound.Port()), nil
		}
	}
	globals, err := n.globals()
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("choose advertised address: %w: set --advertise", err)
	}
	if len(globals) == 1 {
		return netip.AddrPortFrom(globals[0], bound.Port()), nil
	}
	if len(globals) == 0 && len(c.Join) == 0 {
		// A machine without a network still serves alone.
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), bound.Port()), nil
	}
	return netip.AddrPort{}, fmt.Errorf("choose advertised address: %q is bound and the machine has %d global addresses (%s): set --advertise to one of them",
		c.Bind, len(globals), list(globals))
}

// configured resolves --advertise, whose port is the bound one if absent.
func (n network) configured(ctx context.Context, advertise string, boundPort uint16) (netip.AddrPort, error) {
	host, port := advertise, boundPort
	if h, p, err := splitHostPort(advertise); err == nil {
		host, port = h, p
		if port == 0 {
			port = boundPort
		}
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	addrs, err := n.resolve(ctx, host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("resolve advertised address %q: %w", advertise, err)
	}
	if addrs[0].IsUnspecified() {
		return netip.AddrPort{}, fmt.Errorf("advertised address %q: nobody can connect to it: name one that others reach", advertise)
	}
	return netip.AddrPortFrom(addrs[0], port), nil
}

func (n network) routeTo(ctx context.Context, join string, bound netip.AddrPort) (netip.Addr, bool) {
	host, port, err := splitHostPort(join)
	if err != nil {
		return netip.Addr{}, false
	}
	addrs, err := n.resolve(ctx, host)
	if err != nil {
		return netip.Addr{}, false
	}
	for _, addr := range addrs {
		if bound.Addr().Is4() && !addr.Is4() {
			continue
		}
		if source, err := n.source(netip.AddrPortFrom(addr, port)); err == nil && !source.IsUnspecified() {
			return source, true
		}
	}
	return netip.Addr{}, false
}

func list(addrs []netip.Addr) string {
	texts := make([]string, len(addrs))
	for i, addr := range addrs {
		texts[i] = addr.String()
	}
	return strings.Join(texts, ", ")
}

// lookupHost returns at least one address or an error.
func lookupHost(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr.Unmap()}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("the name has no address")
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs, nil
}

// routeSource asks the kernel; a UDP socket that is connected sends nothing.
func routeSource(to netip.AddrPort) (netip.Addr, error) {
	conn, err := net.Dial("udp", to.String())
	if err != nil {
		return netip.Addr{}, err
	}
	local, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if closeErr := conn.Close(); err == nil {
		err = closeErr
	}
	return local.Addr().Unmap(), err
}

func globalAddrs() ([]netip.Addr, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list interface addresses: %w", err)
	}
	var globals []netip.Addr
	for _, one := range all {
		prefix, err := netip.ParsePrefix(one.String())
		if err == nil && prefix.Addr().IsGlobalUnicast() {
			globals = append(globals, prefix.Addr().Unmap())
		}
	}
	return globals, nil
}

// withHost fills in the host of ":port".
func withHost(address string, host netip.Addr) string {
	if port, bare := strings.CutPrefix(address, ":"); bare {
		return net.JoinHostPort(host.String(), port)
	}
	return address
}
