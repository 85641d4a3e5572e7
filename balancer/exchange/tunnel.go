package exchange

import (
	"bytes"

	"evenkeel/balancer/http1"
)

// switchProtocols passes a 101 on and opens the tunnel (RFC 9110 section 7.8).
// n is the size of its head, all how many bytes there are.
func (x *exchange) switchProtocols(response *http1.Response, n, all int) int {
	if !x.has(offered) || !x.upload.Done() || !hasProtocol(x.offer, response.Upgrade) {
		x.badResponse()
		return all
	}
	x.loop.counted(x.pool, x.target, x.tries, 101)
	x.pool.Succeeded(x.target, x.tries, x.loop.index)
	w := http1.ResponseRewrite{Upgrade: true, Via: x.settings.Via, HTTP2: x.backend.shares}
	out := response.AppendTo(x.loop.world.Scratch(), &w)
	x.set(headSent | tunnelling)
	x.whole = 0
	if !x.toClient(x.client.link.Write(out, false)) {
		return all
	}
	x.client.resume()
	x.alive()
	if x.client.has(clientEnded) {
		x.clientEnded()
	}
	return n
}

// alive starts the time anew for which a tunnel may be silent.
func (x *exchange) alive() {
	x.backend.deadline(x.limits.Tunnel)
	x.client.link.SetDeadline(0)
}

// tunnelUp passes bytes on from the client.
func (x *exchange) tunnelUp(p []byte) int {
	x.client.counters().BytesIn.Add(uint64(len(p)))
	if !x.backend.link.Write(p, false) {
		x.cut(resetCancel)
		return len(p)
	}
	if x.backend.link.Buffered() > 0 {
		x.client.pause()
	}
	x.alive()
	return len(p)
}

// tunnelDown passes bytes on to the client.
func (x *exchange) tunnelDown(p []byte) int {
	x.client.counters().BytesOut.Add(uint64(len(p)))
	if !x.toClient(x.client.link.Write(p, false)) {
		return len(p)
	}
	if x.client.link.Buffered() > 0 && !x.has(backendPaused) {
		x.set(backendPaused)
		x.backend.link.Pause()
	}
	x.alive()
	return len(p)
}

// tunnelEnded ends the tunnel once both ends have.
func (x *exchange) tunnelEnded() {
	if !x.has(clientHalf) || !x.has(backendHalf) {
		return
	}
	c := x.client
	x.dropBackend()
	x.end()
	c.closeGently()
}

// offersH2C tells whether HTTP/2 is among the offered protocols. Such an offer
// is ignored, as RFC 9110 section 7.8 allows: behind it the client could send
// requests that no route was looked up for ("h2c smuggling").
func offersH2C(offer []byte) bool {
	return hasProtocol(offer, []byte("h2c")) || hasProtocol(offer, []byte("h2"))
}

// hasProtocol tells whether a list of protocols names one.
func hasProtocol(list, protocol []byte) bool {
	for one := range bytes.SplitSeq(list, []byte(",")) {
		if bytes.EqualFold(bytes.TrimSpace(one), protocol) {
			return true
		}
	}
	return false
}
