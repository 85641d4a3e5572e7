package reactor

import (
	"net/netip"
	"testing"
)

// BenchmarkEcho is one message from a loop to itself and back, over a kept
// connection: two sends and two receives.
func BenchmarkEcho(b *testing.B) {
	w := start(b, 1)
	w.listen(func(c *Conn, _ netip.AddrPort) Handler { return &bare{c} })
	b.ReportAllocs()
	b.ResetTimer()
	done := make(chan struct{})
	w.pingPong(b.N, func(*pinger) { close(done) })
	await(b, done, "the round trips")
	b.StopTimer()
}

// BenchmarkAccept is a connection that is opened by the same loop, accepted,
// asks once, is answered and closed.
func BenchmarkAccept(b *testing.B) {
	w := start(b, 1)
	w.listen(func(c *Conn, _ netip.AddrPort) Handler {
		c.LastRead()
		return &once{bare{c}}
	})
	b.ReportAllocs()
	b.ResetTimer()
	done := make(chan struct{})
	left := b.N
	to := netip.MustParseAddrPort(w.addr)
	var next func(l *Loop)
	next = func(l *Loop) {
		if left--; left < 0 {
			close(done)
			return
		}
		a := &asker{then: next}
		var err error
		if a.c, err = l.Dial(to, a); err != nil {
			b.Error(err)
			close(done)
		}
	}
	w.on(0, next)
	await(b, done, "the connections")
	b.StopTimer()
}

// once answers one request and closes.
type once struct{ bare }

func (o *once) Data(p []byte) int {
	o.c.Write(p, false)
	o.c.Close()
	return len(p)
}

// asker asks once and waits for the end.
type asker struct {
	bare
	then func(l *Loop)
}

func (a *asker) Connected()        { a.c.Write([]byte("a request"), false) }
func (a *asker) Data(p []byte) int { return len(p) }

func (a *asker) EOF() {
	l := a.c.Loop()
	a.c.Close()
	a.then(l)
}
