package http2

// content is where the payload of a DATA frame goes, which is passed on as it
// comes.
type content struct {
	stream *Stream // nil: nowhere
	left   int
	end    bool
}

// receiveData takes the beginning of a DATA frame: RFC 9113 section 6.1.
func (c *Conn) receiveData(h header, p []byte) int {
	used, padding := frameHeader, 0
	if h.has(flagPadded) {
		if len(p) <= frameHeader && h.length > 0 {
			return 0
		}
		if h.length == 0 || int(p[frameHeader]) >= h.length {
			c.Fail(ProtocolError, "DATA with more padding than it has room for")
			return len(p)
		}
		used, padding = frameHeader+1, int(p[frameHeader])+1
	}
	if !c.admitData(h, padding) {
		return len(p)
	}
	c.window -= h.length
	size := h.length - padding
	s := c.contentStream(h, size)
	if c.failed != nil {
		return len(p)
	}
	if s == nil {
		c.skip = h.length - (used - frameHeader)
		c.repay(h.length)
		return used
	}
	s.window -= h.length
	s.unconsumed += h.length
	c.skip = padding - (used - frameHeader)
	c.content = content{s, size, h.has(flagEndStream)}
	s.Consumed(padding)
	if size == 0 && c.content.end {
		c.endContent(s, nil)
	}
	return used
}

// admitData looks at what a DATA frame does to the connection.
func (c *Conn) admitData(h header, padding int) bool {
	switch size := h.length - padding; {
	case h.id == 0:
		c.Fail(ProtocolError, "DATA without a stream")
		return false
	case h.length > c.window:
		c.Fail(FlowControlError, "DATA beyond the connection's window")
		return false
	case size == 0 && !h.has(flagEndStream) || size < padding:
		return c.spendFrame(1)
	default:
		c.frames.gain(frameGain, frameBound)
		return true
	}
}

// contentStream is the stream whose content comes; nil if it is not to be
// passed on.
func (c *Conn) contentStream(h header, size int) *Stream {
	s := c.streams.get(h.id)
	switch {
	case s == nil:
		c.strayFrame(h.id, "DATA")
		return nil
	case s.has(streamInEnded):
		c.fault(s, StreamClosed, "DATA after the end")
	case !s.has(streamHeadIn):
		c.fault(s, ProtocolError, "DATA before the head")
	case h.length > s.window:
		c.fault(s, FlowControlError, "DATA beyond the stream's window")
	case s.left >= 0 && int64(size) > s.left:
		c.fault(s, ProtocolError, "more content than Content-Length says")
	case s.left > int64(size) && h.has(flagEndStream):
		c.fault(s, ProtocolError, "less content than Content-Length says")
	case s.events == nil: // nobody wants it
		s.window -= h.length
		if h.has(flagEndStream) {
			s.endIn()
		}
	default:
		if s.left >= 0 {
			s.left -= int64(size)
		}
		return s
	}
	return nil
}

// passContent passes the next part of a DATA frame on.
func (c *Conn) passContent(p []byte) int {
	n := min(c.content.left, len(p))
	c.content.left -= n
	s := c.content.stream
	switch {
	case s == nil:
	case c.content.left == 0 && c.content.end:
		c.endContent(s, p[:n])
	case s.events != nil:
		s.events.Data(p[:n:n], false)
	}
	return n
}

// endContent passes the last of a stream's content on.
func (c *Conn) endContent(s *Stream, p []byte) {
	events := s.events
	c.content.stream = nil
	s.endIn()
	if events != nil { // else released since the frame began
		events.Data(p, true)
	}
}

// strayFrame takes a frame of a stream that is not open: RFC 9113 section 5.1.
func (c *Conn) strayFrame(id uint32, frame string) {
	switch {
	case c.isIdle(id):
		c.Fail(ProtocolError, frame+" of a stream that was not opened")
		return
	case c.isRefused(id):
		return
	}
	switch c.closed.find(id) {
	case closedReset:
		c.spendFrame(1)
	case closedRemote, closedLong:
		if c.spendReset() {
			c.sendReset(id, StreamClosed)
		}
	case closedUnused:
		c.Fail(ProtocolError, frame+" of a stream that a later one closed")
	case closedEnded:
		c.Fail(StreamClosed, frame+" of a stream that was ended")
	}
}
