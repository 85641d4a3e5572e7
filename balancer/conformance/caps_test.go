package conformance

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"evenkeel/fsm"
)

// asker is a raw connection that waits for its answers.
type asker struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func ask(t testing.TB, address, request string) *asker {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(3 * patience)); err != nil {
		t.Fatal(err)
	}
	a := &asker{Conn: conn, t: t, r: bufio.NewReader(conn)}
	a.send(request)
	return a
}

func (a *asker) send(request string) {
	a.t.Helper()
	if _, err := io.WriteString(a.Conn, request); err != nil {
		a.t.Fatal(err)
	}
}

// status reads one response.
func (a *asker) status() string {
	a.t.Helper()
	m := &message{}
	err := m.readHead(a.r)
	if err == nil {
		var body *bodyReader
		if body, err = newBodyReader(m, a.r, m.bodiless(false), untilClose); err == nil {
			err = body.all()
		}
	}
	if err != nil {
		a.t.Errorf("read response: %v", err)
	}
	return m.status()
}

// silent tells whether nothing comes for a while.
func (a *asker) silent() bool {
	a.t.Helper()
	if err := a.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		a.t.Fatal(err)
	}
	_, err := a.r.Peek(1)
	if err := a.SetReadDeadline(time.Now().Add(3 * patience)); err != nil {
		a.t.Fatal(err)
	}
	return err != nil
}

// gate is a server whose requests wait until they are let through.
type gate struct {
	address string
	arrived chan struct{}
	release chan struct{}
}

func newGate(t testing.TB) *gate {
	g := &gate{arrived: make(chan struct{}, 100), release: make(chan struct{}, 100)}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		g.arrived <- struct{}{}
		select {
		case <-g.release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	g.address = strings.TrimPrefix(server.URL, "http://")
	return g
}

// await waits for a request.
func (g *gate) await(t testing.TB) {
	t.Helper()
	select {
	case <-g.arrived:
	case <-time.After(patience):
		t.Fatal("no request came to the backend")
	}
}

func (g *gate) want(t testing.TB, a *asker, status string) {
	t.Helper()
	if got := a.status(); got != status {
		t.Errorf("status %s, want %s", got, status)
	}
}

func capped(t testing.TB, g *gate, limits fsm.PoolLimits) string {
	t.Helper()
	_, s := listen(t, profile{pool: fsm.PoolSpec{Limits: &limits}}, g.address)
	return s.address
}

func TestABackendGetsNoMoreThanItsBound(t *testing.T) {
	g := newGate(t)
	address := capped(t, g, fsm.PoolLimits{BackendRequests: 1})
	first := ask(t, address, get())
	g.await(t)
	for range 4 { // whatever loop they come to
		g.want(t, ask(t, address, get()), "503")
	}
	g.release <- struct{}{}
	g.want(t, first, "200")
	if n := len(g.arrived); n != 0 {
		t.Errorf("%d requests came beyond the bound", n)
	}
}

func TestAClientThatAsksOneByOneIsNeverBeyondABound(t *testing.T) {
	g := newGate(t)
	address := capped(t, g, fsm.PoolLimits{BackendRequests: 1})
	for range 50 { // each on a connection of its own, so on any loop
		g.release <- struct{}{}
		g.want(t, ask(t, address, get()), "200")
	}
}

func TestARequestWaitsForABackendAtItsBound(t *testing.T) {
	g := newGate(t)
	address := capped(t, g, fsm.PoolLimits{BackendRequests: 1, Queue: 2, QueueTimeout: fsm.Duration(patience)})
	first := ask(t, address, get())
	g.await(t)
	second, third := ask(t, address, get()), ask(t, address, post("hello", "Content-Length: 5"))
	if !second.silent() || !third.silent() {
		t.Fatal("requests that should wait were answered")
	}
	g.want(t, ask(t, address, get()), "503") // the queue is full
	for range 3 {
		g.release <- struct{}{}
	}
	g.want(t, first, "200")
	g.want(t, second, "200")
	g.want(t, third, "200")
	if n := len(g.arrived); n != 2 {
		t.Errorf("%d requests came behind the first, want 2", n)
	}
}

func TestARequestThatWaitsTooLongIsRefused(t *testing.T) {
	g := newGate(t)
	address := capped(t, g, fsm.PoolLimits{BackendRequests: 1, Queue: 2, QueueTimeout: soon})
	first := ask(t, address, get())
	g.await(t)
	g.want(t, ask(t, address, get()), "503")
	g.release <- struct{}{}
	g.want(t, first, "200")
}

func TestAClientThatLeavesTheQueueIsForgotten(t *testing.T) {
	g := newGate(t)
	address := capped(t, g, fsm.PoolLimits{BackendRequests: 1, Queue: 1, QueueTimeout: fsm.Duration(patience)})
	first := ask(t, address, get())
	g.await(t)
	second := ask(t, address, post("", "Content-Length: 0"))
	if !second.silent() {
		t.Fatal("a request that should wait was answered")
	}
	if err := second.Conn.(*net.TCPConn).SetLinger(0); err != nil { // a FIN might be a half-close
		t.Fatal(err)
	}
	second.Close()
	deadline := time.Now().Add(patience)
	for {
		third := ask(t, address, get())
		if third.silent() { // it has the place in the queue
			g.release <- struct{}{}
			g.release <- struct{}{}
			g.want(t, first, "200")
			g.want(t, third, "200")
			break
		}
		third.Close()
		if time.Now().After(deadline) {
			t.Fatal("the queue keeps the place of a client that has left")
		}
	}
	if n := len(g.arrived); n != 1 {
		t.Errorf("%d requests came behind the first, want 1", n)
	}
}

func TestAListenerServesNoMoreConnectionsThanItsBound(t *testing.T) {
	g := newGate(t)
	for range 100 {
		g.release <- struct{}{}
	}
	_, s := listen(t, profile{listener: fsm.ListenerSpec{Limits: &fsm.ListenerLimits{Connections: 2}}}, g.address)
	one, two := ask(t, s.address, get()), ask(t, s.address, get())
	g.want(t, one, "200")
	g.want(t, two, "200")
	third := ask(t, s.address, get())
	if !third.silent() {
		t.Fatal("a connection beyond the bound was served")
	}
	two.send(get())
	g.want(t, two, "200")
	one.Close()
	g.want(t, third, "200")
}
