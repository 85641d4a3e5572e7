package exchange

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"evenkeel/balancer/http1"
	"evenkeel/balancer/table"
)

// What gRPC asks of a hop: answers of its own in gRPC's terms, and that a call
// ends when its caller has given it up (gRPC over HTTP2, PROTOCOL-HTTP2.md).

// callType begins the content types of calls, those of gRPC-Web included, whose
// clients read a status from the head too.
const callType = "application/grpc"

// isGRPC tells whether a request is a call.
func isGRPC(request *http1.Request) bool {
	value, _ := request.Field("Content-Type")
	return len(value) >= len(callType) && bytes.EqualFold(value[:len(callType)], []byte(callType))
}

// The codes of gRPC's status that answers have.
const (
	callUnknown          = 2
	callDeadlineExceeded = 4
	callPermissionDenied = 7
	callUnimplemented    = 12
	callInternal         = 13
	callUnavailable      = 14
	callUnauthenticated  = 16
)

// callStatus is what a status of HTTP is to calls, by gRPC's mapping
// (http-grpc-status-mapping.md), but for the 504, which says what became of the
// call: it was not done in time.
func callStatus(status int) int {
	switch status {
	case 400, 431:
		return callInternal
	case 401:
		return callUnauthenticated
	case 403:
		return callPermissionDenied
	case 404:
		return callUnimplemented
	case 408, 504:
		return callDeadlineExceeded
	case 429, 502, 503:
		return callUnavailable
	}
	return callUnknown
}

// answerCall ends a call with a response of Evenkeel's own: a head with gRPC's
// status, and nothing behind it.
func (x *exchange) answerCall(a *answer) {
	x.respondWith(200, &table.Page{}, "Content-Type: "+callType+"\r\nGrpc-Status: "+strconv.Itoa(callStatus(a.status))+
		"\r\nGrpc-Message: "+callMessage(a.text)+"\r\n")
}

// callMessage is a text as Grpc-Message has it: percent-encoded but for most of
// printable ASCII.
func callMessage(text string) string {
	out := make([]byte, 0, len(text))
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '%' {
			out = fmt.Appendf(out, "%%%02X", c)
		} else {
			out = append(out, c)
		}
	}
	return string(out)
}

// boundCall bounds the request by the time that its caller gives it, if that is
// shorter than what holds anyway. When it is over no backend is to blame.
func (x *exchange) boundCall(request *http1.Request) {
	value, ok := request.Field("Grpc-Timeout")
	if !ok {
		return
	}
	timeout, ok := callTimeout(value)
	if ok && (x.limits.Request == 0 || timeout < x.limits.Request) {
		x.limits.Request = max(timeout, 1)
		x.set(clientsTime)
	}
}

// longestCall stands for all that is longer: 146 years.
const longestCall = time.Duration(1 << 62)

// callTimeout reads a Grpc-Timeout: up to eight digits and a unit.
func callTimeout(value []byte) (timeout time.Duration, ok bool) {
	digits := len(value) - 1
	if digits < 1 || digits > 8 {
		return 0, false
	}
	n := int64(0)
	for _, c := range value[:digits] {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	var unit time.Duration
	switch value[digits] {
	case 'H':
		unit = time.Hour
	case 'M':
		unit = time.Minute
	case 'S':
		unit = time.Second
	case 'm':
		unit = time.Millisecond
	case 'u':
		unit = time.Microsecond
	case 'n':
		unit = time.Nanosecond
	default:
		return 0, false
	}
	return time.Duration(min(n, int64(longestCall/unit))) * unit, true
}
