package balancer

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"evenkeel/fsm"
)

// addresses returns where each listener of the registry is to be open on this
// node.
func addresses(s *fsm.State, bind string, overrides map[string]string) map[string]string {
	all := map[string]string{}
	for listener := range s.Listeners() {
		address, ok := overrides[listener.Name]
		if !ok {
			address = withHost(listener.Spec.Address, bind)
		}
		all[listener.Name] = address
	}
	return all
}

// withHost fills in the host of an address that has none.
func withHost(address, bind string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host != "" {
		return address
	}
	return net.JoinHostPort(bind, port)
}

// overlap tells whether two addresses may be in each other's way: they have
// the same port, and the same host, or one that stands for all or is a name.
func overlap(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	return errA == nil && errB == nil && portA == portB && (hostA == hostB || mayBeAny(hostA) || mayBeAny(hostB))
}

func mayBeAny(host string) bool {
	address, err := netip.ParseAddr(host)
	return err != nil || address.IsUnspecified()
}

// openError says what to do about an address that cannot be opened.
func openError(name, address string, err error) error {
	var remedy string
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		remedy = "another program or listener has the port: stop it, or give this listener another address, " +
			"on this node alone with --listener-addr " + name + "=HOST:PORT"
	case errors.Is(err, syscall.EACCES):
		remedy = "ports below 1024 need the capability CAP_NET_BIND_SERVICE, " +
			"or the sysctl net.ipv4.ip_unprivileged_port_start at or below the port"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		remedy = "this machine has no such address: correct it, or set this node's with --listener-addr " + name + "=HOST:PORT"
	default:
		return fmt.Errorf("open listener %q on %q: %w", name, address, err)
	}
	return fmt.Errorf("open listener %q on %q: %w (%s)", name, address, err, remedy)
}
