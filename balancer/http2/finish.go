package http2

// finishBlock does what a whole block asks for.
func (c *Conn) finishBlock(b *block) {
	if b.kind == blockRequest {
		c.finishRequest(b)
		return
	}
	s := c.streams.get(b.id)
	switch {
	case s == nil: // reset meanwhile
	case b.fault != "":
		c.fault(s, b.code, b.fault)
	case b.kind == blockIgnored:
	case b.head.TooLarge:
		c.fault(s, EnhanceYourCalm, "head or trailers with too many or too large fields")
	case b.kind == blockResponse:
		c.finishResponse(s, b)
	default:
		c.finishTrailers(s, b)
	}
}

// finishRequest opens a stream, or refuses it.
func (c *Conn) finishRequest(b *block) {
	if b.fault == "" && !b.head.TooLarge {
		b.checkRequest(c.config.ExtendedConnect)
	}
	if b.fault == "" && b.end && b.head.Length > 0 && !b.head.TooLarge {
		b.refuse("less content than Content-Length says")
	}
	if b.fault != "" {
		if c.spendReset() {
			if !b.end {
				c.closed.add(b.id, false)
			}
			c.sendReset(b.id, b.code)
		}
		return
	}
	s := c.pool.stream()
	s.begin(c, b.id)
	s.state |= streamHeadIn
	s.left = b.head.Length
	c.streams.add(s)
	if b.end {
		s.endIn()
	}
	c.events.Request(s, &b.head, b.end)
	if s.events == nil && s.id == b.id && s.conn == c && !s.has(streamReleased|streamClosed) {
		s.Reset(RefusedStream)
		s.Release()
	}
}

// finishResponse takes an interim or the final head of a response.
func (c *Conn) finishResponse(s *Stream, b *block) {
	h := &b.head
	switch {
	case b.seen&seenStatus == 0:
		c.fault(s, ProtocolError, "response without :status")
		return
	case h.Status < 200:
		c.finishInterim(s, b)
		return
	}
	s.state |= streamHeadIn
	switch {
	case s.has(streamHead), h.Status == 304, h.Status == 204: // a length may be declared that does not come
		s.left = 0
	case s.has(streamConnect) && h.Status < 300: // it means nothing: RFC 9110 section 8.6
		s.left = -1
	default:
		s.left = h.Length
	}
	if b.end && s.left > 0 {
		c.fault(s, ProtocolError, "less content than Content-Length says")
		return
	}
	events := s.events
	if b.end {
		s.endIn()
	}
	if events != nil {
		events.Head(h, b.end)
	}
}

// finishInterim takes a head with a status below 200. Those that come without
// end are counted, since each is passed on.
func (c *Conn) finishInterim(s *Stream, b *block) {
	switch {
	case b.end:
		c.fault(s, ProtocolError, "interim response that ends the stream")
	case c.spendFrame(1+frameGain) && s.events != nil:
		s.events.Head(&b.head, false)
	}
}

// finishTrailers takes the fields after the content.
func (c *Conn) finishTrailers(s *Stream, b *block) {
	if s.left > 0 {
		c.fault(s, ProtocolError, "less content than Content-Length says")
		return
	}
	events := s.events
	s.endIn()
	if events != nil {
		events.Trailers(b.head.Fields)
	}
}
