package table

import (
	"iter"

	"evenkeel/fsm"

	iradix "github.com/hashicorp/go-immutable-radix/v2"
)

// Table is one version of the registry, compiled for the data path. All
// methods may be called from any goroutine, and none of them blocks, or
// allocates but where it says so.
type Table struct {
	state  *fsm.State
	router router
	// forwards are the routes of connections that are forwarded.
	forwards forwards
	pools    *iradix.Tree[*Pool]
	// compiled are the names of the pools that differ from the table before, or
	// are gone.
	compiled map[string]struct{}
}

// Compiled returns the names of the pools in which the table differs from the
// one that the builder made before it, those included that are gone. The map
// must not be changed.
func (t *Table) Compiled() map[string]struct{} { return t.compiled }

// State returns the registry that the table was compiled from.
func (t *Table) State() *fsm.State { return t.state }

// Route returns the route that a request takes, or nil if none matches.
//
// Of all routes that match, the one with the highest priority is taken; then
// the one with the exact host before the longest wildcard before none; then
// the one with the exact path before a regular expression before the longest
// prefix before none; then the one with more further conditions (methods are
// one, and so is each header field and each query parameter); then the one
// whose name comes first. A regular expression goes before prefixes because a
// prefix is what catches the rest: "/" would hide every expression of its host.
//
// The cost is bounded by the length of host and path, however many routes have
// exact paths and prefixes. Regular expressions of the request's host, and
// routes at its host and path that differ in their further conditions only, are
// tried one after the other in the order of precedence, until one fits.
//
// Nothing is allocated, unless a query's value is escaped and met by a regular
// expression.
func (t *Table) Route(q *Request) *Route {
	if q.Path == "" {
		root := *q
		root.Path = "/"
		q = &root
	}
	return t.router.find(q)
}

// Pool draws one of the route's pools in proportion to their weights there; nil
// if no pool has a weight above 0. The drawn pool may have no eligible backend,
// even if another has: weights are the user's word, and a pool that is empty
// by mistake must not flood its neighbour.
func (t *Table) Pool(r *Route) *Pool {
	key := r.draw()
	if key == nil {
		return nil
	}
	pool, _ := t.pools.Get(key)
	return pool
}

// Forward returns the route of a connection that is forwarded, or nil if none
// matches. It is one of those that name the listener, ask for nothing of HTTP
// and have pools: with the highest priority; then with the exact server name
// before the longest wildcard before none; then the one whose name comes first.
// serverName is "" if the client sent none, or the listener does not look.
func (t *Table) Forward(listener, serverName string) *Route {
	return t.forwards.find(listener, serverName)
}

// PoolNamed returns the pool of that name, or nil.
func (t *Table) PoolNamed(name string) *Pool {
	pool, _ := t.pools.Get([]byte(name))
	return pool
}

// Pools yields all pools in the order of their names.
func (t *Table) Pools() iter.Seq[*Pool] {
	return func(yield func(*Pool) bool) {
		it := t.pools.Root().Iterator()
		for _, pool, more := it.Next(); more; _, pool, more = it.Next() {
			if !yield(pool) {
				return
			}
		}
	}
}
