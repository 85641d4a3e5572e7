package reactor

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestASecondListenerOnThePortIsAnError(t *testing.T) {
	w := start(t, 2)
	w.accepting(echo)
	acceptors := slices.Repeat([]Acceptor{acceptFunc(nil)}, 2)
	if _, err := w.Listen(t.Context(), w.addr, acceptors); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a second listener: %v", err)
	}
	client := w.client()
	client.send("still ours")
	client.expect("still ours")
}

func TestAddressesOfListeners(t *testing.T) {
	w := start(t, 1)
	for _, address := range []string{"127.0.0.1:0", ":0", "0.0.0.0:0", "localhost:0", "[::ffff:127.0.0.1]:0"} {
		listener, err := w.Listen(t.Context(), address, []Acceptor{acceptFunc(nil)})
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		if listener.Addr().Port() == 0 {
			t.Errorf("%s: it has no port", address)
		}
		await(t, listener.Stop(time.Millisecond, time.Second), "the end of a listener that never started")
	}
	for _, address := range []string{"", "127.0.0.1", "127.0.0.1:http:80", "127.0.0.1:70000", "192.0.2.1:0"} {
		if _, err := w.Listen(t.Context(), address, []Acceptor{acceptFunc(nil)}); err == nil {
			t.Errorf("%q is an address", address)
		}
	}
	if _, err := w.Listen(t.Context(), "127.0.0.1:0", nil); err == nil {
		t.Error("a loop without an acceptor is no error")
	}
}

// TestAListenerThatNeverStartedLeavesNoDescriptor is seen to by start.
func TestAListenerThatNeverStartedLeavesNoDescriptor(t *testing.T) {
	w := start(t, 2)
	if _, err := w.Listen(t.Context(), "127.0.0.1:0", slices.Repeat([]Acceptor{acceptFunc(nil)}, 2)); err != nil {
		t.Fatal(err)
	}
	w.stop()
	await(t, w.ended, "the end of the loops")
	if _, err := w.Listen(t.Context(), "127.0.0.1:0", slices.Repeat([]Acceptor{acceptFunc(nil)}, 2)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("listen after the end: %v", err)
	}
}

func TestARefusedConnectionIsClosed(t *testing.T) {
	w := start(t, 1)
	var peer netip.AddrPort
	w.listen(func(_ *Conn, from netip.AddrPort) Handler { peer = from; return nil })
	client := w.client()
	if rest, err := client.end(); rest != "" || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
	w.on(0, func(*Loop) {
		if peer.String() != client.LocalAddr().String() {
			t.Errorf("the acceptor saw %s, the client is %s", peer, client.LocalAddr())
		}
	})
}

// TestStopLosesNoConnection has clients that come, ask and go for as long as
// they can: each is answered, or refused before it asked.
func TestStopLosesNoConnection(t *testing.T) {
	w := start(t, 2)
	w.accepting(func(s *script) {
		s.data = func(p []byte) int { s.c.Write(p, false); s.close(); return len(p) }
		s.c.LastRead()
	})
	var served atomic.Int64
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for {
				conn, err := net.DialTimeout("tcp", w.addr, 200*time.Millisecond)
				if err != nil {
					return // refused, or turned away
				}
				_ = conn.SetDeadline(time.Now().Add(patience))
				_, err = io.WriteString(conn, "ping")
				answer, readErr := io.ReadAll(conn)
				_ = conn.Close()
				if err != nil || readErr != nil || string(answer) != "ping" {
					t.Errorf("%q, %v, %v", answer, err, readErr)
					return
				}
				served.Add(1)
			}
		})
	}
	eventually(t, func() string {
		if served.Load() < 300 {
			return "there is no traffic"
		}
		return ""
	})
	await(t, w.listener.Stop(50*time.Millisecond, 10*time.Second), "the end of the listener")
	group.Wait()
}

func TestConnectionsOutliveTheirListener(t *testing.T) {
	w := start(t, 2)
	w.accepting(echo)
	client := w.client()
	client.send("before")
	client.expect("before")
	await(t, w.listener.Stop(time.Millisecond, time.Second), "the end of the listener")
	client.send("after")
	client.expect("after")
	if conn, err := net.DialTimeout("tcp", w.addr, 5*time.Second); err == nil {
		_ = conn.Close()
		t.Error("somebody listens")
	}
}

// TestABugInAHandlerEndsItsConnectionAlone panics on demand.
func TestABugInAHandlerEndsItsConnectionAlone(t *testing.T) {
	w := start(t, 1)
	w.listen(func(c *Conn, _ netip.AddrPort) Handler { return &buggy{bare{c}} })
	told := make(chan Handler, 1)
	w.on(0, func(l *Loop) { l.OnPanic(func(h Handler) { told <- h }) })
	well, ill := w.client(), w.client()
	well.send("hello")
	well.expect("hello")
	ill.send("bug")
	if rest, err := ill.end(); rest != "" || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%q, %v, want a reset", rest, err)
	}
	await(t, told, "OnPanic")
	well.send("hello")
	well.expect("hello")
	if log := w.log.String(); !strings.Contains(log, "planted") {
		t.Errorf("the log does not tell: %q", log)
	}
}

type buggy struct{ bare }

func (b *buggy) Data(p []byte) int {
	if string(p) == "bug" {
		panic("planted")
	}
	return b.bare.Data(p)
}

// TestAReusedDescriptorIsNotItsFormerOwners gives events of a connection that
// is gone to the next one with its number.
func TestAReusedDescriptorIsNotItsFormerOwners(t *testing.T) {
	w := start(t, 1)
	first, client := w.accepted(nil)
	_ = client
	w.on(0, func(l *Loop) {
		fd, generation := first.c.fd, first.c.generation
		first.abort()
		heir := w.script(&Conn{loop: l, fd: fd})
		heir.c.handler = heir
		heir.data = func([]byte) int { t.Error("an event of the former owner is the heir's"); return 0 }
		heir.c.generation = l.own(fd, slot{conn: heir.c})
		l.dispatch(&event{fd: fd, generation: generation, flags: eventReadable | eventWritable | eventHangUp})
		if heir.c.has(readable | hungUp) {
			t.Error("an event of the former owner has changed the heir")
		}
		l.disown(fd)
	})
}
