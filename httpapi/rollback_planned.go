package httpapi

import (
	"net/http"

	"evenkeel/fsm"
)

// rollbackPlanned is the rollback of a cluster below feature level 6, whose state
// machine has none: a transaction that this node plans, and plans anew when others
// write meanwhile.
func (a *API) rollbackPlanned(rw http.ResponseWriter, r *http.Request, want *wanted, body []byte, to uint64) error {
	return a.performBatch(rw, r, want, body, func(s *fsm.State) (*batch, error) { return planRollback(s, to, want.by) })
}

// planRollback returns the steps from what there is to what there was, of the
// objects that may be seen.
func planRollback(s *fsm.State, to uint64, by *principal) (*batch, error) {
	changes, ok := s.Between(s.Revision(), to)
	if !ok {
		return nil, unknownRevision(s, to)
	}
	b := &batch{refused: asTold}
	var told []fsm.Change
	for _, c := range changes {
		if c.Ref.Kind == fsm.KindToken || !by.seesChange(c) {
			continue
		}
		b.steps = append(b.steps, stepTo(c))
		told = append(told, planned(c))
	}
	var err error
	b.changes, err = listChanges(told)
	return b, err
}

// stepTo makes the change of an object, if that is as it was before.
func stepTo(c fsm.Change) fsm.Step {
	cond := fsm.Precondition{Absent: true}
	if c.Before != nil {
		cond.Absent, cond.Revision = false, c.Before.GetMeta().Revision
	}
	if c.After == nil {
		return fsm.Step{Delete: &fsm.Delete{Ref: c.Ref, If: cond}}
	}
	put := fsm.PutOf(c.After)
	put.If = cond
	return fsm.Step{Put: &put}
}
