package reactor

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

// closedPort is an address at which nobody listens.
func closedPort(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestARefusedConnectFails(t *testing.T) {
	w := start(t, 1)
	failed := make(chan error, 1)
	w.dial(closedPort(t), func(s *script) {
		s.connected = func() { t.Error("connected") }
		s.failed = func(err error) { failed <- err }
		s.write("this is kept for nobody")
	})
	if err := await(t, failed, "Failed"); !errors.Is(err, syscall.ECONNREFUSED) || IsLocal(err) {
		t.Errorf("failed with %v", err)
	}
	w.noneOpen()
}

// deaf is a listener whose queue is full: connects to it neither succeed nor
// fail.
func deaf(t testing.TB) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for range 16 {
		conn, err := net.DialTimeout("tcp", addr, 100*time.Millisecond)
		if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
			return addr
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	t.Skip("the queue of a listener cannot be filled here")
	return ""
}

func TestAConnectThatTakesTooLongIsEndedByItsDeadline(t *testing.T) {
	w := start(t, 1)
	expired := make(chan struct{})
	w.dial(deaf(t), func(s *script) {
		s.connected = func() { t.Error("connected") }
		s.expired = func() { s.abort(); close(expired) }
		s.c.SetDeadline(s.c.Loop().Now() + int64(30*time.Millisecond))
	})
	await(t, expired, "the deadline")
	w.noneOpen()
}

func TestAnAddressThatCannotBeReachedIsAnErrorAtOnceOrLater(t *testing.T) {
	w := start(t, 1)
	w.on(0, func(l *Loop) {
		s := w.script(nil)
		c, err := l.Dial(netip.MustParseAddrPort("0.0.0.0:0"), s)
		if err != nil {
			return
		}
		s.c = c
		s.failed = func(error) {}
	})
	w.noneOpen()
}

// TestTheServerMaySpeakFirst has the greeting arrive with the connect, before
// the loop looks.
func TestTheServerMaySpeakFirst(t *testing.T) {
	w := start(t, 1)
	addr, servers := server(t)
	got := make(chan string, 1)
	s := w.script(nil)
	s.data = func(p []byte) int { got <- string(p); return len(p) }
	w.on(0, func(l *Loop) {
		var err error
		if s.c, err = l.Dial(netip.MustParseAddrPort(addr), s); err != nil {
			t.Error(err)
			return
		}
		await(t, servers, "the connection").send("welcome")
	})
	if greeting := await(t, got, "the greeting"); greeting != "welcome" {
		t.Errorf("got %q", greeting)
	}
	w.on(0, func(*Loop) { s.close() })
}

func TestAServerThatEndsAtOnceIsConnectedFirst(t *testing.T) {
	w := start(t, 1)
	addr, servers := server(t)
	for range 20 {
		var order []string
		ended := make(chan struct{})
		w.on(0, func(l *Loop) {
			s := w.script(nil)
			s.connected = func() { order = append(order, "connected") }
			s.data = func(p []byte) int { order = append(order, string(p)); return len(p) }
			s.eof = func() { order = append(order, "end"); s.close(); close(ended) }
			var err error
			if s.c, err = l.Dial(netip.MustParseAddrPort(addr), s); err != nil {
				t.Error(err)
				return
			}
			peer := await(t, servers, "the connection") // the loop has not seen it yet
			peer.send("no")
			_ = peer.Close()
		})
		await(t, ended, "EOF")
		if got := fmt.Sprint(order); got != "[connected no end]" {
			t.Errorf("got %s", got)
		}
	}
}

func TestErrorsOfTheMachineAreToldFromThePeers(t *testing.T) {
	for _, local := range []syscall.Errno{syscall.EADDRNOTAVAIL, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if !IsLocal(fmt.Errorf("connect: %w", local)) {
			t.Errorf("%v is the peer's", local)
		}
	}
	for _, peers := range []error{syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ETIMEDOUT, syscall.EHOSTUNREACH, errors.New("x"), nil} {
		if IsLocal(peers) {
			t.Errorf("%v is this machine's", peers)
		}
	}
}
