package fsm

import (
	"cmp"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"time"
)

// Bounds of the journal, part of the feature level. What goes beyond them is
// forgotten from the oldest revision on.
const (
	maxRevisions    = 4096
	maxJournal      = 50_000   // changes
	maxJournalBytes = 16 << 20 // of JSON, what stood there before the changes
	// changeOverhead is what a change is taken to need beside that.
	changeOverhead = 100
)

// levelHistory is the level from which on there are a journal, transactions,
// keys, confirmations and tokens.
const levelHistory = 5

// Revision is one entry of the journal: an accepted change of labels or specs.
// It is immutable.
type Revision struct {
	Revision uint64 `json:"revision"`
	// Time is the proposer's clock, for display only.
	Time   time.Time `json:"time"`
	Actor  string    `json:"actor"`
	Reason string    `json:"reason,omitempty"`
	Kind   Done      `json:"kind"`
	// Undoes is, for [DoneUndo], the revision that was undone.
	Undoes uint64 `json:"undoes,omitempty"`
	// Count is how many objects changed, and Changes all of them in the order in
	// which they were first touched; nil if they were too many to keep.
	Count   int      `json:"count"`
	Changes []Change `json:"-"`

	size int
}

// Done is how a revision came about.
type Done string

// The ways: the first objects of the cluster, one object written or deleted, a
// transaction, a restored snapshot, backends that were not renewed, a revision that
// was not confirmed, and a way back. One that follows from a [Txn] which a node
// planned below feature level 6 is told as that.
const (
	DoneInit     Done = "init"
	DonePut      Done = "put"
	DoneDelete   Done = "delete"
	DoneTxn      Done = "txn"
	DoneRestore  Done = "restore"
	DoneLapse    Done = "lapse"
	DoneUndo     Done = "undo"
	DoneRollback Done = "rollback"
)

// Change is one object before and after a revision, nil where there was or is
// none. The status of either is of whenever the object was written, or empty.
type Change struct {
	Ref           Ref
	Before, After AnyObject
}

// OldestRevision returns the oldest revision whose registry is known.
func (s *State) OldestRevision() uint64 { return s.journalFloor }

// RevisionAt returns an entry of the journal, or nil if it is forgotten or yet
// to come.
func (s *State) RevisionAt(revision uint64) *Revision {
	entry, _ := s.journal.Get(versionKey(revision))
	return entry
}

// RevisionsAfter yields the entries above the revision in their order. Where
// that is below [State.OldestRevision], some may be missing.
func (s *State) RevisionsAfter(revision uint64) iter.Seq[*Revision] {
	return func(yield func(*Revision) bool) {
		it := s.journal.Root().Iterator()
		it.SeekLowerBound(versionKey(revision + 1))
		for _, entry, more := it.Next(); more && yield(entry); _, entry, more = it.Next() {
		}
	}
}

// RevisionsBefore yields the entries below the revision, the newest first; all
// of them for 0.
func (s *State) RevisionsBefore(revision uint64) iter.Seq[*Revision] {
	if revision == 0 {
		revision = s.revision + 1
	}
	return func(yield func(*Revision) bool) {
		it := s.journal.Root().ReverseIterator()
		it.SeekReverseLowerBound(versionKey(revision - 1))
		for _, entry, more := it.Previous(); more && yield(entry); _, entry, more = it.Previous() {
		}
	}
}

// Between returns what changed from one revision's registry to another's, which
// may be the earlier one, in the order of kinds, pools and names. ok is false if
// either is not known.
func (s *State) Between(from, to uint64) (changes []Change, ok bool) {
	if from > to {
		changes, ok = s.Between(to, from)
		for i, c := range changes {
			changes[i].Before, changes[i].After = c.After, c.Before
		}
		return changes, ok
	}
	if from < s.journalFloor || to > s.revision {
		return nil, false
	}
	net := map[Ref]Change{}
	for entry := range s.RevisionsAfter(from) {
		if entry.Revision > to {
			break
		}
		for _, c := range entry.Changes {
			if first, known := net[c.Ref]; known {
				c.Before = first.Before
			}
			net[c.Ref] = c
		}
	}
	for ref, c := range net {
		if sameObject(c.Before, c.After) {
			delete(net, ref)
		}
	}
	refs := slices.SortedFunc(maps.Keys(net), compareRefs)
	for _, ref := range refs {
		changes = append(changes, net[ref])
	}
	return changes, true
}

// compareRefs orders by kind, pool and name.
func compareRefs(a, b Ref) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Pool, b.Pool), cmp.Compare(a.Name, b.Name))
}

// sameObject tells whether labels and spec are the same.
func sameObject(a, b AnyObject) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return maps.Equal(a.GetLabels(), b.GetLabels()) && sameJSON(a.GetSpec(), b.GetSpec())
}

// recording is what the command at work does to labels and specs.
type recording struct {
	changes []Change
	at      map[Ref]int // in changes; nil while there are few
	kind    Done
	undoes  uint64
}

// fewChanges are found faster by looking at each.
const fewChanges = 16

// record takes a change of labels or spec. before is nil for a new object, after
// for one that is removed.
func (d *draft) record(ref Ref, before, after AnyObject) {
	r := &d.recorded
	if at, known := r.find(ref); known {
		r.changes[at].After = after
		return
	}
	if r.at != nil {
		r.at[ref] = len(r.changes)
	}
	r.changes = append(r.changes, Change{ref, before, after})
}

func (r *recording) find(ref Ref) (int, bool) {
	if r.at == nil && len(r.changes) < fewChanges {
		at := slices.IndexFunc(r.changes, func(c Change) bool { return c.Ref == ref })
		return at, at >= 0
	}
	if r.at == nil {
		r.at = make(map[Ref]int, 2*len(r.changes))
		for at, c := range r.changes {
			r.at[c.Ref] = at
		}
	}
	at, known := r.at[ref]
	return at, known
}

// sorted returns the changes in the order of kinds, pools and names.
func (r *recording) sorted() []Change {
	return slices.SortedFunc(slices.Values(r.changes), func(a, b Change) int { return compareRefs(a.Ref, b.Ref) })
}

// enter writes the command's revision into the journal.
func (d *draft) enter(c Command) {
	if d.featureLevel < levelHistory {
		d.journalFloor = d.revision
		return
	}
	entry := &Revision{
		Revision: d.revision, Time: c.Time.UTC().Round(0), Actor: c.Actor, Reason: c.Reason,
		Kind: d.recorded.kind, Undoes: d.recorded.undoes, Count: len(d.recorded.changes), Changes: d.recorded.changes,
	}
	entry.measure()
	if entry.Count > maxJournal || entry.size > maxJournalBytes {
		entry.Changes, entry.size = nil, changeOverhead
		d.forgetRevisions(d.revision)
	}
	d.insertRevision(entry)
	for d.revision-d.journalFloor > maxRevisions || d.journalChanges > maxJournal || d.journalBytes > maxJournalBytes {
		d.forgetRevisions(d.journalFloor + 1)
	}
}

func (d *draft) insertRevision(entry *Revision) {
	d.journal.Insert(versionKey(entry.Revision), entry)
	d.journalChanges += len(entry.Changes)
	d.journalBytes += entry.size
}

// forgetRevisions makes that the oldest revision which is known.
func (d *draft) forgetRevisions(oldest uint64) {
	d.journalFloor = oldest
	for {
		it := d.journal.Root().Iterator()
		key, entry, more := it.Next()
		if !more || entry.Revision > oldest {
			return
		}
		d.journal.Delete(key)
		d.journalChanges -= len(entry.Changes)
		d.journalBytes -= entry.size
	}
}

// measure counts what the entry holds, which no status is part of: replicas that
// restored a snapshot have none.
func (r *Revision) measure() {
	r.size = 0
	for _, c := range r.Changes {
		r.size += changeOverhead
		if c.Before != nil {
			data, err := json.Marshal(c.Before.stripped())
			if err != nil {
				panic("fsm: measure " + c.Ref.String() + ": " + err.Error()) // see hashEntry
			}
			r.size += len(data)
		}
	}
}

// wireChange is a change within a snapshot. What the object became is what stood
// there before the next one.
type wireChange struct {
	Ref
	Before json.RawMessage `json:"before,omitempty"`
}

func encodeChange(c Change) (wireChange, error) {
	w := wireChange{Ref: c.Ref}
	if c.Before == nil {
		return w, nil
	}
	data, err := json.Marshal(c.Before.stripped())
	w.Before = data
	return w, err
}

func (w wireChange) decode() (Change, error) {
	c := Change{Ref: w.Ref}
	if w.Before == nil {
		return c, nil
	}
	var err error
	switch w.Kind {
	case KindListener:
		c.Before, err = decodeObject[ListenerSpec, NoStatus](w.Before)
	case KindRoute:
		c.Before, err = decodeObject[RouteSpec, NoStatus](w.Before)
	case KindPool:
		c.Before, err = decodeObject[PoolSpec, PoolStatus](w.Before)
	case KindBackend:
		c.Before, err = decodeObject[BackendSpec, BackendStatus](w.Before)
	case KindToken:
		c.Before, err = decodeObject[TokenSpec, NoStatus](w.Before)
	case KindCertificate:
		c.Before, err = decodeObject[CertificateSpec, NoStatus](w.Before)
	default:
		err = errKind
	}
	return c, err
}

func decodeObject[S Spec, T any](data []byte) (AnyObject, error) {
	var o Object[S, T]
	if err := decodeStrict(data, &o); err != nil {
		return nil, err
	}
	return &o, nil
}

// completeJournal finds what each change left, once all of a snapshot is read.
func (d *draft) completeJournal() {
	for _, p := range d.pending {
		d.prepare(p)
	}
	above := map[Ref]AnyObject{}
	entries := below(d.journal, "")
	for _, entry := range slices.Backward(entries) {
		for i := range entry.Changes {
			c := &entry.Changes[i]
			next, changed := above[c.Ref]
			if !changed {
				next = d.object(c.Ref)
			}
			c.After = next
			above[c.Ref] = c.Before
		}
		entry.measure()
		if entry.Changes == nil && entry.Count > 0 {
			entry.size = changeOverhead
		}
		d.journalChanges += len(entry.Changes)
		d.journalBytes += entry.size
	}
}

// object is [State.Object] of the draft.
func (d *draft) object(ref Ref) AnyObject {
	switch ref.Kind {
	case KindListener:
		return orNil(lookup(d.listeners, ref.Name))
	case KindRoute:
		return orNil(lookup(d.routes, ref.Name))
	case KindPool:
		return orNil(lookup(d.pools, ref.Name))
	case KindBackend:
		return orNil(lookup(d.backends, objectKey(ref)))
	case KindToken:
		return orNil(lookup(d.tokens, ref.Name))
	case KindCertificate:
		return orNil(lookup(d.certs, ref.Name))
	}
	return nil
}

// writeJournal writes each entry with its changes behind it.
func (s *State) writeJournal(l *lineWriter) {
	for entry := range all(s.journal, "") {
		l.write(lineRevision, entry)
		l.writeChanges(entry.Changes)
	}
}

func (l *lineWriter) writeChanges(changes []Change) {
	for _, c := range changes {
		w, err := encodeChange(c)
		if err != nil && l.err == nil {
			l.err = err
		}
		l.write(lineChange, w)
	}
}
