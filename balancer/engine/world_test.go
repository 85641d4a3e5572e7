package engine

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"evenkeel/balancer/certificates"
	"evenkeel/balancer/exchange"
	"evenkeel/balancer/table"
	"evenkeel/fsm"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long tests wait for what should happen at once.
const patience = 20 * time.Second

// world is an engine with one listener "web", one route and one pool "p", and
// whatever backends a test registers.
type world struct {
	t        testing.TB
	state    *fsm.State
	seq      uint64
	builder  *table.Builder
	engine   *Engine
	server   *Server
	counters *exchange.Counters // of the one loop
	addr     string
	stop     context.CancelFunc // begins the drain
	stopped  chan struct{}      // closed when the listener has ended
	log      lockedBuffer
	http2    func(*table.Pool) // changes the pool, as the registry will; may be nil
	secure   *ListenerTLS      // nil: the listener speaks plain text
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// names is a resolver with fixed answers.
type names map[string][]netip.Addr

func (n names) Lookup(host string) []netip.Addr { return n[host] }
func (n names) Changed() []string               { return nil }
func (n names) Forget(string)                   {}

// tuning is what a test changes of the defaults.
type tuning struct {
	exchange.Bounds
	drainIdle time.Duration
	loops     int // 1 unless a test sets it
	listener  fsm.ListenerTimeouts
	pool      fsm.PoolSpec
	http2     func(*table.Pool)      // see world
	tls       *tls.Config            // of the listener
	upstream  *certificates.Upstream // of the pool
}

// newWorld starts the listener; the backends are named b0, b1, ... tune may be
// nil.
func newWorld(t testing.TB, tune func(*tuning), backends ...string) *world {
	t.Helper()
	w := &world{t: t, state: fsm.New(), stopped: make(chan struct{})}
	with := tuning{Bounds: exchange.DefaultBounds(), drainIdle: 100 * time.Millisecond,
		pool: fsm.PoolSpec{Strategy: fsm.StrategyRoundRobin}}
	if tune != nil {
		tune(&with)
	}
	w.http2 = with.http2
	w.builder = table.NewBuilder(names{
		"two.test": {netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.1")},
	}, table.Options{Loops: max(with.loops, 1), TLS: func(*fsm.State, *fsm.Pool) *certificates.Upstream { return with.upstream }})
	logger := slog.New(slog.NewTextHandler(&w.log, nil))
	var err error
	if w.engine, err = New(Config{Loops: max(with.loops, 1), DrainTimeout: patience, Logger: logger,
		TLS: func(*fsm.State, *fsm.Listener) *ListenerTLS { return w.secure }}); err != nil {
		t.Fatal(err)
	}
	w.engine.bounds, w.engine.drainIdle = with.Bounds, with.drainIdle
	if with.tls != nil {
		w.secure = w.engine.NewListenerTLS(with.tls)
	}
	w.do(fsm.Init{ClusterID: "test", FeatureLevel: fsm.FeatureLevel,
		Objects: []fsm.Put{put("", "web", fsm.ListenerSpec{Address: ":80", Protocol: fsm.ProtocolHTTP, Timeouts: &with.listener})}})
	w.do(put("", "p", with.pool))
	w.do(put("", "r", fsm.RouteSpec{Pools: []fsm.WeightedPool{{Name: "p", Weight: 1}}}))
	for i, address := range backends {
		w.register(fmt.Sprintf("b%d", i), address)
	}
	w.serve()
	return w
}

func put(pool, name string, spec fsm.Spec) fsm.Put {
	return fsm.Put{Pool: pool, Name: name, Spec: spec}
}

func (w *world) register(name, address string) {
	w.t.Helper()
	w.do(put("p", name, fsm.BackendSpec{Address: address, Weight: 1, AdminState: fsm.AdminReady}))
}

func (w *world) do(op fsm.Operation) {
	w.t.Helper()
	w.seq++
	next, results := fsm.Apply(w.state, []fsm.Command{{ID: fsm.CommandID{Origin: "test", Seq: w.seq}, Op: op}})
	if results[0].Err != nil {
		w.t.Fatalf("%#v: %v", op, results[0].Err)
	}
	w.state = next
	compiled := w.builder.Update(next)
	if pool := compiled.PoolNamed("p"); pool != nil && w.http2 != nil {
		w.http2(pool)
	}
	w.engine.Swap(compiled)
}

func (w *world) serve() {
	w.t.Helper()
	counters := w.engine.Counters()
	w.counters = &counters[0]
	server, err := w.engine.Listen(w.t.Context(), "web", "127.0.0.1:0", counters)
	if err != nil {
		w.t.Fatal(err)
	}
	looping, stopLoops := context.WithCancel(context.Background())
	looped := make(chan struct{})
	go func() {
		defer close(looped)
		if err := w.engine.Run(looping); err != nil {
			w.t.Errorf("run loops: %v", err)
		}
	}()
	ctx, stop := context.WithCancel(context.Background())
	w.server, w.addr, w.stop = server, server.Addr(), stop
	go func() {
		defer close(w.stopped)
		if err := server.Run(ctx); err != nil {
			w.t.Errorf("run: %v", err)
		}
	}()
	w.t.Cleanup(func() {
		stop()
		await(w.t, w.stopped, "the end of the listener")
		stopLoops()
		await(w.t, looped, "the end of the loops")
		if w.t.Failed() {
			w.t.Logf("log:\n%s", w.log.String())
		}
	})
}

func (w *world) connections() int64 {
	connections, _ := w.server.Live()
	return connections
}

func (w *world) requests() int64 {
	_, requests := w.server.Live()
	return requests
}

// backend returns how the newest table knows a backend.
func (w *world) backend(name string) *table.Backend {
	w.t.Helper()
	for _, b := range w.engine.Table().PoolNamed("p").Backends() {
		if b.Name == name {
			return b
		}
	}
	w.t.Fatalf("no backend %q", name)
	return nil
}

func await(t testing.TB, done <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
	}
}

// eventually polls.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("never came true: %s", what)
		}
		<-ticker.C
	}
}

// peerConn is one end of a raw conversation, on either side of the proxy.
// Failures end the conversation, and the test.
type peerConn struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func newPeer(t testing.TB, conn net.Conn) *peerConn {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Error(err)
	}
	return &peerConn{Conn: conn, t: t, r: bufio.NewReader(conn)}
}

func (p *peerConn) send(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.Conn, text); err != nil {
		p.t.Errorf("send %q: %v", text, err)
	}
}

// expect reads exactly the text.
func (p *peerConn) expect(text string) {
	p.t.Helper()
	got := make([]byte, len(text))
	n, err := io.ReadFull(p.r, got)
	if err != nil || string(got) != text {
		p.t.Errorf("got %q, %v; want %q", got[:n], err, text)
	}
}

// head reads up to the empty line.
func (p *peerConn) head() string {
	p.t.Helper()
	var head []byte
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		line, err := p.r.ReadBytes('\n')
		head = append(head, line...)
		if err != nil {
			p.t.Errorf("read head: %v after %q", err, head)
			return string(head)
		}
	}
	return string(head)
}

// wait is [await] for scripts, which run outside of the test's goroutine.
func (p *peerConn) wait(done <-chan struct{}, what string) {
	p.t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		p.t.Errorf("%s did not come", what)
	}
}

// request reads a request as net/http understands it.
func (p *peerConn) request() *http.Request {
	p.t.Helper()
	request, err := http.ReadRequest(p.r)
	if err != nil {
		p.t.Errorf("read request: %v", err)
		return &http.Request{Header: http.Header{}, Body: http.NoBody}
	}
	return request
}

func (p *peerConn) response(method string) *http.Response {
	p.t.Helper()
	response, err := http.ReadResponse(p.r, &http.Request{Method: method})
	if err != nil {
		p.t.Fatalf("read response: %v", err)
	}
	return response
}

// exchangeOnce sends a GET and reads the answer. It may run in any goroutine.
func exchangeOnce(p *peerConn) (body string, closing bool, err error) {
	if _, err := io.WriteString(p.Conn, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"); err != nil {
		return "", false, err
	}
	response, err := http.ReadResponse(p.r, &http.Request{Method: "GET"})
	if err != nil {
		return "", false, err
	}
	text, err := io.ReadAll(response.Body)
	return string(text), response.Close, err
}

// end reads the rest and returns it with the error that ended it: nil for a
// proper end.
func (p *peerConn) end() (string, error) {
	rest, err := io.ReadAll(p.r)
	return string(rest), err
}

func (p *peerConn) closeWrite() {
	p.t.Helper()
	if err := p.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		p.t.Error(err)
	}
}

// scripted starts a backend that has the script talk on each connection, and
// then closes it.
func scripted(t testing.TB, script func(p *peerConn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var talks sync.WaitGroup
	talks.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			talks.Go(func() {
				defer conn.Close()
				script(newPeer(t, conn))
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		talks.Wait()
	})
	return listener.Addr().String()
}

// refusing returns an address that refuses connects for as long as the test
// lasts: it is bound, and nobody listens.
func refusing(t testing.TB) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", bound.(*syscall.SockaddrInet4).Port)
}

// dial opens a raw connection to the listener.
func (w *world) dial() *peerConn {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	return newPeer(w.t, conn)
}

// get sends a request by a fresh connection and returns the whole answer.
func (w *world) get(path string) (status int, body string) {
	w.t.Helper()
	p := w.dial()
	defer p.Close()
	p.send("GET " + path + " HTTP/1.1\r\nHost: example.com\r\n\r\n")
	response := p.response("GET")
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// answering is a backend that answers each request with a text.
func answering(t testing.TB, text string) string {
	return scripted(t, func(p *peerConn) {
		for {
			if _, err := p.r.Peek(1); err != nil {
				return
			}
			request := p.request()
			if _, err := io.Copy(io.Discard, request.Body); err != nil {
				return
			}
			p.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text))
		}
	})
}

var removeRoute = fsm.Delete{Ref: fsm.Ref{Kind: fsm.KindRoute, Name: "r"}}
