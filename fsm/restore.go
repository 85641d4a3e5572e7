package fsm

import (
	"fmt"
	"iter"
	"slices"
)

// maxRestored bounds the objects of one restore: as many as the registry holds.
const maxRestored = maxListeners + maxRoutes + maxPools + maxBackends + maxTokens + maxCertificates

// RestorePart is a piece of a registry that takes the place of the present one,
// at one revision, once its last piece is there. Pieces come in the order of
// their numbers, from 0; the first one, and an Abort, discard what came of any
// other restore. Objects come in the order of [Objects].
type RestorePart struct {
	// ID tells this restore from others. Its proposer makes it up.
	ID      string `json:"id"`
	Number  int    `json:"number"`
	Objects []Put  `json:"objects"`
	Last    bool   `json:"last,omitempty"`
	Abort   bool   `json:"abort,omitempty"`
}

func (RestorePart) commandKind() string { return "restore" }

func (r RestorePart) validate(f *faults) {
	checkUID(f, "/id", r.ID)
	if r.Number < 0 {
		f.add("/number", "%d is below 0", r.Number)
	}
	for n, put := range r.Objects {
		if !put.If.IsZero() {
			f.add(fmt.Sprintf("/objects/%d/if", n), "is a condition, and a restore has none")
		}
	}
	validateAll(f, r.Objects)
}

// restoring is what came of a restore. It is never changed.
type restoring struct {
	ID   string `json:"id"`
	Next int    `json:"next"`
	// objects are shared with those that came before: only append to a clipped
	// slice.
	objects []Put
}

// Restoring returns the ID of a restore whose last part has not come, or "".
func (s *State) Restoring() string {
	if s.restore == nil {
		return ""
	}
	return s.restore.ID
}

// Objects are all that a restore takes from a state, in an order in which each
// finds what it refers to: certificates, pools, listeners, routes, backends, tokens.
func (s *State) Objects() iter.Seq[Put] {
	return func(yield func(Put) bool) {
		_ = eachPut(s.Certificates(), yield) && eachPut(s.Pools(), yield) && eachPut(s.Listeners(), yield) && eachPut(s.Routes(), yield) && eachPut(s.Backends(), yield) &&
			eachPut(s.Tokens(), yield)
	}
}

func eachPut[S Spec, T any](objects iter.Seq[*Object[S, T]], yield func(Put) bool) bool {
	for o := range objects {
		if !yield(Put{Pool: o.Pool, Name: o.Name, Labels: o.Labels, Spec: o.Spec}) {
			return false
		}
	}
	return true
}

// restorePart takes a piece. A faulty one ends the restore.
func (d *draft) restorePart(c Command, part RestorePart) *Error {
	before := d.restore
	d.restore = nil
	switch {
	case part.Abort:
		if before != nil && before.ID != part.ID {
			d.restore = before
		}
		return nil
	case part.Number == 0:
		before = &restoring{ID: part.ID}
	case before == nil || before.ID != part.ID || before.Next != part.Number:
		if before != nil && before.ID != part.ID {
			d.restore = before // another's
		}
		return refuse(CodePrecondition, "/number", "part %d of restore %q is not the next one: another restore began, or parts are lost; begin again", part.Number, part.ID)
	}
	if count := len(before.objects) + len(part.Objects); count > maxRestored {
		return refuse(CodeLimit, "/objects", "the restore has more than %d objects", maxRestored)
	}
	all := append(slices.Clip(before.objects), part.Objects...)
	if !part.Last {
		d.restore = &restoring{ID: part.ID, Next: part.Number + 1, objects: all}
		return nil
	}
	return d.replaceAll(c, all)
}

// replaceAll is all or nothing.
func (d *draft) replaceAll(c Command, objects []Put) *Error {
	before := d.commit()
	err := d.tryReplaceAll(c, objects)
	if err != nil {
		*d = *newDraft(before)
	}
	return err
}

// tryReplaceAll removes first what could be in the way of what comes: backends
// and tokens, whose addresses and hashes may be others'.
func (d *draft) tryReplaceAll(c Command, objects []Put) *Error {
	wanted := map[Ref]Put{}
	counts := map[Kind]int{}
	for _, put := range objects {
		if _, twice := wanted[put.Ref()]; twice {
			return refuse(CodeInvalid, "/objects", "%s is there twice", put.Ref())
		}
		wanted[put.Ref()] = put
		counts[put.Spec.Kind()]++
	}
	for _, limit := range limits {
		if counts[limit.kind] > limit.most {
			return refuse(CodeLimit, "/objects", "%d are of kind %s, at most %d are taken", counts[limit.kind], limit.kind, limit.most)
		}
	}
	d.unbounded, d.returning = true, true
	defer func() { d.unbounded, d.returning = false, false }()
	d.dropPending()
	d.recorded.kind = DoneRestore
	for _, b := range below(d.backends, "") {
		put, stays := wanted[b.Ref()]
		if !stays || put.Spec.(BackendSpec).Address != b.Spec.Address {
			if err := d.delete(Delete{Ref: b.Ref()}); err != nil {
				return err
			}
		}
	}
	for _, token := range below(d.tokens, "") {
		put, stays := wanted[token.Ref()]
		if !stays || put.Spec.(TokenSpec).Hash != token.Spec.Hash {
			if err := d.delete(Delete{Ref: token.Ref()}); err != nil {
				return err
			}
		}
	}
	for _, kind := range []Kind{KindCertificate, KindPool, KindListener, KindRoute, KindBackend, KindToken} {
		for _, put := range objects {
			if put.Spec.Kind() != kind {
				continue
			}
			if _, err := d.put(c, put); err != nil {
				return refuse(err.Code, "/objects", "%s: %s", put.Ref(), err.Error())
			}
		}
	}
	return d.removeOthers(wanted)
}

// removeOthers leaves what is wanted.
func (d *draft) removeOthers(wanted map[Ref]Put) *Error {
	var refs []Ref
	for _, o := range below(d.routes, "") {
		refs = append(refs, o.Ref())
	}
	for _, o := range below(d.listeners, "") {
		refs = append(refs, o.Ref())
	}
	for _, o := range below(d.pools, "") {
		refs = append(refs, o.Ref())
	}
	for _, o := range below(d.certs, "") {
		refs = append(refs, o.Ref())
	}
	for _, ref := range refs {
		if _, stays := wanted[ref]; stays {
			continue
		}
		if err := d.delete(Delete{Ref: ref}); err != nil {
			return err
		}
	}
	return nil
}
