package reactor

import (
	"net/netip"
	"syscall"
	"time"
)

const (
	// acceptTurn is how many connections a socket accepts before others get a
	// turn.
	acceptTurn = 64
	// acceptPause is how long a socket waits when the machine has no descriptors
	// or memory for another connection.
	acceptPause = 100 * time.Millisecond
)

// socket is a listening socket of one loop.
type socket struct {
	loop       *Loop
	fd         int32
	generation uint32
	acceptor   Acceptor
	listener   *Listener
	hands      func(fd int32, peer netip.AddrPort) // nil: the loop keeps what it accepts

	accepted int // since it was last looked at, for Stop
	open     bool
	queued   bool
	waiting  bool // it waits for descriptors
	told     bool // and that was logged, since the queue was last empty
}

// start begins to accept.
func (s *socket) start() {
	if s.open {
		return
	}
	s.open = true
	s.generation = s.loop.own(s.fd, slot{socket: s})
	if err := s.loop.poller.add(s.fd, s.generation); err != nil {
		s.loop.logger.Error("listening socket cannot be watched", "address", s.listener.addr.String(), "error", err)
	}
	s.acceptAll()
}

// acceptAll accepts until the queue is empty, in as many turns as that takes.
func (s *socket) acceptAll() {
	if s.acceptTurn() && !s.queued {
		s.queued = true
		s.loop.ready = append(s.loop.ready, slot{socket: s})
	}
}

// acceptTurn accepts until the queue is empty, or others should have a turn:
// then it returns true.
func (s *socket) acceptTurn() (more bool) {
	for range acceptTurn {
		if !s.open || s.waiting || s.loop.ended || !s.acceptor.Reserve() {
			return false
		}
		fd, peer, errno := accept(s.fd)
		if errno == 0 {
			s.accepted++
			s.take(fd, peer)
			continue
		}
		s.acceptor.Release()
		switch errno {
		case syscall.EAGAIN:
			s.told = false
			return false
		case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM:
			s.pause(errno)
			return false
		default:
			// Errors of a connection that is gone already, accept(2): the next one.
		}
	}
	return true
}

// pause ends accepting for a moment. The queue keeps those who wait.
func (s *socket) pause(err error) {
	s.waiting = true
	if !s.told {
		s.told = true
		s.loop.logger.Warn("connections wait: this process cannot open more; raise the limit on descriptors",
			"address", s.listener.addr.String(), "error", err)
	}
	time.AfterFunc(acceptPause, func() {
		s.loop.Post(func() {
			s.waiting = false
			s.acceptAll()
		})
	})
}

func (s *socket) take(fd int32, peer netip.AddrPort) {
	if s.hands != nil {
		s.hands(fd, peer)
		return
	}
	s.loop.adopt(fd, peer, s.acceptor)
}

// adopt makes a connection of an accepted descriptor. It is read at once, for a
// request is usually there, and registered with the poller only if the handler
// expects more.
func (l *Loop) adopt(fd int32, peer netip.AddrPort, acceptor Acceptor) {
	if !inherited {
		setUpAccepted(fd)
	}
	c := l.newConn(fd)
	if c.handler = acceptor.Accept(c, peer); c.handler == nil {
		c.free()
		return
	}
	c.set(readable)
	l.safely(c, (*Conn).pull)
	switch {
	case c.has(closed | registered):
	case c.has(single):
		if len(l.late) == 0 {
			l.lateAt = l.now + int64(lateTick)
		}
		l.late = append(l.late, c)
	default:
		c.register()
	}
}

// refuse turns new handshakes away.
func (s *socket) refuse() {
	if err := refuseNew(s.fd); err != nil {
		// Then a connect at the very last moment may meet a reset.
		s.loop.logger.Debug("listener cannot turn new connections away before it closes",
			"address", s.listener.addr.String(), "error", err)
	}
}

func (s *socket) close() {
	if s.open {
		s.loop.disown(s.fd)
	}
	if s.fd >= 0 {
		closeFD(s.fd)
	}
	s.open, s.fd = false, -1
}
