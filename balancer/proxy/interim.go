package proxy

import (
	"errors"
	"net/http"
	"net/textproto"
)

var (
	errTooManyInterim = errors.New("too many interim responses")
	errNotWanted      = errors.New("the request was answered without its body")
)

// gotInterim passes a 1xx response on; the transport calls it from a goroutine
// of its own. 100 has its own way, and a client of HTTP/1.0 knows none of them
// (RFC 9110 section 15.2).
func (x *exchange) gotInterim(code int, header textproto.MIMEHeader) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.interim++; x.interim > x.limits.interim {
		return errTooManyInterim
	}
	if x.final || code == http.StatusContinue || !x.in.ProtoAtLeast(1, 1) {
		return nil
	}
	h := x.w.Header()
	copyResponseHeader(h, http.Header(header))
	x.w.WriteHeader(code)
	clear(h)
	return nil
}

// sendContinue tells a client that waits for it to send its body: when the
// backend says so, or when the transport no longer waits for that. net/http's
// server would do it at the first read, but without regard to what else is
// written at that moment.
func (x *exchange) sendContinue() error {
	if !hasToken(x.in.Header["Expect"], "100-continue") || !x.in.ProtoAtLeast(1, 1) || x.body == nil {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.continued:
	case x.final:
		return errNotWanted
	default:
		x.continued = true
		x.w.WriteHeader(http.StatusContinue)
	}
	return nil
}
