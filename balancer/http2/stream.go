package http2

// Stream is one request and its response.
type Stream struct{}

// ID is the stream's id; 0 before its head was sent.
func (s *Stream) ID() uint32 { panic("soon") }

// Conn is the stream's connection.
func (s *Stream) Conn() *Conn { panic("soon") }

// Bind has events told from now on.
func (s *Stream) Bind(events StreamEvents) { panic("soon") }

// SendHead sends a head: of the request (client), of a response or an interim one (server). end: nothing follows.
// Like the other methods that send, it returns false once the stream cannot be sent on any more:
// after a reset, or after the end was sent.
func (s *Stream) SendHead(head *Head, end bool) bool { panic("soon") }

// SendData sends content, or keeps a copy of what cannot leave yet. end: nothing follows; p may be empty then.
func (s *Stream) SendData(p []byte, end bool) bool { panic("soon") }

// SendTrailers sends fields after the content, and the end.
func (s *Stream) SendTrailers(fields []Field) bool { panic("soon") }

// Pending is how many bytes of content are kept.
func (s *Stream) Pending() int { panic("soon") }

// Sent is how many bytes of content have left to the output.
func (s *Stream) Sent() int64 { panic("soon") }

// Consumed gives n bytes of those that Data gave back to the windows. What was not given back by the time that
// the stream ends is given back to the connection's then.
func (s *Stream) Consumed(n int) { panic("soon") }

// Reset ends the stream in both directions: what is pending is dropped. No event follows. It does nothing to
// a stream that has ended.
func (s *Stream) Reset(code Code) { panic("soon") }

// Done tells that the stream has ended in both directions, with nothing pending.
func (s *Stream) Done() bool { panic("soon") }

// Release tells that its owner is done with the stream, and will not touch it again: no event follows. What is pending is
// still sent. One whose own side is not ended is reset with CANCEL (client) or INTERNAL_ERROR (server); if only the
// peer's is not, the rest of that is refused with NO_ERROR (server, RFC 9113 section 8.1) or CANCEL once all is sent.
func (s *Stream) Release() { panic("soon") }
