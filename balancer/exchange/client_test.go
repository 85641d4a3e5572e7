package exchange

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"evenkeel/fsm"
)

// TestWhoSaysThatItIsItsLastRequestIsClosedAtOnce, others once they have ended
// too: only the former has nothing left to send that a reset would answer.
func TestWhoSaysThatItIsItsLastRequestIsClosedAtOnce(t *testing.T) {
	const last = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	for name, c := range map[string]struct {
		in       string
		response string             // "" means the usual one
		closing  bool               // the listener
		behind   func(client *wire) // the request
		at       bool               // once
	}{
		"it says so":                     {in: last, at: true},
		"by its version":                 {in: "GET / HTTP/1.0\r\nHost: a\r\n\r\n", at: true},
		"in a HEAD":                      {in: "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", at: true},
		"the listener ends":              {in: get, closing: true},
		"the listener ends meanwhile":    {in: get, behind: func(client *wire) { client.events.(*Client).listener.Closing.Store(true) }},
		"with a body":                    {in: "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"},
		"more lies behind it":            {in: last + "\r\n"},
		"more came":                      {in: last, behind: func(client *wire) { client.give("\r\n") }},
		"more came that was not read":    {in: last, behind: func(client *wire) { client.in = []byte("\r\n") }},
		"a response of the first flight": {in: last, response: ok(firstFlight - 200), at: true},
		"a large response":               {in: last, response: ok(firstFlight)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, fsm.PoolSpec{}, 1)
			w.listener.Closing.Store(c.closing)
			client := w.client()
			client.give(c.in)
			conn := w.dialled[0]
			conn.events.Connected()
			if c.behind != nil {
				c.behind(client)
			}
			if c.response == "" {
				c.response = response
			}
			conn.give(c.response)
			if got := client.take(); !strings.HasPrefix(got, "HTTP/1.1 200 ") || !strings.Contains(got, "\r\nConnection: close\r\n") {
				t.Fatalf("the client got %.200q", got)
			}
			if client.closed != c.at || client.fin == c.at || client.aborted {
				t.Fatalf("closed: %v, a FIN: %v, a reset: %v", client.closed, client.fin, client.aborted)
			}
			client.end()
			w.atRest(t)
		})
	}
}

// TestWhatLiesBehindTheLastRequestIsReadBeforeTheEnd where there is an answer at
// once.
func TestWhatLiesBehindTheLastRequestIsReadBeforeTheEnd(t *testing.T) {
	for behind, closed := range map[string]bool{"": true, "\r\n": false} {
		w := newWorld(t, fsm.PoolSpec{}, 0)
		client := w.client()
		client.give("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + behind)
		if got := client.take(); !strings.HasPrefix(got, "HTTP/1.1 503 ") || client.closed != closed || client.fin == closed {
			t.Errorf("with %q behind the request: %q, closed: %v, a FIN: %v", behind, got, client.closed, client.fin)
		}
	}
}

// ok is a response with a body of n bytes.
func ok(n int) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", n, strings.Repeat("x", n))
}

// TestTheLastResponseMayBeReadSlowly: what is owed when the connection ends has
// as much time as any piece of a body.
func TestTheLastResponseMayBeReadSlowly(t *testing.T) {
	for name, c := range map[string]struct {
		in     string
		before func(*wire) // the response
		behind func(*wire)
	}{
		"a client that said so":                {in: "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", behind: (*wire).end},
		"one that ended before":                {in: get, before: (*wire).end},
		"one that ends meanwhile":              {in: get, behind: (*wire).end},
		"a listener that drains":               {in: get, behind: func(c *wire) { c.events.(*Client).End(); c.end() }},
		"one that ended before, to the drain":  {in: get, before: (*wire).end, behind: func(c *wire) { c.events.(*Client).End() }},
		"a client that begins another request": {in: get, behind: func(c *wire) { c.give("GET"); c.end() }},
	} {
		for i := range 4 {
			taken, gathers := i&1 != 0, i&2 != 0
			t.Run(fmt.Sprintf("%s, taken: %v, gathered: %v", name, taken, gathers), func(t *testing.T) {
				w := newWorld(t, fsm.PoolSpec{}, 1)
				client := w.client()
				client.give(c.in)
				conn := w.dialled[0]
				conn.events.Connected()
				if c.before != nil {
					c.before(client)
				}
				client.full, client.gathers = true, gathers
				conn.give(response)
				if c.behind != nil {
					c.behind(client)
				}
				if client.closed {
					t.Fatal("the connection is closed before the response was taken")
				}
				if body := client.events.(*Client).listener.Settings.Load().Body; client.deadline < w.now+int64(body) {
					t.Errorf("it may last for %v, want %v", time.Duration(client.deadline-w.now), body)
				}
				if !taken {
					client.expire(w)
					if !client.aborted {
						t.Error("a response that nobody takes looks whole")
					}
					w.atRest(t)
					return
				}
				client.full = false
				client.events.Drained()
				client.settle()
				client.end()
				if !client.closed || client.aborted {
					t.Errorf("closed: %v, a reset: %v", client.closed, client.aborted)
				}
				w.atRest(t)
			})
		}
	}
}

// TestTheLastBytesOfATunnelMayBeReadSlowly too.
func TestTheLastBytesOfATunnelMayBeReadSlowly(t *testing.T) {
	w := newWorld(t, fsm.PoolSpec{}, 1)
	client := w.client()
	client.give("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
	conn := w.dialled[0]
	conn.events.Connected()
	conn.give("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nbytes")
	client.end()
	client.full = true
	conn.end()
	if client.closed {
		t.Fatal("the connection is closed before all was taken")
	}
	client.full = false
	client.events.Drained()
	if !client.closed || client.aborted {
		t.Errorf("closed: %v, a reset: %v", client.closed, client.aborted)
	}
	w.atRest(t)
}

// TestWhoDoesNotReadIsAnsweredNoMore until it does: what is kept for it would
// grow without bound.
func TestWhoDoesNotReadIsAnsweredNoMore(t *testing.T) {
	w := newWorld(t, fsm.PoolSpec{}, 0)
	client := w.client()
	client.full = true
	client.give(strings.Repeat(get, 100))
	if got := strings.Count(client.take(), "HTTP/1.1 503 "); got != 1 {
		t.Fatalf("the client that does not read got %d answers", got)
	}
	client.full = false
	client.events.Drained()
	client.settle()
	if got := strings.Count(client.take(), "HTTP/1.1 503 "); got != 99 || client.closed {
		t.Errorf("the client that reads again got %d answers, closed: %v", got, client.closed)
	}
	client.end()
	w.atRest(t)
}

// TestADrainEndsNoResponse, and begins no time anew: it asks again and again.
func TestADrainEndsNoResponse(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		full bool
	}{
		"one that the client reads slowly":      {get, true},
		"one whose client is not done sending":  {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\nbegin", false},
		"one whose client does neither in time": {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\nbegin", true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, fsm.PoolSpec{}, 0)
			client := w.client()
			client.full = c.full
			client.give(c.in)
			due := client.deadline
			for range 3 {
				client.events.(*Client).End()
				if client.closed || client.deadline != due {
					t.Fatalf("closed: %v, due at %d, before at %d", client.closed, client.deadline, due)
				}
				w.now += int64(time.Millisecond)
			}
			client.expire(w)
			if !client.closed || client.aborted != c.full {
				t.Errorf("in the end closed: %v, a reset: %v", client.closed, client.aborted)
			}
			w.atRest(t)
		})
	}
}

// TestWhoGoesOnReadingHasTime, as much as for any piece of a body.
func TestWhoGoesOnReadingHasTime(t *testing.T) {
	for name, last := range map[string]string{"before its next request": get, "at its end": "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, fsm.PoolSpec{}, 0)
			client := w.client()
			client.full = true
			client.give(last)
			for range 5 {
				client.sent++ // of what is kept
				if client.expire(w); client.closed || client.deadline <= w.now {
					t.Fatalf("closed: %v", client.closed)
				}
			}
			if client.expire(w); !client.aborted {
				t.Error("a client that has stopped reading is waited for")
			}
			w.atRest(t)
		})
	}
}

// TestWhoSendsTooMuchMayStillRead what it was answered before.
func TestWhoSendsTooMuchMayStillRead(t *testing.T) {
	for _, full := range []bool{true, false} {
		w := newWorld(t, fsm.PoolSpec{}, 0)
		w.loop.bounds.LingerBytes = 10
		client := w.client()
		client.full = full
		client.give("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\nbegin")
		client.give(strings.Repeat("x", 11))
		if client.closed == full || client.paused != full {
			t.Errorf("owed something: %v; closed: %v, paused: %v", full, client.closed, client.paused)
		}
		client.full = false
		client.events.Drained()
		if !client.closed || client.aborted {
			t.Errorf("at the end closed: %v, a reset: %v", client.closed, client.aborted)
		}
		w.atRest(t)
	}
}
