package exchange

import (
	"bytes"
	"errors"
	"net/netip"
	"time"

	"evenkeel/balancer/http1"
)

// Client is one client connection. Its exported methods are the events of its
// link.
type Client struct {
	loop     *Loop
	link     Link
	listener *Listener
	peer     netip.Addr
	subject  string    // of the certificate that it has shown
	name     string    // that its TLS asked for
	x        *exchange // the request under way
	own      *Private  // nil until needed
	progress http1.Progress
	dropped  int64 // bytes that were read and thrown away while lingering
	taken    int64 // what the client had taken when its time for the next bytes began
	state    clientState
}

// clientState is a set of flags.
type clientState uint16

const (
	clientInHead    clientState = 1 << iota // the beginning of a head has arrived
	clientLast                              // no further request is served
	clientEnded                             // the client's end was read
	clientLingering                         // the last response is out, what comes is thrown away
	clientPaused
	clientGone
	clientOnce   // it said that this request is its last, and all of that has come
	clientServed // it has sent a request
	clientStream // its link is a stream, which is for one request
)

// firstFlight is how much the kernel sends before the first acknowledgement:
// RFC 6928, with segments of 1220 bytes.
const firstFlight = 10 * 1220

// NewClient begins to serve a connection that was accepted.
func (l *Loop) NewClient(link Link, listener *Listener, peer netip.Addr) *Client {
	c := &Client{loop: l, link: link, listener: listener, peer: peer}
	l.Opened(listener)
	c.secured()
	c.deadline(listener.Settings.Load().ClientHead)
	return c
}

// NewStream begins to serve a stream of a connection that a listener accepted:
// one request. Its owner counts the connection, see [Loop.Opened].
func (l *Loop) NewStream(link Link, listener *Listener, peer netip.Addr) *Client {
	c := &Client{loop: l, link: link, listener: listener, peer: peer}
	c.Renew(listener, peer)
	return c
}

// Renew makes the client of a stream that has ended that of another one with
// the same link. Nothing of the first may be on the stack any more.
func (c *Client) Renew(listener *Listener, peer netip.Addr) {
	*c = Client{loop: c.loop, link: c.link, listener: listener, peer: peer, state: clientStream | clientLast}
	c.secured()
}

// secured notes what is known of the client by TLS.
func (c *Client) secured() {
	if link, ok := c.link.(Secured); ok {
		c.subject, c.name = link.ClientSubject(), link.ServerName()
	}
}

// TooLarge answers a stream whose head was beyond the listener's limits.
func (c *Client) TooLarge() { c.refuse(http1.FaultHeadTooLarge) }

// Opened counts a connection whose requests are streams, Closed its end.
func (l *Loop) Opened(at *Listener) { at.Live[l.index].Connections.Add(1) }

// Closed is to Opened what an end is to a beginning.
func (l *Loop) Closed(at *Listener) {
	at.Live[l.index].Connections.Add(-1)
	if at.Closed != nil {
		at.Closed()
	}
}

func (c *Client) counters() *Counters { return &c.listener.Counters[c.loop.index] }

func (c *Client) live() *Live { return &c.listener.Live[c.loop.index] }

// Listener is where the client came in.
func (c *Client) Listener() *Listener { return c.listener }

func (c *Client) has(f clientState) bool { return c.state&f != 0 }

func (c *Client) deadline(after time.Duration) {
	c.link.SetDeadline(c.loop.now() + int64(after))
}

// Busy tells whether a request is under way.
func (c *Client) Busy() bool { return c.x != nil }

// End closes a connection without a request under way; a listener that drains
// asks for it.
func (c *Client) End() {
	if c.x != nil || c.has(clientGone) || c.has(clientLingering) { // the last ends by itself
		return
	}
	if c.link.Flush(true); c.link.Buffered() > 0 { // of its last response
		c.closeGently()
		return
	}
	c.close()
}

// Cut closes the connection whatever is under way.
func (c *Client) Cut() {
	if !c.has(clientGone) {
		c.leave(nil)
		c.gone()
		c.link.Abort(resetCancel)
	}
}

// Connected is for dialled connections.
func (c *Client) Connected() {}

// Data takes what the client sent.
func (c *Client) Data(p []byte) int {
	taken := 0
	for taken < len(p) && !c.has(clientGone) {
		var n int
		switch {
		case c.has(clientPaused):
		case c.has(clientLingering):
			n = c.discard(p[taken:])
		case c.x != nil:
			n = c.x.fromClient(p[taken:])
		default:
			n = c.readHead(p[taken:])
		}
		if n == 0 {
			break
		}
		taken += n
	}
	return taken
}

// readHead begins an exchange once a head is complete.
func (c *Client) readHead(p []byte) int {
	settings := c.listener.Settings.Load()
	if !c.has(clientInHead) {
		c.state |= clientInHead
		c.deadline(settings.ClientHead)
	}
	n, err := c.loop.request.Parse(p, &c.progress, &settings.Limits)
	if err != nil {
		if c.beginsWithPreface(p) {
			if len(p) < len(preface) {
				return 0
			}
			if events := c.handOver(); events != nil {
				return events.Data(p)
			}
		}
		c.refuse(err)
		return len(p)
	}
	if n == 0 {
		return 0
	}
	c.spoke()
	c.state &^= clientInHead
	c.state |= clientServed
	return n + c.begin(settings, p[n:])
}

// preface is how a connection of HTTP/2 begins: RFC 9113 section 3.4. As a
// request of HTTP/1 it is malformed once its first line is complete.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// beginsWithPreface tells whether this may be a connection of HTTP/2, by as much
// as there is of the preface.
func (c *Client) beginsWithPreface(p []byte) bool {
	return !c.has(clientServed|clientStream) && bytes.HasPrefix(p, []byte(preface[:min(len(p), len(preface))]))
}

// handOver hands a connection over that is one of HTTP/2 (RFC 9113 section 3.3),
// and returns to whom; nil if nobody takes it.
func (c *Client) handOver() Events {
	events := c.loop.world.ServeHTTP2(c.link, c.listener, c.peer)
	if events != nil {
		c.state |= clientGone // its new owner counts the connection
		c.live().Connections.Add(-1)
	}
	return events
}

// spoke counts a connection of HTTP/1 with its first request: before that it may
// turn out to be one of HTTP/2.
func (c *Client) spoke() {
	if !c.has(clientServed | clientStream) {
		c.counters().Connections[SpokenHTTP1].Add(1)
	}
}

// refuse answers what is no request, or none that anybody would understand
// alike, and closes: where the next one begins is not known.
func (c *Client) refuse(err error) {
	var fault *http1.Fault
	if !errors.As(err, &fault) {
		fault = http1.FaultBroken
	}
	c.spoke()
	c.counters().Requests.Add(1)
	c.reply(refusal(fault.Status, fault.Reason), false)
	c.closeGently()
}

// reply sends an answer of Evenkeel's own.
func (c *Client) reply(a *answer, head bool) {
	a.count(c.counters()).Add(1)
	// A client that cannot be written to is gone, which reading will tell.
	out := append(c.loop.world.Scratch(), "HTTP/1.1 "...)
	c.link.Write(a.appendTo(out, c.loop.world.Date(), head, true, false), false)
}

// discard throws away what a client goes on sending after its last response.
func (c *Client) discard(p []byte) int {
	c.dropped += int64(len(p))
	switch {
	case c.dropped <= c.loop.bounds.LingerBytes:
	case c.link.Buffered() > 0: // which it may still read
		c.pause()
	default:
		c.close()
	}
	return len(p)
}

// next waits for the client's next request.
func (c *Client) next() {
	if c.has(clientLast) {
		c.closeGently()
		return
	}
	if c.link.Buffered() > 0 { // who does not read gets no more to read
		c.owe()
		c.pause()
		return
	}
	c.deadline(c.listener.Settings.Load().ClientIdle)
	c.resume()
}

// owe begins the time within which the client has to take something of what is
// kept for it.
func (c *Client) owe() {
	c.taken = c.link.Sent()
	c.deadline(c.listener.Settings.Load().Body)
}

// takes tells whether the client took something in that time, which then begins
// anew.
func (c *Client) takes() bool {
	if c.link.Buffered() == 0 || c.link.Sent() == c.taken {
		return false
	}
	c.owe()
	return true
}

func (c *Client) pause() {
	if !c.has(clientPaused) {
		c.state |= clientPaused
		c.link.Pause()
	}
}

func (c *Client) resume() {
	if c.has(clientPaused) {
		c.state &^= clientPaused
		c.link.Resume()
	}
}

// closeGently ends a connection on which the client may still be sending, or to
// which something is still owed: a plain close would reset it, and destroy what
// the client has not read yet (RFC 9112 section 9.6).
func (c *Client) closeGently() {
	c.link.Flush(true) // the FIN goes with it
	if c.link.Buffered() == 0 && (c.has(clientEnded|clientStream) || c.isSilent()) {
		c.close()
		return
	}
	c.state |= clientLingering
	c.link.CloseWrite()
	if c.link.Buffered() > 0 {
		c.owe()
	} else {
		c.deadline(c.loop.bounds.Linger)
	}
	c.resume()
}

// isSilent tells whether the client will send nothing more, as it has to after
// "Connection: close" (RFC 9112 section 9.6) and as far as can be seen does. One
// that does it all the same gets a reset, but behind the response: that has left
// already, if the client had room for so much.
func (c *Client) isSilent() bool {
	return c.has(clientOnce) && c.link.Sent() <= firstFlight && c.link.Alive()
}

func (c *Client) close() {
	c.gone()
	c.link.Close()
}

// gone notes the connection's end, once.
func (c *Client) gone() {
	if c.has(clientGone) {
		return
	}
	c.state |= clientGone
	if c.own != nil {
		c.own.End()
	}
	if !c.has(clientStream) {
		c.loop.Closed(c.listener)
	}
}

// leave ends the request under way because the client has left. A reset of its
// stream is carried on to the backend.
func (c *Client) leave(err error) {
	if x := c.x; x != nil {
		c.counters().ClientLeft.Add(1)
		x.abandon(err)
	}
}

// EOF is the client's end. One that has sent a whole request still waits for
// the response (RFC 9112 section 9.6).
func (c *Client) EOF() {
	c.state |= clientEnded | clientLast
	switch {
	case c.has(clientLingering) && c.link.Buffered() > 0: // which it may still read
	case c.has(clientLingering):
		c.close()
	case c.x != nil:
		c.x.clientEnded()
	case c.has(clientInHead):
		c.counters().Requests.Add(1)
		c.reply(badHead, false)
		c.closeGently()
	default:
		c.closeGently()
	}
}

// Drained tells that the client took everything that was sent.
func (c *Client) Drained() {
	switch {
	case c.x != nil:
		c.x.clientDrained()
	case c.has(clientLingering) && (c.has(clientEnded|clientStream) || c.dropped > c.loop.bounds.LingerBytes):
		c.close()
	case c.has(clientLingering):
		c.deadline(c.loop.bounds.Linger)
	case c.has(clientPaused):
		c.next()
	case !c.has(clientInHead):
		c.deadline(c.listener.Settings.Load().ClientIdle)
	}
}

// Failed is a connection that broke.
func (c *Client) Failed(err error) {
	c.leave(err)
	c.gone()
}

// Expired is the deadline.
func (c *Client) Expired() {
	switch {
	case c.x != nil:
		c.x.clientExpired()
	case c.takes():
	case c.link.Buffered() > 0: // it does not read its last response
		c.gone()
		c.link.Abort(resetCancel)
	case c.has(clientLingering):
		c.close()
	case c.has(clientInHead):
		c.counters().Requests.Add(1)
		c.reply(headTimeout, false)
		c.closeGently()
	default:
		c.close()
	}
}

// Relayed is for what a client sends past Data.
func (c *Client) Relayed(n int64, err error) {
	if c.x != nil {
		c.x.clientRelayed(n, err)
	}
}
