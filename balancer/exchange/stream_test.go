package exchange

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"evenkeel/balancer/table"
	"evenkeel/fsm"
)

// shared makes the pool's links streams at a time of shared connections.
func (w *world) shared() *world {
	w.view.Table.PoolNamed("p").HTTP2 = true
	return w
}

// stream is a new stream of a client.
func (w *world) stream() *wire {
	wire := new(wire)
	wire.events = w.loop.NewStream(wire, w.listener, netip.MustParseAddr("192.0.2.1"))
	return wire
}

func TestAStreamIsForOneRequest(t *testing.T) {
	w := newWorld(t, fsm.PoolSpec{}, 1)
	c := w.stream()
	c.give("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	b := w.dialled[0]
	b.events.Connected()
	b.give("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
	if got := c.take(); !strings.HasSuffix(got, "\r\n\r\nhi") || !c.closed {
		t.Errorf("%q, closed %v", got, c.closed)
	}
	counters, live := &w.listener.Counters[0], &w.listener.Live[0]
	if counters.Requests.Load() != 1 || counters.HTTP2.Load() != 1 || live.Connections.Load() != 0 || live.Requests.Load() != 0 {
		t.Errorf("%d requests, %d over HTTP/2; %d connections, %d requests now", counters.Requests.Load(), counters.HTTP2.Load(),
			live.Connections.Load(), live.Requests.Load())
	}
	client := c.events.(*Client)
	*c = wire{events: client}
	client.Renew(w.listener, netip.MustParseAddr("192.0.2.2"))
	c.give("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if got := b.take(); !strings.Contains(got, "192.0.2.2") {
		t.Errorf("a second request by the same client object: %q", got)
	}
}

func TestAStreamWhoseResponseCameBeforeItsEndIsClosed(t *testing.T) {
	w := newWorld(t, fsm.PoolSpec{}, 1)
	c := w.stream()
	c.give("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
	b := w.dialled[0]
	b.events.Connected()
	b.give("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
	if !c.closed || c.aborted || !b.closed {
		t.Errorf("closed %v, aborted %v, backend closed %v", c.closed, c.aborted, b.closed)
	}
}

func TestAStreamThatIsNotReadIsClosedWhenItIs(t *testing.T) {
	w := newWorld(t, fsm.PoolSpec{}, 1)
	c := w.stream()
	c.full = true
	c.give("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	b := w.dialled[0]
	b.events.Connected()
	b.give("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
	if c.closed || !c.fin {
		t.Errorf("closed %v, ended %v", c.closed, c.fin)
	}
	c.full = false
	c.events.Drained()
	if !c.closed || c.aborted {
		t.Errorf("closed %v, aborted %v", c.closed, c.aborted)
	}
}

func TestTheHeadOfAStreamMayBeTooLarge(t *testing.T) {
	w := newWorld(t, fsm.PoolSpec{}, 1)
	c := w.stream()
	c.events.(*Client).TooLarge()
	if got := c.take(); !strings.HasPrefix(got, "HTTP/1.1 431 ") || !c.closed {
		t.Errorf("%q, closed %v", got, c.closed)
	}
}

// taker notes what it is given.
type taker struct {
	Events
	got string
}

func (t *taker) Data(p []byte) int {
	t.got += string(p)
	return len(p)
}

func TestAConnectionThatBeginsWithThePrefaceIsHandedOver(t *testing.T) {
	for _, parts := range [][]string{{preface + "more"}, {preface[:3], preface[3:18], preface[18:] + "more"}} {
		w := newWorld(t, fsm.PoolSpec{}, 1)
		to := &taker{}
		w.http2 = to
		c := w.client()
		for _, part := range parts {
			c.give(part)
			if to.got != "" { // from now on the link's events are its
				c.events = to
			}
		}
		if to.got != preface+"more" {
			t.Errorf("%q: handed over %q", parts, to.got)
		}
		if n := w.listener.Live[0].Connections.Load(); n != 0 || c.closed {
			t.Errorf("%d connections, closed %v", n, c.closed)
		}
	}
}

func TestThePrefaceIsMalformedWhereItHasNoPlace(t *testing.T) {
	for name, test := range map[string]struct {
		http2 Events
		text  string
	}{
		"HTTP/2 is off":       {nil, preface},
		"a request before it": {&taker{}, "GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n"},
		"another preface":     {&taker{}, "PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, fsm.PoolSpec{}, 1)
			w.refuse = true
			w.http2 = test.http2
			c := w.client()
			c.give(test.text)
			if name == "a request before it" {
				c.take()
				c.give(preface)
			}
			if got := c.take(); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
				t.Errorf("%q", got)
			}
		})
	}
}

func TestWhatABackendDidNotProcessIsSentAgain(t *testing.T) {
	const post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
	t.Run("refused: elsewhere", func(t *testing.T) {
		w := newWorld(t, fsm.PoolSpec{}, 2).shared()
		c := w.stream()
		c.give(post)
		w.dialled[0].events.Connected()
		w.dialled[0].events.Failed(&UnprocessedError{Refused: true})
		w.dialled[1].events.Connected()
		if got := w.dialled[1].take(); !strings.HasSuffix(got, "hi") {
			t.Errorf("sent again: %q", got)
		}
		w.dialled[1].give("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		if got := c.take(); !strings.HasPrefix(got, "HTTP/1.1 200 ") || len(w.suspected) > 0 {
			t.Errorf("%q, blamed %v", got, w.suspected)
		}
	})
	t.Run("refused by all", func(t *testing.T) {
		w := newWorld(t, fsm.PoolSpec{}, 1).shared()
		c := w.stream()
		c.give(post)
		w.dialled[0].events.Connected()
		w.dialled[0].events.Failed(&UnprocessedError{Refused: true})
		if got := c.take(); !strings.HasPrefix(got, "HTTP/1.1 503 ") {
			t.Errorf("%q", got)
		}
	})
	t.Run("gone away: by another connection", func(t *testing.T) {
		w := newWorld(t, fsm.PoolSpec{}, 1).shared()
		c := w.stream()
		c.give(post[:len(post)-1])
		w.dialled[0].events.Connected()
		c.give(post[len(post)-1:]) // which is kept, although the head was sent
		w.dialled[0].events.Failed(&UnprocessedError{})
		w.dialled[1].events.Connected()
		if got := w.dialled[1].take(); !strings.HasSuffix(got, "hi") {
			t.Errorf("sent again: %q", got)
		}
	})
	t.Run("what broke otherwise is not, if it may have been processed", func(t *testing.T) {
		w := newWorld(t, fsm.PoolSpec{}, 2).shared()
		c := w.stream()
		c.give(post)
		w.dialled[0].events.Connected()
		w.dialled[0].events.Failed(errors.New("broken"))
		if got := c.take(); !strings.HasPrefix(got, "HTTP/1.1 502 ") || len(w.dialled) != 1 {
			t.Errorf("%q, %d connects", got, len(w.dialled))
		}
	})
}

func TestASharedLinkWithoutRoomIsNotUsed(t *testing.T) {
	w := newWorld(t, fsm.PoolSpec{}, 1).shared()
	for range 2 {
		c := w.stream()
		c.give("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		b := w.dialled[len(w.dialled)-1]
		b.events.Connected()
		b.give("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		b.broken = true // which Alive tells
	}
	if len(w.dialled) != 2 || !w.dialled[0].closed {
		t.Errorf("%d connects, the first closed %v", len(w.dialled), w.dialled[0].closed)
	}
	var stats *table.Stats
	for _, b := range w.view.Table.PoolNamed("p").Backends() {
		stats = b.Stats
	}
	if got := stats.Connects(); got != 0 {
		t.Errorf("%d connects counted, which is for who makes them", got)
	}
}
