//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package reactor

import (
	"errors"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// event is what a poller reports of a descriptor.
type event struct {
	flags      uint32
	fd         int32
	generation uint32
}

// Flags of an event. The peer's FIN and errors are one, because both are found
// by reading.
const (
	eventReadable = 1 << iota
	eventWritable
	eventHangUp
	eventReset // with eventHangUp
)

// poller is a kqueue, and a pipe to wake it: not all systems have events of
// the user's own.
type poller struct {
	fd          int
	wakes       pipe
	reports     []unix.Kevent_t
	generations []uint32 // by descriptor
}

func (p *poller) open() error {
	fd, err := unix.Kqueue()
	if err != nil {
		return err
	}
	unix.CloseOnExec(fd)
	p.fd, p.reports = fd, make([]unix.Kevent_t, maxEvents)
	var ends [2]int
	if err := unix.Pipe(ends[:]); err != nil {
		closeFD(int32(fd))
		return err
	}
	p.wakes = pipe{read: int32(ends[0]), write: int32(ends[1])}
	for _, end := range ends {
		unix.CloseOnExec(end)
		err = errors.Join(err, unix.SetNonblock(end, true))
	}
	if err == nil {
		err = p.control(p.wakes.read, unix.EVFILT_READ)
	}
	if err != nil {
		p.close()
	}
	return err
}

// add reports the edges of a descriptor from now on, and its present state at
// once.
//
// The generation is kept here, and not in the kernel: there it would be a
// pointer to the garbage collector. A descriptor's events end when it is
// closed, so those that the kernel reports are of the present generation.
func (p *poller) add(fd int32, generation uint32) error {
	for int(fd) >= len(p.generations) {
		p.generations = append(p.generations, make([]uint32, max(64, len(p.generations)))...)
	}
	p.generations[fd] = generation
	return p.control(fd, unix.EVFILT_READ, unix.EVFILT_WRITE)
}

func (p *poller) control(fd int32, filters ...int) error {
	changes := make([]unix.Kevent_t, len(filters))
	for i, filter := range filters {
		unix.SetKevent(&changes[i], int(fd), filter, unix.EV_ADD|unix.EV_CLEAR)
	}
	_, err := unix.Kevent(p.fd, changes, nil, nil)
	return err
}

// wake ends a wait, from any goroutine.
func (p *poller) wake() {
	// It fails only when the pipe is full, and then the wake-up is due anyway.
	_, _ = unix.Write(int(p.wakes.write), []byte{1})
}

// briefWait is how long a loop waits before it lets other goroutines have its
// place in the scheduler. The runtime hears of every call to the system here.
const briefWait time.Duration = 0

// poll reports what has happened. It does not wait.
func (p *poller) poll(events []event, _ time.Duration) int { return p.take(events, &unix.Timespec{}) }

// wait reports what happens within a time, for ever if that is negative.
func (p *poller) wait(events []event, most time.Duration) int {
	if most < 0 {
		return p.take(events, nil)
	}
	limit := unix.NsecToTimespec(int64(most))
	return p.take(events, &limit)
}

func (p *poller) take(events []event, limit *unix.Timespec) int {
	n, err := unix.Kevent(p.fd, nil, p.reports, limit)
	if err != nil {
		return 0 // interrupted
	}
	for i := range p.reports[:n] {
		events[i] = p.read(&p.reports[i])
	}
	return n
}

func (p *poller) read(report *unix.Kevent_t) event {
	e := event{fd: int32(report.Ident)}
	if e.fd == p.wakes.read {
		p.drainWakes()
		return e
	}
	if int(e.fd) < len(p.generations) {
		e.generation = p.generations[e.fd]
	}
	switch int(report.Filter) {
	case unix.EVFILT_READ:
		e.flags = eventReadable
	case unix.EVFILT_WRITE:
		e.flags = eventWritable
	}
	if int(report.Flags)&unix.EV_EOF != 0 {
		e.flags |= eventHangUp
		if report.Fflags != 0 { // it holds the socket's error
			e.flags |= eventReset
		}
	}
	return e
}

// drainWakes makes room for further ones.
func (p *poller) drainWakes() {
	var buffer [64]byte
	for {
		n, err := unix.Read(int(p.wakes.read), buffer[:])
		if n < len(buffer) && !errors.Is(err, syscall.EINTR) {
			return
		}
	}
}

func (p *poller) close() {
	closeFD(int32(p.fd))
	p.wakes.close()
}
