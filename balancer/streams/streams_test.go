package streams

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"evenkeel/balancer/http2"
)

func expect(t testing.TB, p *peer, want ...string) {
	t.Helper()
	if got := p.took(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

var ok = &http2.Head{Status: 200}

func fieldsOf(pairs ...string) (fields []http2.Field) {
	for i := 0; i < len(pairs); i += 2 {
		fields = append(fields, http2.Field{Name: []byte(pairs[i]), Value: []byte(pairs[i+1])})
	}
	return fields
}

// TestARequestPassesInPieces has bytes arrive in pieces of every small size.
func TestARequestPassesInPieces(t *testing.T) {
	for piece := range 12 {
		t.Run(fmt.Sprint(piece), func(t *testing.T) {
			w := newWorld(t, 1)
			c := w.client(http2.Config{})
			c.wire.piece = piece
			up := c.begin(&http2.Head{Method: []byte("POST"), Scheme: []byte("http"), Authority: []byte("a"), Path: []byte("/a"),
				Fields: fieldsOf("te", "trailers", "cookie", "a=b", "cookie", "c=d")}, false)
			up.SendData([]byte("hello"), false)
			up.SendTrailers(fieldsOf("x-up", "1", "content-length", "7"))
			c.move()
			b := w.accepts(http2.Config{}, func(s *http2.Stream, head *http2.Head, end bool) {
				if cookie, _ := fieldOf(head, "cookie"); string(cookie) != "a=b; c=d" {
					t.Errorf("cookie %q", cookie)
				}
				if te, _ := fieldOf(head, "te"); string(te) != "trailers" || string(head.Authority) != "a" || head.Length != -1 {
					t.Errorf("te %q, host %q, length %d", te, head.Authority, head.Length)
				}
				s.SendHead(&http2.Head{Status: 103}, false)
				s.SendHead(ok, false)
				s.SendData([]byte("hi"), false)
				s.SendTrailers(fieldsOf("x-down", "2"))
			})
			b.wire.piece = piece
			settle(b, c)
			got := b.took()
			if joined := strings.Join(got, ", "); !strings.HasPrefix(joined, "request POST /a end false") || !strings.HasSuffix(joined, "trailers x-up: 1") {
				t.Errorf("the backend was told %q", got)
			}
			got = c.took()
			if joined := strings.Join(got, ", "); !strings.HasPrefix(joined, "head 103 end false, head 200 end false, data ") ||
				!strings.HasSuffix(joined, "trailers x-down: 2") {
				t.Errorf("the client was told %q", got)
			}
			if n := w.listener.Live[0].Requests.Load(); n != 0 {
				t.Errorf("%d requests under way", n)
			}
		})
	}
}

func TestAResponseThatIsAHeadEndsWithIt(t *testing.T) {
	for name, head := range map[string]*http2.Head{
		"trailers-only of gRPC": {Status: 200, Fields: fieldsOf("content-type", "application/grpc", "grpc-status", "5")},
		"no content":            {Status: 204},
		"of length 0":           {Status: 200, Fields: fieldsOf("content-length", "0")},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1)
			c := w.client(http2.Config{})
			c.get("/")
			c.move()
			b := w.accepts(http2.Config{}, func(s *http2.Stream, _ *http2.Head, _ bool) { s.SendHead(head, true) })
			settle(b, c)
			expect(t, b, "request GET / end true")
			expect(t, c, fmt.Sprintf("head %d end true", head.Status))
		})
	}
}

// TestNothingIsLostOfAResponseBehindWhichAResetComes is the race in which
// proxies lose trailers: the server wants no more of the request.
func TestNothingIsLostOfAResponseBehindWhichAResetComes(t *testing.T) {
	w := newWorld(t, 1)
	c := w.client(http2.Config{})
	head := &http2.Head{Method: []byte("POST"), Scheme: []byte("http"), Authority: []byte("a"), Path: []byte("/"), Fields: fieldsOf("te", "trailers")}
	c.begin(head, false)
	c.move()
	b := w.accepts(http2.Config{}, func(s *http2.Stream, _ *http2.Head, _ bool) {
		s.SendHead(ok, false)
		s.SendData(make([]byte, 100), false)
		s.SendTrailers(fieldsOf("grpc-status", "0"))
		s.Release() // with a RST_STREAM of NO_ERROR
	})
	settle(b, c)
	expect(t, c, "head 200 end false", "data 100 end false", "trailers grpc-status: 0", "reset NO_ERROR")
	if n := w.listener.Live[0].Requests.Load(); n != 0 || w.stats(0).InFlight() != 0 {
		t.Errorf("%d requests under way", n)
	}
}

// TestASlowClientHoldsItsBackendBack has a client that consumes nothing, while
// the backend has as much as it may send.
func TestASlowClientHoldsItsBackendBack(t *testing.T) {
	w := newWorld(t, 1)
	c := w.client(http2.Config{})
	c.keeps = true
	s := c.get("/")
	c.move()
	var down *http2.Stream
	b := w.accepts(http2.Config{}, func(s *http2.Stream, _ *http2.Head, _ bool) {
		down = s
		s.SendHead(ok, false)
		s.SendData(make([]byte, 4<<20), false)
		s.SendTrailers(fieldsOf("a", "b"))
	})
	settle(b, c)
	if sent := down.Sent(); sent > 512<<10 {
		t.Errorf("%d bytes were taken from the backend", sent)
	}
	other := c.get("/other")
	b.serve = func(s *http2.Stream, _ *http2.Head, _ bool) { s.SendHead(ok, true) }
	c.took()
	settle(b, c)
	expect(t, c, "head 200 end true")
	other.Release()
	c.keeps = false
	for range 1000 { // what came before is consumed, and the rest follows
		s.Consumed(1 << 20)
		settle(c, b)
	}
	if got := c.took(); got[len(got)-1] != "trailers a: b" {
		t.Errorf("the end: %q", got[len(got)-1])
	}
}

func TestASlowBackendHoldsItsClientBack(t *testing.T) {
	w := newWorld(t, 1)
	c := w.client(http2.Config{})
	up := c.begin(&http2.Head{Method: []byte("POST"), Scheme: []byte("http"), Authority: []byte("a"), Path: []byte("/")}, false)
	c.move()
	b := w.accepts(http2.Config{}, nil)
	b.keeps = true
	up.SendData(make([]byte, 4<<20), true)
	settle(c, b)
	if sent := up.Sent(); sent > 512<<10 {
		t.Errorf("%d bytes were taken from the client", sent)
	}
	w.pass(time.Second) // nobody is late within the time for bodies of the pool
	if n := w.listener.Live[0].Requests.Load(); n != 1 {
		t.Errorf("%d requests under way", n)
	}
}

func TestResetsCarryTheirCodes(t *testing.T) {
	w := newWorld(t, 1)
	c := w.client(http2.Config{})
	s := c.get("/")
	c.move()
	var at *http2.Stream
	b := w.accepts(http2.Config{}, func(s *http2.Stream, _ *http2.Head, _ bool) {
		at = s
		s.SendHead(ok, false)
	})
	settle(b, c)
	s.Reset(http2.EnhanceYourCalm)
	settle(c, b)
	expect(t, b, "request GET / end true", "reset ENHANCE_YOUR_CALM")
	c.took()
	c.get("/")
	settle(c, b)
	at.Reset(http2.HTTP11Required)
	settle(b, c)
	expect(t, c, "head 200 end false", "reset HTTP_1_1_REQUIRED")
}

func TestAConnectionIsOpenedWhenTheOthersAreFull(t *testing.T) {
	w := newWorld(t, 1)
	c := w.client(http2.Config{})
	for range 5 {
		c.get("/")
	}
	c.move()
	if len(w.dialled) != 1 {
		t.Fatalf("%d connections before the first is there", len(w.dialled))
	}
	grants := http2.Config{Streams: 2}
	first := w.accepts(grants, nil)
	settle(first)
	if len(first.took()) != 2 || len(w.dialled) != 2 {
		t.Fatalf("%d connections", len(w.dialled))
	}
	second := w.accepts(grants, nil)
	settle(second)
	third := w.accepts(grants, nil)
	settle(third)
	if got := len(second.took()) + len(third.took()); got != 3 || len(w.dialled) != 3 {
		t.Errorf("%d requests on further connections, %d connections", got, len(w.dialled))
	}
	if got := w.stats(0).Connects(); got != 3 {
		t.Errorf("%d connects counted", got)
	}
	settle(c)
	w.pass(time.Minute, c.wire) // all are late
	settle(c)
	if n := w.listener.Live[0].Requests.Load(); n != 0 {
		t.Errorf("%d requests under way", n)
	}
}

func TestRequestsOnAConnectionThatBreaksAreRepeatedOnAnother(t *testing.T) {
	w := newWorld(t, 2)
	c := w.client(http2.Config{})
	c.get("/")
	c.move()
	b := w.accepts(http2.Config{}, nil)
	settle(b)
	b.wire.events.EOF()
	w.batch()
	if len(w.dialled) != 2 {
		t.Fatalf("%d connections", len(w.dialled))
	}
	other := w.accepts(http2.Config{}, func(s *http2.Stream, _ *http2.Head, _ bool) { s.SendHead(ok, true) })
	settle(other, c)
	expect(t, c, "head 200 end true")
}

func TestAConnectionThatMayBeDeadGetsNoFurtherRequest(t *testing.T) {
	w := newWorld(t, 1)
	c := w.client(http2.Config{})
	s := c.get("/")
	c.move()
	b := w.accepts(http2.Config{}, nil)
	settle(b)
	w.pass(6*time.Second, c.wire)
	s.Reset(http2.Cancel)
	settle(c)
	c.get("/")
	settle(c)
	if len(w.dialled) != 2 || !w.dialled[0].closed {
		t.Errorf("%d connections, the first closed %v", len(w.dialled), w.dialled[0].closed)
	}
}

func TestIdleConnectionsEnd(t *testing.T) {
	w := newWorld(t, 1)
	c := w.client(http2.Config{})
	c.get("/")
	c.move()
	b := w.accepts(http2.Config{}, func(s *http2.Stream, _ *http2.Head, _ bool) { s.SendHead(ok, true) })
	settle(b, c)
	c.took()
	w.pass(11*time.Second, c.wire)
	settle(c)
	if got := c.took(); len(got) == 0 || !strings.HasPrefix(got[0], "goaway NO_ERROR") || !c.wire.fin {
		t.Errorf("the client was told %q, its connection ended %v", got, c.wire.fin)
	}
	w.pass(10 * time.Minute)
	b.move()
	w.batch()
	if !b.wire.closed {
		t.Error("the backend's connection is open")
	}
	c.wire.events.EOF()
	if n := w.listener.Live[0].Connections.Load(); n != 0 || !c.wire.closed {
		t.Errorf("%d connections, closed %v", n, c.wire.closed)
	}
}

func TestABackendThatLeavesKeepsWhatIsUnderWay(t *testing.T) {
	w := newWorld(t, 1)
	c := w.client(http2.Config{})
	c.get("/")
	c.move()
	var at *http2.Stream
	b := w.accepts(http2.Config{}, func(s *http2.Stream, _ *http2.Head, _ bool) { at = s })
	settle(b, c)
	w.loop.Exchanges.Drop(w.stats(0))
	w.loop.Drop(w.stats(0))
	w.batch()
	if b.wire.closed {
		t.Fatal("the connection was closed with a request on it")
	}
	at.SendHead(ok, true)
	settle(b, c)
	expect(t, c, "head 200 end true")
	if !b.wire.closed {
		t.Error("the connection is open")
	}
}

func TestAClientWithoutAcknowledgementIsLetGo(t *testing.T) {
	w := newWorld(t, 1)
	c := &wire{w: w}
	c.events = w.loop.NewServer(c, w.listener, netip.MustParseAddr("192.0.2.1"))
	c.in = append(c.in, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"...)
	c.settle()
	w.pass(2*time.Second, c)
	if !c.fin || !bytes.Contains(c.out, []byte("acknowledgement")) {
		t.Errorf("ended %v: %q", c.fin, c.out)
	}
	if floods, faults := w.listener.Counters[0].HTTP2Floods.Load(), w.listener.Counters[0].HTTP2Faults.Load(); floods != 0 || faults != 1 {
		t.Errorf("%d floods and %d other faults were counted", floods, faults)
	}
}

func TestAClientThatTakesNothingIsCut(t *testing.T) {
	w := newWorld(t, 1)
	c := w.client(http2.Config{})
	c.wire.full = true
	c.get("/")
	c.move()
	b := w.accepts(http2.Config{}, func(s *http2.Stream, _ *http2.Head, _ bool) {
		s.SendHead(ok, false)
		s.SendData(make([]byte, 1<<20), true)
	})
	settle(b, c)
	for range 4 {
		w.pass(time.Second, c.wire)
	}
	if !c.wire.aborted || w.listener.Live[0].Requests.Load() != 0 || w.listener.Live[0].Connections.Load() != 0 {
		t.Errorf("cut %v, %d requests", c.wire.aborted, w.listener.Live[0].Requests.Load())
	}
}

func TestABugEndsItsConnectionAlone(t *testing.T) {
	w := newWorld(t, 1)
	c, other := w.client(http2.Config{}), w.client(http2.Config{})
	c.get("/")
	other.get("/")
	settle(c, other)
	b := w.accepts(http2.Config{}, nil)
	settle(b)
	c.wire.events.(*Server).Bug()
	w.batch()
	settle(b)
	if n := w.listener.Live[0].Requests.Load(); n != 1 || !c.wire.aborted || w.stats(0).InFlight() != 1 {
		t.Errorf("%d requests under way, cut %v, %d at the backend", n, c.wire.aborted, w.stats(0).InFlight())
	}
	if got := b.took(); got[len(got)-1] != "reset CANCEL" {
		t.Errorf("the backend was told %q", got)
	}
	w.loop.upstreams[w.stats(0)].Bug()
	w.batch()
	settle(other)
	if n := w.listener.Live[0].Requests.Load(); n != 0 || w.stats(0).InFlight() != 0 {
		t.Errorf("%d requests under way, %d at the backend", n, w.stats(0).InFlight())
	}
	other.get("/")
	settle(other)
	if len(w.dialled) != 2 {
		t.Errorf("%d connections: another one is not opened", len(w.dialled))
	}
}

// TestARequestAllocatesNothing is about the steady state, h2 to h2.
func TestARequestAllocatesNothing(t *testing.T) {
	w := newWorld(t, 1)
	c := w.client(http2.Config{})
	c.silent = true
	head := &http2.Head{Method: []byte("GET"), Scheme: []byte("http"), Authority: []byte("a"), Path: []byte("/"),
		Fields: fieldsOf("accept", "*/*", "user-agent", "test")}
	events := &peerStream{p: c}
	answer := &http2.Head{Status: 200, Fields: fieldsOf("content-length", "5", "content-type", "text/plain")}
	hello := []byte("hello")
	var b *peer
	once := func() {
		s := c.conn.Open(events)
		events.s = s
		s.SendHead(head, true)
		c.move()
		if b == nil {
			b = w.accepts(http2.Config{}, nil)
			b.silent = true
			bound := &peerStream{p: b}
			b.serve = func(s *http2.Stream, _ *http2.Head, _ bool) {
				s.Bind(bound)
				s.SendHead(answer, false)
				s.SendData(hello, true)
				s.Release()
			}
		}
		b.move()
		c.move()
		w.now += int64(time.Millisecond)
	}
	for range 100 {
		once()
	}
	before := w.listener.Counters[0].Requests.Load()
	// The peers' decoders make strings of what is no entry of their tables, and
	// the peers themselves bind a value to each request.
	perRequest := testing.AllocsPerRun(200, once)
	if done := w.listener.Counters[0].Requests.Load() - before; done != 201 || w.listener.Live[0].Requests.Load() != 0 {
		t.Errorf("%d requests were served", done)
	}
	t.Logf("%v allocations per request, the peers' included", perRequest)
	if perRequest > 24 {
		t.Errorf("%v allocations per request", perRequest)
	}
}
