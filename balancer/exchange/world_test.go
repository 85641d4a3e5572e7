package exchange

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"evenkeel/balancer/http1"
	"evenkeel/balancer/table"
	"evenkeel/fsm"
)

// world is a loop without sockets: a test gives events and reads orders.
type world struct {
	t        testing.TB
	loop     *Loop
	now      int64
	scratch  []byte
	view     View
	listener *Listener
	dialled  []*wire           // connections to backends, in the order of their dials
	refuse   bool              // dials fail at once
	newest   *table.Table      // what retries look at; nil: the same
	retire   func(name string) // drains a backend in the newest table
	http2    Events            // who takes over connections of HTTP/2
	// suspected is what was told of backends: name, fault, whether it was ejected.
	suspected []string
}

// errLocal is an error of this machine.
var errLocal = errors.New("no ports")

type noTimer struct{}

func (noTimer) Set(int64) {}

type noNames struct{}

func (noNames) Lookup(string) []netip.Addr { return nil }
func (noNames) Changed() []string          { return nil }
func (noNames) Forget(string)              {}

func newWorld(t testing.TB, pool fsm.PoolSpec, backends int) *world {
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
	pool.Strategy = fsm.StrategyRoundRobin
	do(fsm.Init{ClusterID: "test", FeatureLevel: fsm.FeatureLevel, Objects: []fsm.Put{{Name: "p", Spec: pool}}})
	do(fsm.Put{Name: "r", Spec: fsm.RouteSpec{Pools: []fsm.WeightedPool{{Name: "p", Weight: 1}}}})
	do(fsm.Put{Name: "tcp", Spec: fsm.ListenerSpec{Address: ":90", Protocol: fsm.ProtocolHTTP}})
	do(fsm.Put{Name: "f", Spec: fsm.RouteSpec{Listeners: []string{"tcp"}, Pools: []fsm.WeightedPool{{Name: "p", Weight: 1}}}})
	for i := range backends {
		do(fsm.Put{Pool: "p", Name: fmt.Sprintf("b%d", i), Spec: fsm.BackendSpec{
			Address: fmt.Sprintf("127.0.0.1:%d", 9000+i), Weight: 1, AdminState: fsm.AdminReady,
		}})
	}
	w := &world{t: t, scratch: make([]byte, 0, 128<<10), now: int64(time.Second)}
	builder := table.NewBuilder(noNames{}, table.Options{Ejects: true})
	w.view.Table = builder.Update(state)
	w.retire = func(name string) {
		spec := state.Backend("p", name).Spec
		spec.AdminState = fsm.AdminDrain
		do(fsm.Put{Pool: "p", Name: name, Spec: spec})
		w.newest = builder.Update(state)
	}
	bounds := DefaultBounds()
	w.loop = NewLoop(w, 0, 1, &bounds)
	w.listener = &Listener{Name: "web", Counters: make([]Counters, 1), Live: make([]Live, 1)}
	w.listener.Settings.Store(&Settings{
		Limits: http1.Limits{}.WithDefaults(), ClientHead: time.Second, ClientIdle: time.Second, Body: time.Second,
	})
	return w
}

func (w *world) Now() int64      { return w.now }
func (w *world) Scratch() []byte { return w.scratch[:0] }
func (w *world) Date() []byte    { return []byte("Date: Thu, 26 Nov 2026 12:00:00 GMT\r\n") }
func (w *world) Present(b *table.Backend) *table.Backend {
	if w.newest != nil {
		return w.newest.PoolNamed(b.Pool).Backend(b.Name)
	}
	return b
}
func (w *world) Wake(string)            {}
func (w *world) IsLocal(err error) bool { return err == errLocal }
func (w *world) Suspect(_ *table.Pool, b *table.Backend, fault string, ejected bool) {
	w.suspected = append(w.suspected, fmt.Sprint(b.Name, " ", fault, " ", ejected))
}
func (w *world) View() *View           { return &w.view }
func (w *world) Later(t Task)          { t.Run() }
func (w *world) NewTimer(func()) Timer { return noTimer{} }
func (w *world) ServeHTTP2(Link, *Listener, netip.Addr) Events {
	return w.http2
}
func (w *world) Dial(_ *table.Pool, _ *table.Backend, _ netip.AddrPort, events Events) (Link, error) {
	if w.refuse {
		return nil, errors.New("refused")
	}
	wire := &wire{events: events}
	if of, ok := events.(Announcing); ok {
		wire.out = of.AppendAnnouncement(nil)
	}
	w.dialled = append(w.dialled, wire)
	return wire, nil
}

// client is a new connection of a client.
func (w *world) client() *wire {
	wire := new(wire)
	wire.events = w.loop.NewClient(wire, w.listener, netip.MustParseAddr("192.0.2.1"))
	return wire
}

// wire is a connection: what was written to it, and what was not consumed.
type wire struct {
	events   Events
	out, in  []byte
	sent     int64
	deadline int64
	ended    bool // the peer's end was told
	paused   bool
	full     bool // nothing that is written is taken
	broken   bool
	gathers  bool   // writes wait for flush
	gathered []byte // and these do
	keeps    bool   // they do so as the connection's own, as when the kernel took none
	fin      bool
	lastRead bool
	closed   bool
	aborted  bool
	code     uint32 // with which
	relays   bool   // it can
	to       *wire  // where the bytes of a relay go, nil if there is none
	ends     [2]netip.AddrPort
}

// Ends implements [Ended].
func (c *wire) Ends() (source, destination netip.AddrPort) { return c.ends[0], c.ends[1] }

// Write implements [Link].
func (c *wire) Write(p []byte, _ bool) bool {
	if c.broken || c.closed {
		return false
	}
	if c.gathers && (len(c.gathered) == 0 || c.keeps) {
		c.gathered = append(c.gathered, p...)
		return true
	}
	c.flush()
	if c.gathers {
		c.gathered = append(c.gathered, p...)
		return !c.broken
	}
	c.out = append(c.out, p...)
	c.sent += int64(len(p))
	return !c.broken
}

// flush sends what was gathered.
func (c *wire) flush() {
	if !c.broken {
		c.out = append(c.out, c.gathered...)
		c.sent += int64(len(c.gathered))
	}
	c.gathered = c.gathered[:0]
}

// The rest of [Link].
func (c *wire) Flush(bool) { c.flush() }
func (c *wire) Buffered() int {
	switch {
	case c.full:
		return len(c.out)
	case c.keeps:
		return len(c.gathered)
	}
	return 0
}
func (c *wire) Sent() int64 { return c.sent }
func (c *wire) Pause()      { c.paused = true }
func (c *wire) Resume()     { c.paused = false }
func (c *wire) LastRead()   { c.lastRead = true }
func (c *wire) CloseWrite() { c.flush(); c.fin = true }
func (c *wire) Close()      { c.flush(); c.closed = true }
func (c *wire) Abort(code uint32) {
	c.flush()
	c.closed, c.aborted, c.code = true, true, code
}
func (c *wire) SetDeadline(at int64) { c.deadline = at }
func (c *wire) Relay(to Link, _ int64) bool {
	if c.relays {
		c.to = to.(*wire)
	}
	return c.relays
}
func (c *wire) Alive() bool { return !c.closed && !c.broken && !c.ended && len(c.in) == 0 }
func (c *wire) Unsend()     { c.gathered = c.gathered[:0] }

// give has bytes arrive.
func (c *wire) give(p string) {
	c.in = append(c.in, p...)
	c.settle()
}

// settle gives what was kept, as a loop does.
func (c *wire) settle() {
	for !c.closed && !c.paused && c.to == nil && len(c.in) > 0 {
		in := c.in
		c.in = nil
		n := c.events.Data(in)
		c.in = append(in[n:], c.in...)
		if n == 0 {
			return
		}
	}
}

// end has the peer's end arrive.
func (c *wire) end() {
	if !c.closed && !c.ended && !c.paused {
		c.ended = true
		c.events.EOF()
	}
}

// expire has the deadline come.
func (c *wire) expire(w *world) {
	if c.closed || c.deadline == 0 {
		return
	}
	w.now = max(w.now, c.deadline)
	c.deadline = 0
	c.events.Expired()
}

// take returns what was written since the last time.
func (c *wire) take() string {
	out := string(c.out)
	c.out = c.out[:0]
	return out
}
