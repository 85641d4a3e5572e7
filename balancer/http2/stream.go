package http2

// Stream is one request and its response. Whom it was given to has to release
// it in the end.
type Stream struct {
	conn   *Conn
	events StreamEvents
	id     uint32
	state  streamState

	window     int   // bytes of content that the peer may send
	granted    int   // the size of that window when all is consumed
	unconsumed int   // bytes that came and are not consumed
	credit     int   // bytes that were consumed and that the peer was not told of
	left       int64 // bytes of content that are to come by Content-Length; -1 if that is not known

	allowed  int    // bytes of content that may be sent; may be negative
	pending  []byte // content that could not be sent yet
	at       int    // of which this many bytes have been
	trailers []byte // that follow it, encoded
	sent     int64

	list       *streamList
	prev, next *Stream
}

// streamState is a set of flags.
type streamState uint16

const (
	streamHeadIn   streamState = 1 << iota // the head of the peer's message came
	streamInEnded                          // and its end
	streamHeadOut                          // the head of this side's message was sent
	streamEnding                           // its end follows what is pending
	streamOutEnded                         // its end was sent
	streamClosed                           // nothing is sent or comes any more
	streamReleased                         // its owner has left it
	streamHead                             // the request is HEAD (client)
	streamConnect                          // the request is CONNECT (client)
)

func (s *Stream) has(f streamState) bool { return s.state&f != 0 }

func (s *Stream) begin(c *Conn, id uint32) {
	s.conn, s.id = c, id
	s.left = -1
	s.window, s.granted = firstWindow, firstWindow
	s.allowed = c.peer.window
}

// ID is the stream's id; 0 before its head was sent.
func (s *Stream) ID() uint32 { return s.id }

// Conn is the stream's connection.
func (s *Stream) Conn() *Conn { return s.conn }

// Bind has events told from now on.
func (s *Stream) Bind(events StreamEvents) { s.events = events }

// Done tells that the stream has ended in both directions, with nothing
// pending.
func (s *Stream) Done() bool { return s.has(streamClosed) }

// Pending is how many bytes of content are kept.
func (s *Stream) Pending() int { return len(s.pending) - s.at }

// Sent is how many bytes of content have left to the output.
func (s *Stream) Sent() int64 { return s.sent }

// Reset ends the stream in both directions: what is pending is dropped. No
// event follows. It does nothing to a stream that has ended.
func (s *Stream) Reset(code Code) {
	if s.has(streamClosed) {
		return
	}
	c := s.conn
	if s.id != 0 && c.isAlive() {
		if !s.has(streamInEnded) {
			c.closed.add(s.id, false)
		}
		c.sendReset(s.id, code)
	}
	s.close()
}

// Release tells that its owner is done with the stream, and will not touch it
// again: no event follows. It has to be called in the end for each, also for
// those that have closed. What was not consumed is given back to the
// connection's window. A stream whose own side is not ended is reset with
// CANCEL (client) or INTERNAL_ERROR (server). If only the peer's side is not, a
// client resets it with CANCEL at once, and a server with NO_ERROR once all that
// is pending is sent (RFC 9113 section 8.1). A peer may let that wait for ever:
// who bounds the time keeps the stream until Done, and resets it else.
func (s *Stream) Release() {
	s.events = nil
	s.state |= streamReleased
	s.conn.repay(s.unconsumed)
	s.unconsumed = 0
	switch {
	case s.has(streamClosed):
		s.conn.pool.putStream(s)
	case s.conn.has(connClient):
		s.Reset(Cancel)
	case !s.has(streamEnding | streamOutEnded):
		s.Reset(InternalError)
	case s.has(streamOutEnded):
		s.Reset(NoError)
	}
}

// fault ends a stream because of what the peer sent.
func (c *Conn) fault(s *Stream, code Code, reason string) {
	if !c.spendReset() {
		return
	}
	if !s.has(streamInEnded) {
		c.closed.add(s.id, false)
	}
	c.sendReset(s.id, code)
	s.end(&StreamError{Code: code, Reason: reason})
}

// faultOn is for what the peer sent about a stream that need not be open.
func (c *Conn) faultOn(id uint32, code Code, reason string) {
	if s := c.streams.get(id); s != nil {
		c.fault(s, code, reason)
	} else {
		c.Fail(code, reason)
	}
}

// end closes a stream and tells its owner.
func (s *Stream) end(e *StreamError) {
	events := s.events
	s.close()
	if events != nil {
		events.Reset(e)
	}
}

// endIn notes the peer's end.
func (s *Stream) endIn() {
	s.state |= streamInEnded
	s.maybeClose()
}

// endOut notes the end of this side.
func (s *Stream) endOut() {
	s.state |= streamOutEnded
	s.maybeClose()
	if s.has(streamReleased) && !s.has(streamClosed) {
		s.Reset(NoError)
	}
}

// maybeClose closes a stream that both sides have ended.
func (s *Stream) maybeClose() {
	if s.has(streamInEnded) && s.has(streamOutEnded) {
		s.conn.resets.gain(1, resetBound)
		s.close()
	}
}

// close takes the stream off its connection.
func (s *Stream) close() {
	c := s.conn
	s.leave()
	if s.id == 0 {
		c.unsentNum--
	} else {
		c.streams.remove(s)
	}
	if c.content.stream == s {
		c.content.stream = nil
	}
	s.drop()
	s.state |= streamClosed
	if s.has(streamReleased) {
		c.pool.putStream(s)
	}
}

// drop forgets what is pending.
func (s *Stream) drop() {
	s.conn.pool.putBuffer(s.pending)
	s.conn.pool.putBuffer(s.trailers)
	s.pending, s.at, s.trailers = nil, 0, nil
}
