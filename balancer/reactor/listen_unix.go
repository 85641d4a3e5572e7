//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package reactor

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// backlog is the length of the accept queue that is asked for; the kernel takes
// less if its own bound (net.core.somaxconn) is lower.
const backlog = 4096

// listenSocket binds and listens, beside others that do the same.
//
// TCP_DEFER_ACCEPT, which would spare a wake-up for clients that send late, is
// not set: handshakes that it holds back are lost when the socket is closed.
func listenSocket(at netip.AddrPort, v4only bool) (int32, error) {
	fd, err := streamSocket(!v4only)
	if err != nil {
		return 0, err
	}
	if err := bindAndListen(fd, at, v4only); err != nil {
		closeFD(int32(fd))
		return 0, fmt.Errorf("listen on %s: %w", at, err)
	}
	return int32(fd), nil
}

func bindAndListen(fd int, at netip.AddrPort, v4only bool) error {
	options := [][3]int{
		{unix.SOL_SOCKET, unix.SO_REUSEADDR, 1},
		{unix.SOL_SOCKET, unix.SO_REUSEPORT, 1},
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1}, // inherited where the kernel does that
	}
	options = append(options, keepAlive[:]...)
	if !v4only {
		only := 1 // an address of one family
		if at.Addr().IsUnspecified() {
			only = 0
		}
		options = append(options, [3]int{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only})
	}
	for _, option := range options {
		if err := unix.SetsockoptInt(fd, option[0], option[1], option[2]); err != nil {
			return err
		}
	}
	address, err := sockaddr(at)
	if err != nil {
		return err
	}
	if err := unix.Bind(fd, address); err != nil {
		return err
	}
	return unix.Listen(fd, backlog)
}

// hasIPv6 tells whether the machine can listen on IPv6.
func hasIPv6() bool {
	fd, err := streamSocket(true)
	if err != nil {
		return false
	}
	defer closeFD(int32(fd))
	return unix.Bind(fd, &unix.SockaddrInet6{}) == nil
}

// handOver returns what gives accepted connections to the loops in turn, where
// the kernel gives them all to one.
func handOver(loops []*Loop, acceptors []Acceptor) func(int32, netip.AddrPort) {
	turn := 0
	return func(fd int32, peer netip.AddrPort) {
		i := turn % len(loops)
		turn++
		if !loops[i].Post(func() { loops[i].adopt(fd, peer, acceptors[i]) }) {
			closeFD(fd)
			acceptors[i].Release()
		}
	}
}
