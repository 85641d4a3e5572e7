package proxy

import (
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
)

// answer is a response of Evenkeel's own.
type answer struct {
	status int
	text   string
	count  func(*Counters) *atomic.Uint64
}

var (
	noRoute = answer{http.StatusNotFound, "no route matches this request",
		func(c *Counters) *atomic.Uint64 { return &c.NoRoute }}
	noBackend = answer{http.StatusServiceUnavailable, "no backend is available for this request",
		func(c *Counters) *atomic.Uint64 { return &c.NoBackend }}
	badGateway = answer{http.StatusBadGateway, "the backend broke off or sent no valid response",
		func(c *Counters) *atomic.Uint64 { return &c.BadGateway }}
	gatewayTimeout = answer{http.StatusGatewayTimeout, "the backend did not answer in time",
		func(c *Counters) *atomic.Uint64 { return &c.Timeout }}
	requestTimeout = answer{http.StatusRequestTimeout, "the request's body did not arrive in time", refused}
	badBody        = answer{http.StatusBadRequest, "the request's body is malformed or incomplete", refused}
	noConnect      = answer{http.StatusMethodNotAllowed, "CONNECT is not supported, this is a gateway", refused}
	noPriorHTTP2   = answer{http.StatusHTTPVersionNotSupported, "HTTP/2 is not spoken here", refused}
)

func refused(c *Counters) *atomic.Uint64 { return &c.Refused }

// write sends the answer; closing asks the client to close the connection.
func (a answer) write(w http.ResponseWriter, counters *Counters, closing bool) {
	a.count(counters).Add(1)
	body := "Evenkeel: " + a.text + ".\n"
	h := w.Header()
	clear(h)
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	if closing {
		h.Set("Connection", "close")
	}
	w.WriteHeader(a.status)
	// An error means that the client left, and nobody is owed anything then.
	_, _ = io.WriteString(w, body)
}
