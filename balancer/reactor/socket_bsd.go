//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package reactor

import (
	"errors"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// Sockets do not block here by their mode, and SIGPIPE is the runtime's, which
// ignores it for sockets.

func receive(fd int32, p []byte) (int, syscall.Errno) {
	n, err := unix.Read(int(fd), p)
	return max(n, 0), errnoOf(err)
}

// send has no use for more: what follows at once may share a packet only if
// the kernel has not sent the first yet.
func send(fd int32, p []byte, _ bool) (int, syscall.Errno) {
	n, err := unix.Write(int(fd), p)
	return max(n, 0), errnoOf(err)
}

// errnoOf returns the number of a system call's error.
func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	if err != nil && !errors.As(err, &errno) {
		return syscall.EIO
	}
	return errno
}

// isSilent tells whether a read would find nothing, not even an end.
func isSilent(fd int32) bool {
	var one [1]byte
	_, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return errors.Is(err, syscall.EAGAIN)
}

// keepAlive has the kernel find peers that vanished without a word, at the pace
// that the system is set to: not all of these systems have options for it.
var keepAlive = [...][3]int{{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1}}

// openPipe and splice: these kernels move nothing between sockets, so relays
// copy.
func openPipe(int) (pipe, bool)                     { return pipe{}, false }
func splice(_, _ int32, _ int) (int, syscall.Errno) { return 0, syscall.ENOSYS }

// closeFD closes a descriptor. Whatever it returns, the descriptor is gone.
func closeFD(fd int32) { _ = unix.Close(int(fd)) }

func shutdownWrite(fd int32) {
	// It fails on a broken connection only, which reading finds.
	_ = unix.Shutdown(int(fd), unix.SHUT_WR)
}

func resetOnClose(fd int32) {
	// If it fails the connection ends with a FIN, or was reset already.
	_ = unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}

func socketError(fd int32) error {
	code, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if code != 0 {
		return syscall.Errno(code)
	}
	return nil
}

// streamSocket opens a socket that does not block.
func streamSocket(v6 bool) (int, error) {
	family := unix.AF_INET
	if v6 {
		family = unix.AF_INET6
	}
	syscall.ForkLock.RLock() // a child must not get it before it is marked
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return 0, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		closeFD(int32(fd))
		return 0, err
	}
	return fd, nil
}

// dialSocket begins a connect.
func dialSocket(to netip.AddrPort) (int32, error) {
	addr := to.Addr().Unmap()
	fd, err := streamSocket(addr.Is6())
	if err != nil {
		return 0, err
	}
	if err := setUp(fd); err != nil {
		closeFD(int32(fd))
		return 0, err
	}
	address, err := sockaddr(netip.AddrPortFrom(addr, to.Port()))
	if err == nil {
		err = unix.Connect(fd, address)
	}
	if err != nil && !errors.Is(err, syscall.EINPROGRESS) {
		closeFD(int32(fd))
		return 0, err
	}
	return int32(fd), nil
}

// accept takes the next connection of a listening socket.
func accept(fd int32) (int32, netip.AddrPort, syscall.Errno) {
	syscall.ForkLock.RLock()
	n, from, err := unix.Accept(int(fd))
	if err == nil {
		unix.CloseOnExec(n)
	}
	syscall.ForkLock.RUnlock()
	if err == nil {
		err = unix.SetNonblock(n, true)
		if err != nil {
			closeFD(int32(n))
		}
	}
	if err != nil {
		return 0, netip.AddrPort{}, errnoOf(err)
	}
	return int32(n), addrPort(from), 0
}

// inherited tells that accepted connections have the options of the listening
// socket; not so everywhere.
const inherited = false

// spreads tells that the kernel spreads connections over sockets that share a
// port with SO_REUSEPORT. Here the last one gets them all.
const spreads = false

func setUpAccepted(fd int32) {
	// It fails on a broken connection only, which reading finds.
	_ = setUp(int(fd))
}

// refuseNew would turn new handshakes away; these kernels cannot.
func refuseNew(int32) error { return errors.ErrUnsupported }
