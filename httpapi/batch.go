package httpapi

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"

	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
)

// maxReplans bounds how often a transaction is planned anew because others wrote
// meanwhile.
const maxReplans = 8

// batch is a transaction that follows from a state of the registry. Each of its
// steps asks for the object as that state has it, so that what was planned and told
// is what is done.
type batch struct {
	steps   []fsm.Step
	changes *changeList
	// unchanged and owner are for the answer.
	unchanged int
	owner     string
	// planned, if not nil, is called when nothing is to be planned any more, before
	// the answer waits for anybody.
	planned func()
	// refused returns the faults of a refusal, whose pointers begin with /steps/N, as
	// those of what the client sent.
	refused func(*fsm.Error) ([]fsm.Fault, []problem.Place)
}

// performBatch plans a batch on what is committed and makes it at one revision, or tries
// it. Where there is nothing to do, no revision is made.
func (a *API) performBatch(rw http.ResponseWriter, r *http.Request, want *wanted, body []byte, plan func(*fsm.State) (*batch, error)) error {
	for try := 1; ; try++ {
		if err := a.config.Cluster.ReadIndex(r.Context()); err != nil {
			return unplanned(err)
		}
		if done, known := a.recall(want, body); known { // what is to be done now was not done then
			return a.answerRecalled(rw, r, want, done)
		}
		s := a.config.Cluster.State()
		b, err := plan(s)
		if err != nil {
			return err
		}
		if len(b.steps) == 0 {
			return a.answerBatch(rw, r, want, b, performed{Result: fsm.Result{Revision: s.Revision()}})
		}
		done, err := a.perform(r.Context(), want, fsm.Txn{Steps: b.steps}, body)
		switch {
		case err != nil:
			return err
		case done.Err == nil:
			return a.answerBatch(rw, r, want, b, done)
		case !overtaken(done.Err):
			return refusedBatch(want, done.Err, b.refused)
		case try == maxReplans:
			return problem.New(problem.Outrun, "others kept changing the same objects while this was planned, %d times: nothing was changed", try).With("Retry-After", "1")
		}
	}
}

// unplanned is a read index that a write does not get.
func unplanned(err error) error {
	if p := asProblem(err); p.Kind != problem.NoQuorum && p.Kind != problem.OutcomeUnknown {
		return err
	}
	return problem.New(problem.NoQuorum, "no leader confirmed in time that this node is up to date, and what is to be done follows from what there is: nothing was changed").With("Retry-After", "1")
}

// overtaken tells that an object is not as it was when the steps were planned.
func overtaken(refusal *fsm.Error) bool {
	return slices.ContainsFunc(refusal.Faults, func(f fsm.Fault) bool {
		return f.Code == fsm.CodePrecondition || f.Code == fsm.CodeExists
	})
}

func (a *API) answerBatch(rw http.ResponseWriter, r *http.Request, want *wanted, b *batch, done performed) error {
	if done.replayed() { // this node did not know that yet
		return a.answerRecalled(rw, r, want, done)
	}
	if b.planned != nil {
		b.planned()
	}
	view := b.changes.view(done.told())
	view.Unchanged, view.Owner = b.unchanged, b.owner
	a.finish(rw, r, want, done)
	return writeJSON(rw, http.StatusOK, view)
}

// told is the revision that an answer is about: what was made, or compared with.
func (p performed) told() uint64 {
	if p.trial != nil {
		return p.trial.before.Revision()
	}
	return p.Revision
}

// answerRecalled answers what was done under its key before, as far as the journal
// has it.
func (a *API) answerRecalled(rw http.ResponseWriter, r *http.Request, want *wanted, done performed) error {
	if done.Err != nil {
		return refusedBatch(want, done.Err, asTold)
	}
	changes := &changeList{}
	entry := a.config.Cluster.State().RevisionAt(done.Revision)
	if entry != nil && len(done.Refs) > 0 { // else nothing was to be changed, and the revision is another's
		seen := principalOf(r).seenChanges(entry.Changes)
		if entry.Kind == fsm.DoneRollback { // which the first answer had in order
			slices.SortFunc(seen, func(a, b fsm.Change) int {
				return cmp.Or(cmp.Compare(a.Ref.Kind, b.Ref.Kind), compareNames(a.Ref, b.Ref))
			})
		}
		var err error
		if changes, err = listChanges(seen); err != nil {
			return err
		}
	}
	a.finish(rw, r, want, done)
	return writeJSON(rw, http.StatusOK, changes.view(done.Revision))
}

// refusedBatch maps the state machine's refusal of a transaction.
func refusedBatch(want *wanted, refusal *fsm.Error, refused func(*fsm.Error) ([]fsm.Fault, []problem.Place)) error {
	if refusal.Code == fsm.CodeKeyReused {
		return keyReused(want)
	}
	faults, places := refused(refusal)
	p := problem.Invalid(faults)
	p.Kind, p.Places = refusedKind(refusal.Code), places
	return p
}

// asTold has pointers that begin with /steps/N begin with /changes/N, which is where
// a dry run tells of the step.
func asTold(refusal *fsm.Error) ([]fsm.Fault, []problem.Place) {
	return renamed(refusal.Faults, func(step int) string { return fmt.Sprintf("/changes/%d", step) }), nil
}
