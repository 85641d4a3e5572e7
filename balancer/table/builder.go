package table

import (
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
	// Random is the randomness of strategies; nil means that of the process.
	Random picker.Random
}

// NewBuilder returns a builder whose last table is that of an empty registry.
func NewBuilder(resolver Resolver, options Options) *Builder {
	options.Loops = max(options.Loops, 1)
	return &Builder{
		resolver: resolver, options: options,
		last:  &Table{state: fsm.New(), router: newRouter(), pools: iradix.New[*Pool]()},
		users: map[string]map[string]struct{}{},
	}
}

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
	if s == b.last.state && changes.none() {
		return b.last
	}
	b.last = &Table{state: s, router: b.routes(changes), pools: b.pools(changes)}
	return b.last
}

func (b *Builder) routes(changes *changes) router {
	r := b.last.router
	for name := range changes.routes {
		if before := changes.before.Route(name); before != nil {
			r = r.without(before)
		}
		if after := changes.after.Route(name); after != nil {
			r = r.with(after, compileRoute(after, b.options.Random))
		}
	}
	return r
}

func (b *Builder) pools(changes *changes) *iradix.Tree[*Pool] {
	txn := b.last.pools.Txn()
	for name := range changes.pools {
		previous, _ := txn.Get([]byte(name))
		object := changes.after.Pool(name)
		if object == nil {
			txn.Delete([]byte(name))
			b.moveHosts(name, previous, nil)
			continue
		}
		pool := poolSource{changes.after, b.resolver, &b.options, previous}.compile(object)
		txn.Insert([]byte(name), pool)
		b.moveHosts(name, previous, pool)
	}
	return txn.Commit()
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
