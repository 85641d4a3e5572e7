package exchange

import (
	"testing"

	"evenkeel/balancer/table"
	"evenkeel/fsm"
)

const twoOfTen = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab"

// A stream that one side resets is reset at the other with the same code.
func TestTheCodeOfAResetIsCarriedOver(t *testing.T) {
	t.Run("from the backend", func(t *testing.T) {
		w := newWorld(t, fsm.PoolSpec{}, 1)
		c := w.client()
		c.give("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		b := w.dialled[0]
		b.events.Connected()
		b.give(twoOfTen)
		b.closed = true
		b.events.Failed(&ResetError{Code: 11})
		if !c.aborted || c.code != 11 {
			t.Errorf("the client: aborted %v with code %d", c.aborted, c.code)
		}
	})
	t.Run("from the client", func(t *testing.T) {
		w := newWorld(t, fsm.PoolSpec{}, 1)
		c := w.client()
		c.give("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		b := w.dialled[0]
		b.events.Connected()
		c.closed = true
		c.events.Failed(&ResetError{Code: 5})
		if !b.aborted || b.code != 5 {
			t.Errorf("the backend: aborted %v with code %d", b.aborted, b.code)
		}
	})
	t.Run("a response that ends early has one of its own", func(t *testing.T) {
		w := newWorld(t, fsm.PoolSpec{}, 1)
		c := w.client()
		c.give("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		b := w.dialled[0]
		b.events.Connected()
		b.give(twoOfTen)
		b.end()
		if !c.aborted || c.code != resetInternal {
			t.Errorf("the client: aborted %v with code %d", c.aborted, c.code)
		}
	})
}

// What was made in clear text must not carry a request that is for TLS.
func TestAConnectionOfAnotherMannerIsNotUsed(t *testing.T) {
	w := newWorld(t, fsm.PoolSpec{}, 1)
	const request, response = "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	c := w.client()
	c.give(request)
	first := w.dialled[0]
	first.events.Connected()
	first.give(response)
	c.give(request)
	if len(w.dialled) != 1 {
		t.Fatal("the connection was not used again")
	}
	first.give(response)
	first.events.(*Backend).manner = (&table.Pool{HTTP2: true}).Manner()
	c.give(request)
	if len(w.dialled) != 2 || !first.closed {
		t.Errorf("%d connections, the first closed: %v", len(w.dialled), first.closed)
	}
}
