//go:build linux

package main

import (
	"fmt"
	"net"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The load generator and the backend each have one thread and one goroutine,
// so a system call need not tell Go's scheduler that it may wait: raw ones
// save a tenth of a microsecond each, and here that is measured.

// recv reads what is there. 0 bytes without an error are the end.
func recv(fd int, into []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(into))), uintptr(len(into)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// send writes as much as the socket's buffer takes.
func send(fd int, from []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(from))), uintptr(len(from)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	return int(n), errno
}

// accept takes one connection, not to be waited for.
func accept(fd int) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	return int(n), errno
}

// connect begins a connection.
func connect(fd int, to *unix.RawSockaddrInet4) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(to)), unix.SizeofSockaddrInet4)
	return errno
}

// newSocket returns a TCP socket over IPv4 that never waits.
func newSocket() (int, unix.Errno) {
	fd, _, errno := unix.RawSyscall(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	return int(fd), errno
}

// closeSocket closes a descriptor, which for sockets cannot fail in a way that
// matters.
func closeSocket(fd int) { unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// socketAddress reads IP:port of IPv4.
func socketAddress(text string) (*unix.RawSockaddrInet4, error) {
	address, err := netip.ParseAddrPort(text)
	if err != nil {
		return nil, fmt.Errorf("read address %q: %w", text, err)
	}
	if !address.Addr().Is4() {
		return nil, fmt.Errorf("read address %q: it is not of IPv4", text)
	}
	to := &unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: address.Addr().As4()}
	port := (*[2]byte)(unsafe.Pointer(&to.Port)) // in network order
	port[0], port[1] = byte(address.Port()>>8), byte(address.Port())
	return to, nil
}

// listen opens a listener whose connections send small writes at once.
func listen(address string) (int, error) {
	to, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		return -1, err
	}
	fd, errno := newSocket()
	if errno != 0 {
		return -1, fmt.Errorf("open socket: %w", errno)
	}
	at := &unix.SockaddrInet4{Port: to.Port}
	copy(at.Addr[:], to.IP.To4())
	for _, step := range []func() error{
		func() error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) },
		func() error { return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) }, // inherited
		func() error { return unix.Bind(fd, at) },
		func() error { return unix.Listen(fd, 4096) },
	} {
		if err := step(); err != nil {
			closeSocket(fd)
			return -1, fmt.Errorf("listen on %s: %w", address, err)
		}
	}
	return fd, nil
}

// readiness is what connections are registered for, once and for all.
const readiness = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET

// poller is an epoll instance with room for one batch of events.
type poller struct {
	fd     int
	events [256]unix.EpollEvent
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open epoll: %w", err)
	}
	return &poller{fd: fd}, nil
}

func (p *poller) close() { closeSocket(p.fd) }

// add registers a descriptor; its events carry the key and the generation.
func (p *poller) add(fd int, events uint32, key, generation int32) unix.Errno {
	event := unix.EpollEvent{Events: events, Fd: key, Pad: generation}
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.fd), unix.EPOLL_CTL_ADD, uintptr(fd), uintptr(unsafe.Pointer(&event)), 0, 0)
	return errno
}

// wait returns the next batch, valid until the next call; none after the
// limit. A negative limit is none.
func (p *poller) wait(limit time.Duration) ([]unix.EpollEvent, error) {
	var timeout *unix.Timespec
	if limit >= 0 {
		ts := unix.NsecToTimespec(int64(limit))
		timeout = &ts
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)), uintptr(unsafe.Pointer(timeout)), 0, 0)
	switch errno {
	case 0:
		return p.events[:n], nil
	case unix.EINTR:
		return nil, nil
	}
	return nil, fmt.Errorf("wait for events: %w (epoll_pwait2 needs Linux 5.11)", errno)
}
