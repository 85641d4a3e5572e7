package streams

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"evenkeel/balancer/exchange"
	"evenkeel/balancer/http1"
	"evenkeel/balancer/http2"
	"evenkeel/balancer/table"
	"evenkeel/fsm"
)

// world is a loop without sockets. Its clients and backends are the other role
// of package http2.
type world struct {
	t        testing.TB
	loop     *Loop
	now      int64
	scratch  []byte
	view     exchange.View
	listener *exchange.Listener
	later    []exchange.Task
	timers   []*timer
	dialled  []*wire // connections to backends, in the order of their connects
	bugs     int
}

type timer struct {
	f  func()
	at int64
}

func (t *timer) Set(at int64) { t.at = at }

type noNames struct{}

func (noNames) Lookup(string) []netip.Addr { return nil }
func (noNames) Changed() []string          { return nil }
func (noNames) Forget(string)              {}

// newWorld has a pool of so many backends of HTTP/2.
func newWorld(t testing.TB, backends int) *world {
	state := fsm.New()
	seq := uint64(0)
	do := func(op fsm.Operation) {
		seq++
		next, results := fsm.Apply(state, []fsm.Command{{ID: fsm.CommandID{Origin: "test", Seq: seq}, Op: op}})
		if results[0].Err != nil {
			t.Fatal(results[0].Err)
		}
		state = next
	}
	do(fsm.Init{ClusterID: "test", FeatureLevel: fsm.FeatureLevel, Objects: []fsm.Put{{Name: "p", Spec: fsm.PoolSpec{Strategy: fsm.StrategyRoundRobin}}}})
	do(fsm.Put{Name: "r", Spec: fsm.RouteSpec{Pools: []fsm.WeightedPool{{Name: "p", Weight: 1}}}})
	for i := range backends {
		do(fsm.Put{Pool: "p", Name: fmt.Sprintf("b%d", i), Spec: fsm.BackendSpec{
			Address: fmt.Sprintf("127.0.0.1:%d", 9000+i), Weight: 1, AdminState: fsm.AdminReady,
		}})
	}
	w := &world{t: t, scratch: make([]byte, 0, 128<<10), now: int64(time.Second)}
	w.view.Table = table.NewBuilder(noNames{}, table.Options{}).Update(state)
	w.pool().HTTP2 = true
	bounds := exchange.DefaultBounds()
	exchanges := exchange.NewLoop(w, 0, 1, &bounds)
	w.loop = NewLoop(Config{
		World: w, Exchanges: exchanges, Connect: w.connect,
		Scheme: func(*table.Pool) string { return "http" }, Linger: int64(bounds.Linger),
	})
	w.listener = &exchange.Listener{Name: "web", Counters: make([]exchange.Counters, 1), Live: make([]exchange.Live, 1)}
	w.listener.Settings.Store(&exchange.Settings{
		Limits: http1.Limits{}.WithDefaults(), ClientHead: time.Second, ClientIdle: 10 * time.Second, Body: time.Second,
	})
	return w
}

func (w *world) pool() *table.Pool { return w.view.Table.PoolNamed("p") }

func (w *world) stats(i int) *table.Stats { return w.pool().Backends()[i].Stats }

// The methods of [exchange.World].
func (w *world) Now() int64                              { return w.now }
func (w *world) Scratch() []byte                         { return w.scratch[:0] }
func (w *world) Date() []byte                            { return date }
func (w *world) Present(b *table.Backend) *table.Backend { return b }
func (w *world) Wake(string)                             {}
func (w *world) IsLocal(err error) bool                  { return IsLocal(err) }
func (w *world) View() *exchange.View                    { return &w.view }
func (w *world) Later(t exchange.Task)                   { w.later = append(w.later, t) }
func (w *world) Suspect(*table.Pool, *table.Backend, string, bool) {
}
func (w *world) NewTimer(f func()) exchange.Timer {
	t := &timer{f: f}
	w.timers = append(w.timers, t)
	return t
}
func (w *world) ServeHTTP2(exchange.Link, *exchange.Listener, netip.Addr) exchange.Events {
	return nil
}
func (w *world) Dial(pool *table.Pool, b *table.Backend, to netip.AddrPort, events exchange.Events) (exchange.Link, error) {
	return w.loop.Dial(pool, b, to, events)
}

var date = []byte("Date: Thu, 26 Nov 2026 12:00:00 GMT\r\n")

func (w *world) connect(_ *table.Pool, _ *table.Backend, _ netip.AddrPort, events exchange.Events) (exchange.Link, error) {
	c := &wire{w: w, events: events}
	w.dialled = append(w.dialled, c)
	return c, nil
}

// batch ends a batch of events.
func (w *world) batch() {
	for i := 0; i < len(w.later); i++ {
		w.run(w.later[i])
	}
	clear(w.later)
	w.later = w.later[:0]
}

func (w *world) run(t exchange.Task) {
	defer func() {
		if fault := recover(); fault != nil {
			w.bugs++
			t.(interface{ Bug() }).Bug()
		}
	}()
	t.Run()
}

// pass lets time pass, and has all that is due called.
func (w *world) pass(d time.Duration, wires ...*wire) {
	w.now += int64(d)
	for _, t := range w.timers {
		if t.at != 0 && t.at <= w.now {
			t.at = 0
			t.f()
		}
	}
	for _, c := range append(wires, w.dialled...) {
		if c.deadline != 0 && c.deadline <= w.now && !c.closed {
			c.deadline = 0
			c.events.Expired()
		}
	}
	w.batch()
}

// wire is a connection, whose other end is a peer of package http2.
type wire struct {
	w        *world
	events   exchange.Events
	out, in  []byte
	sent     int64
	deadline int64
	piece    int  // how many bytes arrive at once, 0: all
	full     bool // nothing that is written is taken
	paused   bool
	fin      bool
	closed   bool
	aborted  bool
}

// The methods of [exchange.Link].
func (c *wire) Write(p []byte, _ bool) bool {
	c.out = append(c.out, p...)
	c.sent += int64(len(p))
	return !c.closed
}
func (c *wire) Flush(bool) {}
func (c *wire) Unsend()    {}
func (c *wire) Buffered() int {
	if c.full {
		return len(c.out)
	}
	return 0
}
func (c *wire) Sent() int64                     { return c.sent }
func (c *wire) Pause()                          { c.paused = true }
func (c *wire) Resume()                         { c.paused = false }
func (c *wire) LastRead()                       {}
func (c *wire) CloseWrite()                     { c.fin = true }
func (c *wire) Close()                          { c.closed = true }
func (c *wire) Abort(uint32)                    { c.closed, c.aborted = true, true }
func (c *wire) SetDeadline(at int64)            { c.deadline = at }
func (c *wire) Relay(exchange.Link, int64) bool { return false }
func (c *wire) Alive() bool                     { return !c.closed }

// settle gives what has arrived.
func (c *wire) settle() {
	for !c.paused && !c.closed && len(c.in) > 0 {
		n := c.events.Data(c.in)
		c.in = c.in[:copy(c.in, c.in[n:])]
		c.w.batch()
		if n == 0 {
			return
		}
	}
}

// peer is the other end of a wire.
type peer struct {
	w      *world
	wire   *wire
	conn   *http2.Conn
	events []string // what it was told
	serve  func(s *http2.Stream, head *http2.Head, end bool)
	keeps  bool // what arrives is not consumed
	inbox  []byte
	silent bool // nothing is noted
}

func (p *peer) Flush() {}
func (p *peer) Request(s *http2.Stream, head *http2.Head, end bool) {
	s.Bind(&peerStream{p, s})
	if !p.silent {
		p.note("request %s %s end %v", head.Method, head.Path, end)
	}
	if p.serve != nil {
		p.serve(s, head, end)
	}
}
func (p *peer) GoAway(last uint32, code http2.Code, _ []byte) { p.note("goaway %s", code) }

func (p *peer) note(format string, args ...any) {
	p.events = append(p.events, fmt.Sprintf(format, args...))
}

func (p *peer) took() []string {
	events := p.events
	p.events = nil
	return events
}

// peerStream notes what a stream is told.
type peerStream struct {
	p *peer
	s *http2.Stream
}

func (s *peerStream) Head(head *http2.Head, end bool) {
	if !s.p.silent {
		s.p.note("head %d end %v", head.Status, end)
	} else if end {
		s.s.Release()
	}
}
func (s *peerStream) Data(d []byte, end bool) {
	if !s.p.keeps {
		s.s.Consumed(len(d))
	}
	if !s.p.silent {
		s.p.note("data %d end %v", len(d), end)
	} else if end {
		s.s.Release()
	}
}
func (s *peerStream) Trailers(fields []http2.Field) {
	s.p.note("trailers %s: %s", fields[0].Name, fields[0].Value)
}
func (s *peerStream) Reset(e *http2.StreamError) { s.p.note("reset %s", e.Code) }
func (s *peerStream) Drained()                   {}

// move carries bytes in both directions until there are none.
func (p *peer) move() {
	for {
		moved := false
		if out := p.conn.Output(); len(out) > 0 {
			p.wire.in = append(p.wire.in, out...)
			p.conn.Written()
			moved = true
		}
		if step := p.wire.piece; step > 0 {
			all := p.wire.in
			p.wire.in = nil
			for len(all) > 0 {
				n := min(step, len(all))
				p.wire.in = append(p.wire.in, all[:n]...)
				all = all[n:]
				p.wire.settle()
			}
		} else {
			p.wire.settle()
		}
		p.w.batch()
		if len(p.wire.out) > 0 && !p.wire.full {
			p.inbox = append(p.inbox, p.wire.out...)
			p.wire.out = p.wire.out[:0]
			n, err := p.conn.Receive(p.w.now, p.inbox)
			if err != nil {
				p.note("fault %v", err)
			}
			p.inbox = p.inbox[:copy(p.inbox, p.inbox[n:])]
			moved = true
		}
		if !moved {
			return
		}
	}
}

// client is a new connection of a client.
func (w *world) client(config http2.Config) *peer {
	c := &wire{w: w}
	p := &peer{w: w, wire: c}
	p.conn = http2.NewClient(p, &config, new(http2.Pool))
	c.events = w.loop.NewServer(c, w.listener, netip.MustParseAddr("192.0.2.1"))
	p.move()
	return p
}

// get begins a request.
func (p *peer) get(path string) *http2.Stream {
	return p.begin(&http2.Head{Method: []byte("GET"), Scheme: []byte("http"), Authority: []byte("a"), Path: []byte(path)}, true)
}

func (p *peer) begin(head *http2.Head, end bool) *http2.Stream {
	s := p.conn.Open(&peerStream{p: p})
	if s == nil {
		p.w.t.Fatal("no stream may be opened")
	}
	s.Bind(&peerStream{p, s})
	if !s.SendHead(head, end) {
		p.w.t.Fatal("the head cannot be sent")
	}
	return s
}

// accepts makes a backend of the newest connection that was dialled.
func (w *world) accepts(config http2.Config, serve func(s *http2.Stream, head *http2.Head, end bool)) *peer {
	c := w.dialled[len(w.dialled)-1]
	p := &peer{w: w, wire: c, serve: serve}
	p.conn = http2.NewServer(p, &config, new(http2.Pool))
	c.events.Connected()
	w.batch()
	return p
}

// settle carries bytes between all until there are none.
func settle(peers ...*peer) {
	for range 4 {
		for _, p := range peers {
			p.move()
		}
	}
}
