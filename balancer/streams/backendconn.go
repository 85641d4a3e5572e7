package streams

import (
	"errors"
	"time"

	"evenkeel/balancer/exchange"
	"evenkeel/balancer/http2"
)

// backendConn is a connection to a backend. It implements the events of its
// link, and those of the protocol.
type backendConn struct {
	up    *upstream
	link  exchange.Link
	conn  *http2.Conn // nil before the connect
	err   error       // why it broke, which those on it are told
	due   int64       // when it is late with something; 0: never
	heard int64       // when the backend last sent something
	taken int64       // what the backend had taken when its time for the next bytes began
	state connState
}

// connState is a set of flags.
type connState uint8

const (
	connDue     connState = 1 << iota // Run is
	connSettled                       // the backend has said what it takes
	connChoked                        // it is not read from, see [http2.Conn.Choked]
	connFailing                       // it has failed, its last words are to be sent
	connRetired                       // no further request begins on it
	connIdle                          // nothing is under way
	connOwing                         // the backend does not take what it is sent
	connGone
)

func (c *backendConn) has(f connState) bool { return c.state&f != 0 }

var (
	errEnded       = errors.New("the backend closed the connection")
	errUnanswering = errors.New("the backend took nothing more")
)

// deafAfter is for how long a backend may be silent while a request on the
// connection came to nothing, before others are spared the same.
const deafAfter = int64(5 * time.Second)

func (c *backendConn) isUsable() bool {
	return c.has(connSettled) && !c.has(connFailing|connRetired|connGone)
}

func (c *backendConn) isConnecting() bool { return !c.has(connSettled | connFailing | connGone) }

// wait has Expired called after a time.
func (c *backendConn) wait(after time.Duration) {
	c.due = c.up.loop.now() + int64(after)
	c.link.SetDeadline(c.due)
}

// Connected begins the protocol. The connection is of use once the backend has
// said how many streams it takes, so that none is opened in vain; one that speaks
// something else does not pass for connected.
func (c *backendConn) Connected() {
	c.conn = http2.NewClient(c, &c.up.loop.clientConfig, &c.up.loop.memory)
	c.Flush()
}

// Data takes what the backend sent.
func (c *backendConn) Data(p []byte) int {
	if c.has(connFailing|connGone) || c.conn == nil {
		return len(p)
	}
	c.heard = c.up.loop.now()
	n, err := c.conn.Receive(c.heard, p)
	if err != nil {
		c.fail(err)
		return len(p)
	}
	if c.conn.Heard() && !c.has(connSettled) {
		c.settle()
	}
	if c.conn.Choked() && !c.has(connChoked) {
		c.state |= connChoked
		c.link.Pause()
	}
	if c.conn.Going() || c.conn.Streams() == 0 {
		c.Flush()
	}
	c.up.freed()
	return n
}

func (c *backendConn) settle() {
	c.state |= connSettled
	c.up.target.Stats.Local(c.up.loop.Index).Connects.Add(1)
	c.due = 0
	c.link.SetDeadline(0)
	c.up.Flush()
	c.Flush()
}

// fail ends the connection for what the backend did.
func (c *backendConn) fail(err error) {
	c.state |= connFailing
	c.Flush()
	if !c.has(connSettled) {
		c.up.connectFailed(func(l *lane) { l.fail(err) })
	}
}

// Request is for servers.
func (c *backendConn) Request(*http2.Stream, *http2.Head, bool) {}

// GoAway is the backend's wish for another connection.
func (c *backendConn) GoAway(uint32, http2.Code, []byte) {
	c.state |= connRetired
	c.Flush()
}

// Flush has Run called at the end of the batch of events.
func (c *backendConn) Flush() {
	if !c.has(connDue | connGone) {
		c.state |= connDue
		c.up.loop.World.Later(c)
	}
}

// Run implements [exchange.Task]: it writes what there is to write, and settles
// what the connection waits for.
func (c *backendConn) Run() {
	c.state &^= connDue
	if c.has(connGone) || c.conn == nil {
		return
	}
	write(c.link, c.conn)
	c.up.freed() // what it had to take first may have been in the way
	if c.has(connChoked) && !c.conn.Choked() {
		c.state &^= connChoked
		c.link.Resume()
	}
	switch timeouts := &c.up.pool.Timeouts; {
	case c.link.Buffered() > 0:
		if !c.has(connOwing) {
			c.owe()
		}
	case c.has(connFailing), c.conn.Going() && c.conn.Streams() == 0, c.has(connRetired) && c.conn.Streams() == 0:
		c.leave()
		c.link.Close()
	case !c.has(connSettled):
	case c.conn.Streams() > 0:
		c.state &^= connIdle | connOwing
		c.due = 0
	case !c.has(connIdle):
		c.state = c.state&^connOwing | connIdle
		c.wait(timeouts.Idle)
	}
}

// owe begins the time within which the backend has to take something.
func (c *backendConn) owe() {
	c.state = c.state&^connIdle | connOwing
	c.taken = c.link.Sent()
	c.wait(c.up.pool.Timeouts.Body)
}

// Expired is the deadline.
func (c *backendConn) Expired() {
	switch now := c.up.loop.now(); {
	case c.due == 0:
	case now < c.due:
		c.link.SetDeadline(c.due)
	case !c.has(connSettled):
		c.leave()
		c.link.Close()
		c.up.connectFailed(func(l *lane) { l.events.Expired() })
	case c.has(connOwing) && c.link.Buffered() > 0 && c.link.Sent() == c.taken:
		c.broke(errUnanswering)
		c.link.Abort(uint32(http2.Cancel))
	case c.has(connOwing) && c.link.Buffered() > 0:
		c.owe()
	case c.has(connIdle):
		c.conn.Drain()
		c.state |= connRetired
		c.Flush()
	}
}

// unanswered notes that a request that began at some time came to nothing. If
// nothing else came from the backend either, the connection may be a dead one:
// the next request takes another.
func (c *backendConn) unanswered(began int64) {
	if now := c.up.loop.now(); c.heard <= began && now-began >= deafAfter && !c.has(connRetired) {
		c.state |= connRetired
		c.Flush()
	}
}

// Drained tells that the backend took everything that was sent.
func (c *backendConn) Drained() { c.Flush() }

// EOF is the backend's end.
func (c *backendConn) EOF() {
	c.broke(errEnded)
	c.link.Close()
}

// Failed is a connect that failed, or a connection that broke.
func (c *backendConn) Failed(err error) { c.broke(err) }

// Relayed is for what is not read.
func (c *backendConn) Relayed(int64, error) {}

// broke tells those on the connection that it broke, and those who waited for it.
func (c *backendConn) broke(err error) {
	if c.has(connGone) {
		return
	}
	c.err = err
	c.leave()
	if c.conn != nil {
		c.conn.Lost()
	}
	if !c.has(connSettled) {
		c.up.connectFailed(func(l *lane) { l.fail(err) })
	}
	c.up.freed()
}

// leave takes the connection out of those to its backend.
func (c *backendConn) leave() {
	if c.has(connGone) {
		return
	}
	c.state |= connGone
	for i, other := range c.up.conns {
		if other == c {
			c.up.conns = append(c.up.conns[:i], c.up.conns[i+1:]...)
			break
		}
	}
	c.up.freed()
}

// Bug cleans up after a bug of Evenkeel's.
func (c *backendConn) Bug() { c.up.Bug() }
