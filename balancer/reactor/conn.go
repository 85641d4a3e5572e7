package reactor

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"
)

// Handler gets the events of one connection, on its loop's thread. None of the
// methods may block. After [Conn.Close], [Conn.Abort] or Failed none is called.
type Handler interface {
	// Connected tells that a dialled connection is established.
	Connected()
	// Data gives what arrived, after what was not consumed earlier, and returns
	// how many of the bytes it consumed. The rest is kept, and given again
	// followed by newer bytes when more arrive, or after Resume. p is valid
	// during the call only.
	Data(p []byte) int
	// EOF tells that the peer sends nothing more; once. Bytes that were not
	// consumed are still given after Resume, and the connection can be written to.
	EOF()
	// Drained tells that all that Write had to keep was taken by the kernel.
	Drained()
	// Failed tells that the connect failed, or that the connection broke, and is
	// closed. What arrived before was given to Data first, except after
	// [Conn.FailWhilePaused].
	Failed(err error)
	// Expired tells that the deadline came. There is none any more.
	Expired()
	// Relayed tells of n more bytes that a [Conn.Relay] from this connection
	// moved. An error ends the relay: io.EOF if this connection ended early, a
	// *[WriteError] if the destination broke.
	Relayed(n int64, err error)
}

// WriteError tells that it was the destination of a relay that failed.
type WriteError struct{ Err error }

// Error implements error.
func (e *WriteError) Error() string { return "write: " + e.Err.Error() }

// Unwrap returns what went wrong.
func (e *WriteError) Unwrap() error { return e.Err }

// lingerMax bounds how long a closed connection may take to send what is left.
const lingerMax = 10 * time.Second

// Conn is a connection of a loop. Its methods are for the loop's thread.
type Conn struct {
	loop    *Loop
	handler Handler
	timer   timer
	out     []byte // not taken by the kernel yet, from outAt on
	in      []byte // not consumed by the handler yet
	sent    int64
	lost    syscall.Errno // why kept bytes were given up, which the handler has to learn
	relay   *relay        // from this connection
	feeding *relay        // to this connection

	fd         int32
	generation uint32
	outAt      int32
	gathered   int32 // 1 + the place of its write among those of the loop, or 0
	state      state
}

// state is a set of flags.
type state uint32

const (
	registered state = 1 << iota // with the poller
	connecting                   // dialled, not established yet
	readable                     // a read might find something
	hungUp                       // the peer's end, or an error, is behind what can be read
	paused                       // by the handler
	offering                     // kept bytes are to be given again
	ended                        // the peer's FIN was read
	toldEnd                      // and the handler knows
	broken                       // it cannot be written to any more
	finAfter                     // a FIN goes behind what is kept
	finished                     // the FIN was sent
	closing                      // it is closed once what is kept is sent
	closed
	queued    // on the ready list
	unwatched // the poller did not take it
	single    // no further request is expected: see LastRead
	vigilant  // see FailWhilePaused
)

func (c *Conn) has(f state) bool { return c.state&f != 0 }
func (c *Conn) set(f state)      { c.state |= f }
func (c *Conn) clear(f state)    { c.state &^= f }

// Loop is the loop that the connection belongs to.
func (c *Conn) Loop() *Loop { return c.loop }

// Handler returns who gets the events.
func (c *Conn) Handler() Handler { return c.handler }

// SetHandler changes who gets the events.
func (c *Conn) SetHandler(h Handler) { c.handler = h }

// Sent is how many bytes the kernel took from Write and from relays to this
// connection, over its life.
func (c *Conn) Sent() int64 { return c.sent }

// Ends returns the addresses of the peer and of this side, as the kernel knows
// them; zero addresses if it does not (any more). Each call is two system calls.
func (c *Conn) Ends() (peer, own netip.AddrPort) {
	if c.has(closed) {
		return netip.AddrPort{}, netip.AddrPort{}
	}
	return endsOf(c.fd)
}

// Kept is how many bytes arrived that the handler has not consumed.
func (c *Conn) Kept() int { return len(c.in) }

// IsOpen tells whether events may still come.
func (c *Conn) IsOpen() bool { return !c.has(closed | closing) }

// newConn makes the connection of a descriptor.
func (l *Loop) newConn(fd int32) *Conn {
	c := &Conn{loop: l, fd: fd}
	c.generation = l.own(fd, slot{conn: c})
	return c
}

// register has the poller report edges; once.
func (c *Conn) register() {
	if c.has(registered | closed) {
		return
	}
	if c.loop.poller.add(c.fd, c.generation) != nil {
		c.set(unwatched) // Failed must not be called from inside Write
		c.queue()
		return
	}
	c.set(registered)
}

// registerAgain is for a turn of a connection that the poller did not take.
func (c *Conn) registerAgain() {
	c.clear(unwatched)
	if err := c.loop.poller.add(c.fd, c.generation); err != nil {
		c.fail(err)
		return
	}
	c.set(registered)
}

// LastRead tells that nothing more is expected from the peer but its end. A
// connection that was accepted a moment ago is then not registered with the
// poller before there is a reason, which saves those that serve one request a
// system call.
func (c *Conn) LastRead() { c.set(single) }

// FailWhilePaused has a reset by the peer end the connection also while it is
// paused, whatever arrived before: for peers who want nothing done once they
// can have no answer.
func (c *Conn) FailWhilePaused() { c.set(vigilant) }

// queue gives the connection a turn after the present batch of events.
func (c *Conn) queue() {
	if !c.has(queued | closed) {
		c.set(queued)
		c.loop.ready = append(c.loop.ready, slot{conn: c})
	}
}

// event takes what the poller reports.
func (c *Conn) event() {
	e := c.loop.present
	if c.has(connecting) {
		c.connectEvent(e)
		return
	}
	if e.flags&eventHangUp != 0 {
		c.set(hungUp | readable)
	}
	if e.flags&eventReadable != 0 {
		c.set(readable)
	}
	if e.flags&eventWritable != 0 {
		c.flush()
	}
	if !c.has(closed) {
		c.pull()
	}
	c.failPaused()
	if e.flags&eventReset != 0 && c.has(vigilant) && c.has(paused) && !c.has(closed|closing) {
		if err := socketError(c.fd); err != nil {
			c.fail(err)
		}
	}
}

// turn is what the ready list leads to.
func (c *Conn) turn() {
	if c.has(unwatched) && !c.has(closed) {
		c.registerAgain()
	}
	if c.has(closed) || c.has(connecting) {
		return
	}
	c.pull()
	c.failPaused()
}

// failPaused ends a connection that is to fail while it is paused, if a write
// has met the reset and so taken it from whoever looks for one.
func (c *Conn) failPaused() {
	if c.lost != 0 && c.has(vigilant) && c.has(paused) && !c.has(closed|closing) {
		c.fail(c.lost)
	}
}

func (c *Conn) expired() {
	switch {
	case c.has(closing):
		resetOnClose(c.fd) // what was cut must not look complete
		c.free()
	case !c.has(closed):
		c.handler.Expired()
	}
}

// Close closes the connection once what is kept for it is sent, or after 10 s.
func (c *Conn) Close() {
	if c.has(closed | closing) {
		c.set(closing)
		return
	}
	c.sendGathered(false)
	c.dropRelays()
	if c.Buffered() == 0 || c.has(broken|connecting) {
		c.free()
		return
	}
	c.SetDeadline(c.loop.now + int64(lingerMax))
	c.set(closing)
	c.dropInput()
	c.register()
}

// Abort closes the connection with a reset, at once.
func (c *Conn) Abort() {
	defer c.set(closing)
	if c.has(closed) {
		return
	}
	c.sendGathered(false)
	resetOnClose(c.fd)
	c.free()
}

// fail closes the connection and tells the handler why.
func (c *Conn) fail(err error) {
	if c.has(closed) {
		return
	}
	to := c.feeding
	c.free()
	if to != nil { // the source learns of its destination's end
		to.broke(err)
	}
	if !c.has(closing) {
		c.handler.Failed(err)
	}
}

// free gives everything back.
func (c *Conn) free() {
	if c.has(closed) {
		return
	}
	c.dropRelays()
	c.set(closed)
	c.loop.wheel.remove(&c.timer)
	c.loop.disown(c.fd)
	closeFD(c.fd)
	c.dropInput()
	c.dropOutput()
	c.dropGathered()
}

func (c *Conn) dropInput() {
	if c.in != nil {
		c.loop.buffers.put(c.in)
		c.in = nil
	}
}

func (c *Conn) dropOutput() {
	if c.out != nil {
		c.loop.buffers.put(c.out)
		c.out, c.outAt = nil, 0
	}
}

// Dial begins to connect. The handler's Connected or Failed tells what came of
// it; an error here means that it could not even begin, and the handler is told
// nothing. [IsLocal] tells whose fault it is.
func (l *Loop) Dial(to netip.AddrPort, h Handler) (*Conn, error) {
	fd, err := dialSocket(to)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", to, err)
	}
	c := l.newConn(fd)
	c.handler = h
	c.set(connecting | registered)
	if err := l.poller.add(fd, c.generation); err != nil {
		c.free()
		return nil, fmt.Errorf("connect to %s: %w", to, err)
	}
	return c, nil
}

// connectEvent is the end of a connect.
func (c *Conn) connectEvent(e *event) {
	if e.flags&eventHangUp != 0 {
		if err := socketError(c.fd); err != nil {
			c.fail(err)
			return
		}
		c.set(hungUp | readable)
	}
	if e.flags&(eventWritable|eventHangUp) == 0 {
		return
	}
	if e.flags&eventReadable != 0 { // a server that speaks first
		c.set(readable)
	}
	c.clear(connecting)
	c.handler.Connected()
	if !c.has(closed) {
		c.flush()
	}
	if !c.has(closed) {
		c.pull()
	}
}

// IsLocal tells whether an error is of this machine (no ports, no descriptors,
// no memory) and says nothing about the peer.
func IsLocal(err error) bool {
	for _, local := range []syscall.Errno{
		syscall.EADDRNOTAVAIL, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EAGAIN, syscall.EPERM, syscall.EACCES,
	} {
		if errors.Is(err, local) {
			return true
		}
	}
	return false
}
