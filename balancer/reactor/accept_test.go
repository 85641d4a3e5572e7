package reactor

import (
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// early is a client whose bytes are there before it is accepted.
func (w *world) early(message string) (client *peer) {
	w.t.Helper()
	w.on(0, func(*Loop) { // which therefore does not accept meanwhile
		client = w.client()
		client.send(message)
	})
	return client
}

// TestAConnectionThatServesOneRequestIsNotRegistered until it has lived for a
// while; then its end is noticed all the same.
func TestAConnectionThatServesOneRequestIsNotRegistered(t *testing.T) {
	w := start(t, 1)
	registrations, ended := make(chan bool, 1), make(chan struct{})
	w.accepting(func(s *script) {
		s.c.LastRead()
		s.data = func(p []byte) int {
			s.c.Write(p, false)
			s.c.Loop().Post(func() { registrations <- s.c.has(registered) })
			return len(p)
		}
		s.eof = func() { s.close(); close(ended) }
	})
	client := w.early("one request")
	client.expect("one request")
	if await(t, registrations, "the request") {
		t.Error("it is registered at once")
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	await(t, ended, "EOF")
}

// TestAConnectionThatThePollerDoesNotTakeFails, and not from inside Write.
func TestAConnectionThatThePollerDoesNotTakeFails(t *testing.T) {
	w := start(t, 1)
	failed := make(chan error, 1)
	w.accepting(func(s *script) {
		poller := &s.c.Loop().poller
		fd := poller.fd
		s.data = func(p []byte) int {
			poller.fd = -1
			s.write(strings.Repeat("x", 16<<20)) // what is left needs the poller
			return len(p)
		}
		s.failed = func(err error) {
			poller.fd = fd
			failed <- err
		}
	})
	w.early("a request")
	if err := await(t, failed, "Failed"); !errors.Is(err, syscall.EBADF) {
		t.Errorf("failed with %v", err)
	}
	w.noneOpen()
}

// shut is an acceptor that is not ready at first.
type shut struct {
	acceptFunc
	open   atomic.Bool
	places atomic.Int32 // that are held
}

func (s *shut) Reserve() bool {
	if !s.open.Load() {
		return false
	}
	s.places.Add(1)
	return true
}

func (s *shut) Release() { s.places.Add(-1) }

func TestAnAcceptorThatIsNotReadyIsAskedAgain(t *testing.T) {
	w := start(t, 1)
	gate := &shut{acceptFunc: func(c *Conn, _ netip.AddrPort) Handler {
		s := w.script(c)
		echo(s)
		return s
	}}
	listener, err := w.Listen(t.Context(), "127.0.0.1:0", []Acceptor{gate})
	if err != nil {
		t.Fatal(err)
	}
	w.addr = listener.Addr().String()
	listener.Start()
	first, second := w.early("first"), w.early("second")
	w.on(0, func(l *Loop) {
		for range l.Conns {
			t.Error("it is accepted all the same")
		}
	})
	gate.open.Store(true)
	listener.Wake(0)
	first.expect("first")
	second.expect("second")
	w.on(0, func(*Loop) {
		if n := gate.places.Load(); n != 2 {
			t.Errorf("%d places are held, want those of both", n)
		}
	})
}
