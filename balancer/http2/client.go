package http2

// Open begins a stream of a client, bound to events; nil if Capacity is 0. It
// counts as open at once; its id is given with its head.
func (c *Conn) Open(events StreamEvents) *Stream {
	if c.Capacity() == 0 {
		return nil
	}
	s := c.pool.stream()
	s.begin(c, 0)
	s.events = events
	c.unsent.push(s)
	c.unsentNum++
	return s
}

// Capacity is how many streams a client may open now. It is 0 when the peer or
// this side goes away, the ids are used up, the connection has failed, or the
// peer does not read. It changes in Receive, with Written, and when streams end.
func (c *Conn) Capacity() int {
	if c.Going() || c.Choked() || !c.has(connClient) {
		return 0
	}
	ids := int(maxID-c.nextOut)/2 + 1 - c.unsentNum
	return max(0, min(c.config.Streams-c.Streams(), c.peer.streams-c.Streams(), ids))
}

// number gives a stream the next id, in the order in which heads are sent, as
// RFC 9113 section 5.1.1 wants it.
func (c *Conn) number(s *Stream, head *Head) {
	s.leave()
	c.unsentNum--
	s.id = c.nextOut
	c.nextOut += 2
	s.allowed = c.peer.window
	switch string(head.Method) {
	case "HEAD":
		s.state |= streamHead
	case "CONNECT":
		s.state |= streamConnect
	}
	c.streams.add(s)
}
