//go:build linux

package main

import (
	"bytes"
	"time"

	"golang.org/x/sys/unix"
)

// state is what a connection of the load generator waits for.
type state int

const (
	idle   state = iota // nothing; the zero value also has no connection yet
	asking              // an answer's head
	body                // the rest of its body
	ending              // the end of the connection, which the request asked for
)

// conn is one connection of the load generator.
type conn struct {
	fd         int // 0 before the first one
	generation int32
	state      state
	begun      time.Duration // when the request was sent or due
	unsent     []byte        // the rest of the request
	head       []byte        // the begin of a head that came in pieces
	offset     int           // bytes of the body so far
	layers
}

// dial opens a connection on the slot and, but for an open loop, asks on it.
func (g *generator) dial(slot int) {
	c := &g.conns[slot]
	begun := g.now()
	fd, err := g.connect(slot)
	if err != nil {
		g.fault("open connection: %v", err)
		return
	}
	*c = conn{fd: fd, generation: c.generation + 1}
	g.addLayers(slot)
	if errno := g.poller.add(fd, readiness, int32(slot), c.generation); errno != 0 {
		g.fault("watch connection: %v", errno)
		return
	}
	if g.job.Rate > 0 {
		g.free = append(g.free, slot)
		return
	}
	g.ask(slot, begun)
}

// connect returns a socket whose connection is under way: on loopback it is
// there before the first event.
func (g *generator) connect(slot int) (int, error) {
	fd, errno := newSocket()
	if errno != 0 {
		return -1, errno
	}
	if g.job.Hold {
		if err := bindSource(fd, slot); err != nil {
			closeSocket(fd)
			return -1, err
		}
	}
	if errno := connect(fd, g.target); errno != 0 && errno != unix.EINPROGRESS {
		closeSocket(fd)
		return -1, errno
	}
	return fd, nil
}

// bindSource spreads many connections over several addresses, because one has
// only some 28,000 ports.
func bindSource(fd, slot int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return err
	}
	return unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(2 + slot%16)}})
}

// ask sends a request.
func (g *generator) ask(slot int, begun time.Duration) {
	c := &g.conns[slot]
	c.state, c.begun = asking, begun
	if c.session == nil {
		g.busy++
	}
	if c.secured != nil || c.session != nil {
		g.askThrough(slot)
		return
	}
	c.unsent = g.request
	g.flush(slot)
}

// flush sends what is left of the request; the next event goes on when the
// socket takes no more.
func (g *generator) flush(slot int) {
	c := &g.conns[slot]
	for len(c.unsent) > 0 {
		n, errno := send(c.fd, c.unsent)
		switch errno {
		case 0:
			c.unsent = c.unsent[n:]
		case unix.EAGAIN:
			return
		default:
			g.fail(slot, "send the request: %v", errno)
			return
		}
	}
}

// handle takes in what one event says.
func (g *generator) handle(event *unix.EpollEvent) {
	slot := int(event.Fd)
	if c := &g.conns[slot]; c.generation != event.Pad {
		return // of a connection that was closed within this batch
	} else if len(c.unsent) > 0 && event.Events&unix.EPOLLOUT != 0 {
		g.flush(slot)
	}
	if event.Events&^unix.EPOLLOUT == 0 {
		return
	}
	for g.conns[slot].generation == event.Pad {
		n, errno := recv(g.conns[slot].fd, g.buffer)
		switch {
		case errno == unix.EAGAIN:
			return
		case errno != 0:
			g.fail(slot, "read the answer: %v", errno)
			return
		case n == 0:
			g.ended(slot)
			return
		}
		if c := &g.conns[slot]; c.secured != nil || c.session != nil {
			g.takeThrough(slot, g.buffer[:n])
		} else {
			g.take(slot, g.buffer[:n])
		}
		if n == len(g.buffer) {
			continue
		}
		// A short read has emptied the socket. If the end was announced with
		// the event, nothing but it can follow.
		if event.Events&unix.EPOLLRDHUP != 0 && g.conns[slot].generation == event.Pad {
			g.ended(slot)
		}
		return
	}
}

// take checks the next bytes of an answer.
func (g *generator) take(slot int, data []byte) {
	c := &g.conns[slot]
	if c.state == asking {
		data = g.takeHead(slot, data)
		if c.state == asking || c.state == idle {
			return // the head goes on, or was wrong
		}
	}
	if len(data) == 0 {
		return
	}
	left := g.job.Shape.answerSize() - c.offset
	switch {
	case c.state != body:
		g.fail(slot, "%d bytes that nobody asked for: %.40q", len(data), data)
	case len(data) > left:
		g.fail(slot, "%d bytes after the body: %.40q", len(data)-left, data[left:])
	case !g.pattern.matches(data, c.offset):
		g.fail(slot, "wrong bytes in the body at %d to %d", c.offset, c.offset+len(data)-1)
	case len(data) < left:
		c.offset += len(data)
	default:
		g.answered(slot)
	}
}

// takeHead returns what follows an answer's head, and goes on to the body; or
// it keeps the begin of the head.
func (g *generator) takeHead(slot int, data []byte) []byte {
	c := &g.conns[slot]
	if len(c.head) == 0 && len(g.known) > 0 && bytes.HasPrefix(data, g.known) {
		c.state, c.offset = body, 0
		return data[len(g.known):]
	}
	c.head = append(c.head, data...)
	end := bytes.Index(c.head, headEnd)
	if end < 0 {
		if len(c.head) > maxHead {
			g.fail(slot, "an answer's head of more than %d bytes", maxHead)
		}
		return nil
	}
	head, rest := c.head[:end+len(headEnd)], c.head[end+len(headEnd):]
	c.head = nil
	answer, err := parseAnswer(head)
	switch {
	case err != nil:
		g.fail(slot, "%v", err)
	case answer.status != 200:
		g.fail(slot, "status %d: %.200q", answer.status, rest)
	case answer.length != g.job.Shape.answerSize():
		g.fail(slot, "Content-Length %d, want %d", answer.length, g.job.Shape.answerSize())
	default:
		c.state, c.offset, g.known = body, 0, head
	}
	return rest
}

// answered goes on after a complete answer.
func (g *generator) answered(slot int) {
	c := &g.conns[slot]
	if len(c.unsent) > 0 {
		g.fail(slot, "an answer before the request was sent")
		return
	}
	now := g.now()
	g.record(c.begun, now)
	if g.job.Reconnect {
		c.state = ending
		return
	}
	c.state = idle
	g.busy--
	switch {
	case g.job.Rate > 0:
		g.free = append(g.free, slot)
	case g.job.Hold:
		g.dialNext()
	case g.phase != finishing:
		g.ask(slot, now)
	}
}

// dialNext opens the first connection that was not opened yet.
func (g *generator) dialNext() {
	if next := holdAtOnce + g.requests - 1; next < len(g.conns) {
		g.dial(next)
	}
}

// ended goes on after the end of a connection.
func (g *generator) ended(slot int) {
	switch c := &g.conns[slot]; c.state {
	case ending:
		g.again(slot)
	case body:
		g.fail(slot, "the connection ended after %d of %d bytes of the body", c.offset, g.job.Shape.answerSize())
	case asking:
		g.fail(slot, "the connection ended before an answer")
	case idle:
		g.fail(slot, "the connection was closed while it was idle")
	}
}

// fail counts a wrong answer and takes a new connection.
func (g *generator) fail(slot int, format string, args ...any) {
	g.fault(format, args...)
	g.again(slot)
}

// again closes a connection and opens the next one on its slot.
func (g *generator) again(slot int) {
	c := &g.conns[slot]
	if c.secured != nil {
		c.secured.stop()
	}
	if c.session != nil {
		g.busy -= len(c.session.open)
	} else if c.state != idle {
		g.busy--
	} else {
		g.takeOut(slot)
	}
	closeSocket(c.fd)
	*c = conn{generation: c.generation + 1}
	if g.phase != finishing && !g.job.Hold && g.faults < maxFaults {
		g.dial(slot)
	}
}

// takeOut removes a slot from those that are free.
func (g *generator) takeOut(slot int) {
	for i, free := range g.free {
		if free == slot {
			g.free = append(g.free[:i], g.free[i+1:]...)
			return
		}
	}
}

// lost returns how many connections that should be idle have ended or have
// something to say.
func (g *generator) lost() int {
	count := 0
	var b [1]byte
	for i := range g.conns {
		if _, errno := recv(g.conns[i].fd, b[:]); errno != unix.EAGAIN {
			count++
		}
	}
	return count
}

// closeAll ends the run's connections, but those that are to be held.
func (g *generator) closeAll() {
	if g.job.Hold {
		return
	}
	for i := range g.conns {
		if g.conns[i].fd > 0 {
			closeSocket(g.conns[i].fd)
		}
	}
	g.poller.close()
}
