package http2

// drainStage is how far a connection is with going away.
type drainStage uint8

const (
	drainNot drainStage = iota
	drainAnnounced
	drainFinal
)

// drainPing is the PING whose answer tells that the peer has read the first
// GOAWAY.
const drainPing = "evenkeel"

// Drain lets the streams that are open end, and no more begin. A server says so
// with a GOAWAY that still lets in what is on its way, and after a round trip,
// or when Drain is called again, with one that names the last stream: RFC 9113
// section 6.8.
func (c *Conn) Drain() {
	switch {
	case !c.isAlive() || c.drain == drainFinal:
	case c.has(connClient):
		c.drain = drainFinal
		c.sendGoAway(0, NoError, "")
	case c.drain == drainNot:
		c.drain = drainAnnounced
		c.sendGoAway(maxID, NoError, "")
		c.sendPing(0, []byte(drainPing))
	default:
		c.drain, c.drainTo = drainFinal, c.lastIn
		c.sendGoAway(c.lastIn, NoError, "")
	}
}

// Going tells that no new stream comes or can be opened: the connection is to
// be closed once Streams is 0 and all output is written.
func (c *Conn) Going() bool {
	return c.drain == drainFinal || !c.isAlive() || c.has(connPeerGoing) ||
		c.has(connClient) && c.nextOut > maxID
}

// Fail ends the connection because of the peer: the output ends with a GOAWAY
// that carries the reason, streams are reset with an event each, and Receive
// returns the error from now on.
func (c *Conn) Fail(code Code, reason string) {
	if !c.isAlive() {
		return
	}
	c.failed = &ConnError{code, reason}
	c.sendGoAway(c.lastIn, code, reason)
	c.endAll(&StreamError{Code: code, Reason: reason})
}

// Lost tells that the connection broke or ended: streams are reset with an
// event each, and nothing is sent any more.
func (c *Conn) Lost() {
	if c.has(connLost) {
		return
	}
	c.state |= connLost
	c.endAll(&StreamError{Code: InternalError, Reason: "the connection broke", Remote: true})
	c.Written()
}

// endAll ends all streams. Those whose head was not sent can be sent elsewhere.
func (c *Conn) endAll(e *StreamError) {
	unsent := *e
	unsent.Unprocessed = true
	for s := c.unsent.first; s != nil; s = c.unsent.first {
		s.end(&unsent)
	}
	for s := c.streams.above(0); s != nil; s = c.streams.above(0) {
		s.end(e)
	}
}
