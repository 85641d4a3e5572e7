package streams

import (
	"evenkeel/balancer/exchange"
	"evenkeel/balancer/http1"
	"evenkeel/balancer/http2"
)

// lane is the link of an [exchange.Backend] to a backend of HTTP/2. It carries
// one request after the other, each as a stream of a connection that then has
// room. Between requests it belongs to no connection, and is alive as long as
// there is room on one.
type lane struct {
	flow
	up       *upstream
	on       *backendConn // that has the stream, nil without one
	method   http1.Method // of the request
	sent     int64        // what was written, over the lane's life
	began    int64        // when the request was
	place    int          // among the upstream's
	protocol []byte       // of an extended CONNECT
	key      []byte       // of a WebSocket's client
}

func (l *Loop) takeLane(u *upstream, events exchange.Events) *lane {
	var c *lane
	if last := len(l.freeLanes) - 1; last >= 0 {
		c = l.freeLanes[last]
		l.freeLanes[last], l.freeLanes = nil, l.freeLanes[:last]
	} else {
		c = new(lane)
		c.loop, c.self = l, c
	}
	c.up, c.events, c.owner = u, events, u
	return c
}

// giveLane takes one back that nobody refers to any more.
func (l *Loop) giveLane(c *lane) {
	if len(l.freeLanes) == freeMost {
		return
	}
	out := c.out
	out.reset()
	*c = lane{flow: flow{loop: l, self: c, out: out}, protocol: c.protocol[:0], key: c.key[:0]}
	l.freeLanes = append(l.freeLanes, c)
}

// begin opens a stream for a request on a connection with room, and tells
// whether there was one.
func (l *lane) begin() bool {
	on := l.up.roomy()
	if on == nil {
		return false
	}
	stream := on.conn.Open(l)
	if stream == nil {
		return false
	}
	l.renew()
	l.stream, l.on = stream, on
	l.began = l.loop.now()
	return true
}

// release gives the stream back, after which the lane is ready for the next
// request.
func (l *lane) release() {
	if l.stream == nil {
		return
	}
	l.stream.Release()
	l.stream, l.on = nil, nil
	l.up.freed()
}

// isWhole tells whether request and response are there, to their ends.
func (l *lane) isWhole() bool { return l.has(peerEnded) && l.has(endSent) }

// Head is the head of a response.
func (l *lane) Head(head *http2.Head, end bool) {
	text := l.loop.text[:0]
	switch {
	case l.has(closed):
		return
	case head.TooLarge || head.Status > 599:
		text = append(text, "malformed\r\n"...) // which the exchange makes a 502
	case l.has(extended) && head.Status >= 200 && head.Status < 300:
		l.set(tunnel)
		text = l.appendSwitch(text, head)
	default:
		text = l.appendResponse(text, head, end)
	}
	if l.loop.text = text; end {
		l.finished(head.Length > 0 && !l.has(bodiless))
	}
	l.deliver(text, 0)
}

// finished notes that the response is there, to its end. Of one that was to have
// more the exchange is told as of a connection that ended.
func (l *lane) finished(short bool) {
	l.set(peerEnded)
	if l.has(tunnel) || short {
		l.set(endDue)
	}
	if l.has(endSent) && !l.has(paused) && len(l.in) == 0 {
		l.release()
	}
}

// Data is content of the response.
func (l *lane) Data(p []byte, end bool) {
	if end {
		l.finished(false)
	}
	l.take(p, end)
}

// Trailers end the response.
func (l *lane) Trailers(fields []http2.Field) {
	l.finished(false)
	l.takeTrailers(fields)
}

// Reset is the stream's end before its time. What arrived before is given first,
// and if that is all of the response, nothing is lost: the backend just wants no
// more of the request.
func (l *lane) Reset(e *http2.StreamError) {
	err := l.failureOf(e)
	l.stream.Release()
	l.stream, l.on = nil, nil
	l.up.freed()
	switch {
	case l.has(closed):
	case l.has(peerEnded):
		if !l.has(endSent) {
			l.set(endSent)
			l.events.Drained()
		}
	default:
		l.failure = err
		if len(l.in) == 0 {
			l.clear(paused) // it waits for nothing else
			l.tellEnd()
		}
	}
}

func (l *lane) failureOf(e *http2.StreamError) error {
	switch {
	case e.Unprocessed:
		return &exchange.UnprocessedError{Refused: e.Code == http2.RefusedStream}
	case l.on != nil && l.on.err != nil:
		return l.on.err
	}
	return &exchange.ResetError{Code: uint32(e.Code)}
}

// Drained tells that the backend took what was held back.
func (l *lane) Drained() {
	if !l.has(closed) {
		l.events.Drained()
	}
}

// leave gives the lane back once the exchange is done with it.
func (l *lane) leave() {
	l.up.left = append(l.up.left, l)
	l.up.Flush()
}

// Write takes the bytes of a request.
func (l *lane) Write(p []byte, _ bool) bool {
	if l.has(closed) {
		return false
	}
	if l.stream == nil && (l.has(headSent) && !l.isWhole() || !l.begin()) {
		return false // it was reset, or there is no room
	}
	whole := p
	var head *http2.Head
	if !l.has(headSent) {
		var n int
		if n, head = l.readHead(p); n == 0 {
			return false
		}
		l.set(headSent)
		p = p[n:]
	}
	if !l.send(head, p) {
		return false
	}
	l.sent += int64(len(whole))
	if l.isWhole() && len(l.in) == 0 {
		l.release()
	}
	return true
}

// Sent is how many bytes have left.
func (l *lane) Sent() int64 { return l.sent - int64(l.Buffered()) }

// Alive tells whether a request may begin.
func (l *lane) Alive() bool { return !l.has(closed) && l.stream == nil && l.up.roomy() != nil }

// SetDeadline has Expired called at a time; 0: never.
func (l *lane) SetDeadline(at int64) {
	if l.deadline = at; !l.has(closed) {
		l.up.wake(at)
	}
}

// expired is the deadline. Who waits for room blames nobody.
func (l *lane) expired() {
	l.deadline = 0
	if l.has(waiting) && l.up.isUp() {
		l.fail(ErrNoRoom)
		return
	}
	l.events.Expired()
}

// fail tells of a failure, after which the link is closed.
func (l *lane) fail(err error) {
	if l.has(closed) {
		return
	}
	l.set(closed)
	l.events.Failed(err)
	l.leave()
}

// Close ends the stream, behind what was written if that is the whole message.
func (l *lane) Close() { l.end(http2.NoError) }

// Abort resets it.
func (l *lane) Abort(code uint32) { l.end(http2.Code(code)) }

func (l *lane) end(code http2.Code) {
	if l.has(closed) {
		return
	}
	l.set(closed)
	if l.stream != nil {
		if !l.has(peerEnded) {
			l.on.unanswered(l.began)
		}
		if code != http2.NoError {
			l.stream.Reset(code)
		}
		l.release()
	}
	l.leave()
}
