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
	if err := want.ofNone("leave them out; what is there is what is rolled back"); err != nil {
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
	op := fsm.Rollback{To: to}
	if a.config.Cluster.State().CheckLevel(fsm.Command{Op: op}) != nil {
		return a.rollbackPlanned(rw, r, want, body, to)
	}
	return a.performRollback(rw, r, want, body, op)
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

// performRollback has the state machine find the way back as it is applied, so that
// no write which comes in between refuses it.
func (a *API) performRollback(rw http.ResponseWriter, r *http.Request, want *wanted, body []byte, op fsm.Rollback) error {
	if want.dryRun { // on this node's state, which may lack the revision
		if err := a.config.Cluster.ReadIndex(r.Context()); err != nil {
			return unplanned(err)
		}
	}
	done, err := a.perform(r.Context(), want, op, body)
	switch {
	case err != nil:
		return err
	case done.Err != nil:
		return refusedRollback(want, done.Err)
	case done.Repeat:
		return a.answerRepeatedRollback(rw, r, want, body, done)
	}
	return a.answerRollback(rw, r, want, done)
}

// answerRollback tells what was changed, or with a dry run would be.
func (a *API) answerRollback(rw http.ResponseWriter, r *http.Request, want *wanted, done performed) error {
	changes := want.by.seenChanges(done.Changes)
	if done.trial != nil {
		done.Revision = done.told()
		for i, c := range changes {
			changes[i] = planned(c)
		}
	}
	list, err := listChanges(changes)
	if err != nil {
		return err
	}
	a.finish(rw, r, want, done)
	return writeJSON(rw, http.StatusOK, list.view(done.Revision))
}

// answerRepeatedRollback tells what was changed when the rollback was made first, as
// far as the journal has it.
func (a *API) answerRepeatedRollback(rw http.ResponseWriter, r *http.Request, want *wanted, body []byte, done performed) error {
	if recalled, known := a.recall(want, body); known {
		rw.Header().Set(headerReplayed, "true") // of one that changed nothing too
		return a.answerRecalled(rw, r, want, recalled)
	}
	// This node has its own command's outcome from a snapshot, which says no more
	// than the revision.
	if entry := a.config.Cluster.State().RevisionAt(done.Revision); entry != nil && entry.Kind == fsm.DoneRollback {
		done.Changes = entry.Changes
	}
	return a.answerRollback(rw, r, want, done)
}

// refusedRollback maps the state machine's refusal of a rollback.
func refusedRollback(want *wanted, refusal *fsm.Error) error {
	switch refusal.Code {
	case fsm.CodeNoRevision:
		return problem.New(problem.NotFound, "%s", messages(refusal.Faults))
	case fsm.CodeCompacted:
		return problem.New(problem.Compacted, "%s", messages(refusal.Faults))
	}
	return refusedBatch(want, refusal, asTold)
}
