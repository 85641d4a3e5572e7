package streams

import (
	"net/netip"

	"evenkeel/balancer/exchange"
	"evenkeel/balancer/http1"
	"evenkeel/balancer/http2"
)

// stream is a stream of a client's connection, which is the link of an
// [exchange.Client]. It is used again for later ones of its loop.
type stream struct {
	flow
	server *Server
	client *exchange.Client
	method http1.Method
	key    [websocketKey]byte // that the backend of a WebSocket has to answer to
	place  int                // among the server's
}

// ClientSubject implements [exchange.Secured].
func (c *stream) ClientSubject() string { return c.server.subject }

// ServerName implements [exchange.Secured].
func (c *stream) ServerName() string { return c.server.name }

// Private implements [exchange.Sharing].
func (c *stream) Private() *exchange.Private { return &c.server.private }

// takeStream returns a link for a new stream of a server.
func (l *Loop) takeStream(s *Server) *stream {
	if last := len(l.freeStreams) - 1; last >= 0 {
		c := l.freeStreams[last]
		l.freeStreams[last], l.freeStreams = nil, l.freeStreams[:last]
		c.server, c.owner = s, s
		c.client.Renew(s.listener, s.peer)
		return c
	}
	c := &stream{server: s}
	c.loop, c.owner, c.self = l, s, c
	c.client = l.Exchanges.NewStream(c, s.listener, s.peer)
	c.events = c.client
	return c
}

// freeMost is how many unused streams a loop keeps for later.
const freeMost = 1024

// giveStream takes one back that nobody refers to any more.
func (l *Loop) giveStream(c *stream) {
	if len(l.freeStreams) == freeMost {
		return
	}
	in := c.in[:0]
	if cap(in) > keptIn {
		in = nil
	}
	out := c.out
	out.reset()
	c.flow = flow{loop: l, self: c, events: c.client, in: in, out: out}
	c.server, c.method = nil, 0
	l.freeStreams = append(l.freeStreams, c)
}

// request gives the exchange the request's head.
func (c *stream) request(head *http2.Head, end bool) {
	if head.TooLarge {
		c.client.TooLarge()
		return
	}
	c.method = http1.MethodOf(head.Method)
	if len(head.Protocol) > 0 && c.method == http1.CONNECT {
		c.extend(head)
	}
	if end {
		c.set(peerEnded | endDue)
	}
	l := c.loop
	l.text = c.appendHead(l.text[:0], head, end)
	c.deliver(l.text, 0)
}

// Head is for responses.
func (c *stream) Head(*http2.Head, bool) {}

// Data is content of the request.
func (c *stream) Data(p []byte, end bool) {
	if end {
		c.set(peerEnded | endDue)
	}
	c.take(p, end)
}

// Trailers end the request.
func (c *stream) Trailers(fields []http2.Field) {
	c.set(peerEnded | endDue)
	c.takeTrailers(fields)
}

// Reset is the stream's end before its time: by the client, by what it did
// wrong, or with the connection. What it had sent is of no use any more, as
// nobody waits for an answer.
func (c *stream) Reset(e *http2.StreamError) {
	if c.has(closed) {
		return
	}
	c.set(closed)
	code := e.Code
	if c.server.has(broken) {
		code = http2.Cancel
	}
	c.events.Failed(&exchange.ResetError{Code: uint32(code)})
	c.leave()
}

// Drained tells that the client took what was held back.
func (c *stream) Drained() {
	if !c.has(closed) {
		c.events.Drained()
	}
}

// leave gives the stream back once the exchange is done with it.
func (c *stream) leave() {
	c.stream.Release()
	c.stream = nil
	c.server.left = append(c.server.left, c)
	c.server.Flush()
}

// Write takes the bytes of the response.
func (c *stream) Write(p []byte, _ bool) bool {
	if c.has(closed) {
		return false
	}
	for !c.has(headSent) {
		n, head := c.readHead(p)
		if n == 0 {
			return false
		}
		p = p[n:]
		if head.Status >= 200 {
			c.set(headSent)
			return c.send(head, p)
		}
		if !c.stream.SendHead(head, false) {
			return false
		}
		if len(p) == 0 {
			return true
		}
	}
	return c.send(nil, p)
}

// Sent is how many bytes of the response have left.
func (c *stream) Sent() int64 {
	if c.stream == nil {
		return 0
	}
	return c.stream.Sent()
}

// Ends implements [exchange.Ended], as far as the connection's link knows.
func (c *stream) Ends() (source, destination netip.AddrPort) {
	if known, ok := c.server.link.(exchange.Ended); ok {
		return known.Ends()
	}
	return source, destination
}

// Alive tells whether the client still waits.
func (c *stream) Alive() bool { return !c.has(closed) }

// SetDeadline has Expired called at a time; 0: never.
func (c *stream) SetDeadline(at int64) {
	if c.deadline = at; !c.has(closed) {
		c.server.wake(at)
	}
}

// Close ends the stream behind what was written.
func (c *stream) Close() {
	if c.has(closed) {
		return
	}
	c.CloseWrite()
	c.set(closed)
	c.leave()
}

// Abort resets the stream.
func (c *stream) Abort(code uint32) {
	if c.has(closed) {
		return
	}
	c.set(closed)
	c.stream.Reset(http2.Code(code))
	c.leave()
}
