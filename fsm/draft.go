package fsm

import (
	iradix "github.com/hashicorp/go-immutable-radix/v2"
)

// draft is the next state while commands are applied to it. Its fields of the
// trees shadow those of the State, which are stale until commit.
type draft struct {
	State

	listeners *iradix.Txn[*Listener]
	routes    *iradix.Txn[*Route]
	pools     *iradix.Txn[*Pool]
	backends  *iradix.Txn[*Backend]
	nodes     *iradix.Txn[*Node]
	addresses *iradix.Txn[string]
	uses      *iradix.Txn[struct{}]
	results   *iradix.Txn[*record]
	origins   *iradix.Txn[*origin]
	changes   *iradix.Txn[[]Ref]
	tokens    *iradix.Txn[*Token]
	certs     *iradix.Txn[*Certificate]
	hashes    *iradix.Txn[string]
	journal   *iradix.Txn[*Revision]
	keys      *iradix.Txn[*keyRecord]
	keyOrder  *iradix.Txn[string]

	// joint is set while the steps of a transaction are performed.
	joint *joint
	// unbounded has a put take room that what is removed behind it gives back.
	unbounded bool
	// returning has what stood before come back, whatever came since that it does not
	// fit.
	returning bool

	// counts holds the number of objects by kind, which a Txn does not tell.
	counts map[Kind]int

	// Of the command at work: what it touched, what labels and specs it changed,
	// whether an object is new, whether the feature level rose, whether pending
	// revisions came or went, whether a key of the registry did, how many votes did not count, and how its steps fared.
	touched        []Ref
	recorded       recording
	created        bool
	levelRaised    bool
	pendingChanged bool
	keysChanged    bool
	ignored        int
	steps          []StepResult
}

func newDraft(s *State) *draft {
	d := &draft{
		State:     *s,
		listeners: s.listeners.Txn(),
		routes:    s.routes.Txn(),
		pools:     s.pools.Txn(),
		backends:  s.backends.Txn(),
		nodes:     s.nodes.Txn(),
		addresses: s.addresses.Txn(),
		uses:      s.uses.Txn(),
		results:   s.results.Txn(),
		origins:   s.origins.Txn(),
		changes:   s.changes.Txn(),
		tokens:    s.tokens.Txn(),
		certs:     s.certs.Txn(),
		hashes:    s.hashes.Txn(),
		journal:   s.journal.Txn(),
		keys:      s.keys.Txn(),
		keyOrder:  s.keyOrder.Txn(),
		counts:    make(map[Kind]int, 6),
	}
	for _, kind := range []Kind{KindListener, KindRoute, KindPool, KindBackend, KindToken, KindNode, KindCertificate} {
		d.counts[kind] = s.Count(kind)
	}
	return d
}

// commit ends the draft and returns the state that it became.
func (d *draft) commit() *State {
	next := d.State
	next.listeners = d.listeners.CommitOnly()
	next.routes = d.routes.CommitOnly()
	next.pools = d.pools.CommitOnly()
	next.backends = d.backends.CommitOnly()
	next.nodes = d.nodes.CommitOnly()
	next.addresses = d.addresses.CommitOnly()
	next.uses = d.uses.CommitOnly()
	next.results = d.results.CommitOnly()
	next.origins = d.origins.CommitOnly()
	next.changes = d.changes.CommitOnly()
	next.tokens = d.tokens.CommitOnly()
	next.certs = d.certs.CommitOnly()
	next.hashes = d.hashes.CommitOnly()
	next.journal = d.journal.CommitOnly()
	next.keys = d.keys.CommitOnly()
	next.keyOrder = d.keyOrder.CommitOnly()
	return &next
}

// nextRevision and nextVersion are what the state will have if the command at
// work changes something.
func (d *draft) nextRevision() uint64 { return d.revision + 1 }
func (d *draft) nextVersion() uint64  { return d.version + 1 }

// touch records that the command at work changed ref.
func (d *draft) touch(ref Ref) { d.touched = append(d.touched, ref) }

func lookup[V any](tree *iradix.Txn[*V], key string) *V {
	value, _ := tree.Get([]byte(key))
	return value
}

// store puts an object into its tree and keeps the sum of hashes and the
// count; load removes what stood there from the sum.
func store[S Spec, T any](d *draft, tree *iradix.Txn[*Object[S, T]], o *Object[S, T]) {
	storeHashed(d, tree, o, hashEntry(o.Spec.Kind(), o))
}

// storeHashed is store of an object whose hash is known.
func storeHashed[S Spec, T any](d *draft, tree *iradix.Txn[*Object[S, T]], o *Object[S, T], hash uint64) {
	kind := o.Spec.Kind()
	old, replaced := tree.Insert([]byte(objectKey(o.Ref())), o)
	if replaced {
		d.sum -= hashEntry(kind, old)
	} else {
		d.counts[kind]++
	}
	d.sum += hash
}

func remove[S Spec, T any](d *draft, tree *iradix.Txn[*Object[S, T]], ref Ref) {
	old, ok := tree.Delete([]byte(objectKey(ref)))
	if ok {
		d.sum -= hashEntry(ref.Kind, old)
		d.counts[ref.Kind]--
	}
}

// objectKey is the key of an object in the tree of its kind.
func objectKey(ref Ref) string {
	if ref.Kind == KindBackend {
		return backendKey(ref.Pool, ref.Name)
	}
	return ref.Name
}

// below returns what the keys with that prefix hold. It is collected first
// because a Txn must not change under an iterator.
func below[V any](tree *iradix.Txn[V], prefix string) []V {
	var values []V
	it := tree.Root().Iterator()
	it.SeekPrefix([]byte(prefix))
	for _, value, more := it.Next(); more; _, value, more = it.Next() {
		values = append(values, value)
	}
	return values
}

// firstKey returns the first key with that prefix, without the prefix.
func firstKey[V any](tree *iradix.Txn[V], prefix string) (string, bool) {
	it := tree.Root().Iterator()
	it.SeekPrefix([]byte(prefix))
	key, _, ok := it.Next()
	if !ok {
		return "", false
	}
	return string(key[len(prefix):]), true
}
