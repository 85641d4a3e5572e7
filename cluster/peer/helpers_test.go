package peer

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"evenkeel/cluster/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	alice = "0a6d0f6e-0000-4000-8000-00000000000a"
	bob   = "0a6d0f6e-0000-4000-8000-00000000000b"

	// patience is how long a test waits for what must happen.
	patience = 60 * time.Second
)

// oneSecret is the secret of nodes that belong together.
var oneSecret = secret.New()

// addresses is a directory for tests.
type addresses struct {
	mu    sync.Mutex
	addrs map[string]string
}

func (a *addresses) set(uid, addr string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.addrs == nil {
		a.addrs = map[string]string{}
	}
	a.addrs[uid] = addr
}

func (a *addresses) lookup(uid string) (string, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	addr, ok := a.addrs[uid]
	return addr, ok
}

// node describes a port for a test.
type node struct {
	uid       string
	secrets   string // lines; "" for none
	directory *addresses
	handler   http.Handler
	maxBody   int64
	logger    *slog.Logger
}

// open opens the port, without running it, and enters it in the directory.
func (n node) open(t testing.TB) *Port {
	t.Helper()
	ring := secret.Loopback()
	if n.secrets != "" {
		var err error
		if ring, err = secret.Parse([]byte(n.secrets)); err != nil {
			t.Fatal(err)
		}
	}
	p, err := Listen(Config{Bind: "127.0.0.1:0", UID: n.uid, Secrets: ring, MaxBody: n.maxBody, Logger: n.logger})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close port: %v", err)
		}
	})
	if n.directory != nil {
		n.directory.set(n.uid, p.Addr().String())
		p.SetDirectory(n.directory.lookup)
	}
	if n.handler != nil {
		p.HandleRPC(n.handler)
	}
	return p
}

// run opens the port and runs it to the end of the test.
func (n node) run(t testing.TB) *Port {
	t.Helper()
	p := n.open(t)
	start(t, p)
	return p
}

// start runs the port until the test ends or stop is called; stop waits.
func start(t testing.TB, p *Port) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("run port: %v", err)
			}
		case <-time.After(patience):
			t.Error("the port did not end")
		}
	})
	t.Cleanup(stop)
	return stop
}

// pair runs two ports that know each other.
func pair(t testing.TB, handler http.Handler) (a, b *Port) {
	t.Helper()
	var directory addresses
	a = node{uid: alice, secrets: oneSecret, directory: &directory, handler: handler}.run(t)
	b = node{uid: bob, secrets: oneSecret, directory: &directory, handler: handler}.run(t)
	return a, b
}

// eventually polls until the condition holds.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !condition(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("never came: %s", what)
		}
	}
}

// take waits for a value.
func take[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// accept takes the next connection of a listener.
func accept(t testing.TB, from net.Listener) net.Conn {
	t.Helper()
	conns := make(chan net.Conn, 1)
	go func() {
		if c, err := from.Accept(); err == nil {
			conns <- c
		}
	}()
	c := take(t, conns)
	t.Cleanup(func() { c.Close() })
	return c
}

// mustTalk sends a line each way.
func mustTalk(t testing.TB, a, b net.Conn) {
	t.Helper()
	for _, way := range []struct{ from, to net.Conn }{{a, b}, {b, a}} {
		for _, c := range []net.Conn{a, b} {
			if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
		}
		const line = "how is the weather over there?"
		if _, err := io.WriteString(way.from, line); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(line))
		if _, err := io.ReadFull(way.to, got); err != nil || string(got) != line {
			t.Fatalf("got %q, %v", got, err)
		}
	}
}

// raw connects without TLS.
func raw(t testing.TB, p *Port) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// refused waits until the port has refused something for that reason.
func refused(t testing.TB, p *Port, why reason) {
	t.Helper()
	eventually(t, fmt.Sprintf("a refusal for %s", why), func() bool { return p.Counters().Refused[why.String()] > 0 })
}

// logBook is a log that tests read.
type logBook struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logBook) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
