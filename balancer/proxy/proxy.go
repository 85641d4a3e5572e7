package proxy

import (
	"log/slog"
	"net/netip"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"evenkeel/balancer/table"
	"evenkeel/fsm"
)

// Config is what a [Proxy] is made from.
type Config struct {
	// DrainTimeout is how long a listener that ends waits for requests under
	// way before it cuts them.
	DrainTimeout time.Duration
	Logger       *slog.Logger
}

// Proxy forwards the requests of all listeners by the newest table.
type Proxy struct {
	config    Config
	limits    limits
	view      atomic.Pointer[view]
	upstreams upstreams
	buffers   sync.Pool // of *[copyBuffer]byte
}

// view is what a request loads once and uses to its end.
type view struct {
	table *table.Table
	// trusted are the networks of each listener's trusted proxies.
	trusted map[string][]netip.Prefix
}

// New returns a proxy of an empty registry.
func New(config Config) *Proxy {
	p := &Proxy{config: config, limits: defaultLimits()}
	p.upstreams.limits = &p.limits
	p.buffers.New = func() any { return new([copyBuffer]byte) }
	p.view.Store(&view{table: table.NewBuilder(noNames{}).Update(fsm.New())})
	return p
}

// noNames resolves nothing, for the empty table.
type noNames struct{}

func (noNames) Lookup(string) []netip.Addr { return nil }
func (noNames) Changed() []string          { return nil }
func (noNames) Forget(string)              {}

// Table returns the table that new requests use.
func (p *Proxy) Table() *table.Table { return p.view.Load().table }

// Swap makes new requests use another table; those under way keep theirs. It
// closes the idle connections to backends that are gone or down. One goroutine
// calls it.
func (p *Proxy) Swap(next *table.Table) {
	last := p.view.Load()
	if last.table == next {
		return
	}
	refs, known := next.State().ChangedSince(last.table.State().Version())
	known = known && (last.table.State().ClusterID() == next.State().ClusterID())
	trusted := last.trusted
	if !known || touches(refs, fsm.KindListener) {
		trusted = trustedBy(next.State())
	}
	p.view.Store(&view{table: next, trusted: trusted})
	for name := range touchedPools(last.table, refs, known) {
		p.dropGone(last.table.PoolNamed(name), next.PoolNamed(name))
	}
}

// Close closes the idle connections to all backends. No request may be under
// way any more.
func (p *Proxy) Close() { p.upstreams.close() }

func touches(refs []fsm.Ref, kind fsm.Kind) bool {
	for _, ref := range refs {
		if ref.Kind == kind {
			return true
		}
	}
	return false
}

// trustedBy parses what the registry validated; what it would not accept is
// not trusted.
func trustedBy(s *fsm.State) map[string][]netip.Prefix {
	trusted := map[string][]netip.Prefix{}
	for listener := range s.Listeners() {
		for _, text := range listener.Spec.TrustedProxies {
			if network, err := netip.ParsePrefix(text); err == nil {
				trusted[listener.Name] = append(trusted[listener.Name], network)
			}
		}
	}
	return trusted
}

func touchedPools(last *table.Table, refs []fsm.Ref, known bool) map[string]struct{} {
	names := map[string]struct{}{}
	if !known {
		for pool := range last.Pools() {
			names[pool.Name] = struct{}{}
		}
		return names
	}
	for _, ref := range refs {
		switch ref.Kind {
		case fsm.KindPool:
			names[ref.Name] = struct{}{}
		case fsm.KindBackend:
			names[ref.Pool] = struct{}{}
		}
	}
	return names
}

// dropGone compares a pool with its successor, either of which may be nil.
func (p *Proxy) dropGone(before, after *table.Pool) {
	if before == nil || before == after {
		return
	}
	for _, b := range before.Backends() {
		switch now := find(after, b); {
		case now == nil:
			p.upstreams.drop(b.Stats)
		case now.Health() == fsm.HealthDown && b.Health() != fsm.HealthDown:
			p.upstreams.refresh(b.Stats)
		}
	}
}

// find returns the same registration of a backend, at the same address, in
// another table's pool; nil if it is gone.
func find(pool *table.Pool, b *table.Backend) *table.Backend {
	if pool == nil {
		return nil
	}
	backends := pool.Backends()
	i := sort.Search(len(backends), func(i int) bool { return backends[i].Name >= b.Name })
	if i < len(backends) && backends[i].Stats == b.Stats && backends[i].Address == b.Address {
		return backends[i]
	}
	return nil
}

// upstream returns the way to a backend. If the backend is of an old table and
// gone meanwhile, nothing of it stays behind.
func (p *Proxy) upstream(b *table.Backend) *upstream {
	u, created := p.upstreams.of(b)
	if created && find(p.Table().PoolNamed(b.Pool), b) == nil {
		p.upstreams.forget(b.Stats, u)
	}
	return u
}
