package engine

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"evenkeel/balancer/exchange"
	"evenkeel/balancer/reactor"
	"evenkeel/balancer/table"
	"evenkeel/balancer/tlslink"
	"evenkeel/fsm"
)

// Config is what an [Engine] is made from.
type Config struct {
	// Loops is the number of event loops; 0 means one for each core.
	Loops int
	// Nice is by how much all else in the process is nicer than the loops; see
	// [reactor.Config].
	Nice int
	// DrainTimeout is how long a listener that ends waits for requests under way
	// before it cuts them.
	DrainTimeout time.Duration
	Logger       *slog.Logger
	// Suspect is told, on a loop, of each backend that fails for the first time
	// since it succeeded and of each that is ejected. It must not block. With nil
	// nobody is told.
	Suspect func(Suspicion)
	// TLS returns how a listener speaks TLS in a state, nil if it does not. It is
	// called for each table, and returns the same pointer as long as nothing
	// changed. With nil no listener does.
	TLS func(state *fsm.State, listener *fsm.Listener) *ListenerTLS
}

// Suspicion is what a loop has met of a backend.
type Suspicion struct {
	Pool    *table.Pool
	Backend *table.Backend
	Fault   string // one of table's
	Ejected bool
	Now     int64 // by the loops' clock
}

// Engine serves the requests of all listeners by the newest table. Its methods
// may be called from any goroutine unless they say otherwise.
type Engine struct {
	config  Config
	reactor *reactor.Reactor
	loops   []*loop
	view    atomic.Pointer[exchange.View]
	swaps   atomic.Uint64
	bounds  exchange.Bounds

	tlsBounds tlslink.Bounds
	signers   *tlslink.Workers
	// drainIdle is how long connections without a request keep an ending listener
	// open; see [Server.Run]. Tests shorten it.
	drainIdle time.Duration

	mu      sync.Mutex // guards servers
	servers map[*Server]struct{}
}

// New returns an engine of an empty registry; [Engine.Run] starts its loops.
// [Engine.Close] frees one that never ran.
func New(config Config) (*Engine, error) {
	r, err := reactor.New(reactor.Config{Loops: config.Loops, Nice: config.Nice, Logger: config.Logger})
	if err != nil {
		return nil, err
	}
	e := &Engine{
		config: config, reactor: r,
		bounds: exchange.DefaultBounds(), drainIdle: drainIdle,
		tlsBounds: tlslink.DefaultBounds(), signers: tlslink.NewWorkers(len(r.Loops())),
		servers: map[*Server]struct{}{},
	}
	e.view.Store(&exchange.View{Table: table.NewBuilder(noNames{}, table.Options{}).Update(fsm.New())})
	for _, on := range r.Loops() {
		e.loops = append(e.loops, newLoop(e, on))
	}
	return e, nil
}

// noNames resolves nothing, for the empty table.
type noNames struct{}

func (noNames) Lookup(string) []netip.Addr { return nil }
func (noNames) Changed() []string          { return nil }
func (noNames) Forget(string)              {}

// Loops is the number of event loops.
func (e *Engine) Loops() int { return len(e.loops) }

// Run runs the loops until ctx ends, and returns after their last thread. All
// servers must have ended before.
func (e *Engine) Run(ctx context.Context) error {
	defer e.signers.Wait()
	return e.reactor.Run(ctx)
}

// Close frees an engine that never ran.
func (e *Engine) Close() { e.reactor.Close() }

// Table returns the table that new requests use.
func (e *Engine) Table() *table.Table { return e.view.Load().Table }

// Swap makes new requests use another table; those under way keep theirs. It
// closes the idle connections to backends that are gone or down, and cuts what
// is under way to those whose drain has lasted its time. One goroutine calls it.
//
// It returns the number of the swap, for [Engine.Applied]; a table that is in
// use already has that of the last.
func (e *Engine) Swap(next *table.Table) uint64 {
	last := e.Table()
	if last == next {
		return e.swaps.Load()
	}
	e.view.Store(&exchange.View{Table: next})
	e.applySettings(next.State())
	swap := e.swaps.Add(1)
	between := compare(last, next)
	for _, l := range e.loops {
		l.on.Post(func() {
			l.drop(between.gone)
			l.cut(between.overdue)
			l.exchanges.Forget(between.pools)
			l.exchanges.ServeAll() // there may be a backend for those who wait
			l.applied.Store(swap)
		})
	}
	return swap
}

// Applied tells whether all loops have taken up the table of that swap: no
// request begins by an older one any more.
func (e *Engine) Applied(swap uint64) bool {
	for _, l := range e.loops {
		if l.applied.Load() < swap {
			return false
		}
	}
	return true
}

// wake has requests that wait for a backend of the pool looked at on every
// loop. Any loop may call it.
func (e *Engine) wake(pool string) {
	for _, l := range e.loops {
		l.on.Post(func() { l.exchanges.Serve(pool) })
	}
}

// applySettings gives servers what the registry says of their listeners.
func (e *Engine) applySettings(s *fsm.State) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for server := range e.servers {
		server.settle(s)
	}
}
