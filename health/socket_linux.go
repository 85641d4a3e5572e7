package health

import (
	"encoding/binary"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// errAgain is what a read that finds nothing returns.
const errAgain = syscall.EAGAIN

// maxEvents is how many events one poll returns at most.
const maxEvents = 128

// event is what happened to a descriptor.
type event struct {
	slot       int32
	generation uint32
	readable   bool // or at its end, or broken
	writable   bool
	hungUp     bool // the peer will send nothing more
}

// poller is an epoll that the runtime's own watches: so a goroutine can wait for
// it without a thread.
type poller struct {
	file    *os.File
	fd      int
	reports [maxEvents]unix.EpollEvent // whose layout differs between architectures
	events  [maxEvents]event
}

func (p *poller) open() error {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	if err := unix.SetNonblock(fd, true); err != nil { // as the runtime wants it
		closeFD(int32(fd))
		return err
	}
	p.fd, p.file = fd, os.NewFile(uintptr(fd), "epoll")
	if err := p.file.SetReadDeadline(time.Time{}); err != nil { // the runtime does not watch it
		p.close()
		return err
	}
	return nil
}

// listen puts something into ready whenever there may be events, until close.
func (p *poller) listen(ready chan<- struct{}) {
	raw, err := p.file.SyscallConn()
	if err != nil {
		return // closed already
	}
	_ = raw.Read(func(uintptr) bool { // ends with close
		select {
		case ready <- struct{}{}:
		default: // poll is due anyway
		}
		return false
	})
}

// watch reports what happens to the errand's descriptor from now on, and its
// present state at once.
func (p *poller) watch(x *errand, writable bool) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET, Fd: x.slot, Pad: int32(x.generation)}
	if writable {
		e.Events |= unix.EPOLLOUT
	}
	operation := uintptr(unix.EPOLL_CTL_ADD)
	if x.watched {
		operation = unix.EPOLL_CTL_MOD
	}
	_, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.fd), operation, uintptr(x.fd), uintptr(unsafe.Pointer(&e)), 0, 0)
	return orNil(errno)
}

// ignore ends watch without closing the descriptor.
func (p *poller) ignore(fd int32) {
	// It fails only for a descriptor that is not watched.
	_, _, _ = syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.fd), unix.EPOLL_CTL_DEL, uintptr(fd), 0, 0, 0)
}

// poll returns what has happened; the next call overwrites it.
func (p *poller) poll() []event {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.reports)), maxEvents, 0, 0, 0)
	if errno != 0 { // only EINTR, after which there are no events
		return nil
	}
	for i, r := range p.reports[:n] {
		const end = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
		p.events[i] = event{
			slot: r.Fd, generation: uint32(r.Pad),
			readable: r.Events&(unix.EPOLLIN|end) != 0, writable: r.Events&unix.EPOLLOUT != 0, hungUp: r.Events&end != 0,
		}
	}
	return p.events[:n]
}

func (p *poller) close() { _ = p.file.Close() }

// The calls below cannot block, so the runtime need not hear of them.

// connect begins a connect, and tells whether it ended already. With speaks the
// last packet of the handshake waits for what will be sent at once, and goes with
// it.
func connect(to netip.AddrPort, speaks bool) (fd int32, connected bool, err error) {
	family := uintptr(unix.AF_INET)
	if to.Addr().Is6() {
		family = unix.AF_INET6
	}
	n, _, errno := syscall.RawSyscall(unix.SYS_SOCKET, family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if errno != 0 {
		return -1, false, errno
	}
	if speaks {
		off := int32(0)
		// Without it there is a packet more.
		_, _, _ = syscall.RawSyscall6(unix.SYS_SETSOCKOPT, n, unix.IPPROTO_TCP, unix.TCP_QUICKACK, uintptr(unsafe.Pointer(&off)), unsafe.Sizeof(off), 0)
	}
	switch errno = connectTo(n, to); errno {
	case 0, syscall.EINPROGRESS:
		return int32(n), errno == 0, nil
	}
	closeFD(int32(n))
	return -1, false, errno
}

func connectTo(fd uintptr, to netip.AddrPort) (errno syscall.Errno) {
	if to.Addr().Is6() {
		address := unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: networkOrder(to.Port()), Addr: to.Addr().As16()}
		_, _, errno = syscall.RawSyscall(unix.SYS_CONNECT, fd, uintptr(unsafe.Pointer(&address)), unsafe.Sizeof(address))
		return errno
	}
	address := unix.RawSockaddrInet4{Family: unix.AF_INET, Port: networkOrder(to.Port()), Addr: to.Addr().As4()}
	_, _, errno = syscall.RawSyscall(unix.SYS_CONNECT, fd, uintptr(unsafe.Pointer(&address)), unsafe.Sizeof(address))
	return errno
}

func networkOrder(port uint16) uint16 {
	var bytes [2]byte
	binary.BigEndian.PutUint16(bytes[:], port)
	return binary.NativeEndian.Uint16(bytes[:])
}

// send returns how much found room.
func send(fd int32, text []byte) (int, error) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(text))), uintptr(len(text)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case syscall.EAGAIN:
		return 0, nil
	}
	return 0, errno
}

// receive returns 0 and no error at the end.
func receive(fd int32, p []byte) (int, error) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// silent reports whether the peer neither said anything that was not read nor hung
// up.
func silent(fd int32) bool {
	var p [1]byte
	_, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&p)), 1, unix.MSG_DONTWAIT|unix.MSG_PEEK, 0, 0)
	return errno == errAgain
}

// connectedToItself reports whether both ends of a connection are this one.
func connectedToItself(fd int32, to netip.AddrPort) bool {
	var near unix.RawSockaddrInet6 // has room for either family
	size := uint32(unsafe.Sizeof(near))
	if _, _, errno := syscall.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&near)), uintptr(unsafe.Pointer(&size))); errno != 0 {
		return false // the descriptor is good, so it does not happen
	}
	if near.Port != networkOrder(to.Port()) { // where it is in either family
		return false
	}
	if near.Family == unix.AF_INET6 {
		return netip.AddrFrom16(near.Addr) == to.Addr()
	}
	return (*unix.RawSockaddrInet4)(unsafe.Pointer(&near)).Addr == to.Addr().As4()
}

// socketError is why a connect failed, or nil.
func socketError(fd int32) error {
	code, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	return orNil(syscall.Errno(code))
}

func orNil(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

// closeFD closes a descriptor. Whatever it returns, the descriptor is gone.
func closeFD(fd int32) { _, _, _ = syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// descriptors is how many this process may have open.
func descriptors() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0 // then none is kept
	}
	return int(min(limit.Cur, 1<<30))
}
