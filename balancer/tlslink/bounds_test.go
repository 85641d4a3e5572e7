package tlslink

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// hello is what a client sends first, and nothing more.
func hello(t testing.TB) []byte {
	t.Helper()
	here, there := net.Pipe()
	defer there.Close()
	go func() { _ = tls.Client(here, clientConfig()).Handshake(); here.Close() }()
	got := make([]byte, 64<<10)
	n, err := there.Read(got)
	if err != nil {
		t.Fatal(err)
	}
	return got[:n]
}

func TestHandshakesWaitForTheirTurn(t *testing.T) {
	for name, key := range map[string]tls.Certificate{"P-256": issue(t, "a.test", ecdsaKey()), "RSA": issue(t, "a.test", rsaKey())} {
		t.Run(name, func(t *testing.T) {
			w := start(t, &tls.Config{Certificates: []tls.Certificate{key}}, echo, func(b *Bounds) { b.Handshakes, b.Begins = 2, 1 })
			var clients sync.WaitGroup
			for range 50 {
				conn := w.raw()
				clients.Go(func() {
					if _, err := io.WriteString(tls.Client(conn, clientConfig()), "x"); err != nil {
						t.Error(err)
					}
				})
			}
			clients.Wait()
			deadline := time.Now().Add(patience)
			for left := true; left; w.do(func() { left = w.tls.working != 0 || len(w.tls.queue) != 0 || w.tls.first != nil }) {
				if time.Now().After(deadline) {
					t.Fatal("handshakes are left")
				}
			}
		})
	}
}

func TestASilentHandshakeGivesWayToOthers(t *testing.T) {
	w := start(t, server(t), echo, func(b *Bounds) { b.Handshakes, b.Stalled = 2, time.Millisecond })
	begin := hello(t)
	for range 2 {
		if _, err := w.raw().Write(begin); err != nil {
			t.Fatal(err)
		}
	}
	deadline := time.Now().Add(patience)
	for at := 0; at < 2; w.do(func() { at = w.tls.working }) {
		if time.Now().After(deadline) {
			t.Fatal("the silent ones do not begin")
		}
	}
	says(t, w.dial(clientConfig()), "hello")
	if err := await(t, w.gone, "word of it"); !errors.Is(err, errStalled) {
		t.Errorf("told %v", err)
	}
}

func TestWhoWaitsForATurnIsEndedByTheDeadline(t *testing.T) {
	w := start(t, server(t), echo, func(b *Bounds) { b.Handshakes, b.Stalled = 1, time.Hour })
	w.do(func() { w.within = 50 * time.Millisecond })
	begin := hello(t)
	for range 3 {
		if _, err := w.raw().Write(begin); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if err := await(t, w.gone, "word of it"); !errors.Is(err, ErrSlow) {
			t.Errorf("told %v", err)
		}
	}
}

func TestAHandshakeTakesNoMoreBytesThanItMay(t *testing.T) {
	w := start(t, server(t), echo, func(b *Bounds) { b.Bytes = 100 })
	conn := w.raw()
	if _, err := conn.Write(hello(t)); err != nil {
		t.Fatal(err)
	}
	if err := await(t, w.gone, "word of it"); !errors.Is(err, errLong) {
		t.Errorf("told %v", err)
	}
}

func TestRecordsThatCarryNothingAreBounded(t *testing.T) {
	w := start(t, server(t), echo, nil)
	conn := w.raw()
	warning := []byte{21, 3, 1, 0, 2, 1, 90} // user_canceled, which crypto/tls passes over
	if _, err := conn.Write(bytes.Repeat(warning, 1000)); err != nil {
		t.Fatal(err)
	}
	if err := await(t, w.gone, "word of it"); err == nil {
		t.Error("the handshake goes on")
	}
}

func TestLoopsThatEndLeaveNoHandshake(t *testing.T) {
	w := start(t, server(t), echo, nil)
	if _, err := w.raw().Write(hello(t)); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(patience)
	for at := 0; at < 1; w.do(func() { at = w.tls.working }) {
		if time.Now().After(deadline) {
			t.Fatal("it does not begin")
		}
	}
} // the end of the loop and goleak do the rest

func TestNothingComesBehindAHello(t *testing.T) {
	for name, key := range map[string]tls.Certificate{"P-256": issue(t, "a.test", ecdsaKey()), "RSA": issue(t, "a.test", rsaKey())} {
		t.Run(name, func(t *testing.T) {
			w := start(t, &tls.Config{Certificates: []tls.Certificate{key}}, echo, nil)
			record := append(hello(t), make([]byte, 2000)...)
			n := len(record) - headerSize
			record[3], record[4] = byte(n>>8), byte(n)
			if _, err := w.raw().Write(record); err != nil {
				t.Fatal(err)
			}
			if err := await(t, w.gone, "word of it"); err == nil {
				t.Error("the handshake goes on")
			}
		})
	}
}
