// Package http2 is the HTTP/2 connection (RFC 9113, RFC 7541, RFC 8441) without
// I/O, in both roles: bytes in, heads, data and ends of streams out, and the
// other way round.
//
// A [Conn] owns frames, header compression, stream states, flow control in both
// directions, the order in which streams send, and the bounds on what a peer
// may ask for. It refuses to own sockets, clocks, threads, what a request is
// routed by, and what its fields mean beyond what RFC 9113 makes of them.
//
// Bytes that were read go to [Conn.Receive], which calls [Events] and
// [StreamEvents]. What is to be sent gathers in one buffer, and the owner of the
// connection writes that once per batch of events:
//
//	func (o *owner) Flush() { o.world.Later(o) } // of Events
//
//	func (o *owner) Run() {
//		for o.link.Buffered() == 0 { // else again when it has drained
//			out := o.conn.Output()
//			if len(out) == 0 {
//				break
//			}
//			o.link.Write(out, false)
//			o.conn.Written()
//		}
//	}
//
// Data that flow control or the bound on that buffer does not let out is kept
// per stream, and goes out a frame of each in turn. Receive windows are given
// back as the owner of a stream consumes, so who is slow holds the peer up and
// nobody else.
//
// A fault of a stream ends that stream. A fault of the connection ends all:
// Receive returns it, the output ends with a GOAWAY, and the owner closes once
// that is written. What is malformed is told by RFC 9113 section 8; so are names
// that are no token and values with control characters, because they could not be
// written as HTTP/1.1. What costs this side more than the peer is bounded, see
// calm.go; the rates are by the time that the owner says.
//
// Where the RFCs leave a choice, it is this:
//
//   - Field sections are sent without a dynamic table and without Huffman's code.
//     A response head of eight fields takes a fifth of the time that
//     golang.org/x/net's encoder needs, and 150 bytes more.
//   - Frames are taken and sent up to 16,384 bytes, whatever the peer takes.
//   - Nothing is pushed, and priorities are checked and then ignored.
//   - Two equal Content-Length or Host fields are refused like two different ones.
//   - A head beyond the bounds is given to a server's owner all the same, who can
//     answer 431; one several times as large ends the connection.
//
// Nothing here allocates per request once a connection has seen some, but for
// fields that a peer sends as new literals; nothing is safe for concurrent use.
package http2
