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
}

var (
	noRoute = &answer{404, "Not Found", "no route matches this request",
		func(c *Counters) *atomic.Uint64 { return &c.NoRoute }}
	noBackend = &answer{503, "Service Unavailable", "no backend is available for this request",
		func(c *Counters) *atomic.Uint64 { return &c.NoBackend }}
	badGateway = &answer{502, "Bad Gateway", "the backend broke off or sent no valid response",
		func(c *Counters) *atomic.Uint64 { return &c.BadGateway }}
	gatewayTimeout = &answer{504, "Gateway Timeout", "the backend did not answer in time",
		func(c *Counters) *atomic.Uint64 { return &c.Timeout }}
	headTimeout = &answer{408, "Request Timeout", "the request's head did not arrive in time", refused}
	bodyTimeout = &answer{408, "Request Timeout", "the request's body did not arrive in time", refused}
	badBody     = &answer{400, "Bad Request", "the request's body is malformed or incomplete", refused}
	badHead     = &answer{400, "Bad Request", "the request is incomplete", refused}
	badPath     = &answer{400, "Bad Request", "the path is not correctly escaped", refused}
	longTarget  = &answer{414, "URI Too Long", "the path is too long once it is rewritten", refused}
	forbidden   = &answer{403, "Forbidden", "this client may not use this route", refused}
	noConnect   = &answer{405, "Method Not Allowed", "CONNECT is not supported, this is a gateway", refused}
)

func refused(c *Counters) *atomic.Uint64 { return &c.Refused }

// refusals are the answers to requests with a fault, by its status.
func refusal(f *http1.Fault) *answer {
	reason := "Bad Request"
	switch f.Status {
	case 414:
		reason = "URI Too Long"
	case 431:
		reason = "Request Header Fields Too Large"
	}
	return &answer{f.Status, reason, f.Reason, refused}
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
