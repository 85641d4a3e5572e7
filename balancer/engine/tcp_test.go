package engine

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"evenkeel/balancer/exchange"
	"evenkeel/balancer/proxyproto"
	"evenkeel/fsm"
)

// newForwarder is a world whose listener forwards connections. change may be
// nil.
func newForwarder(t testing.TB, tune func(*tuning), change func(*exchange.Settings), backends ...string) *world {
	t.Helper()
	w := newWorld(t, tune, backends...)
	w.engine.config.DrainTimeout = 50 * time.Millisecond // of tests that leave connections open
	w.do(put("", "forward", fsm.RouteSpec{Listeners: []string{"web"}, Pools: []fsm.WeightedPool{{Name: "p", Weight: 1}}}))
	settings := *w.server.listener.Settings.Load()
	settings.Protocol, settings.Idle = exchange.ProtocolTCP, patience
	if change != nil {
		change(&settings)
	}
	w.server.listener.Settings.Store(&settings)
	return w
}

// atRest waits until nothing is under way.
func (w *world) atRest() {
	w.t.Helper()
	eventually(w.t, "nothing is under way", func() bool {
		for _, b := range w.engine.Table().PoolNamed("p").Backends() {
			if b.Stats.InFlight() != 0 {
				return false
			}
		}
		return w.connections() == 0 && w.requests() == 0
	})
}

// talking is a backend whose connections a test talks on.
func talking(t testing.TB) (address string, conns chan *peerConn) {
	conns = make(chan *peerConn, 16)
	done := make(chan struct{})
	address = scripted(t, func(p *peerConn) {
		conns <- p
		p.wait(done, "the end of the test")
	})
	t.Cleanup(func() { close(done) }) // before the backend is waited for
	return address, conns
}

func TestForwardedConnectionsHalfClose(t *testing.T) {
	for name, clientFirst := range map[string]bool{"the client first": true, "the backend first": false} {
		t.Run(name, func(t *testing.T) {
			address, conns := talking(t)
			w := newForwarder(t, nil, nil, address)
			client := w.dial()
			backend := <-conns // before a byte was sent
			backend.send("greeting")
			client.expect("greeting")
			client.send("command")
			backend.expect("command")
			first, second := backend, client
			if clientFirst {
				first, second = client, backend
			}
			first.closeWrite()
			if rest, err := second.end(); rest != "" || err != nil {
				t.Errorf("%q, %v", rest, err)
			}
			second.send("the rest")
			first.expect("the rest")
			if w.requests() != 1 || w.backend("b0").Stats.InFlight() != 1 {
				t.Errorf("%d under way", w.requests())
			}
			second.closeWrite()
			if rest, err := first.end(); rest != "" || err != nil {
				t.Errorf("%q, %v", rest, err)
			}
			w.atRest()
			if in, out := w.counters.BytesIn.Load(), w.counters.BytesOut.Load(); in+out != uint64(len("greetingcommandthe rest")) {
				t.Errorf("%d bytes in, %d out", in, out)
			}
		})
	}
}

// random is bytes and their digest.
func random(t testing.TB, n int) ([]byte, [32]byte) {
	t.Helper()
	p := make([]byte, n)
	if _, err := rand.Read(p); err != nil {
		t.Fatal(err)
	}
	return p, sha256.Sum256(p)
}

func TestMuchPassesBothWaysAtOnce(t *testing.T) {
	const size = 64 << 20
	address, conns := talking(t)
	w := newForwarder(t, nil, nil, address)
	client := w.dial()
	backend := <-conns
	up, upSum := random(t, size)
	down, downSum := random(t, size)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := client.Write(up); err != nil {
			t.Error(err)
		}
		client.closeWrite()
	})
	all.Go(func() {
		if _, err := backend.Write(down); err != nil {
			t.Error(err)
		}
		backend.closeWrite()
	})
	check := func(name string, p *peerConn, want [32]byte, slow bool) {
		sum, piece := sha256.New(), make([]byte, 64<<10)
		for total := 0; ; {
			n, err := p.r.Read(piece)
			sum.Write(piece[:n])
			if total += n; err != nil {
				if err != io.EOF || total != size || !bytes.Equal(sum.Sum(nil), want[:]) {
					t.Errorf("%s read %d bytes, %v", name, total, err)
				}
				return
			}
			if slow && total < 4<<20 {
				<-time.After(time.Millisecond)
			}
		}
	}
	all.Go(func() { check("the backend", backend, upSum, false) })
	all.Go(func() { check("the client", client, downSum, true) })
	all.Wait()
	w.atRest()
	runtime.ReadMemStats(&after)
	if grown := int64(after.TotalAlloc - before.TotalAlloc); grown > 16<<20 {
		t.Errorf("%d bytes were allocated", grown)
	}
	if in, out := w.counters.BytesIn.Load(), w.counters.BytesOut.Load(); in != size || out != size {
		t.Errorf("%d bytes in, %d out", in, out)
	}
}

func TestForwardingTriesTheNextBackend(t *testing.T) {
	t.Run("when the first is dead", func(t *testing.T) {
		address, conns := talking(t)
		w := newForwarder(t, nil, nil, refusing(t), address)
		for range 2 { // the rotation begins anywhere
			client := w.dial()
			(<-conns).send("here")
			client.expect("here")
		}
		if got := w.backend("b0").Stats.ConnectFailures(); got == 0 {
			t.Error("no failed connect is counted")
		}
	})
	t.Run("until none is left", func(t *testing.T) {
		w := newForwarder(t, nil, nil, refusing(t), refusing(t))
		client := w.dial()
		if rest, err := client.end(); rest != "" || err != nil {
			t.Errorf("%q, %v", rest, err)
		}
		if got := w.counters.NoBackend.Load(); got != 1 {
			t.Errorf("%d counted", got)
		}
		w.atRest()
	})
	t.Run("when the first does not answer", func(t *testing.T) {
		address, conns := talking(t)
		w := newForwarder(t, func(l *tuning) {
			l.pool.Timeouts = &fsm.PoolTimeouts{Connect: fsm.Duration(50 * time.Millisecond)}
		}, nil, unanswered(t), address)
		for range 2 {
			client := w.dial()
			(<-conns).send("here")
			client.expect("here")
		}
	})
}

// unanswered is an address whose accept queue is full, so that connects get no
// answer.
func unanswered(t testing.TB) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", bound.(*syscall.SockaddrInet4).Port)
	for range 2 { // one is in the queue, one waits for it
		conn, err := net.DialTimeout("tcp", address, 100*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { conn.Close() })
	}
	if conn, err := net.DialTimeout("tcp", address, 100*time.Millisecond); err == nil {
		conn.Close()
		t.Skip("this kernel answers connects to a full queue")
	}
	return address
}

func TestASilentForwardedConnectionIsClosed(t *testing.T) {
	address, conns := talking(t)
	w := newForwarder(t, nil, func(s *exchange.Settings) { s.Idle = 50 * time.Millisecond }, address)
	client := w.dial()
	backend := <-conns
	for _, p := range []*peerConn{client, backend} {
		if rest, err := p.end(); rest != "" || err != nil {
			t.Errorf("%q, %v", rest, err)
		}
	}
	w.atRest()
	if got := w.counters.Timeout.Load(); got != 1 {
		t.Errorf("%d counted", got)
	}
}

// reset closes a connection with a reset.
func (p *peerConn) reset() {
	p.t.Helper()
	if err := p.Conn.(*net.TCPConn).SetLinger(0); err != nil {
		p.t.Error(err)
	}
	p.Conn.Close()
}

func TestResetsOfForwardedConnectionsAreCarriedOver(t *testing.T) {
	address, conns := talking(t)
	w := newForwarder(t, nil, nil, address)
	for _, clientFirst := range []bool{true, false} {
		client := w.dial()
		backend := <-conns
		client.send("x")
		backend.expect("x")
		first, second := backend, client
		if clientFirst {
			first, second = client, backend
		}
		first.reset()
		if _, err := second.end(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the client first: %v: %v", clientFirst, err)
		}
		w.atRest()
	}
}

func TestForwardedConnectionsDrain(t *testing.T) {
	address, conns := talking(t)
	w := newForwarder(t, nil, nil, address)
	w.engine.config.DrainTimeout = patience
	client := w.dial()
	backend := <-conns
	w.stop()
	eventually(t, "the drain has begun", func() bool { return w.server.listener.Closing.Load() })
	client.send("still served")
	backend.expect("still served")
	client.closeWrite()
	backend.closeWrite()
	await(t, w.stopped, "the end of the listener")

	address, conns = talking(t)
	w = newForwarder(t, nil, nil, address)
	client = w.dial()
	backend = <-conns
	w.stop()
	await(t, w.stopped, "the end of the listener")
	for _, p := range []*peerConn{client, backend} {
		if _, err := p.end(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%v after the drain timeout", err)
		}
	}
}

func TestForwardedConnectionsAreBoundAndQueued(t *testing.T) {
	address, conns := talking(t)
	w := newForwarder(t, func(l *tuning) {
		l.pool.Limits = &fsm.PoolLimits{BackendRequests: 1, Queue: 1}
	}, nil, address)
	first := w.dial()
	backend := <-conns
	second := w.dial()
	second.send("early")
	eventually(t, "the second one waits", func() bool { return w.engine.Table().PoolNamed("p").Shared.Waiting.Load() == 1 })
	third := w.dial()
	if rest, err := third.end(); rest != "" || err != nil {
		t.Errorf("one too many: %q, %v", rest, err)
	}
	first.closeWrite()
	backend.closeWrite()
	(<-conns).expect("early")
}

func TestLeastConnectionsCountsForwardedOnes(t *testing.T) {
	one, ones := talking(t)
	two, twos := talking(t)
	w := newForwarder(t, func(l *tuning) { l.pool.Strategy = fsm.StrategyLeastConnections }, nil, one, two)
	for range 5 {
		w.dial()
		w.dial()
		<-ones
		<-twos
	}
}

func TestForwardedConnectionsStickToTheirSource(t *testing.T) {
	one, ones := talking(t)
	two, twos := talking(t)
	w := newForwarder(t, func(l *tuning) {
		l.pool.Strategy = fsm.StrategyMaglev
		l.pool.Hash = &fsm.HashSpec{On: fsm.HashSource}
	}, nil, one, two)
	counts := map[string]int{}
	for range 6 {
		w.dial()
		select {
		case <-ones:
			counts["one"]++
		case <-twos:
			counts["two"]++
		case <-time.After(patience):
			t.Fatal("no backend was connected")
		}
	}
	if len(counts) != 1 {
		t.Errorf("one client went to %v", counts)
	}
}

// sendsHeader has the pool announce its clients, from the loop that reads it.
func (w *world) sendsHeader(version proxyproto.Version) {
	w.t.Helper()
	done := make(chan struct{})
	w.engine.loops[0].on.Post(func() {
		defer close(done)
		w.engine.Table().PoolNamed("p").ProxyProtocol = version
	})
	await(w.t, done, "the loop")
}

func believing(networks ...string) func(*exchange.Settings) {
	return func(s *exchange.Settings) {
		s.ProxyHeader = true
		for _, network := range networks {
			s.ProxyTrusted = append(s.ProxyTrusted, netip.MustParsePrefix(network))
		}
	}
}

func TestAProxyHeaderPassesThrough(t *testing.T) {
	for _, version := range []proxyproto.Version{proxyproto.V1, proxyproto.V2} {
		address, conns := talking(t)
		w := newForwarder(t, nil, believing("127.0.0.0/8"), address)
		w.sendsHeader(version)
		want := proxyproto.Header{Source: netip.MustParseAddrPort("192.0.2.7:4000"), Destination: netip.MustParseAddrPort("198.51.100.1:443")}
		header, err := proxyproto.Append(nil, version, want)
		if err != nil {
			t.Fatal(err)
		}
		client := w.dial()
		for i := range header { // trickled, and yet in time
			client.send(string(header[i : i+1]))
		}
		client.send("hello")
		(<-conns).expect(string(header) + "hello")
	}
}

func TestAPoolIsToldWhoConnects(t *testing.T) {
	address, conns := talking(t)
	w := newForwarder(t, nil, nil, address)
	w.sendsHeader(proxyproto.V1)
	client := w.dial()
	source := client.LocalAddr().(*net.TCPAddr).AddrPort()
	destination := netip.MustParseAddrPort(w.addr)
	(<-conns).expect(fmt.Sprintf("PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n", source.Port(), destination.Port()))
}

func TestHeadersThatAreNotBelievedCloseTheConnection(t *testing.T) {
	const good = "PROXY TCP4 192.0.2.7 198.51.100.1 4000 443\r\n"
	for name, c := range map[string]struct {
		trusted, header string
	}{
		"from elsewhere":  {"192.0.2.0/24", good},
		"malformed":       {"127.0.0.0/8", "PROXY TCP4 192.0.2.7 198.51.100.1 4000\r\n"},
		"none":            {"127.0.0.0/8", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
		"one that stalls": {"127.0.0.0/8", good[:10]},
	} {
		t.Run(name, func(t *testing.T) {
			w := newForwarder(t, func(l *tuning) {
				l.listener.ClientHead = fsm.Duration(100 * time.Millisecond)
			}, believing(c.trusted), refusing(t))
			client := w.dial()
			// It may be closed by now.
			_, _ = io.WriteString(client.Conn, c.header)
			if rest, _ := client.end(); rest != "" {
				t.Errorf("got %q", rest)
			}
			w.atRest()
			if got := w.counters.ProxyHeader.Load(); got != 1 {
				t.Errorf("%d counted", got)
			}
			eventually(t, "its place is free", func() bool { return w.server.connections.Load() == 0 })
		})
	}
}

func TestRequestsCountAsTheAnnouncedClients(t *testing.T) {
	w := newForwarder(t, nil, func(s *exchange.Settings) {
		believing("127.0.0.1/32")(s)
		s.Protocol = exchange.ProtocolHTTP
	}, scripted(t, func(p *peerConn) {
		p.expect("PROXY TCP4 192.0.2.7 198.51.100.1 4000 80\r\n")
		request := p.request()
		p.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n" + request.Header.Get("X-Forwarded-For"))
	}))
	w.sendsHeader(proxyproto.V1)
	client := w.dial()
	client.send("PROXY TCP4 192.0.2.7 198.51.100.1 4000 80\r\n")
	for range 2 {
		if body, _, err := exchangeOnce(client); body != "192.0.2.7" || err != nil {
			t.Errorf("%q, %v", body, err)
		}
	}
}

func TestTLSPassesThroughToWhomItIsFor(t *testing.T) {
	backend := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "for %s", r.TLS.ServerName)
	}))
	defer backend.Close()
	w := newForwarder(t, nil, func(s *exchange.Settings) { s.Protocol = exchange.ProtocolTLSPassthrough },
		strings.TrimPrefix(backend.URL, "https://"))
	roots := backend.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	conn := tls.Client(w.dial().Conn, &tls.Config{ServerName: "example.com", RootCAs: roots})
	if err := conn.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if body, _, err := exchangeOnce(newPeer(t, conn)); body != "for example.com" || err != nil {
		t.Errorf("%q, %v", body, err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	backend.CloseClientConnections()
	w.atRest()
	if n := w.counters.Connections[exchange.SpokenTLSPassthrough].Load(); n != 1 {
		t.Errorf("%d connections were counted", n)
	}
}

func TestAHelloThatStallsIsClosed(t *testing.T) {
	w := newForwarder(t, func(l *tuning) { l.listener.ClientHead = fsm.Duration(50 * time.Millisecond) },
		func(s *exchange.Settings) { s.Protocol = exchange.ProtocolTLSPassthrough }, refusing(t))
	client := w.dial()
	client.send("\x16\x03\x01")
	if rest, err := client.end(); rest != "" || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
	w.atRest()
	if got := w.counters.Hello.Load(); got != 1 {
		t.Errorf("%d counted", got)
	}
}
