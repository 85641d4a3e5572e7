package exchange

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"evenkeel/balancer/proxyproto"
	"evenkeel/fsm"
)

// forwards makes the world's listener one that forwards connections.
func (w *world) forwards(protocol Protocol) *world {
	w.listener.Name = "tcp"
	settings := *w.listener.Settings.Load()
	settings.Protocol, settings.Idle = protocol, time.Minute
	w.listener.Settings.Store(&settings)
	return w
}

func forwarding(t testing.TB, pool fsm.PoolSpec, backends int) *world {
	return newWorld(t, pool, backends).forwards(ProtocolTCP)
}

// accept is a new connection that is forwarded.
func (w *world) accept() *wire {
	wire := &wire{ends: [2]netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:5000"), netip.MustParseAddrPort("198.51.100.1:80")}}
	wire.events = w.loop.NewForward(wire, w.listener, wire.ends[0].Addr())
	return wire
}

// connect is a new connection that is forwarded, and its backend's.
func (w *world) connect() (client, backend *wire) {
	client = w.accept()
	backend = w.dialled[len(w.dialled)-1]
	backend.events.Connected()
	return client, backend
}

func (w *world) counters() *Counters { return &w.listener.Counters[0] }

// released tells whether nothing is accounted for any more.
func (w *world) released(t *testing.T) {
	t.Helper()
	live := &w.listener.Live[0]
	if live.Connections.Load() != 0 || live.Requests.Load() != 0 {
		t.Errorf("%d connections and %d requests are left", live.Connections.Load(), live.Requests.Load())
	}
	for _, b := range w.view.Table.PoolNamed("p").Backends() {
		if n := b.Stats.InFlight(); n != 0 {
			t.Errorf("%d in flight at %s", n, b.Name)
		}
	}
}

func TestBytesPassBothWays(t *testing.T) {
	w := forwarding(t, fsm.PoolSpec{}, 1)
	client, backend := w.connect()
	client.give("ping")
	backend.give("pong")
	if got := backend.take(); got != "ping" {
		t.Errorf("the backend got %q", got)
	}
	if got := client.take(); got != "pong" {
		t.Errorf("the client got %q", got)
	}
	if c := w.counters(); c.Requests.Load() != 1 || c.BytesIn.Load() != 4 || c.BytesOut.Load() != 4 {
		t.Errorf("%d connections, %d bytes in, %d out", c.Requests.Load(), c.BytesIn.Load(), c.BytesOut.Load())
	}
	if n := w.view.Table.PoolNamed("p").Backend("b0").Stats.InFlight(); n != 1 {
		t.Errorf("%d in flight", n)
	}
}

func TestEachDirectionEndsOnItsOwn(t *testing.T) {
	for name, clientFirst := range map[string]bool{"the client first": true, "the backend first": false} {
		t.Run(name, func(t *testing.T) {
			w := forwarding(t, fsm.PoolSpec{}, 1)
			client, backend := w.connect()
			first, second := backend, client
			if clientFirst {
				first, second = client, backend
			}
			first.end()
			if !second.fin || second.closed || first.closed || first.fin {
				t.Fatalf("first %+v, second %+v", first, second)
			}
			second.give("still here")
			if got := first.take(); got != "still here" {
				t.Errorf("got %q", got)
			}
			second.end()
			if !first.fin || !first.closed || !second.closed || first.aborted || second.aborted {
				t.Errorf("first %+v, second %+v", first, second)
			}
			w.released(t)
		})
	}
}

func TestNothingIsClosedBeforeWhatIsKeptWasSent(t *testing.T) {
	w := forwarding(t, fsm.PoolSpec{}, 1)
	client, backend := w.connect()
	client.full = true
	backend.give("kept")
	if !backend.paused {
		t.Fatal("the backend is read on")
	}
	client.end()
	backend.paused = false // the end lies behind what was read
	backend.end()
	if client.closed || !client.fin {
		t.Fatalf("%+v", client)
	}
	client.full = false
	client.events.Drained()
	if !client.closed || client.aborted || !backend.closed {
		t.Errorf("client %+v, backend %+v", client, backend)
	}
	w.released(t)
}

func TestWhoDoesNotReadHoldsTheOtherBack(t *testing.T) {
	w := forwarding(t, fsm.PoolSpec{}, 1)
	client, backend := w.connect()
	backend.full = true
	client.give("a")
	if !client.paused || backend.paused {
		t.Fatalf("client paused: %v, backend: %v", client.paused, backend.paused)
	}
	backend.give("b")
	if got := client.take(); got != "b" {
		t.Errorf("the client got %q", got)
	}
	backend.full = false
	backend.events.Drained()
	if client.paused {
		t.Error("the client is not read on")
	}
}

func TestResetsAreCarriedOver(t *testing.T) {
	t.Run("from the client", func(t *testing.T) {
		w := forwarding(t, fsm.PoolSpec{}, 1)
		client, backend := w.connect()
		client.events.Failed(syscall.ECONNRESET)
		if !backend.aborted || w.counters().ClientLeft.Load() != 1 {
			t.Errorf("backend %+v, %d left", backend, w.counters().ClientLeft.Load())
		}
		w.released(t)
	})
	t.Run("from the backend", func(t *testing.T) {
		w := forwarding(t, fsm.PoolSpec{}, 1)
		client, backend := w.connect()
		backend.give("last words")
		backend.events.Failed(syscall.ECONNRESET)
		if got := client.take(); !client.aborted || got != "last words" {
			t.Errorf("client %+v got %q", client, got)
		}
		if w.counters().BadGateway.Load() != 0 || len(w.suspected) > 0 {
			t.Errorf("the backend is blamed: %q", w.suspected)
		}
		w.released(t)
	})
	t.Run("from the backend before it sent anything", func(t *testing.T) {
		w := forwarding(t, fsm.PoolSpec{}, 1)
		_, backend := w.connect()
		backend.events.Failed(syscall.ECONNRESET)
		if w.counters().BadGateway.Load() != 1 || len(w.suspected) > 0 {
			t.Errorf("%d counted, suspected: %q", w.counters().BadGateway.Load(), w.suspected)
		}
		w.released(t)
	})
	t.Run("that a write has met", func(t *testing.T) {
		w := forwarding(t, fsm.PoolSpec{}, 1)
		client, backend := w.connect()
		backend.broken = true
		client.give("lost")
		if client.closed || !client.paused {
			t.Fatalf("what the backend had to say is not waited for: %+v", client)
		}
		backend.give("an error")
		backend.end()
		if got := client.take(); got != "an error" || !client.aborted || !backend.aborted {
			t.Errorf("client %+v got %q", client, got)
		}
		w.released(t)
	})
}

func TestAConnectIsTriedAtTheNextBackend(t *testing.T) {
	for name, fail := range map[string]func(*world, *wire){
		"that is refused": func(_ *world, b *wire) { b.closed = true; b.events.Failed(syscall.ECONNREFUSED) },
		"that is late":    func(w *world, b *wire) { b.expire(w) },
	} {
		t.Run(name, func(t *testing.T) {
			w := forwarding(t, fsm.PoolSpec{}, 2)
			client := w.accept()
			client.give("early")
			fail(w, w.dialled[0])
			if len(w.dialled) != 2 || !w.dialled[0].closed {
				t.Fatalf("%d dials", len(w.dialled))
			}
			w.dialled[1].events.Connected()
			client.settle()
			if got := w.dialled[1].take(); got != "early" {
				t.Errorf("the second backend got %q", got)
			}
			if len(w.suspected) != 1 {
				t.Errorf("suspected: %q", w.suspected)
			}
			w.dialled[1].events.Failed(syscall.ECONNRESET)
			w.released(t)
		})
	}
}

func TestWithoutABackendTheConnectionIsClosed(t *testing.T) {
	w := forwarding(t, fsm.PoolSpec{}, 2)
	client := w.accept()
	for len(w.dialled) < 2 || !w.dialled[1].closed {
		last := w.dialled[len(w.dialled)-1]
		last.closed = true
		last.events.Failed(syscall.ECONNREFUSED)
	}
	if !client.closed || w.counters().NoBackend.Load() != 1 {
		t.Errorf("client %+v, %d counted", client, w.counters().NoBackend.Load())
	}
	w.released(t)

	w.refuse = true
	if client := w.accept(); !client.closed || w.counters().NoBackend.Load() != 2 {
		t.Errorf("client %+v, %d counted", client, w.counters().NoBackend.Load())
	}
	w.released(t)

	w.listener.Name = "unrouted"
	if client := w.accept(); !client.closed || w.counters().NoRoute.Load() != 1 {
		t.Errorf("client %+v, %d counted", client, w.counters().NoRoute.Load())
	}
	w.released(t)
}

func TestASilentConnectionIsClosed(t *testing.T) {
	w := forwarding(t, fsm.PoolSpec{}, 1)
	client, backend := w.connect()
	w.now += int64(50 * time.Second)
	backend.give("a word")
	if left := client.deadline - w.now; left != int64(time.Minute) {
		t.Errorf("%v until it is closed", time.Duration(left))
	}
	client.expire(w)
	if !client.closed || client.aborted || !backend.closed || w.counters().Timeout.Load() != 1 {
		t.Errorf("client %+v, backend %+v", client, backend)
	}
	w.released(t)

	client, backend = w.connect()
	client.full = true
	backend.give("not taken")
	if client.expire(w); !client.aborted {
		t.Error("who did not take everything may think that it has")
	}
	w.released(t)
}

func TestConnectionsWaitForABackendBelowItsBound(t *testing.T) {
	pool := fsm.PoolSpec{Limits: &fsm.PoolLimits{BackendRequests: 1, Queue: 1}}
	w := forwarding(t, pool, 1)
	first, backend := w.connect()
	second, third := w.accept(), w.accept()
	if len(w.dialled) != 1 || second.closed || !third.closed || w.counters().NoBackend.Load() != 1 {
		t.Fatalf("%d dials, second %+v, third %+v", len(w.dialled), second, third)
	}
	first.end()
	backend.end()
	w.loop.Serve("p")
	if len(w.dialled) != 2 {
		t.Fatal("the second one waits on")
	}
	w.dialled[1].events.Connected()
	late := w.accept()
	if late.expire(w); !late.closed || w.counters().NoBackend.Load() != 2 {
		t.Errorf("one that waited too long: %+v", late)
	}
	left := w.accept()
	left.events.Failed(syscall.ECONNRESET)
	second.events.Failed(syscall.ECONNRESET)
	w.loop.Serve("p")
	w.released(t)
	if len(w.dialled) != 2 {
		t.Error("a backend was dialled for a client that had left")
	}
}

func TestADrainCutsForwardedConnectionsAtItsEnd(t *testing.T) {
	w := forwarding(t, fsm.PoolSpec{}, 2)
	client, backend := w.connect()
	stats := w.view.Table.PoolNamed("p").Backend("b0").Stats
	if stats.InFlight() == 0 {
		stats = w.view.Table.PoolNamed("p").Backend("b1").Stats
	}
	conn := backend.events.(*forwardBackend)
	if conn.CutFor(nil); client.closed {
		t.Fatal("another backend's drain cut it")
	}
	if conn.CutFor(stats); !client.aborted || !backend.aborted {
		t.Errorf("client %+v, backend %+v", client, backend)
	}
	w.released(t)

	client, backend = w.connect()
	f := client.events.(*Forward)
	if f.End(); client.closed {
		t.Fatal("a listener that drains closed what is under way")
	}
	if f.Cut(); !client.aborted || !backend.aborted {
		t.Error("it did not cut it at the end")
	}
	w.released(t)

	connecting := w.accept()
	at := w.dialled[len(w.dialled)-1]
	at.events.(*forwardBackend).CutFor(connecting.events.(*Forward).target.Stats)
	if !at.closed || connecting.closed {
		t.Errorf("a connect goes to another backend: %+v, %+v", at, connecting)
	}
	connecting.events.(*Forward).Cut()
	w.released(t)
}

func TestLongPiecesAreRelayed(t *testing.T) {
	w := forwarding(t, fsm.PoolSpec{}, 1)
	client, backend := w.connect()
	client.relays, backend.relays = true, true
	long := strings.Repeat("x", longPiece)
	client.give(long)
	client.give("short")
	client.give(long)
	if client.to != nil {
		t.Fatal("one long piece was enough")
	}
	client.give(long)
	if client.to != backend || backend.to != nil {
		t.Fatal("long pieces in a row are not relayed")
	}
	client.to = nil
	client.events.Relayed(relayBlock, nil) // in one piece
	if client.to != backend {
		t.Fatal("the relay does not go on")
	}
	for range relayBlock / 1024 {
		client.to = nil
		client.events.Relayed(1024, nil)
	}
	if client.to != nil {
		t.Fatal("short pieces are relayed on")
	}
	client.give(long)
	client.give(long)
	client.to = nil
	client.events.Relayed(100, io.EOF)
	if !backend.fin || client.closed {
		t.Errorf("backend %+v", backend)
	}
	backend.end()
	if !client.closed {
		t.Error("the connection is open")
	}
	want := uint64(6*longPiece + 5 - longPiece + 2*relayBlock + 100)
	if got := w.counters().BytesIn.Load(); got != want {
		t.Errorf("%d bytes counted, want %d", got, want)
	}
	w.released(t)
}

func TestARelayToABrokenDestinationEnds(t *testing.T) {
	w := forwarding(t, fsm.PoolSpec{}, 1)
	client, backend := w.connect()
	client.relays = true
	long := strings.Repeat("x", longPiece)
	client.give(long)
	client.give(long)
	client.to, backend.broken = nil, true
	client.events.Relayed(0, syscall.EPIPE)
	backend.give("why")
	backend.events.EOF()
	if got := client.take(); got != "why" || !client.aborted {
		t.Errorf("the client got %q, aborted: %v", got, client.aborted)
	}
	w.released(t)
}

func TestThePoolsHeaderComesFirst(t *testing.T) {
	for version, want := range map[proxyproto.Version]string{
		proxyproto.V1: "PROXY TCP4 192.0.2.1 198.51.100.1 5000 80\r\n",
		proxyproto.V2: "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x01\x13\x88\x00\x50",
	} {
		w := forwarding(t, fsm.PoolSpec{}, 1)
		w.view.Table.PoolNamed("p").ProxyProtocol = version
		client := w.accept()
		client.give("hello")
		w.dialled[0].events.Connected()
		client.settle()
		if got := w.dialled[0].take(); got != want+"hello" {
			t.Errorf("version %d: the backend got %q", version, got)
		}
		if got := w.counters().BytesIn.Load(); got != 5 {
			t.Errorf("%d bytes counted", got)
		}
	}
}

// hello is what crypto/tls sends for a name.
func helloFor(t *testing.T, name string) string {
	t.Helper()
	var hello written
	// Nobody answers: the handshake fails in any case.
	_ = tls.Client(&hello, &tls.Config{ServerName: name}).HandshakeContext(t.Context())
	return string(hello.bytes)
}

func TestPassthroughWaitsForTheHello(t *testing.T) {
	w := newWorld(t, fsm.PoolSpec{}, 1).forwards(ProtocolTLSPassthrough)
	hello := helloFor(t, "a.example")
	client := w.accept()
	for i := range len(hello) {
		if len(w.dialled) != 0 {
			t.Fatalf("a backend was dialled after %d of %d bytes", i, len(hello))
		}
		client.give(hello[i : i+1])
	}
	client.give("early data")
	w.dialled[0].events.Connected()
	client.settle()
	if got := w.dialled[0].take(); got != hello+"early data" {
		t.Errorf("the backend got %d bytes of %d", len(got), len(hello))
	}
	client.end()
	w.dialled[0].end()
	w.released(t)
}

func TestWhatIsNoHelloIsClosed(t *testing.T) {
	for name, c := range map[string]struct {
		play func(*world, *wire)
		want uint64
	}{
		"another protocol":     {func(_ *world, c *wire) { c.give("GET / HTTP/1.1\r\n\r\n") }, 1},
		"a malformed hello":    {func(_ *world, c *wire) { c.give("\x16\x03\x01\x00\x00") }, 1},
		"a hello that is late": {func(w *world, c *wire) { c.give("\x16\x03"); c.expire(w) }, 1},
		"silence":              {func(w *world, c *wire) { c.expire(w) }, 1},
		"half a hello":         {func(_ *world, c *wire) { c.give("\x16\x03"); c.end() }, 1},
		"a look at the port":   {func(_ *world, c *wire) { c.end() }, 0},
		"a drain":              {func(_ *world, c *wire) { c.events.(*Forward).End() }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, fsm.PoolSpec{}, 1).forwards(ProtocolTLSPassthrough)
			client := w.accept()
			if c.play(w, client); !client.closed || w.counters().Hello.Load() != c.want || len(w.dialled) != 0 {
				t.Errorf("client %+v, %d counted, %d dials", client, w.counters().Hello.Load(), len(w.dialled))
			}
			w.released(t)
		})
	}
}

func TestAnUnroutedNameIsAnAlert(t *testing.T) {
	w := newWorld(t, fsm.PoolSpec{}, 1).forwards(ProtocolTLSPassthrough)
	w.listener.Name = "unrouted"
	client := w.accept()
	client.give(helloFor(t, "a.example"))
	if got := client.take(); got != unrecognizedName || !client.closed {
		t.Errorf("got %q, closed: %v", got, client.closed)
	}
	w.released(t)
}

// announced is a new connection that has to begin with a PROXY header. What
// follows is an HTTP client; with gets what the header said.
func (w *world) announced(with *proxyproto.Header) *wire {
	wire := new(wire)
	wire.events = w.loop.NewAnnounced(wire, w.listener, func(ends proxyproto.Header) Events {
		*with = ends
		wire.events = w.loop.NewClient(wire, w.listener, ends.Source.Addr())
		return wire.events
	})
	return wire
}

func TestAConnectionFollowsItsHeader(t *testing.T) {
	const header = "PROXY TCP4 192.0.2.9 198.51.100.1 5000 80\r\n"
	for _, piece := range []int{1, 7, 1000} {
		w := newWorld(t, fsm.PoolSpec{}, 1)
		var ends proxyproto.Header
		client := w.announced(&ends)
		for all := header + get; all != ""; {
			n := min(piece, len(all))
			client.give(all[:n])
			all = all[n:]
		}
		w.dialled[0].events.Connected()
		if got := w.dialled[0].take(); !strings.Contains(got, "X-Forwarded-For: 192.0.2.9\r\n") {
			t.Errorf("the backend got %q", got)
		}
		if ends.Destination != netip.MustParseAddrPort("198.51.100.1:80") || w.listener.Live[0].Connections.Load() != 1 {
			t.Errorf("%v, %d connections", ends, w.listener.Live[0].Connections.Load())
		}
	}
}

func TestWhatIsNoHeaderIsClosed(t *testing.T) {
	for name, c := range map[string]struct {
		play func(*world, *wire)
		want uint64
	}{
		"a request":             {func(_ *world, c *wire) { c.give(get) }, 1},
		"a malformed header":    {func(_ *world, c *wire) { c.give("PROXY TCP4 x y 1 2\r\n") }, 1},
		"a header that is late": {func(w *world, c *wire) { c.give("PROXY "); c.expire(w) }, 1},
		"silence":               {func(w *world, c *wire) { c.expire(w) }, 1},
		"half a header":         {func(_ *world, c *wire) { c.give("PROXY "); c.end() }, 1},
		"a look at the port":    {func(_ *world, c *wire) { c.end() }, 0},
		"a reset":               {func(_ *world, c *wire) { c.closed = true; c.events.Failed(syscall.ECONNRESET) }, 0},
		"a drain":               {func(_ *world, c *wire) { c.events.(*Announced).End() }, 0},
		"the end of a drain":    {func(_ *world, c *wire) { c.events.(*Announced).Cut() }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, fsm.PoolSpec{}, 1)
			var ends proxyproto.Header
			client := w.announced(&ends)
			if c.play(w, client); !client.closed || w.counters().ProxyHeader.Load() != c.want {
				t.Errorf("client %+v, %d counted", client, w.counters().ProxyHeader.Load())
			}
			w.released(t)
		})
	}
}

// A connection that began with one client's header is for that client's requests
// alone, and ends with the client's.
func TestAConnectionWithAHeaderServesOneClient(t *testing.T) {
	for name, ends := range map[string]func(w *world, client *wire){
		"the client's end":     func(_ *world, client *wire) { client.end() },
		"a reset":              func(_ *world, client *wire) { client.closed = true; client.events.Failed(io.ErrUnexpectedEOF) },
		"the client's silence": func(w *world, client *wire) { client.expire(w) },
		"its own end":          func(w *world, _ *wire) { w.dialled[0].end() },
		"its own silence":      func(w *world, _ *wire) { w.dialled[0].expire(w) },
		"the backend's":        func(w *world, _ *wire) { w.loop.Drop(w.view.Table.PoolNamed("p").Backend("b0").Stats) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, fsm.PoolSpec{}, 1)
			w.view.Table.PoolNamed("p").ProxyProtocol = proxyproto.V1
			client, other := w.client(), w.client()
			ask := func(c *wire, at int, want string) {
				t.Helper()
				c.give(get)
				if len(w.dialled) != at+1 {
					t.Fatalf("%d connections, not %d", len(w.dialled), at+1)
				}
				b := w.dialled[at]
				if !b.events.(*Backend).connected {
					b.events.Connected()
				}
				if got := b.take(); !strings.HasPrefix(got, want) {
					t.Fatalf("the backend got %q", got)
				}
				b.give(response)
				if got := c.take(); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
					t.Fatalf("the client got %q", got)
				}
			}
			ask(client, 0, "PROXY UNKNOWN\r\nGET ")
			ask(other, 1, "PROXY UNKNOWN\r\nGET ")
			if w.loop.Idle() != 2 {
				t.Errorf("%d connections are idle", w.loop.Idle())
			}
			first, second := w.dialled[0], w.dialled[1]
			for range 3 {
				client.give(get)
				if got := first.take(); !strings.HasPrefix(got, "GET ") {
					t.Fatalf("the backend got %q", got)
				}
				first.give(response)
				client.take()
			}
			ends(w, client)
			if gone := name == "the backend's"; !first.closed || second.closed != gone || w.loop.Idle() > 0 == gone {
				t.Errorf("its connection is closed: %v, that of another client: %v", first.closed, second.closed)
			}
			if name != "the backend's" {
				other.give(get)
				if got := second.take(); !strings.HasPrefix(got, "GET ") {
					t.Fatalf("the backend got %q", got)
				}
			}
		})
	}
}

func TestConnectionsOfOneClientAreFew(t *testing.T) {
	w := newWorld(t, fsm.PoolSpec{}, mostPrivate+5)
	w.view.Table.PoolNamed("p").ProxyProtocol = proxyproto.V2
	client := w.client()
	for i := range mostPrivate + 5 {
		client.give(get)
		w.dialled[i].events.Connected()
		w.dialled[i].give(response)
	}
	if got := w.loop.Idle(); got != mostPrivate {
		t.Errorf("%d connections are idle", got)
	}
	client.end()
	for i, b := range w.dialled {
		if !b.closed {
			t.Errorf("connection %d is open", i)
		}
	}
}

// A client that has left while its request was under way leaves no connection.
func TestABusyConnectionOfAClientIsNotKeptWithoutIt(t *testing.T) {
	w := newWorld(t, fsm.PoolSpec{}, 1)
	w.view.Table.PoolNamed("p").ProxyProtocol = proxyproto.V1
	client := w.client()
	client.give(strings.Replace(get, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
	w.dialled[0].events.Connected()
	client.end()
	w.dialled[0].give(response)
	if !w.dialled[0].closed || w.loop.Idle() != 0 {
		t.Errorf("closed: %v, %d are idle", w.dialled[0].closed, w.loop.Idle())
	}
}

func TestAForwardedMessageAllocatesNothing(t *testing.T) {
	w := forwarding(t, fsm.PoolSpec{}, 1)
	client, backend := w.connect()
	message := []byte("message")
	if n := testing.AllocsPerRun(1000, func() {
		client.events.Data(message)
		backend.events.Data(message)
		client.out, backend.out = client.out[:0], backend.out[:0]
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzForward plays a script of events. Whatever they are, nothing panics, and
// when all connections are gone nothing is accounted for.
func FuzzForward(f *testing.F) {
	f.Add([]byte("abcAdBeE"), false)
	f.Add([]byte("caabBfrRsSdDxX"), true)
	f.Add([]byte("Faceb"), false)
	f.Add([]byte("cwabWdB"), true)
	f.Fuzz(func(t *testing.T, script []byte, relays bool) {
		w := forwarding(t, fsm.PoolSpec{Limits: &fsm.PoolLimits{BackendRequests: 1, Queue: 1}}, 2)
		clients := []*wire{w.accept(), w.accept(), w.accept()}
		for i, step := range script[:min(len(script), 64)] {
			client := clients[i%3]
			client.relays = relays
			w.playForward(client, step)
		}
		for _, c := range append(clients, w.dialled...) {
			if !c.closed {
				c.closed = true
				c.events.Failed(io.ErrUnexpectedEOF)
			}
		}
		for i := 0; i < len(w.dialled); i++ { // there may be more by now
			if b := w.dialled[i]; !b.closed {
				b.closed = true
				b.events.Failed(io.ErrUnexpectedEOF)
			}
		}
		w.released(t)
	})
}

// playForward makes one event happen.
func (w *world) playForward(client *wire, step byte) {
	long := strings.Repeat("l", longPiece)
	at := client
	if step >= 'A' && step <= 'Z' || step == 'c' {
		f := client.events.(*Forward)
		i := slices.IndexFunc(w.dialled, func(b *wire) bool { return !b.closed && b.events == Events((*forwardBackend)(f)) })
		if i < 0 {
			return
		}
		at = w.dialled[i]
	}
	f := client.events.(*Forward)
	if at.closed || at != client && !f.has(forwardConnected) && step != 'c' && step != 'F' && step != 'X' {
		return
	}
	switch step {
	case 'c':
		if !f.has(forwardConnected) {
			at.events.Connected()
		}
	case 'a', 'A':
		at.give("a")
	case 'l', 'L':
		at.give(long)
	case 'r', 'R':
		if to := at.to; to != nil {
			at.to = nil
			at.events.Relayed(relayBlock, nil)
		}
	case 'e', 'E':
		if at.to != nil {
			at.to, at.ended = nil, true
			at.events.Relayed(0, io.EOF)
		} else {
			at.end()
		}
	case 'f', 'F':
		at.closed = true
		at.events.Failed(io.ErrUnexpectedEOF)
	case 'b', 'B':
		at.broken = true
	case 's', 'S':
		at.full = !at.full
		if !at.full && len(at.out) > 0 {
			at.events.Drained()
		}
	case 'x', 'X':
		at.expire(w)
	case 'd':
		f.Cut()
	case 'w':
		w.loop.ServeAll()
	}
	client.settle()
	at.settle()
}

// written is a connection that keeps what is written, and then ends.
type written struct {
	net.Conn
	bytes []byte
}

// Read implements net.Conn.
func (c *written) Read([]byte) (int, error) { return 0, io.EOF }

// Close implements net.Conn.
func (c *written) Close() error { return nil }

// SetWriteDeadline implements net.Conn.
func (c *written) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline implements net.Conn.
func (c *written) SetDeadline(time.Time) error { return nil }

// Write implements net.Conn.
func (c *written) Write(p []byte) (int, error) {
	c.bytes = append(c.bytes, p...)
	return len(p), nil
}
