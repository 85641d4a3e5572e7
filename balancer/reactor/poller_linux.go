package reactor

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// briefWait is how long a loop waits before it lets other goroutines have its
// place in the scheduler, or begins a new time slice.
const briefWait = timeSlice

// event is what a poller reports of a descriptor.
type event struct {
	flags      uint32
	fd         int32
	generation uint32
}

// Flags of an event: those of epoll, in one word. The peer's FIN and errors are
// one, because both are found by reading; eventReset is among them.
const (
	eventReadable = unix.EPOLLIN
	eventWritable = unix.EPOLLOUT
	eventReset    = unix.EPOLLERR
	eventHangUp   = unix.EPOLLRDHUP | unix.EPOLLHUP | eventReset
)

// edges are what a connection is registered for, once and for all.
const edges = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET

// poller is epoll, and an eventfd to wake it.
type poller struct {
	fd, waker int32
	reports   []unix.EpollEvent // whose layout differs between architectures
}

func (p *poller) open() error {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	waker, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		closeFD(int32(fd))
		return err
	}
	p.fd, p.waker, p.reports = int32(fd), int32(waker), make([]unix.EpollEvent, maxEvents)
	// As an edge it need never be read.
	if err := p.control(p.waker, 0, unix.EPOLLIN|unix.EPOLLET); err != nil {
		p.close()
		return err
	}
	return nil
}

// add reports the edges of a descriptor from now on, and its present state at
// once.
func (p *poller) add(fd int32, generation uint32) error { return p.control(fd, generation, edges) }

func (p *poller) control(fd int32, generation uint32, events uint32) error {
	e := unix.EpollEvent{Events: events, Fd: fd, Pad: int32(generation)}
	_, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.fd), unix.EPOLL_CTL_ADD, uintptr(fd), uintptr(unsafe.Pointer(&e)), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// wake ends a wait, from any goroutine.
func (p *poller) wake() {
	one := [8]byte{1}
	// It fails only when the counter is full, and then the wake-up is due anyway.
	_, _ = unix.Write(int(p.waker), one[:])
}

// poll reports what has happened or happens within a brief time, in which the
// runtime does not hear of the wait. Signals end it, those of the scheduler too.
func (p *poller) poll(events []event, brief time.Duration) int {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(unsafe.SliceData(p.reports))), maxEvents, milliseconds(brief), 0, 0)
	if errno != 0 {
		return 0
	}
	return p.read(events, int(n))
}

// read makes events of the first n reports.
func (p *poller) read(events []event, n int) int {
	for i := range events[:n] {
		report := &p.reports[i]
		events[i] = event{flags: report.Events, fd: report.Fd, generation: uint32(report.Pad)}
	}
	return n
}

// wait reports what happens within a time, for ever if that is negative.
func (p *poller) wait(events []event, most time.Duration) int {
	n, _, errno := syscall.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(unsafe.SliceData(p.reports))), maxEvents, milliseconds(most), 0, 0)
	if errno != 0 {
		return 0
	}
	return p.read(events, int(n))
}

// milliseconds is a time as epoll takes it, rounded up; -1 is for ever.
func milliseconds(d time.Duration) uintptr {
	if d < 0 {
		return ^uintptr(0)
	}
	return uintptr((d + time.Millisecond - 1) / time.Millisecond)
}

func (p *poller) close() {
	closeFD(p.fd)
	closeFD(p.waker)
}
