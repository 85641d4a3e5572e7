package http2

// Events are what a connection tells its owner. All but Flush come from within
// [Conn.Receive].
type Events interface {
	// Flush tells that there is output again, once until [Conn.Output] is called.
	// It may come from within any method that sends, and must not call back: the
	// owner notes that it has to write at the end of this batch of events.
	Flush()
	// Request is a new stream of a client, on a server's connection only. The
	// handler binds it, or answers and releases it; one that is neither bound nor
	// released nor reset when it returns is reset with REFUSED_STREAM. end: there
	// is no content.
	Request(s *Stream, head *Head, end bool)
	// GoAway is the peer's GOAWAY. Streams of this side above last were told
	// before, see [StreamError], and [Conn.Capacity] is 0 from then on. debug is
	// valid during the call.
	GoAway(last uint32, code Code, debug []byte)
}

// StreamEvents are what a stream tells whom it is bound to. They come from
// within [Conn.Receive], but for Drained, which comes from within [Conn.Output],
// and Reset, which [Conn.Fail] and [Conn.Lost] cause too. Handlers may call all
// methods of streams and their connections but Receive, Output and Written.
// After [Stream.Release] no event follows.
type StreamEvents interface {
	// Head is the head of a response, on a client's connection only; one with a
	// status below 200 is interim, and another follows. end: there is no content.
	Head(head *Head, end bool)
	// Data is content as it comes in; a frame may arrive in several pieces. p is
	// valid during the call, and may be empty with end, which tells that the peer
	// has sent all. Its bytes are off the windows until [Stream.Consumed].
	Data(p []byte, end bool)
	// Trailers are the fields after the content, and the end.
	Trailers(fields []Field)
	// Reset tells that the stream is gone in both directions, and is the last
	// event. It may come after the end of a response, whose server takes no more
	// of the request: with NO_ERROR (RFC 9113 section 8.1). e is valid during the
	// call.
	Reset(e *StreamError)
	// Drained tells that of a stream that had pending bytes none is left.
	Drained()
}

// Head is the head of a request or a response. What it holds is valid during
// the event or the call that it is given to, and must not be changed.
type Head struct {
	// Of a request. Absent pseudo-fields are empty. Authority is Host if the peer
	// sent only that. Protocol is that of an extended CONNECT (RFC 8441).
	Method, Scheme, Authority, Path, Protocol []byte
	// Of a response: 100 to 999 but not 101, which HTTP/2 has not.
	Status int
	// The other fields in their order, Host and Content-Length too. Names that come
	// in are in lower case; names that go out are made so. Fields that are for an
	// HTTP/1 connection never come in, and are not to be sent. Cookie may come in
	// several fields (RFC 9113 section 8.2.3).
	Fields []Field
	// Length is Content-Length as it came in, -1 if there is none. It is of no
	// concern when sending, where the field counts.
	Length int64
	// TooLarge: the head was beyond the bounds of [Config], and what is here is a
	// part of it. A server may answer 431.
	TooLarge bool
}

// Field is one field line.
type Field struct{ Name, Value []byte }
