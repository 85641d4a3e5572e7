package fsm

import (
	"slices"
	"time"
)

const (
	// maxPending bounds the revisions that wait for their confirmation. Together
	// they hold no more than the journal may.
	maxPending = 16
	minConfirm = time.Second
	maxConfirm = 24 * time.Hour
)

// Pending is a revision that the cluster undoes unless it is confirmed in time.
// Until then nobody else changes what it changed, nor takes or removes what
// undoing it needs. It is immutable.
type Pending struct {
	Revision uint64 `json:"revision"`
	// Within is how long it waits, 1 s to 24 h. The leader counts, from when its
	// own state had the revision.
	Within Duration `json:"within"`
	// Time is the proposer's clock, for display only.
	Time   time.Time `json:"time"`
	Actor  string    `json:"actor"`
	Reason string    `json:"reason,omitempty"`
	// Count is how many objects the revision changed.
	Count int `json:"count"`

	changes []Change // After is not used
	// What undoing needs: created tells of each object whether the revision made
	// it; needs has the names that what comes back refers to, addresses and hashes
	// whose they will be again, and room how many more objects of a kind there will
	// be.
	created   map[Ref]bool
	needs     map[Ref]Ref
	addresses map[string]string
	hashes    map[string]string
	room      map[Kind]int

	size int // of changes, as [Revision.measure] counts
}

// Changes returns what the revision changed, with what stood there before.
func (p *Pending) Changes() []Change { return p.changes }

// Confirm ends the wait for the confirmation of a revision: it stays, or is
// undone by a new revision. If the revision does not wait, Confirm is refused
// with [CodeNotFound].
type Confirm struct {
	Revision uint64 `json:"revision"`
	Undo     bool   `json:"undo,omitempty"`
}

func (c Confirm) validate(f *faults) {
	if c.Revision == 0 {
		f.add("/revision", "0 is no revision: name the one that waits for its confirmation")
	}
}

// Pending returns the revisions that wait for their confirmation, at most 16,
// the oldest first. The slice must not be changed.
func (s *State) Pending() []*Pending { return s.pending }

// prepare finds what undoing the revision needs.
func (d *draft) prepare(p *Pending) {
	entry := Revision{Changes: p.changes}
	entry.measure()
	p.Count, p.size = len(p.changes), entry.size
	p.created = make(map[Ref]bool, len(p.changes))
	p.needs, p.addresses, p.hashes, p.room = map[Ref]Ref{}, map[string]string{}, map[string]string{}, map[Kind]int{}
	for _, c := range p.changes {
		p.created[c.Ref] = c.Before == nil
		switch now := d.object(c.Ref); { // as the revision left it: it is held since
		case c.Before == nil && now != nil:
			p.room[c.Ref.Kind]--
		case c.Before != nil && now == nil:
			p.room[c.Ref.Kind]++
		}
		if c.Before == nil {
			continue
		}
		switch spec := c.Before.GetSpec().(type) {
		case RouteSpec, ListenerSpec, PoolSpec:
			for _, named := range namedBy(spec) {
				p.needs[named] = c.Ref
			}
		case BackendSpec:
			p.needs[Ref{Kind: KindPool, Name: c.Ref.Pool}] = c.Ref
			p.addresses[addressKey(c.Ref.Pool, spec.Address)] = c.Ref.Name
		case TokenSpec:
			p.hashes[spec.Hash] = c.Ref.Name
		}
	}
}

// await has a revision wait for its confirmation. It is called with all its
// changes recorded.
func (d *draft) await(c Command) *Error {
	for _, change := range d.recorded.changes {
		if p := d.holder(Ref{Kind: KindPool, Name: change.Ref.Pool}); p != nil && change.Ref.Pool != "" {
			return p.refusal(Ref{Kind: KindPool, Name: change.Ref.Pool})
		}
	}
	if len(d.pending) >= maxPending {
		return refuse(CodeLimit, "/confirm_within", "%d revisions wait for their confirmation already: confirm or undo one first", len(d.pending))
	}
	p := &Pending{
		Revision: d.nextRevision(), Within: c.ConfirmWithin, Time: c.Time.UTC().Round(0), Actor: c.Actor, Reason: c.Reason,
		changes: slices.Clone(d.recorded.changes),
	}
	d.prepare(p)
	count, size := p.Count, p.size
	for _, other := range d.pending {
		count, size = count+other.Count, size+other.size
	}
	if size > maxJournalBytes || count > maxJournal {
		return refuse(CodeLimit, "/confirm_within", "the write and the %d revisions that wait for their confirmation already change too much to be undone: at most %d objects and %d bytes together",
			len(d.pending), maxJournal, maxJournalBytes)
	}
	d.pending = append(slices.Clip(d.pending), p)
	d.pendingChanged = true
	return nil
}

// dropPending has nothing wait any more.
func (d *draft) dropPending() {
	d.pendingChanged = d.pendingChanged || len(d.pending) > 0
	d.pending = nil
}

// confirm keeps a revision, or undoes it.
func (d *draft) confirm(c Command, op Confirm) *Error {
	at := slices.IndexFunc(d.pending, func(p *Pending) bool { return p.Revision == op.Revision })
	if at < 0 {
		return refuse(CodeNotFound, "/revision", "revision %d does not wait for a confirmation: it was confirmed or undone already, or never had to be", op.Revision)
	}
	before, p := d.pending, d.pending[at]
	d.pending = slices.Delete(slices.Clone(d.pending), at, at+1)
	d.pendingChanged = true
	if !op.Undo {
		return nil
	}
	d.returning = true
	err := d.txn(c, Txn{Steps: d.stepsBack(p)})
	d.returning = false
	if err != nil {
		d.pending, d.pendingChanged = before, false
		return err
	}
	d.recorded.kind, d.recorded.undoes = DoneUndo, p.Revision
	return nil
}

// stepsBack returns the steps that undo a revision. What was put into a pool that
// it made goes with the pool.
func (d *draft) stepsBack(p *Pending) []Step {
	var steps []Step
	for _, c := range p.changes {
		switch now := d.object(c.Ref); {
		case c.Before != nil:
			put := PutOf(c.Before)
			steps = append(steps, Step{Put: &put})
		case now != nil:
			steps = append(steps, Step{Delete: &Delete{Ref: c.Ref}})
		}
		if c.Before == nil && c.Ref.Kind == KindPool {
			for _, b := range below(d.backends, backendKey(c.Ref.Name, "")) {
				if _, own := p.created[b.Ref()]; !own {
					steps = append(steps, Step{Delete: &Delete{Ref: b.Ref()}})
				}
			}
		}
	}
	return steps
}

// holder returns the revision that holds an object, or nil.
func (d *draft) holder(ref Ref) *Pending {
	for _, p := range d.pending {
		if _, holds := p.created[ref]; holds {
			return p
		}
	}
	return nil
}

func (p *Pending) refusal(ref Ref) *Error {
	return refuse(CodeUnconfirmed, "", "%s was changed by revision %d, which is not confirmed yet: confirm or undo that first", ref, p.Revision)
}

// checkFree reports a revision that may yet be undone and changed the object.
func (d *draft) checkFree(ref Ref) *Error {
	if p := d.holder(ref); p != nil {
		return p.refusal(ref)
	}
	return nil
}

// checkSettled says why an object may not be named: it may be gone soon.
func (d *draft) checkSettled(ref Ref) string {
	if p := d.holder(ref); p != nil && p.created[ref] {
		return p.refusal(ref).Faults[0].Message
	}
	return ""
}

// checkNotHeld reports a revision whose undoing needs the object.
func (d *draft) checkNotHeld(ref Ref) *Error {
	for _, p := range d.pending {
		if other, needed := p.needs[ref]; needed {
			err := refuse(CodeUnconfirmed, "", "%s is needed to undo what revision %d did to %s, which is not confirmed yet: confirm or undo that first",
				ref, p.Revision, other)
			err.Other = &other
			return err
		}
	}
	return nil
}

// roomHeld is how many objects of a kind may come back, whichever revisions are
// undone.
func (d *draft) roomHeld(kind Kind) int {
	held := 0
	for _, p := range d.pending {
		held += max(p.room[kind], 0)
	}
	return held
}

// hashHeld is addressHeld of the hash of a token.
func (d *draft) hashHeld(hash string) (string, bool) {
	for _, p := range d.pending {
		if name, held := p.hashes[hash]; held {
			return name, true
		}
	}
	return "", false
}

// addressHeld returns the backend that has the address again if a revision is
// undone.
func (d *draft) addressHeld(key string) (string, bool) {
	for _, p := range d.pending {
		if name, held := p.addresses[key]; held {
			return name, true
		}
	}
	return "", false
}
