package exchange

import (
	"errors"
	"io"

	"evenkeel/balancer/http1"
	"evenkeel/balancer/table"
)

var backendLimits = http1.Limits{Head: responseHead, Line: responseLine, Fields: responseFields}

// readResponse takes the head of a response, and those of interim ones before
// it.
func (x *exchange) readResponse(p []byte) int {
	x.set(answered)
	response := &x.loop.response
	n, err := response.Parse(p, &x.backend.progress, &backendLimits, x.method)
	switch {
	case err != nil:
		x.badResponse()
		return len(p)
	case n == 0:
		return 0
	case response.Status == 101:
		return x.switchProtocols(response, n, len(p))
	case response.Status < 200:
		if !x.passInterim(response) {
			return len(p)
		}
		return n
	}
	return x.respond(response, p, n)
}

// badResponse answers for a backend that sent what is no response. Its
// connection is never used again.
func (x *exchange) badResponse() {
	x.blame()
	x.fault(table.FaultProtocol)
	x.dropBackend()
	x.answer(badGateway)
}

// passInterim passes a 1xx on. A client of HTTP/1.0 knows none of them (RFC 9110
// section 15.2).
func (x *exchange) passInterim(response *http1.Response) bool {
	if x.interim++; x.interim > x.loop.bounds.Interim {
		x.badResponse()
		return false
	}
	if x.minor == 0 {
		return true
	}
	if response.Status == 100 {
		if !x.has(expects) && x.upload.Done() {
			return true // nobody waits for it any more
		}
		x.clear(expects)
		x.clientDeadline(x.settings.Body)
	}
	out := response.AppendTo(x.loop.world.Scratch(), &http1.ResponseRewrite{Via: x.settings.Via, HTTP2: x.backend.shares})
	x.client.link.Write(out, false)
	return true
}

// respond begins the response; its head is the first n bytes of p.
func (x *exchange) respond(response *http1.Response, p []byte, n int) int {
	c := x.client
	x.body.Reset(response.Framing, response.Length)
	rest := p[n:]
	k, err := x.bodyIn(rest)
	if err != nil {
		x.badResponse()
		return len(p)
	}
	x.loop.counted(x.pool, x.target, x.tries, response.Status)
	if response.Status >= 500 {
		x.set(serverError)
	}
	x.answeredAt(x.loop.now())
	w := x.closing(response)
	x.backend.keep = !response.Close
	w.Extra = x.extra(response)
	out := response.AppendTo(x.loop.world.Scratch(), w)
	x.set(headSent)
	c.counters().BytesOut.Add(uint64(k))
	if x.minor == 1 && x.body.Done() {
		x.account()
	}
	if !x.sendFirst(out, rest[:k], w.Unchunk) {
		return len(p)
	}
	return n + k + x.goOn(len(rest)-k)
}

// extra returns further field lines of a response: the date, where its backend
// left that out (RFC 9110 section 6.6.1), and the cookie that makes the client
// return.
func (x *exchange) extra(response *http1.Response) []byte {
	var lines []byte
	if _, dated := response.Field("Date"); !dated {
		lines = x.loop.world.Date()
	}
	if x.has(setCookie) {
		x.loop.extra = x.pool.AppendCookie(append(x.loop.extra[:0], lines...), x.target)
		lines = x.loop.extra
	}
	return lines
}

// closing decides how the response ends for the client: whether its connection
// goes on.
func (x *exchange) closing(response *http1.Response) *http1.ResponseRewrite {
	c := x.client
	w := &x.loop.answer
	*w = http1.ResponseRewrite{Via: x.settings.Via, HTTP2: x.backend.shares, Edits: x.routed.ResponseEdits}
	if x.minor == 0 && response.Framing == http1.FramingChunked {
		w.Unchunk = true
		x.set(unchunk)
	}
	if c.listener.Closing.Load() || w.Unchunk || response.Framing == http1.FramingClose {
		c.state |= clientLast
	}
	if x.has(expects) || !x.upload.Done() && response.Close && !x.mayDiscard() {
		c.state |= clientLast // what it may go on sending would be in the way
	}
	w.Close = c.has(clientLast)
	w.KeepAlive = x.minor == 0 && !w.Close
	return w
}

// bodyIn finds how much of p belongs to the body, without telling the body of
// it if the head has yet to be sent: a fault must be found before.
func (x *exchange) bodyIn(p []byte) (int, error) {
	if x.minor == 0 {
		ahead := x.body
		return ahead.Advance(p)
	}
	return x.body.Advance(p)
}

// sendFirst sends the head with what has come of the body, in one write if the
// latter is small.
func (x *exchange) sendFirst(out, body []byte, decode bool) bool {
	link := x.client.link
	if x.minor == 0 {
		// bodyIn looked at a copy.
		var ok bool
		if out, _, ok = x.appendBody(out, body, decode); !ok {
			return false
		}
		return x.toClient(link.Write(out, false))
	}
	if len(body) <= joinBytes {
		return x.toClient(link.Write(append(out, body...), false))
	}
	return x.toClient(link.Write(out, true) && link.Write(body, false))
}

// appendBody appends a piece of the body, decoded if the client has no chunks.
// surplus is how many bytes of p lie behind the body.
func (x *exchange) appendBody(out, p []byte, decode bool) (_ []byte, surplus int, ok bool) {
	for len(p) > 0 {
		n, payload, err := x.body.Payload(p)
		if err != nil {
			x.broken(table.FaultProtocol, resetInternal)
			return out, 0, false
		}
		if n == 0 {
			break
		}
		if decode {
			out = append(out, payload...)
		} else {
			out = append(out, p[:n]...)
		}
		p = p[n:]
	}
	return out, len(p), true
}

// toClient is false if the client cannot be written to: it left.
func (x *exchange) toClient(ok bool) bool {
	if !ok {
		c := x.client
		c.leave(nil)
		c.gone()
		c.link.Close()
	}
	return ok
}

// fromBackend takes a further piece of the body.
func (x *exchange) fromBackend(p []byte) int {
	link := x.client.link
	if x.has(unchunk) {
		out, surplus, ok := x.appendBody(x.loop.world.Scratch(), p, true)
		if !ok || !x.toClient(link.Write(out, false)) {
			return len(p)
		}
		x.client.counters().BytesOut.Add(uint64(len(out)))
		return len(p) - surplus + x.goOn(surplus)
	}
	n, err := x.body.Advance(p)
	x.client.counters().BytesOut.Add(uint64(n))
	if x.body.Done() {
		x.account()
	}
	if n > 0 && !x.toClient(link.Write(p[:n], false)) {
		return len(p)
	}
	if err != nil {
		x.broken(table.FaultProtocol, resetInternal)
		return len(p)
	}
	return n + x.goOn(len(p)-n)
}

// goOn goes on after a piece of the body was sent, behind which surplus bytes
// lie. It returns how many of those are to be thrown away.
func (x *exchange) goOn(surplus int) int {
	if x.body.Done() {
		x.finish(surplus == 0)
		return surplus
	}
	x.downloaded()
	return 0
}

// downloaded sets the deadlines while the body is under way, and holds the
// backend back if the client does not keep up.
func (x *exchange) downloaded() {
	link := x.backend.link
	if x.client.link.Buffered() > 0 {
		if !x.has(backendPaused) {
			x.set(backendPaused)
			link.Pause()
		}
		link.SetDeadline(0)
		x.client.owe()
		x.clientDeadline(x.settings.Body) // or the whole request's
		return
	}
	x.backend.deadline(x.limits.Body)
	if x.upload.Done() {
		x.clientDeadline(0)
	}
	if left := x.body.Left(); left >= relayBytes && !x.has(relaying) {
		x.set(relaying) // or it was tried
		link.Relay(x.client.link, left)
	}
}

// relayed takes in that n bytes of the body passed by.
func (x *exchange) relayed(n int64, err error) {
	x.body.Skip(n)
	x.client.counters().BytesOut.Add(uint64(n))
	switch {
	case err == nil && x.body.Done():
		x.finish(x.backend.link.Alive()) // what lies behind the body was not seen
	case err == nil:
		x.backend.deadline(x.limits.Body)
	case errors.Is(err, io.EOF):
		x.broken(table.FaultReset, resetInternal)
	default:
		x.toClient(false)
	}
}

// broken ends a response that its backend does not complete; fault is "" if that
// is this machine's. The client is told with the code, if it can be.
func (x *exchange) broken(fault string, code uint32) {
	x.blame()
	if fault != "" {
		x.fault(fault)
	}
	x.cut(code)
}

// finish ends a request whose response is complete. clean tells that nothing
// came behind it.
func (x *exchange) finish(clean bool) {
	x.account()
	x.local().Whole.Observe(x.loop.now() - x.began)
	x.pool.Succeeded(x.target, x.tries, x.loop.index)
	if x.upload.Done() {
		x.release(clean)
		return
	}
	if !clean || !x.backend.keep || x.client.has(clientLast) {
		x.discardRest()
		return
	}
	x.set(responded)
	x.backend.link.SetDeadline(0)
	x.uploaded()
}

// release gives both connections back after request and response.
func (x *exchange) release(clean bool) {
	c, conn := x.client, x.backend
	idle, most := x.limits.Idle, x.pool.Limits.IdleConnections
	x.backend, conn.x = nil, nil
	x.end()
	// What is still to go would pass for the next request's.
	conn.link.Flush(false)
	if clean && conn.keep && conn.link.Buffered() == 0 && conn.loop.keep(conn, most) {
		conn.used = true
		conn.deadline(idle)
	} else {
		conn.link.Close()
	}
	c.next()
}
