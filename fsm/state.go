package fsm

import (
	"encoding/binary"
	"iter"

	iradix "github.com/hashicorp/go-immutable-radix/v2"
)

// State is the whole registry at one version. It is immutable: methods may be
// called from any goroutine without a lock, and what they return must not be
// changed.
type State struct {
	clusterID    string
	featureLevel uint64
	// revision counts accepted changes of labels and specs, version accepted
	// changes of anything.
	revision uint64
	version  uint64
	// applied counts commands, the refused ones too.
	applied uint64
	sum     uint64 // of all objects' and nodes' hashes, see digest.go

	listeners *iradix.Tree[*Listener]
	routes    *iradix.Tree[*Route]
	pools     *iradix.Tree[*Pool]
	backends  *iradix.Tree[*Backend]
	nodes     *iradix.Tree[*Node]
	tokens    *iradix.Tree[*Token]
	certs     *iradix.Tree[*Certificate]

	// dataKey is nil before [SetDataKey]; tickets are the newest first. Neither is
	// ever changed.
	dataKey *DataKey
	tickets []Ticket

	// candidates are the nodes whose votes can count, in the order of their
	// UIDs, and observers those UIDs; derived from nodes.
	candidates []candidate
	observers  []string

	// Indexes: backend names by pool and address, and the routes by what they
	// name, so that no check scans the registry.
	addresses *iradix.Tree[string]
	uses      *iradix.Tree[struct{}]
	hashes    *iradix.Tree[string] // names of tokens by hash

	// journal holds what was changed by revision; the registry is known from
	// revision journalFloor on. journalChanges and journalBytes are what the entries
	// hold together.
	journal        *iradix.Tree[*Revision]
	journalFloor   uint64
	journalChanges int
	journalBytes   int
	// pending are the revisions that wait for their confirmation, the oldest first.
	// The slice is never changed.
	pending []*Pending

	keys     *iradix.Tree[*keyRecord] // by the name of the key
	keyOrder *iradix.Tree[string]     // those names in the order of their use
	keysHeld int

	restore *restoring // nil but for a restore that is under way

	results *iradix.Tree[*record] // by origin and sequence
	origins *iradix.Tree[*origin]

	// changes holds what recent versions touched, changedRefs names in all;
	// versions at or below changesFloor are forgotten. None of it is part of
	// what replicas must agree on.
	changes      *iradix.Tree[[]Ref]
	changesFloor uint64
	changedRefs  int
}

// New returns the state before the first command.
func New() *State {
	return &State{
		listeners: iradix.New[*Listener](),
		routes:    iradix.New[*Route](),
		pools:     iradix.New[*Pool](),
		backends:  iradix.New[*Backend](),
		nodes:     iradix.New[*Node](),
		addresses: iradix.New[string](),
		uses:      iradix.New[struct{}](),
		results:   iradix.New[*record](),
		origins:   iradix.New[*origin](),
		changes:   iradix.New[[]Ref](),
		tokens:    iradix.New[*Token](),
		certs:     iradix.New[*Certificate](),
		hashes:    iradix.New[string](),
		journal:   iradix.New[*Revision](),
		keys:      iradix.New[*keyRecord](),
		keyOrder:  iradix.New[string](),
	}
}

// ClusterID returns the identity that [Init] gave, or "" before it.
func (s *State) ClusterID() string { return s.clusterID }

// FeatureLevel returns the level of commands that all servers can apply.
func (s *State) FeatureLevel() uint64 { return s.featureLevel }

// Revision returns the number of accepted changes of labels and specs.
func (s *State) Revision() uint64 { return s.revision }

// Version returns the number of accepted changes of anything, verdicts, votes
// and nodes included. Two states of one cluster with the same version hold the
// same objects and nodes, and so have the same digest.
func (s *State) Version() uint64 { return s.version }

// Listener returns the listener of that name, or nil.
func (s *State) Listener(name string) *Listener { return get(s.listeners, name) }

// Route returns the route of that name, or nil.
func (s *State) Route(name string) *Route { return get(s.routes, name) }

// Pool returns the pool of that name, or nil.
func (s *State) Pool(name string) *Pool { return get(s.pools, name) }

// Backend returns the backend of that name in that pool, or nil.
func (s *State) Backend(pool, name string) *Backend { return get(s.backends, backendKey(pool, name)) }

// BackendByAddress returns the pool's backend with that address, or nil.
func (s *State) BackendByAddress(pool, address string) *Backend {
	name, ok := s.addresses.Get([]byte(addressKey(pool, address)))
	if !ok {
		return nil
	}
	return s.Backend(pool, name)
}

// Token returns the token of that name, or nil.
func (s *State) Token(name string) *Token { return get(s.tokens, name) }

// Certificate returns the certificate of that name, or nil.
func (s *State) Certificate(name string) *Certificate { return get(s.certs, name) }

// TokenByHash returns the token with that [TokenSpec.Hash], or nil.
func (s *State) TokenByHash(hash string) *Token {
	name, ok := s.hashes.Get([]byte(hash))
	if !ok {
		return nil
	}
	return s.Token(name)
}

// Node returns the member with that UID, or nil.
func (s *State) Node(uid string) *Node { return get(s.nodes, uid) }

// Object returns the user-written object that ref names, or nil.
func (s *State) Object(ref Ref) AnyObject {
	switch ref.Kind {
	case KindListener:
		return orNil(s.Listener(ref.Name))
	case KindRoute:
		return orNil(s.Route(ref.Name))
	case KindPool:
		return orNil(s.Pool(ref.Name))
	case KindBackend:
		return orNil(s.Backend(ref.Pool, ref.Name))
	case KindToken:
		return orNil(s.Token(ref.Name))
	case KindCertificate:
		return orNil(s.Certificate(ref.Name))
	}
	return nil
}

func orNil[S Spec, T any](o *Object[S, T]) AnyObject {
	if o == nil {
		return nil
	}
	return o
}

// Listeners yields all listeners in the order of their names.
func (s *State) Listeners() iter.Seq[*Listener] { return all(s.listeners, "") }

// Routes yields all routes in the order of their names.
func (s *State) Routes() iter.Seq[*Route] { return all(s.routes, "") }

// Pools yields all pools in the order of their names.
func (s *State) Pools() iter.Seq[*Pool] { return all(s.pools, "") }

// Backends yields all backends in the order of their pools and names.
func (s *State) Backends() iter.Seq[*Backend] { return all(s.backends, "") }

// PoolBackends yields the backends of one pool in the order of their names.
func (s *State) PoolBackends(pool string) iter.Seq[*Backend] {
	return all(s.backends, backendKey(pool, ""))
}

// Tokens yields all tokens in the order of their names.
func (s *State) Tokens() iter.Seq[*Token] { return all(s.tokens, "") }

// Certificates yields all certificates in the order of their names.
func (s *State) Certificates() iter.Seq[*Certificate] { return all(s.certs, "") }

// Nodes yields all members in the order of their UIDs.
func (s *State) Nodes() iter.Seq[*Node] { return all(s.nodes, "") }

// Count returns how many objects of a kind there are.
func (s *State) Count(kind Kind) int {
	switch kind {
	case KindListener:
		return s.listeners.Len()
	case KindRoute:
		return s.routes.Len()
	case KindPool:
		return s.pools.Len()
	case KindBackend:
		return s.backends.Len()
	case KindToken:
		return s.tokens.Len()
	case KindCertificate:
		return s.certs.Len()
	case KindNode:
		return s.nodes.Len()
	}
	return 0
}

// CheckGeneration returns the generation that a vote about b must bear: the
// revision that last changed its address or its pool's check.
func (s *State) CheckGeneration(b *Backend) uint64 { return checkGeneration(s.Pool(b.Pool), b) }

// ChangedSince returns the names of the objects that commands touched after
// the given version, the oldest first, with repetitions. ok is false when that
// is no longer known or the version is not of this state's past; then anything
// may have changed.
func (s *State) ChangedSince(version uint64) (refs []Ref, ok bool) {
	if version < s.changesFloor || version > s.version {
		return nil, false
	}
	it := s.changes.Root().Iterator()
	it.SeekLowerBound(versionKey(version + 1))
	for _, touched, more := it.Next(); more; _, touched, more = it.Next() {
		refs = append(refs, touched...)
	}
	return refs, true
}

func checkGeneration(pool *Pool, b *Backend) uint64 {
	if pool == nil {
		return b.Status.Generation
	}
	return max(b.Status.Generation, pool.Status.CheckGeneration)
}

func get[V any](tree *iradix.Tree[*V], key string) *V {
	value, _ := tree.Get([]byte(key))
	return value
}

func all[V any](tree *iradix.Tree[V], prefix string) iter.Seq[V] {
	return func(yield func(V) bool) {
		it := tree.Root().Iterator()
		it.SeekPrefix([]byte(prefix))
		for _, value, more := it.Next(); more; _, value, more = it.Next() {
			if !yield(value) {
				return
			}
		}
	}
}

func backendKey(pool, name string) string { return pool + "\x00" + name }

func versionKey(version uint64) []byte {
	return binary.BigEndian.AppendUint64(nil, version)
}
