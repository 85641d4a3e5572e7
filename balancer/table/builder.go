package table

import (
	"time"

	"evenkeel/balancer/certificates"
	"evenkeel/balancer/picker"
	"evenkeel/fsm"

	iradix "github.com/hashicorp/go-immutable-radix/v2"
)

// Builder makes each table from the last one and what changed since. It
// belongs to one goroutine; the tables may go to any.
type Builder struct {
	resolver Resolver
	options  Options
	last     *Table
	users    map[string]map[string]struct{} // host name → the pools that use it

	local   map[string]fsm.Health    // this node's own word, by UID
	homes   map[string]string        // UID → the pool where it is
	again   map[string]struct{}      // pools to compile whatever the registry says
	ramping map[string]time.Duration // pool → when its slow start goes on
	rated   map[string]*Pool         // that compare their backends' success
}

// Options are what tables depend on besides the registry.
type Options struct {
	// Loops is how many loops pick, each with state of its own; 0 means 1.
	Loops int
	// Zone is where this node stands; "" if that is not known.
	Zone string
	// StickyKeys are the keys of sticky cookies: the first one makes them, all are
	// known. Without any, no pool is sticky.
	StickyKeys [][]byte
	// TLS returns how the backends of a pool are spoken to by TLS in a state, nil if
	// they are not: the same pointer as long as nothing changed. With nil no pool has
	// TLS.
	TLS func(state *fsm.State, pool *fsm.Pool) *certificates.Upstream
	// Ejects is set where somebody ends ejections; without it there are none.
	Ejects bool
	// Now is the monotonic clock that slow starts grow by; nil means that of the
	// process.
	Now func() time.Duration
	// Random is the randomness of strategies; nil means that of the process.
	Random picker.Random
}

// NewBuilder returns a builder whose last table is that of an empty registry.
func NewBuilder(resolver Resolver, options Options) *Builder {
	options.Loops = max(options.Loops, 1)
	if options.Now == nil {
		began := time.Now()
		options.Now = func() time.Duration { return time.Since(began) }
	}
	return &Builder{
		resolver: resolver, options: options,
		last:  &Table{state: fsm.New(), router: newRouter(), forwards: newForwards(), pools: iradix.New[*Pool]()},
		users: map[string]map[string]struct{}{},
		homes: map[string]string{}, again: map[string]struct{}{},
		ramping: map[string]time.Duration{}, rated: map[string]*Pool{},
	}
}

// SetLocal gives this node's own word about backends, by UID, for the next
// [Builder.Update]: [fsm.HealthDown] keeps new requests from a backend here,
// whatever the verdict, and [fsm.HealthUp] lets it have them. An operator's
// override goes before it. The map must not be changed any more.
func (b *Builder) SetLocal(health map[string]fsm.Health) {
	for uid, word := range health {
		if b.local[uid] != word {
			b.Recompile(b.homes[uid])
		}
	}
	for uid := range b.local {
		if _, still := health[uid]; !still {
			b.Recompile(b.homes[uid])
		}
	}
	b.local = health
}

// Recompile has the next [Builder.Update] compile a pool although the registry
// says nothing new of it: a backend of it was ejected, or is no longer. "" is no
// pool.
func (b *Builder) Recompile(pool string) {
	if pool != "" {
		b.again[pool] = struct{}{}
	}
}

// NextStep returns when, by Options.Now, [Builder.Update] has to be called for a
// slow start to go on; ok is false if there is none.
func (b *Builder) NextStep() (at time.Duration, ok bool) {
	for _, next := range b.ramping {
		if !ok || next < at {
			at, ok = next, true
		}
	}
	return at, ok
}

// Rated returns the pools of the last table that compare their backends'
// success, by name. The map is the builder's own.
func (b *Builder) Rated() map[string]*Pool { return b.rated }

// Update returns the table for the state and for what the resolver knows now.
// It compiles only routes and pools that changed since the last call; if the
// state does not know what changed, all of them. Call it when the state was
// replaced and when the resolver has news. If nothing changed it returns the
// last table itself.
func (b *Builder) Update(s *fsm.State) *Table {
	refs, known := s.ChangedSince(b.last.state.Version())
	if s.ClusterID() != b.last.state.ClusterID() && b.last.state.Version() > 0 {
		known = false
	}
	changes := newChanges(b.last.state, s)
	for _, host := range b.resolver.Changed() {
		for pool := range b.users[host] {
			changes.pools[pool] = struct{}{}
		}
	}
	if known {
		changes.add(refs)
	} else {
		changes.addAll()
	}
	now := b.options.Now()
	b.addOwn(changes, now)
	if s == b.last.state && changes.none() {
		return b.last
	}
	router, forwards := b.routes(changes)
	b.last = &Table{state: s, router: router, forwards: forwards, pools: b.pools(changes, now), compiled: changes.pools}
	return b.last
}

// addOwn adds the pools that change by this node alone.
func (b *Builder) addOwn(changes *changes, now time.Duration) {
	for pool := range b.again {
		changes.pools[pool] = struct{}{}
	}
	clear(b.again)
	for pool, next := range b.ramping {
		if next <= now {
			changes.pools[pool] = struct{}{}
		}
	}
	if changes.before.FeatureLevel() < healthLevel && changes.after.FeatureLevel() >= healthLevel {
		for pool := range changes.after.Pools() {
			changes.pools[pool.Name] = struct{}{}
		}
	}
}

func (b *Builder) routes(changes *changes) (router, forwards) {
	r, f := b.last.router, b.last.forwards
	for name := range changes.routes {
		if before := changes.before.Route(name); before != nil {
			r, f = r.without(before), f.without(serverNameOf(&before.Spec.Match), before)
		}
		if after := changes.after.Route(name); after != nil {
			route := compileRoute(after, b.options.Random)
			r, f = r.with(after, route), f.with(serverNameOf(&after.Spec.Match), after, route)
		}
	}
	return r, f
}

func (b *Builder) pools(changes *changes, now time.Duration) *iradix.Tree[*Pool] {
	txn := b.last.pools.Txn()
	for name := range changes.pools {
		previous, _ := txn.Get([]byte(name))
		object := changes.after.Pool(name)
		if object == nil {
			txn.Delete([]byte(name))
			b.follow(name, previous, nil)
			continue
		}
		source := poolSource{
			state: changes.after, resolver: b.resolver, options: &b.options, previous: previous, local: b.local, now: now,
		}
		pool := source.compile(object)
		txn.Insert([]byte(name), pool)
		b.follow(name, previous, pool)
	}
	return txn.Commit()
}

// follow keeps account of a pool that was compiled, or is gone: after is nil
// then.
func (b *Builder) follow(name string, before, after *Pool) {
	b.moveHosts(name, before, after)
	b.moveHomes(name, before, after)
	delete(b.ramping, name)
	delete(b.rated, name)
	if after == nil {
		return
	}
	if after.nextStep != 0 {
		b.ramping[name] = after.nextStep
	}
	if after.Ejection.Rate != nil {
		b.rated[name] = after
	}
}

// moveHomes keeps account of where backends are. It costs something only for
// those that came or went: both lists are in the order of names.
func (b *Builder) moveHomes(pool string, before, after *Pool) {
	var old, new []*Backend
	if before != nil {
		old = before.backends
	}
	if after != nil {
		new = after.backends
	}
	for len(old) > 0 || len(new) > 0 {
		switch {
		case len(new) == 0 || len(old) > 0 && old[0].Name < new[0].Name:
			b.leave(pool, old[0])
			old = old[1:]
		case len(old) == 0 || new[0].Name < old[0].Name:
			b.homes[new[0].UID] = pool
			new = new[1:]
		default:
			if old[0].UID != new[0].UID {
				b.leave(pool, old[0])
				b.homes[new[0].UID] = pool
			}
			old, new = old[1:], new[1:]
		}
	}
}

func (b *Builder) leave(pool string, backend *Backend) {
	if b.homes[backend.UID] == pool {
		delete(b.homes, backend.UID)
	}
}

// moveHosts keeps account of who uses which host name, so that news of a name
// reach its pools and names that nobody uses are no longer resolved.
func (b *Builder) moveHosts(pool string, before, after *Pool) {
	if after != nil {
		for _, host := range after.hosts {
			if b.users[host] == nil {
				b.users[host] = map[string]struct{}{}
			}
			b.users[host][pool] = struct{}{}
		}
	}
	if before == nil {
		return
	}
	for _, host := range before.hosts {
		if after.uses(host) {
			continue
		}
		delete(b.users[host], pool)
		if len(b.users[host]) == 0 {
			delete(b.users, host)
			b.resolver.Forget(host)
		}
	}
}
