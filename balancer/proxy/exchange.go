package proxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	"evenkeel/balancer/table"
)

// exchange is one request and its response, over as many backends as it takes
// to find one that answers a connect.
type exchange struct {
	h      *handler
	limits *limits
	in     *http.Request
	ctx    context.Context
	header http.Header // of the outgoing request
	// upgrade is the protocol that the client offers to switch to, or "".
	upgrade string
	body    *clientBody  // nil for none
	client  *clientConn  // nil without a Server
	conn    *backendConn // of the last attempt; nil until it had one
	wrote   int64        // conn.wrote when the last attempt got it
	// answered is set when the first byte of a response arrived.
	answered atomic.Bool
	// expects is set if the client waits for a 100 before it sends its body.
	expects bool
	hear    sync.Once
	first   chan struct{} // if expects: closed when it is known what the backend's first message is

	rc *http.ResponseController
	// mu guards w until the final head begins: before that, interim responses
	// are written from a goroutine of net/http's transport.
	mu        sync.Mutex
	w         http.ResponseWriter
	final     bool // the final head begins, nothing may precede it any more
	interim   int  // how many 1xx responses there were
	continued bool // the client knows that its body is wanted
	aborted   bool // the connection is of no further use
}

func newExchange(h *handler, v *view, w http.ResponseWriter, in *http.Request) *exchange {
	x := &exchange{
		h: h, limits: &h.proxy.limits, in: in, w: w,
		rc:      http.NewResponseController(w),
		client:  connOf(in.Context()),
		expects: expects(in),
	}
	if x.expects {
		x.first = make(chan struct{})
	}
	if in.ProtoAtLeast(1, 1) {
		if x.upgrade = upgradeOf(in.Header); offersH2C(x.upgrade) {
			x.upgrade = ""
		}
	}
	x.header = requestHeader(in, peerOf(in.RemoteAddr, v.trusted[h.name]), x.upgrade)
	if hasBody(in) {
		x.body = &clientBody{
			source: in.Body, client: x.rc, quiet: x.limits.stream, wanted: x.bodyWanted, count: &h.counters.BytesIn,
			over: make(chan struct{}),
		}
		// Without it net/http reads all of the body before it lets a response
		// begin. It fails only with servers of others, which then do just that.
		_ = x.rc.EnableFullDuplex()
	}
	ctx := in.Context()
	if x.client != nil && x.client.ending() {
		// The end that net/http reads, and takes for the client's leaving, is
		// what the draining listener did.
		ctx = context.WithoutCancel(ctx)
	}
	x.ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:              x.gotConn,
		GotFirstResponseByte: func() { x.answered.Store(true) },
		Got100Continue:       func() { x.sendContinue(); x.heard() },
		Got1xxResponse:       x.gotInterim,
	})
	return x
}

// verdict is what an attempt came to.
type verdict int

const (
	settled     verdict = iota // the client has its answer, or left
	unreachable                // no connect: the next backend may be tried
	stale                      // a pooled connection was closed before it was used
	lost                       // the connection died before a response began, and repeating does no harm
)

// run tries backends until one answers a connect.
func (x *exchange) run(pool *table.Pool) {
	began := time.Now()
	var tried *table.Tried
	fresh, repeats := x.limits.fresh, x.limits.repeats
	failure := noBackend
	for b := pool.Pick(nil); b != nil; b = pool.Pick(tried) {
		switch x.attempt(b) {
		case settled:
			return
		case stale:
			if fresh--; fresh > 0 {
				continue
			}
			b.Stats.Failures.Add(1)
			x.answer(badGateway)
			return
		case lost:
			failure = badGateway
			if repeats--; repeats < 0 {
				x.answer(failure)
				return
			}
		}
		if tried == nil {
			tried = new(table.Tried)
		}
		tried.Add(b)
		if tried.Len() >= x.limits.attempts || time.Since(began) >= x.limits.connectAll {
			break
		}
	}
	x.answer(failure)
}

// attempt sends the request to one backend and, if that can be reached, the
// response to the client.
func (x *exchange) attempt(b *table.Backend) verdict {
	b.Stats.InFlight.Add(1)
	defer b.Stats.InFlight.Add(-1)
	b.Stats.Requests.Add(1)
	up := x.h.proxy.upstream(b)
	defer up.released()
	x.conn = nil
	response, err := up.transport.RoundTrip(x.outgoing(b))
	if err != nil {
		return x.judge(b, err)
	}
	x.relay(b, response)
	return settled
}

// outgoing makes a new request for each attempt, since the transport may hold
// on to the last one for a moment. They share their header, which nobody
// changes.
func (x *exchange) outgoing(b *table.Backend) *http.Request {
	out := &http.Request{
		Method: x.in.Method,
		URL:    outgoingURL(x.in, b.Address),
		Host:   x.in.Host,
		Header: x.header,
		Proto:  "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if x.body != nil {
		out.Body = x.body
		out.GetBody = x.body.again
		out.ContentLength = x.in.ContentLength
		out.Trailer = x.in.Trailer // filled in when the body's end is read
	}
	return out.WithContext(x.ctx)
}

// judge decides what becomes of a request that got no response, and whose
// fault that is.
func (x *exchange) judge(b *table.Backend, err error) verdict {
	var dial *dialError
	var slow net.Error
	isSlow := errors.As(err, &slow) && slow.Timeout()
	switch {
	case x.body.isLate():
		x.answer(requestTimeout)
	case x.ctx.Err() != nil:
		x.leave()
	case errors.As(err, &dial):
		return unreachable
	case x.body.isBroken():
		x.answer(badBody)
	case x.conn != nil && x.conn.wrote.Load() == x.wrote && !x.body.isTouched():
		return stale
	default:
		b.Stats.Failures.Add(1)
		switch {
		case isSlow:
			x.answer(gatewayTimeout)
		case !x.answered.Load() && x.isSafe():
			return lost
		default:
			x.answer(badGateway)
		}
	}
	return settled
}

// isSafe tells whether the request may be sent to a second backend although the
// first may have acted on it (RFC 9110 section 9.2.1).
func (x *exchange) isSafe() bool {
	switch x.in.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return x.body == nil
	}
	return false
}

// answer sends a response of Evenkeel's own instead of a backend's.
func (x *exchange) answer(a answer) {
	x.beginFinal()
	a.write(x.w, x.h.counters, x.mustClose())
}

// leave ends an exchange whose client is gone.
func (x *exchange) leave() {
	x.h.counters.ClientLeft.Add(1)
	x.abort()
}

// abort closes the client's connection, which is how it learns that what it
// got is not all.
func (x *exchange) abort() {
	x.aborted = true
	panic(http.ErrAbortHandler)
}

// finish ends what the exchange may have left under way at the client's side.
func (x *exchange) finish() {
	x.beginFinal()
	linger := x.limits.linger
	if x.aborted {
		linger = 0
	}
	x.body.stop(linger)
}

// mustClose tells whether this response is the last on its connection: the
// listener ends, or the rest of the request would be in the way.
func (x *exchange) mustClose() bool { return x.h.closing.Load() || !x.body.isWhole() }

// beginFinal makes w the handler's alone.
func (x *exchange) beginFinal() {
	defer x.heard()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.final = true
}

// gotConn is called by the transport, in the goroutine of RoundTrip.
func (x *exchange) gotConn(info httptrace.GotConnInfo) {
	x.conn = info.Conn.(*backendConn)
	x.wrote = x.conn.wrote.Load()
}
