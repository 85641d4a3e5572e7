//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package reactor

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// endsOf returns the peer's and the own address of a socket; the zero address of
// one that is gone.
func endsOf(fd int32) (peer, own netip.AddrPort) {
	if address, err := unix.Getpeername(int(fd)); err == nil {
		peer = addrPort(address)
	}
	if address, err := unix.Getsockname(int(fd)); err == nil {
		own = addrPort(address)
	}
	return peer, own
}

// addrPort is an address that a system call returned. IPv4 over an IPv6 socket
// is IPv4.
func addrPort(address unix.Sockaddr) netip.AddrPort {
	switch in := address.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), uint16(in.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(in.Addr).Unmap(), uint16(in.Port))
	}
	return netip.AddrPort{}
}

// sockaddr is an address as system calls take it.
func sockaddr(a netip.AddrPort) (unix.Sockaddr, error) {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}, nil
	}
	to := &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	if zone := a.Addr().Zone(); zone != "" {
		if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
			to.ZoneId = uint32(n)
			return to, nil
		}
		device, err := net.InterfaceByName(zone)
		if err != nil {
			return nil, fmt.Errorf("zone %q: %w", zone, err)
		}
		to.ZoneId = uint32(device.Index)
	}
	return to, nil
}

// setUp sets the options of connections.
func setUp(fd int) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	for _, option := range keepAlive {
		if err := unix.SetsockoptInt(fd, option[0], option[1], option[2]); err != nil {
			return err
		}
	}
	return nil
}
