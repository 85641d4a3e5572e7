package httpapi

import (
	"net/http"
	"slices"
	"time"

	"github.com/gorilla/mux"

	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
)

// pendingView is a revision that is undone unless it is confirmed in time.
type pendingView struct {
	Revision uint64       `json:"revision"`
	Within   fsm.Duration `json:"within"`
	// Time is the clock of the node that took the write.
	Time    time.Time `json:"time"`
	Actor   string    `json:"actor"`
	Reason  string    `json:"reason,omitempty"`
	Count   int       `json:"count"`
	Objects []touched `json:"objects"`
}

type pendingList struct {
	Items    []pendingView `json:"items"`
	Revision uint64        `json:"revision"`
}

// pending lists what waits for its confirmation, the oldest first.
func (a *API) pending(w http.ResponseWriter, r *http.Request) error {
	s, err := a.state(w, r)
	if err != nil {
		return err
	}
	list := pendingList{Items: []pendingView{}, Revision: s.Revision()}
	for _, p := range s.Pending() {
		if seen := principalOf(r).seenChanges(undone(s, p)); len(seen) > 0 {
			list.Items = append(list.Items, pendingView{p.Revision, p.Within, p.Time, p.Actor, p.Reason, len(seen), firstTouched(seen)})
		}
	}
	return writeJSON(w, http.StatusOK, list)
}

// undone returns what a revision that waits changed, with the objects as they are:
// nobody else changes them meanwhile.
func undone(s *fsm.State, p *fsm.Pending) []fsm.Change {
	changes := slices.Clone(p.Changes())
	for i, c := range changes {
		changes[i].After = s.Object(c.Ref)
	}
	return changes
}

// decide keeps a revision that waits for its confirmation, or undoes it at once.
func (a *API) decide(undo bool) handlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) error {
		want, err := wantedOf(r)
		if err != nil {
			return err
		}
		if err := want.ofNone("leave them out"); err != nil {
			return err
		}
		n, err := parseRevision(mux.Vars(r)["revision"])
		if err != nil {
			return err
		}
		if err := a.config.Cluster.ReadIndex(r.Context()); err != nil {
			return unplanned(err)
		}
		done, err := a.perform(r.Context(), want, fsm.Confirm{Revision: n, Undo: undo}, nil)
		if err != nil {
			return err
		}
		if done.Err != nil {
			return a.undecided(want, n, done.Err)
		}
		return a.decided(rw, r, want, done, undo)
	}
}

// undecided maps the refusal of a decision.
func (a *API) undecided(want *wanted, n uint64, refusal *fsm.Error) error {
	if refusal.Code == fsm.CodeNotFound {
		return notWaiting(a.config.Cluster.State(), n)
	}
	return refusedBatch(want, refusal, asTold)
}

// notWaiting tells what became of a revision that does not wait.
func notWaiting(s *fsm.State, n uint64) error {
	if n > s.Revision() {
		return unknownRevision(s, n)
	}
	for entry := range s.RevisionsAfter(n) {
		if entry.Undoes == n {
			return problem.New(problem.NotFound, "revision %d does not wait for a confirmation: revision %d has undone it", n, entry.Revision)
		}
	}
	return problem.New(problem.NotFound, "revision %d does not wait for a confirmation: it was confirmed already, or never had to be", n)
}

// decided answers with what the decision changed, which for a confirmation is
// nothing.
func (a *API) decided(rw http.ResponseWriter, r *http.Request, want *wanted, done performed, undo bool) error {
	s := a.config.Cluster.State()
	if done.trial != nil {
		s = done.trial.after
	}
	list := &changeList{}
	if entry := s.RevisionAt(done.Revision); undo && entry != nil {
		var err error
		changes := principalOf(r).seenChanges(entry.Changes)
		for i := range changes {
			if done.trial != nil {
				changes[i] = planned(changes[i])
			}
		}
		if list, err = listChanges(changes); err != nil {
			return err
		}
	}
	a.finish(rw, r, want, done)
	return writeJSON(rw, http.StatusOK, list.view(done.told()))
}
