package http2

import (
	"encoding/binary"
	"strings"
)

// Receive takes what the peer sent and returns how many of the bytes it
// consumed. The rest is to be given again: either it is an incomplete frame, of
// no more than [MaxFrame] and 9 bytes, and more has to come behind it; or
// [Conn.Choked] has become true, and the output has to be written first. now is
// a monotonic time in nanoseconds, by which bounds on the peer's rates are
// counted. The error is a [*ConnError], also if [Conn.Fail] was called before.
func (c *Conn) Receive(now int64, p []byte) (n int, err error) {
	c.now = now
	for n < len(p) && !c.Choked() {
		if !c.isAlive() {
			break
		}
		k := c.step(p[n:])
		if k == 0 {
			break
		}
		n += k
	}
	if c.failed != nil {
		return len(p), c.failed
	}
	return n, nil
}

// step takes one frame, or a part of one whose parts need not wait for each
// other. It returns 0 if that has to be whole and is not.
func (c *Conn) step(p []byte) int {
	switch {
	case c.greeted < len(preface):
		return c.greet(p)
	case c.content.left > 0:
		return c.passContent(p)
	case c.skip > 0: // the padding behind it, or what nobody wants
		n := min(c.skip, len(p))
		c.skip -= n
		return n
	case !c.has(connHeard) && c.isHTTP1(p):
		c.Fail(ProtocolError, "the server speaks HTTP/1")
		return len(p)
	case len(p) < frameHeader:
		return 0
	}
	h := parseHeader(p)
	switch {
	case !c.admit(h):
		return len(p)
	case h.kind == frameData:
		return c.receiveData(h, p)
	case h.kind > frameContinuation: // RFC 9113 section 5.5
		if c.spendFrame(1) {
			c.skip = h.length
		}
		return frameHeader
	case len(p) < frameHeader+h.length:
		return 0
	}
	c.receiveFrame(h, p[frameHeader:frameHeader+h.length])
	return frameHeader + h.length
}

// greet takes the client's preface.
func (c *Conn) greet(p []byte) int {
	rest := preface[c.greeted:]
	n := min(len(p), len(rest))
	if string(p[:n]) != rest[:n] {
		c.Fail(ProtocolError, "the preface is not that of HTTP/2")
		return len(p)
	}
	c.greeted += n
	return n
}

// isHTTP1 tells whether a server answers with HTTP/1, which does not make a
// frame.
func (c *Conn) isHTTP1(p []byte) bool {
	const start = "HTTP/1"
	return c.has(connClient) && strings.HasPrefix(string(p[:min(len(p), len(start))]), start)
}

// admit looks at a frame's header, whether it may come now. It may be asked
// again for the same frame.
func (c *Conn) admit(h header) bool {
	switch {
	case h.length > MaxFrame:
		c.Fail(FrameSizeError, "frame larger than 16,384 bytes")
	case !c.has(connHeard) && (h.kind != frameSettings || h.has(flagAck)):
		c.Fail(ProtocolError, "the first frame is not SETTINGS")
	case c.block != nil && (h.kind != frameContinuation || h.id != c.block.id):
		c.Fail(ProtocolError, "a head that is interrupted by another frame")
	case c.block == nil && h.kind == frameContinuation:
		c.Fail(ProtocolError, "CONTINUATION without a head")
	default:
		return true
	}
	return false
}

// receiveFrame takes a whole frame.
func (c *Conn) receiveFrame(h header, p []byte) {
	switch h.kind {
	case frameHeaders:
		c.receiveHeaders(h, p)
	case frameContinuation:
		c.receiveContinuation(h, p)
	case framePriority:
		c.receivePriority(h, p)
	case frameReset:
		c.receiveReset(h, p)
	case frameSettings:
		c.receiveSettings(h, p)
	case framePing:
		c.receivePing(h, p)
	case frameGoAway:
		c.receiveGoAway(h, p)
	case frameWindowUpdate:
		c.receiveWindowUpdate(h, p)
	case framePushPromise: // refused by a client's settings, and never right for a server: RFC 9113 section 8.4
		c.Fail(ProtocolError, "PUSH_PROMISE")
	}
}

// isIdle tells whether an id was not used yet. Even ones never are: nobody
// pushes.
func (c *Conn) isIdle(id uint32) bool {
	if id%2 == 0 {
		return true
	}
	if c.has(connClient) {
		return id >= c.nextOut
	}
	return id > c.lastIn && !c.isRefused(id)
}

// isRefused tells whether an id is beyond what a GOAWAY of this side said it
// would serve. What the peer sent before it read that is ignored.
func (c *Conn) isRefused(id uint32) bool {
	return c.drain == drainFinal && id > c.drainTo
}

// receivePriority checks a PRIORITY frame, which RFC 9113 section 5.3 makes
// meaningless otherwise.
func (c *Conn) receivePriority(h header, p []byte) {
	switch {
	case h.id == 0:
		c.Fail(ProtocolError, "PRIORITY without a stream")
	case h.length != 5:
		c.faultOn(h.id, FrameSizeError, "PRIORITY whose length is not 5")
	case dependency(p) == h.id:
		c.faultOn(h.id, ProtocolError, "stream that depends on itself")
	default:
		c.spendFrame(1)
	}
}

// dependency reads the stream that a priority refers to.
func dependency(p []byte) uint32 { return binary.BigEndian.Uint32(p) & maxID }

// receiveReset takes a RST_STREAM: RFC 9113 section 6.4.
func (c *Conn) receiveReset(h header, p []byte) {
	switch {
	case h.id == 0 || c.isIdle(h.id):
		c.Fail(ProtocolError, "RST_STREAM of a stream that never was open")
		return
	case h.length != 4:
		c.Fail(FrameSizeError, "RST_STREAM whose length is not 4")
		return
	}
	s := c.streams.get(h.id)
	if s == nil {
		c.spendFrame(1)
		return
	}
	if !s.has(streamOutEnded) && !c.spendReset() { // else it had its response
		return
	}
	code := Code(binary.BigEndian.Uint32(p))
	if !s.has(streamInEnded) {
		c.closed.add(s.id, true)
	}
	s.end(&StreamError{Code: code, Remote: true, Unprocessed: code == RefusedStream && c.has(connClient)})
}

// receivePing takes a PING: RFC 9113 section 6.7.
func (c *Conn) receivePing(h header, p []byte) {
	switch {
	case h.id != 0:
		c.Fail(ProtocolError, "PING on a stream")
	case h.length != 8:
		c.Fail(FrameSizeError, "PING whose length is not 8")
	case !c.spendFrame(1):
	case !h.has(flagAck):
		c.sendPing(flagAck, p)
	case string(p) == drainPing && c.drain == drainAnnounced:
		c.Drain()
	}
}

// receiveGoAway takes a GOAWAY: RFC 9113 section 6.8.
func (c *Conn) receiveGoAway(h header, p []byte) {
	switch {
	case h.id != 0:
		c.Fail(ProtocolError, "GOAWAY on a stream")
		return
	case h.length < 8:
		c.Fail(FrameSizeError, "GOAWAY whose length is below 8")
		return
	case !c.spendFrame(1):
		return
	}
	last, code := dependency(p), Code(binary.BigEndian.Uint32(p[4:]))
	c.state |= connPeerGoing
	if c.has(connClient) {
		c.giveUpAbove(last, code)
	}
	if c.failed == nil {
		c.events.GoAway(last, code, p[8:])
	}
}

// giveUpAbove ends the streams that the peer will not serve.
func (c *Conn) giveUpAbove(last uint32, code Code) {
	e := &StreamError{Code: code, Remote: true, Unprocessed: true}
	for s := c.unsent.first; s != nil; s = c.unsent.first {
		s.end(e)
	}
	for s := c.streams.above(last); s != nil; s = c.streams.above(last) {
		s.end(e)
	}
}

// receiveWindowUpdate takes a WINDOW_UPDATE: RFC 9113 section 6.9.
func (c *Conn) receiveWindowUpdate(h header, p []byte) {
	switch {
	case h.length != 4:
		c.Fail(FrameSizeError, "WINDOW_UPDATE whose length is not 4")
		return
	case h.id != 0 && c.isIdle(h.id):
		c.Fail(ProtocolError, "WINDOW_UPDATE of a stream that never was open")
		return
	case !c.spendFrame(1):
		return
	}
	n := int(dependency(p))
	if h.id == 0 {
		c.widen(n)
		return
	}
	s := c.streams.get(h.id)
	switch {
	case s == nil: // it may have been on its way
	case n == 0:
		c.fault(s, ProtocolError, "WINDOW_UPDATE by 0")
	case s.allowed+n > maxWindow:
		c.fault(s, FlowControlError, "WINDOW_UPDATE that makes a window exceed 2^31-1")
	default:
		s.allowed += n
		s.enlist()
	}
}

// widen adds to the window of the connection.
func (c *Conn) widen(n int) {
	switch {
	case n == 0:
		c.Fail(ProtocolError, "WINDOW_UPDATE by 0")
	case c.allowed+n > maxWindow:
		c.Fail(FlowControlError, "WINDOW_UPDATE that makes the connection's window exceed 2^31-1")
	default:
		c.allowed += n
		if c.ready.first != nil {
			c.wish()
		}
	}
}
