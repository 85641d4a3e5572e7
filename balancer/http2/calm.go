package http2

import "time"

// allowance is how much of something a peer may still do that costs this side
// more than the peer: a token bucket that useful work fills too.
type allowance struct {
	left int32
	at   int64 // when time last added to it
}

// bound is the size of an allowance, and what a second adds to it.
type bound struct{ burst, perSecond int32 }

var (
	// resetBound is for streams that end before their time because of the peer: by
	// its RST_STREAM, which is CVE-2023-44487, or by what makes this side send one,
	// which is CVE-2025-8671. Each stream that ends well makes up for another one,
	// so a client that gives up every second request is never at fault.
	resetBound = bound{400, 100}
	// frameBound is for frames that carry nothing: PING, SETTINGS, PRIORITY,
	// WINDOW_UPDATE, empty DATA, DATA that is mostly padding, unknown ones. Those
	// that carry something make up for [frameGain] of them: a peer that downloads
	// sends two WINDOW_UPDATE for a DATA frame at most, and one that uploads a PING.
	frameBound = bound{4096, 1000}
)

const (
	frameGain = 4
	// settingsCost is for a SETTINGS frame, which goes through all streams.
	settingsCost = 16
)

// spend takes cost at a time of the owner's clock, and returns false if no
// such amount is left.
func (a *allowance) spend(now int64, cost int32, b bound) bool {
	if a.left < cost {
		a.refill(now, b)
	}
	if a.left < cost {
		return false
	}
	a.left -= cost
	return true
}

// refill adds what the time since the last refill is worth. Parts of a token
// wait for the next one.
func (a *allowance) refill(now int64, b bound) {
	token := int64(time.Second) / int64(b.perSecond)
	switch n := (now - a.at) / token; {
	case a.at == 0 || n >= int64(b.burst):
		a.left, a.at = b.burst, max(now, 1)
	case n > 0:
		a.left, a.at = min(a.left+int32(n), b.burst), a.at+n*token
	}
}

func (a *allowance) gain(n int32, b bound) { a.left = min(a.left+n, b.burst) }

// spendFrame counts a frame that carries nothing, and tells whether the
// connection survives it.
func (c *Conn) spendFrame(cost int32) bool {
	if c.frames.spend(c.now, cost, frameBound) {
		return true
	}
	c.Fail(EnhanceYourCalm, "too many frames that carry nothing")
	return false
}

// spendReset counts a stream that a client ended before its time, and tells
// whether the connection survives it. A server that does so answers what it was
// asked.
func (c *Conn) spendReset() bool {
	if c.has(connClient) || c.resets.spend(c.now, 1, resetBound) {
		return true
	}
	c.Fail(EnhanceYourCalm, "too many streams that end before their time")
	return false
}
