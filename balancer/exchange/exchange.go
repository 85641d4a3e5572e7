package exchange

import (
	"time"

	"evenkeel/balancer/http1"
	"evenkeel/balancer/table"
)

// exchange is one request and its response, over as many backends as it takes
// to find one that answers. It is used again for later requests of its loop.
type exchange struct {
	seeker
	client   *Client
	settings *Settings
	routed   *table.Route   // nil if none matched
	copies   *table.Pool    // where a copy is still to go, nil if nowhere
	copyTo   *table.Backend // of that pool
	backend  *Backend       // the present attempt's connection, nil between attempts
	limits   table.PoolTimeouts

	method http1.Method
	minor  uint8
	upload http1.Body // what is still to come of the request's body
	body   http1.Body // and of the response's
	// request is what has to be sent to a backend, from its head on, as long as
	// replay is set.
	request []byte
	offer   []byte // the protocols that the client offers to switch to
	whole   int64  // when the whole request has to be done; 0: never
	fresh   int8   // how often a connection was closed before it was used
	repeats int8
	interim int8
	failure *answer // if no backend is left
	state   exchangeState
}

// exchangeState is a set of flags.
type exchangeState uint32

const (
	replay        exchangeState = 1 << iota // request holds all that was sent
	sent                                    // the request, as far as it came, was given to a connection
	offered                                 // the client offers to switch protocols
	expects                                 // the client waits for a 100
	answered                                // a byte of a response has arrived
	headSent                                // the response's head was given to the client
	unchunk                                 // the response's body is decoded for the client
	relaying                                // the response's body passes by
	tunnelling                              // the protocol was switched
	clientHalf                              // the tunnel's client has ended
	backendHalf                             // and its backend
	accounted                               // the request was counted as done
	discarding                              // the response is out, the rest of the request is thrown away
	responded                               // the response is out, the rest of the request goes to its backend
	setCookie                               // the client is to return to this backend
	backendPaused                           // the backend waits for the client to read
	serverError                             // the response's status is 500 or above
	grpc                                    // the request is a call of gRPC
	clientsTime                             // the client said when the whole request has to be done
)

func (x *exchange) has(f exchangeState) bool { return x.state&f != 0 }
func (x *exchange) set(f exchangeState)      { x.state |= f }
func (x *exchange) clear(f exchangeState)    { x.state &^= f }

// begin takes a request whose head is in the loop's request and whose body
// begins at p. It returns how many bytes of p belong to it.
func (c *Client) begin(settings *Settings, p []byte) int {
	l, request := c.loop, &c.loop.request
	counters := c.counters()
	counters.Requests.Add(1)
	if c.has(clientStream) {
		counters.HTTP2.Add(1)
	}
	x := l.take()
	x.client, x.settings = c, settings
	x.began = l.now()
	x.method, x.minor = request.Method, request.Minor
	x.upload.Reset(request.Framing, request.Length)
	if x.method == http1.POST && isGRPC(request) {
		x.set(grpc)
	}
	n, err := x.upload.Advance(p)
	c.x = x
	c.live().Requests.Add(1)
	if request.Close {
		c.state |= clientLast
	}
	if c.listener.Closing.Load() {
		c.state |= clientLast
	}
	switch {
	case !x.upload.Done():
		x.clientDeadline(settings.Body)
	case c.has(clientLast):
		if request.Close && len(p) == 0 {
			c.state |= clientOnce
		}
		if settings.Connections == 0 { // else its place is wanted as soon as it is gone
			c.link.LastRead()
		}
		fallthrough
	default:
		x.clientDeadline(0)
	}
	if err != nil {
		c.state |= clientLast // where the next request begins is not known
		x.answer(badBody)
		return len(p)
	}
	counters.BytesIn.Add(uint64(n))
	x.route(p[:n])
	return n
}

// route finds the request's pool and makes what is sent to its backends.
func (x *exchange) route(body []byte) {
	l, request := x.loop, &x.loop.request
	path, buffer, refused := routable(l.path, request)
	l.path = buffer
	if refused != nil {
		x.answer(refused)
		return
	}
	view := l.world.View()
	l.wanted = wanted(x.client.listener.Name, x.client.name, request, path)
	route := view.Table.Route(&l.wanted)
	if route == nil {
		x.answer(unrouted(view.Table, x.settings, &l.wanted))
		return
	}
	if x.routed = route; x.act(route) {
		return
	}
	if x.pool = view.Table.Pool(route); x.pool == nil {
		x.answer(noBackend)
		return
	}
	x.limits, x.attempts = boundsOf(route, x.pool)
	if x.has(grpc) {
		x.boundCall(request)
	}
	if x.limits.Request > 0 {
		x.whole = x.began + int64(x.limits.Request)
		if x.upload.Done() {
			x.clientDeadline(0)
		} else {
			x.clientDeadline(x.settings.Body)
		}
	}
	if !x.compose(route, body) {
		x.answer(longTarget)
		return
	}
	x.mirrored(view, route)
	x.failure = noBackend
	l.budgetOf(x.pool).request(x.began)
	x.try()
}

// compose writes the request as backends get it. It is false if the route makes
// its target too long.
func (x *exchange) compose(route *table.Route, body []byte) bool {
	request := &x.loop.request
	w := x.loop.composer.rewriting(request, x.settings, route, x.client.peer)
	if w == nil {
		return false
	}
	w.ClientSubject = x.client.subject
	w.HTTP2 = x.client.has(clientStream)
	if w.Upgrade {
		x.offer = append(x.offer[:0], request.Upgrade...)
		x.set(offered)
	}
	if request.Expect && len(body) == 0 {
		x.set(expects)
	}
	x.request = request.AppendTo(x.request[:0], w)
	x.request = append(x.request, body...)
	x.set(replay)
	return true
}

// clientDeadline sets how long the client may take for what is due from it.
func (x *exchange) clientDeadline(after time.Duration) {
	at := int64(0)
	if after > 0 {
		at = x.loop.now() + int64(after)
	}
	if x.whole != 0 && (at == 0 || x.whole < at) {
		at = x.whole
	}
	x.client.link.SetDeadline(at)
}

// fromClient takes what the client sends while its request is under way.
func (x *exchange) fromClient(p []byte) int {
	switch {
	case x.has(tunnelling):
		return x.tunnelUp(p)
	case x.upload.Done(): // the next request, which waits its turn
		x.client.pause()
		return 0
	}
	n, err := x.upload.Advance(p)
	x.client.counters().BytesIn.Add(uint64(n))
	switch {
	case err != nil && x.has(discarding|responded):
		x.giveUpload()
		return len(p)
	case err != nil:
		x.badUpload(badBody)
		return len(p)
	case x.has(discarding):
		x.discarded(n)
		return n
	}
	x.clear(expects)
	x.sendBody(p[:n])
	return n
}

// sendBody passes a piece of the request's body on.
func (x *exchange) sendBody(p []byte) {
	if x.has(sent) && x.copies == nil && (len(x.request)+len(p) > replayBytes || !x.mayBeSentAgain()) {
		x.clear(replay)
	}
	if x.has(replay) {
		x.request = append(x.request, p...)
	}
	if !x.has(sent) { // connecting: it goes with the rest
		x.client.pause()
		return
	}
	if !x.backend.link.Write(p, false) {
		if x.has(responded) {
			x.discardRest()
			return
		}
		// There may be a response that came before the connection broke: reading
		// goes on, and its end tells.
		x.client.pause()
		return
	}
	x.uploaded()
}

// mayBeSentAgain tells whether it is of use to keep a request that was sent. Over
// HTTP/2 the backend may say that it did nothing with it, whatever it asks for.
func (x *exchange) mayBeSentAgain() bool {
	return x.method.IsIdempotent() || x.backend.shares || !x.backend.touched()
}

// uploaded sets the deadlines after a piece of the request was given to the
// backend's connection, and holds the client back if that is full.
func (x *exchange) uploaded() {
	link := x.backend.link
	switch {
	case link.Buffered() > 0:
		x.client.pause()
		x.clientDeadline(0)
		x.backend.deadline(x.limits.Body)
	case x.upload.Done() && x.has(responded):
		x.release(true)
	case x.upload.Done():
		x.sendMirror()
		x.client.resume()
		if !x.has(headSent) {
			x.clientDeadline(0)
			x.backend.deadline(x.limits.FirstByte)
		}
	case x.has(expects):
		x.clientDeadline(x.loop.bounds.ExpectContinue)
		x.client.resume()
	default:
		x.clientDeadline(x.settings.Body)
		x.client.resume()
		if !x.has(headSent) {
			x.backend.link.SetDeadline(0)
		}
	}
}

// badUpload ends a request whose body cannot be completed. The backend is not
// to take what it got for whole, so its connection is cut.
func (x *exchange) badUpload(a *answer) {
	x.dropBackend()
	x.client.state |= clientLast
	if x.has(headSent) {
		x.cut(resetCancel)
		return
	}
	x.answer(a)
}

// clientEnded: the client will send nothing more.
func (x *exchange) clientEnded() {
	switch {
	case x.has(tunnelling):
		x.set(clientHalf)
		x.backend.link.CloseWrite()
		x.tunnelEnded()
	case x.has(discarding | responded):
		x.giveUpload()
	case !x.upload.Done():
		x.badUpload(badBody)
	}
}

// clientDrained: the client took what it was sent.
func (x *exchange) clientDrained() {
	if x.has(backendPaused) {
		x.clear(backendPaused)
		x.backend.link.Resume()
		x.downloaded()
	}
}

// clientExpired: what was due from the client, or the whole request, is late.
func (x *exchange) clientExpired() {
	switch {
	case x.isQueued():
		x.unqueue()
		x.answer(noBackend)
	case x.has(discarding | responded): // there is its response already
		x.giveUpload()
	case x.isOverdue():
		if x.target != nil && x.backend != nil && !x.has(clientsTime) {
			x.blame()
			if x.upload.Done() && !x.has(headSent) { // else it may have been the client
				x.fault(table.FaultTimeout)
			}
		}
		x.endOverdue()
	case x.has(expects):
		x.continueNow()
	case !x.upload.Done() && !x.has(tunnelling) && x.client.link.Buffered() == 0:
		x.badUpload(bodyTimeout)
	case !x.has(tunnelling) && x.client.takes():
		x.clientDeadline(x.settings.Body)
	default: // it does not read, or a tunnel was silent for too long
		c := x.client // which the exchange forgets
		c.leave(nil)
		c.gone()
		c.link.Abort(resetCancel)
	}
}

// isOverdue tells whether the time that the whole request has is over. If its client
// gave it that time, its backend knows it too, and may be the first to act on it:
// servers of gRPC then reset the stream, as if something had gone wrong.
func (x *exchange) isOverdue() bool { return x.whole != 0 && x.loop.now() >= x.whole }

// endOverdue ends a request whose time is over.
func (x *exchange) endOverdue() {
	x.dropBackend()
	if x.has(headSent) {
		x.cut(resetCancel)
		return
	}
	x.answer(gatewayTimeout)
}

const continueHead = "HTTP/1.1 100 Continue\r\n\r\n"

// continueNow asks for the body that a client holds back, because the backend
// says nothing.
func (x *exchange) continueNow() {
	x.clear(expects)
	if !x.has(headSent) {
		x.client.link.Write([]byte(continueHead), false)
	}
	x.clientDeadline(x.settings.Body)
}

// clientRelayed is for tunnels that are relayed; none is so far.
func (x *exchange) clientRelayed(int64, error) {}

// appendConnection writes what the client is told of its connection.
func (x *exchange) appendConnection(out []byte, closing bool) []byte {
	switch {
	case closing:
		return append(out, "Connection: close\r\n"...)
	case x.minor == 0:
		return append(out, "Connection: keep-alive\r\n"...)
	}
	return out
}

// end gives the exchange back. Both connections are on their own again.
func (x *exchange) end() {
	x.account()
	x.target = nil
	x.client.x = nil
	x.loop.give(x)
}

// account counts the request as done. A response's last bytes are given to the
// client after that, so that whoever has read them finds nothing under way.
func (x *exchange) account() {
	if x.has(accounted) {
		return
	}
	x.set(accounted)
	x.client.live().Requests.Add(-1)
	if x.target != nil {
		x.unload()
		x.returnPermit()
	}
}

// dropBackend closes the backend's connection, if there is one.
func (x *exchange) dropBackend() {
	if b := x.backend; b != nil {
		x.backend, b.x = nil, nil
		b.link.Close()
	}
}

// abandon ends a request whose client is gone. Nobody is to blame.
func (x *exchange) abandon(err error) {
	x.unqueue()
	if b := x.backend; b != nil && codeOf(err, 0) != 0 {
		x.backend, b.x = nil, nil
		b.link.Abort(codeOf(err, 0))
	}
	x.dropBackend()
	x.end()
}

// cut ends a response that cannot be completed so that nobody takes it for
// complete: with a reset, since without a length and without chunks the end of
// the connection would be the end of the body.
func (x *exchange) cut(code uint32) {
	c := x.client
	x.dropBackend()
	x.end()
	c.gone()
	c.link.Abort(code)
}
