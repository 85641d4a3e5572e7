package exchange

import (
	"strconv"
	"sync/atomic"

	"evenkeel/balancer/http1"
)

// answer is a response of Evenkeel's own.
type answer struct {
	status int
	reason string // of the status line
	text   string
	count  func(*Counters) *atomic.Uint64
	fields string // further ones, as lines
}

var (
	noRoute = &answer{status: 404, reason: "Not Found", text: "no route matches this request",
		count: func(c *Counters) *atomic.Uint64 { return &c.NoRoute }}
	misdirected = &answer{status: 421, reason: "Misdirected Request", text: "the connection is for a server name whose routes do not take this request",
		count: func(c *Counters) *atomic.Uint64 { return &c.NoRoute }}
	noBackend = &answer{status: 503, reason: "Service Unavailable", text: "no backend is available for this request",
		count: func(c *Counters) *atomic.Uint64 { return &c.NoBackend }}
	badGateway = &answer{status: 502, reason: "Bad Gateway", text: "the backend broke off or sent no valid response",
		count: func(c *Counters) *atomic.Uint64 { return &c.BadGateway }}
	gatewayTimeout = &answer{status: 504, reason: "Gateway Timeout", text: "the backend did not answer in time",
		count: func(c *Counters) *atomic.Uint64 { return &c.Timeout }}
	headTimeout = refusal(408, "the request's head did not arrive in time")
	bodyTimeout = refusal(408, "the request's body did not arrive in time")
	badBody     = refusal(400, "the request's body is malformed or incomplete")
	badHead     = refusal(400, "the request is incomplete")
	badPath     = refusal(400, "the path is not correctly escaped")
	longTarget  = refusal(414, "the path is too long once it is rewritten")
	forbidden   = refusal(403, "this client may not use this route")
	noConnect   = &answer{status: 405, reason: "Method Not Allowed", text: "CONNECT is not supported, this is a gateway", count: refused,
		fields: allowed}
	noTrace = &answer{status: 405, reason: "Method Not Allowed", text: "this hop is the last that Max-Forwards allows, and traces nothing", count: refused,
		fields: "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n"}
)

// allowed is the field that a 405 must have: RFC 9110 section 15.5.6.
const allowed = "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, TRACE, PATCH\r\n"

func refused(c *Counters) *atomic.Uint64 { return &c.Refused }

// refusal is the answer to a request with a fault.
func refusal(status int, text string) *answer {
	reason := map[int]string{
		400: "Bad Request", 403: "Forbidden", 408: "Request Timeout", 414: "URI Too Long", 431: "Request Header Fields Too Large",
	}[status]
	return &answer{status: status, reason: reason, text: text, count: refused}
}

const (
	answerType             = "text/plain; charset=utf-8"
	beforeText, behindText = "Evenkeel: ", ".\n"
)

func (a *answer) body() []byte { return []byte(beforeText + a.text + behindText) }

// appendTo writes the answer behind the version, with a Date line. A response to
// HEAD has the head alone.
func (a *answer) appendTo(dst, date []byte, head, closing, old bool) []byte {
	dst = strconv.AppendInt(dst, int64(a.status), 10)
	dst = append(dst, ' ')
	dst = append(dst, a.reason...)
	dst = append(dst, "\r\nContent-Type: "+answerType+"\r\n"+noStore+"Content-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(beforeText)+len(a.text)+len(behindText)), 10)
	dst = append(dst, "\r\n"...)
	dst = append(dst, a.fields...)
	dst = append(dst, date...)
	switch {
	case closing:
		dst = append(dst, "Connection: close\r\n"...)
	case old: // a client of HTTP/1.0 that asked for it
		dst = append(dst, "Connection: keep-alive\r\n"...)
	}
	dst = append(dst, "\r\n"...)
	if head {
		return dst
	}
	dst = append(dst, beforeText...)
	dst = append(dst, a.text...)
	return append(dst, behindText...)
}

// answer ends the request with a response of Evenkeel's own.
func (x *exchange) answer(a *answer) {
	c := x.client
	if a == noConnect {
		c.state |= clientLast
	}
	a.count(c.counters()).Add(1)
	if x.has(grpc) {
		x.answerCall(a)
		return
	}
	if x.answerAsRouted(a) {
		return
	}
	closing := x.closeBefore()
	out := append(x.loop.world.Scratch(), "HTTP/1.1 "...)
	x.deliver(a.appendTo(out, x.loop.world.Date(), x.method == http1.HEAD, closing, x.minor == 0))
}

// closeBefore tells whether a response without a backend's is the last on its
// connection.
func (x *exchange) closeBefore() bool {
	c := x.client
	if c.listener.Closing.Load() {
		c.state |= clientLast
	}
	if !x.upload.Done() && !x.mayDiscard() {
		c.state |= clientLast
	}
	return c.has(clientLast)
}

// deliver ends the request with a response that is whole.
func (x *exchange) deliver(out []byte) {
	c := x.client
	x.account()
	c.link.Write(out, false)
	if x.upload.Done() || c.has(clientLast) {
		x.end()
		c.next()
		return
	}
	x.discardRest()
}
