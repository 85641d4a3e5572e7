package proxy

import (
	"errors"
	"net/http"
	"net/textproto"
)

var errTooManyInterim = errors.New("too many interim responses")

// gotInterim passes a 1xx response on; the transport calls it from a goroutine
// of its own. 100 has its own way, and a client of HTTP/1.0 knows none of them
// (RFC 9110 section 15.2).
func (x *exchange) gotInterim(code int, header textproto.MIMEHeader) error {
	x.heard()
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

// expects tells whether the client waits for a 100 before it sends its body.
func expects(in *http.Request) bool {
	return hasBody(in) && in.ProtoAtLeast(1, 1) && hasToken(in.Header["Expect"], "100-continue")
}

// heard notes that the backend's first message is known for what it is.
func (x *exchange) heard() {
	if x.expects {
		x.hear.Do(func() { close(x.first) })
	}
}

// bodyWanted is called before the body's first byte is read, and returns when
// it may be. The transport reads it when the backend asks, when it no longer
// waits for that, and also after a final answer: sending it keeps its
// connection usable. That is no reason to make a client send what was refused
// (RFC 9110 section 10.1.1), so then the body waits for the exchange's end.
func (x *exchange) bodyWanted() error {
	if !x.expects {
		return nil
	}
	if x.answered.Load() { // what came, the transport tells in a moment
		select {
		case <-x.first:
		case <-x.body.over:
			return errBodyStopped
		}
	}
	if !x.sendContinue() {
		<-x.body.over
		return errBodyStopped
	}
	return nil
}

// sendContinue tells a client that waits for it to send its body, and reports
// whether the client was told. net/http's server would do it at the first read,
// but without regard to what else is written at that moment.
func (x *exchange) sendContinue() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.expects && !x.continued && !x.final {
		x.continued = true
		x.w.WriteHeader(http.StatusContinue)
	}
	return x.continued
}
