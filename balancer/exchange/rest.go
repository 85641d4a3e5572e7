package exchange

// A response may be complete before its request is. The connection can go on to
// the next request once the rest has come: it is passed on to the backend if
// that still listens, else thrown away. A client that is slow with it, or has
// much of it, is let go instead.

// discardBytes is how much of a request is thrown away to keep a connection.
const discardBytes = 1 << 20

// mayDiscard tells whether the rest of the request is worth waiting for. A
// client that waits for a 100 has not begun, and may never (RFC 9110 section
// 10.1.1).
func (x *exchange) mayDiscard() bool {
	return !x.has(expects) && x.upload.Left() <= discardBytes
}

// discardRest throws the rest of the request away.
func (x *exchange) discardRest() {
	x.dropBackend()
	x.clear(responded)
	if !x.mayDiscard() || x.client.has(clientLast) {
		x.giveUpload()
		return
	}
	x.set(discarding)
	x.client.deadline(x.loop.bounds.Linger)
	x.client.resume()
}

// discarded counts what was thrown away, and goes on once the request has ended.
func (x *exchange) discarded(n int) {
	c := x.client
	c.dropped += int64(n)
	switch {
	case x.upload.Done():
		c.dropped = 0
		x.end()
		c.next()
	case c.dropped > discardBytes:
		x.giveUpload()
	default:
		c.deadline(x.loop.bounds.Linger)
	}
}

// giveUpload ends a connection whose request does not come to its end, although
// its response has.
func (x *exchange) giveUpload() {
	c := x.client
	x.dropBackend()
	x.end()
	c.state |= clientLast
	c.closeGently()
}
