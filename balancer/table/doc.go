// Package table answers, for each request, which route it takes and which
// backend of which pool gets it.
//
// A [Table] is an immutable value compiled from one version of the registry.
// Its user keeps it behind one atomic pointer; a request loads it once and uses
// it to the end. A [Builder] makes the next table from the last one and the
// next state, at a cost that follows the size of the change: only changed
// routes and pools are compiled anew, and of a pool only changed backends; all else
// is shared.
//
// The package owns matching, what routes make of addresses and paths,
// eligibility, choice and the counters of backends, which belong to the
// backend's UID and outlive tables. It refuses to own sockets, messages, clocks,
// goroutines and DNS: who resolves names is its [Resolver]. docs/routes.md tells
// users what routes do.
package table
