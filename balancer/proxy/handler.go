package proxy

import (
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"evenkeel/balancer/table"
)

// handler answers the requests of one listener.
type handler struct {
	proxy    *Proxy
	name     string
	counters *Counters
	// closing makes each response ask for the connection to be closed.
	closing atomic.Bool
	// active is the number of requests under way at this socket; the listener's
	// counters may cover an older socket too.
	active atomic.Int64
}

func newHandler(p *Proxy, listener string, counters *Counters) *handler {
	return &handler{proxy: p, name: listener, counters: counters}
}

// Handler returns what serves the requests of the listener of that name, for
// programs that bring their own server.
func (p *Proxy) Handler(listener string, counters *Counters) http.Handler {
	return newHandler(p, listener, counters)
}

// ServeHTTP implements [http.Handler].
func (h *handler) ServeHTTP(w http.ResponseWriter, in *http.Request) {
	h.counters.Requests.Add(1)
	h.counters.Active.Add(1)
	h.active.Add(1)
	defer h.done()
	defer h.contain(in)
	h.serve(w, in)
}

func (h *handler) done() {
	h.counters.Active.Add(-1)
	h.active.Add(-1)
}

// contain turns a panic into the end of this one connection.
func (h *handler) contain(in *http.Request) {
	switch fault := recover(); fault {
	case nil:
	case http.ErrAbortHandler:
		panic(fault) // ours: net/http closes the connection without a word
	default:
		h.counters.Panics.Add(1)
		h.proxy.config.Logger.Error("request met a bug", "listener", h.name, "method", in.Method,
			"host", in.Host, "path", in.URL.Path, "panic", fault, "stack", string(debug.Stack()))
		panic(http.ErrAbortHandler)
	}
}

func (h *handler) serve(w http.ResponseWriter, in *http.Request) {
	view := h.proxy.view.Load()
	switch {
	case in.Method == http.MethodConnect:
		h.refuse(w, in, noConnect)
		return
	case isPreface(in):
		h.refuse(w, in, noPriorHTTP2)
		return
	}
	route := view.table.Route(&table.Request{Listener: h.name, Host: in.Host, Path: routingPath(in.URL)})
	if route == nil {
		h.refuse(w, in, noRoute)
		return
	}
	pool := view.table.Pool(route)
	if pool == nil || pool.Eligible() == 0 {
		h.refuse(w, in, noBackend)
		return
	}
	x := newExchange(h, view, w, in)
	defer x.finish()
	x.run(pool)
}

// isPreface tells whether a client opened the connection in HTTP/2 (RFC 9113
// section 3.4). A net/http server that does not speak it hands the preface over
// as a request; what follows on the connection is none.
func isPreface(in *http.Request) bool { return in.Method == "PRI" && in.RequestURI == "*" }

// refuse answers a request that goes to no backend. net/http reads a small body
// to its end first, to keep the connection usable; a client that does not send
// it must not hold that up for ever.
func (h *handler) refuse(w http.ResponseWriter, in *http.Request, a answer) {
	if in.ContentLength != 0 {
		// It fails on a closed connection only, where no answer arrives either.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(h.proxy.limits.linger))
	}
	a.write(w, h.counters, h.closing.Load() || in.Method == http.MethodConnect || isPreface(in))
}
