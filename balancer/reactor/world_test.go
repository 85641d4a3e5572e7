package reactor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// The runtime's own poller takes descriptors when it is first used, which
	// would look like a leak of the test that happens to be first.
	if warm, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		_ = warm.Close()
	}
	goleak.VerifyTestMain(m)
}

// patience is how long tests wait for what should happen at once.
const patience = 30 * time.Second

// world is a reactor that runs, and where it listens.
type world struct {
	t testing.TB
	*Reactor
	listener *Listener
	addr     string
	stop     context.CancelFunc
	ended    chan struct{} // closed when Run has returned
	log      lockedBuffer
	// inside tells for each loop, which alone looks at it, whether a handler's
	// call is under way there.
	inside []bool
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

// start runs a reactor until the test ends, and then looks that no descriptor
// is left.
func start(t testing.TB, loops int) *world {
	t.Helper()
	before := descriptors(t)
	w := &world{t: t, ended: make(chan struct{}), inside: make([]bool, loops)}
	r, err := New(Config{Loops: loops, Logger: slog.New(slog.NewTextHandler(&w.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	w.Reactor = r
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	go func() {
		defer close(w.ended)
		if err := r.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	}()
	t.Cleanup(func() {
		stop()
		await(t, w.ended, "the end of the loops")
		if len(before) > 0 {
			eventually(t, func() string { return left(before, descriptors(t)) })
		}
	})
	return w
}

// descriptors lists the process's open descriptors, or none where the system
// does not tell.
func descriptors(t testing.TB) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var open []string
	for _, entry := range entries {
		target, err := os.Readlink("/proc/self/fd/" + entry.Name())
		if err != nil || strings.HasSuffix(target, "/fd") {
			continue // that of the folder itself
		}
		open = append(open, entry.Name()+" "+target)
	}
	return open
}

// left tells which descriptors are open that were not before.
func left(before, now []string) string {
	now = slices.DeleteFunc(now, func(d string) bool { return slices.Contains(before, d) })
	if len(now) == 0 {
		return ""
	}
	return fmt.Sprintf("descriptors are left: %q", now)
}

// listen has every loop accept what there is a handler for.
func (w *world) listen(handler acceptFunc) {
	w.t.Helper()
	w.listenAt("127.0.0.1:0", handler)
}

type acceptFunc func(c *Conn, peer netip.AddrPort) Handler

func (f acceptFunc) Reserve() bool { return true }

func (f acceptFunc) Release() {}

func (f acceptFunc) Accept(c *Conn, peer netip.AddrPort) Handler { return f(c, peer) }

func (w *world) listenAt(address string, handler acceptFunc) {
	w.t.Helper()
	listener, err := w.Listen(w.t.Context(), address, slices.Repeat([]Acceptor{handler}, len(w.Loops())))
	if err != nil {
		w.t.Fatal(err)
	}
	w.listener, w.addr = listener, listener.Addr().String()
	listener.Start()
}

// accepting listens with one script for each connection.
func (w *world) accepting(prepare func(s *script)) {
	w.t.Helper()
	w.listen(func(c *Conn, _ netip.AddrPort) Handler {
		s := w.script(c)
		prepare(s)
		return s
	})
}

// on runs f on a loop and waits for it.
func (w *world) on(loop int, f func(l *Loop)) {
	w.t.Helper()
	done := make(chan struct{})
	l := w.Loops()[loop]
	if !l.Post(func() { defer close(done); f(l) }) {
		w.t.Fatalf("loop %d has ended", loop)
	}
	await(w.t, done, "a call on the loop")
}

// dial opens a connection from loop 0 with the given script.
func (w *world) dial(addr string, prepare func(s *script)) *script {
	w.t.Helper()
	var s *script
	w.on(0, func(l *Loop) {
		s = w.script(nil)
		c, err := l.Dial(netip.MustParseAddrPort(addr), s)
		if err != nil {
			w.t.Errorf("dial %s: %v", addr, err)
			return
		}
		s.c = c
		prepare(s)
	})
	if s.c == nil {
		w.t.FailNow()
	}
	return s
}

// client is a connection of package net to the world's listener.
func (w *world) client() *peer {
	w.t.Helper()
	conn, err := net.DialTimeout("tcp", w.addr, patience)
	if err != nil {
		w.t.Fatal(err)
	}
	return newPeer(w.t, conn)
}

// peer is the other side of a connection under test.
type peer struct {
	t testing.TB
	*net.TCPConn
}

func newPeer(t testing.TB, conn net.Conn) *peer {
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &peer{t, conn.(*net.TCPConn)}
}

// reset closes with a reset.
func (p *peer) reset() {
	p.t.Helper()
	if err := errors.Join(p.SetLinger(0), p.Close()); err != nil {
		p.t.Error(err)
	}
}

func (p *peer) send(s string) {
	p.t.Helper()
	if _, err := io.WriteString(p, s); err != nil {
		p.t.Errorf("send %.20q: %v", s, err)
	}
}

// expect reads exactly want.
func (p *peer) expect(want string) {
	p.t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(p, got); err != nil || string(got) != want {
		p.t.Errorf("got %.40q, %v, want %.40q", got[:n], err, want)
	}
}

// readFull fills p.
func (p *peer) readFull(b []byte) {
	p.t.Helper()
	if n, err := io.ReadFull(p, b); err != nil {
		p.t.Errorf("got %d of %d bytes: %v", n, len(b), err)
	}
}

// end reads to the end of the connection.
func (p *peer) end() (string, error) {
	rest, err := io.ReadAll(p)
	return string(rest), err
}

// server is a listener of package net whose connections come out of a channel.
func server(t testing.TB) (addr string, accepted <-chan *peer) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conns, done := make(chan *peer, 4096), make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conns <- newPeer(t, conn)
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return listener.Addr().String(), conns
}

func await[T any](t testing.TB, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("waited %v for %s", patience, what)
	}
	return v
}

// eventually waits until fault has none to tell.
func eventually(t testing.TB, fault func() string) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(patience); ; <-tick.C {
		what := fault()
		if what == "" {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("waited %v: %s", patience, what)
		}
	}
}
