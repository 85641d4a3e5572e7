package balancer

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"evenkeel/balancer/certificates"
	"evenkeel/balancer/ejection"
	"evenkeel/balancer/engine"
	"evenkeel/balancer/exchange"
	"evenkeel/balancer/resolver"
	"evenkeel/balancer/table"
	"evenkeel/fsm"

	"golang.org/x/sync/errgroup"
)

// Defaults of [Config].
const (
	DefaultDrainTimeout = 30 * time.Second
	// DefaultStopDelay is enough for a balancer or resolver in front that asks
	// for readiness each second.
	DefaultStopDelay = time.Second
)

// Config is what a [Balancer] is made from.
type Config struct {
	// Loops is the number of event loops, 1 to 256; 0 means one for each core.
	Loops int
	// Nice is by how much all else in the process is nicer than the loops, 0 to
	// 19, on Linux. It is for a process of its own: nobody may take it back.
	Nice int
	// Zone is where this node stands, for pools that prefer backends near by; ""
	// if that is not known.
	Zone string
	// StickyKeys are the keys of sticky cookies, the same on all nodes; see
	// [table.Options].
	StickyKeys [][]byte
	// Bind is the host of listeners whose address names none; "" means all
	// addresses of the machine.
	Bind string
	// ListenerAddrs replaces the address of listeners, by name, on this node.
	ListenerAddrs map[string]string
	// DrainTimeout is how long requests under way may last after their listener
	// was removed, moved or stopped, before they are cut; 0 means
	// [DefaultDrainTimeout].
	DrainTimeout time.Duration
	// StopDelay is how long a stopping node goes on accepting, so that those
	// who watch its readiness can turn away first; 0 means [DefaultStopDelay],
	// a negative one none.
	StopDelay time.Duration
	// Lookup resolves host names of backends; nil means the system's resolver.
	Lookup resolver.Lookup
	Logger *slog.Logger
	// Self is the UID of this node, for [Balancer.ReportDrains].
	Self string
	// Evidence is told of backends that fail this node's requests: of each first
	// failure and of each ejection, at most ten times a second for one backend.
	// It is called on an event loop and must not block. With nil nobody is told.
	Evidence func(Evidence)
	// Local returns this node's own word about backends, by UID, and a channel that
	// is closed when it is replaced: [fsm.HealthDown] keeps requests from a backend
	// here, [fsm.HealthUp] stands in for its verdict. The map is not changed any
	// more. It does not block. With nil the verdict alone counts.
	Local func() (health map[string]fsm.Health, changed <-chan struct{})
	// ListenerTLS returns how a listener speaks TLS in a state; ok is false if it
	// speaks plain text. Certificates that did not change are the same pointers. It is
	// called for each state, and does not block. With nil it is as the registry says.
	ListenerTLS func(state *fsm.State, listener *fsm.Listener) (settings certificates.Settings, ok bool)
	// PoolTLS returns how a pool's backends are spoken to by TLS, as ListenerTLS does;
	// it is called for each pool that is compiled. With nil it is as the registry says.
	PoolTLS func(state *fsm.State, pool *fsm.Pool) (settings certificates.UpstreamSettings, ok bool)
	// Keys opens the private keys of the registry's certificates. With nil those are
	// of no use, and sessions of TLS are resumed on this node alone.
	Keys Keys

	// listenerShows and poolShows return why a certificate of the registry cannot be
	// shown by them; nil where somebody else says what is shown.
	listenerShows, poolShows func(name string) error
}

// Source gives the registry. Watch returns the present state, never nil, and a
// channel that is closed when it is replaced; it does not block.
type Source interface {
	Watch() (*fsm.State, <-chan struct{})
}

// Balancer serves the traffic of one node. Its methods may be called from any
// goroutine.
type Balancer struct {
	config    Config
	engine    *engine.Engine
	resolver  *resolver.Resolver
	listeners *listeners
	ejector   *ejection.Ejector
	secure    *secure
	started   time.Time
	newest    atomic.Pointer[applied]
	state     atomic.Pointer[fsm.State] // of the newest table; nil before the first
	loaded    atomic.Bool               // a table was made
	served    atomic.Uint64
	stopping  atomic.Bool
}

// New returns a balancer without listeners; [Balancer.Run] starts it. It fails
// if the system has no descriptors for the event loops, or Config.Loops is out
// of range.
func New(config Config) (*Balancer, error) {
	if config.DrainTimeout == 0 {
		config.DrainTimeout = DefaultDrainTimeout
	}
	if config.StopDelay == 0 {
		config.StopDelay = DefaultStopDelay
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	b := &Balancer{
		config:   config,
		resolver: resolver.New(config.Lookup, config.Logger),
		ejector:  ejection.New(config.Logger),
		started:  time.Now(),
	}
	b.config.setTLS()
	b.secure = newSecure(&b.config)
	path, err := engine.New(engine.Config{
		Loops: config.Loops, Nice: config.Nice, DrainTimeout: config.DrainTimeout, Logger: config.Logger, Suspect: b.suspect,
		TLS: b.secure.listener,
	})
	if err != nil {
		return nil, err
	}
	b.engine, b.secure.engine = path, path
	b.listeners = newListeners(b.open, path.Counters, config.Logger)
	return b, nil
}

// open is where the data path is chosen.
func (b *Balancer) open(ctx context.Context, name, address string, counters []exchange.Counters) (server, error) {
	return b.engine.Listen(ctx, name, address, counters)
}

// Run keeps table and listeners at the registry's state until ctx ends, then
// stops cleanly and returns after its last goroutine; it returns no error but
// that of a broken part. The stop: [Balancer.Ready] turns false and responses
// ask for their connections to be closed; new connections are still accepted
// for Config.StopDelay; then all listeners drain as [engine.Server.Run] says,
// for Config.DrainTimeout at most.
func (b *Balancer) Run(ctx context.Context, source Source) error {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	group, alive := errgroup.WithContext(life)
	group.Go(func() error { return b.resolver.Run(alive) })
	group.Go(func() error { return b.secure.stapler.Run(alive) })
	// The loops go on until the last connection has drained.
	looping, stopLoops := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLoops()
	looped := make(chan error, 1)
	go func() { looped <- b.engine.Run(looping) }()
	group.Go(func() error { return b.follow(alive, source) })
	serving, drain := context.WithCancel(life)
	defer drain()
	served := make(chan struct{})
	go func() {
		defer close(served)
		b.listeners.run(serving)
	}()

	select {
	case <-ctx.Done():
	case <-alive.Done(): // a part broke
	}
	b.stopping.Store(true)
	b.listeners.lastCall()
	sleep(b.config.StopDelay)
	drain()
	<-served
	broken := alive.Err() != nil
	end()
	err := group.Wait()
	stopLoops()
	if failed := <-looped; failed != nil {
		return failed
	}
	if broken {
		return err
	}
	return nil
}

func sleep(d time.Duration) {
	if d > 0 {
		<-time.After(d)
	}
}

func listenersChanged(last, next *fsm.State) bool {
	refs, known := next.ChangedSince(last.Version())
	if !known || last.Version() == 0 || last.ClusterID() != next.ClusterID() {
		return true
	}
	for _, ref := range refs {
		if ref.Kind == fsm.KindListener {
			return true
		}
	}
	return false
}

// Table returns the table that new requests use.
func (b *Balancer) Table() *table.Table { return b.engine.Table() }

// Served returns the registry's revision up to which new requests find what was
// written, 0 before the first table.
func (b *Balancer) Served() uint64 { return b.served.Load() }

// Ready tells whether the node should be sent traffic: it has a table, tried
// to open every listener, and is not stopping.
func (b *Balancer) Ready() bool {
	return b.loaded.Load() && !b.stopping.Load() && b.listeners.tried()
}

// Listeners tells, by name, how this node's listeners are, those included that
// were removed and still drain.
func (b *Balancer) Listeners() map[string]ListenerStatus {
	all, s := b.listeners.status(), b.state.Load()
	if s == nil {
		return all
	}
	for name, status := range all {
		object := s.Listener(name)
		if object == nil || status.State != StateListening {
			continue
		}
		refuses, fault := b.secure.listenerFault(s, object)
		if fault == nil {
			continue
		}
		status.Error = fault.Error()
		if refuses {
			status.State, status.Error = StateFailed, "it refuses every handshake of TLS: "+status.Error
		}
		all[name] = status
	}
	return all
}

// PoolFaults tells, by pool, why this node does not speak TLS to its backends as the
// registry says, such as that it cannot open the certificate's key.
func (b *Balancer) PoolFaults() map[string]string {
	if s := b.state.Load(); s != nil {
		return b.secure.poolFaults(s)
	}
	return nil
}
