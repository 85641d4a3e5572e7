package httpapi

import (
	"fmt"
	"net/http"

	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
	"evenkeel/httpapi/strictjson"
)

// rollback makes the registry what it was as of a revision, by a new one. Tokens
// are left as they are: one that was revoked must not come back to life.
func (a *API) rollback(rw http.ResponseWriter, r *http.Request) error {
	want, err := wantedOf(r)
	if err != nil {
		return err
	}
	if err := want.ofNone("leave them out; each object is checked to be as it was when the rollback was planned"); err != nil {
		return err
	}
	body, err := readBody(rw, r)
	if err != nil {
		return err
	}
	to, faults := parseRollback(body)
	if len(faults) > 0 {
		return problem.Invalid(faults)
	}
	if want.reason == "" {
		want.reason = fmt.Sprintf("rollback to revision %d", to)
	}
	by := principalOf(r)
	return a.performBatch(rw, r, want, body, func(s *fsm.State) (*batch, error) { return planRollback(s, to, by) })
}

func parseRollback(body []byte) (to uint64, faults []fsm.Fault) {
	value, faults := strictjson.Parse(body)
	if value == nil {
		return 0, faults
	}
	faults = append(faults, value.DecodeFields(strictjson.Fields{"to": &to}, "")...)
	if to == 0 && len(faults) == 0 {
		faults = append(faults, fsm.Fault{Pointer: "/to", Message: "is missing or 0: name the revision that the registry is to be as of"})
	}
	return to, faults
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
