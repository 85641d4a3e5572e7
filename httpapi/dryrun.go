package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"evenkeel/cluster"
	"evenkeel/fsm"
	"evenkeel/httpapi/diff"
)

// trialOrigin is the origin of commands that are tried: no node has this UID.
const trialOrigin = "dry-run"

// trial is what an operation would have made of this node's state.
type trial struct {
	before, after *fsm.State
}

// try applies a command to this node's state and keeps nothing of it. What would
// be refused is refused, what its sender may not do included.
func (a *API) try(ctx context.Context, c fsm.Command) (performed, error) {
	before, by := a.config.Cluster.State(), senderOf(ctx)
	c, _, err := by.narrow(before, c)
	by.issued = "" // a token that no one made
	if err == nil {
		c.Op, _, err = a.authorized.seal(by, before, c.Op, false)
	}
	if err != nil {
		return performed{}, err
	}
	result, after, err := apply(before, c)
	if err == nil {
		err = by.judge(before, c.Op, &result)
	}
	return performed{Result: result, op: c.Op, trial: &trial{before, after}}, err
}

// apply returns what a command would make of a state. It refuses all that would
// be on the way to that too.
func apply(before *fsm.State, c fsm.Command) (fsm.Result, *fsm.State, error) {
	refused := fsm.Result{Version: before.Version(), Revision: before.Revision()}
	c.ID, c.Time = fsm.CommandID{Origin: trialOrigin, Seq: 1}, time.Now().UTC()
	if refused.Err = fsm.ValidateCommand(c); refused.Err != nil {
		return refused, before, nil
	}
	_, tooLarge, err := cluster.Encode(c)
	if err != nil {
		return refused, before, fmt.Errorf("try command: %w", err)
	}
	if refused.Err = tooLarge; tooLarge != nil {
		return refused, before, nil
	}
	after, results := fsm.Apply(before, []fsm.Command{c})
	return results[0], after, nil
}

// document returns what would change of the objects.
func (t *trial) document(refs []fsm.Ref) diff.Document {
	before, after := make([]fsm.AnyObject, len(refs)), make([]fsm.AnyObject, len(refs))
	for i, ref := range refs {
		before[i], after[i] = t.before.Object(ref), t.after.Object(ref)
	}
	document := diff.Compare(t.before.Revision(), before, after)
	for i := range document.Changes {
		if to := document.Changes[i].After; to != nil {
			to.Meta = nil // nobody knows yet what it will be
		}
	}
	return document
}

// answerTrial answers with what the operation would change of the objects.
func (a *API) answerTrial(rw http.ResponseWriter, p performed, refs []fsm.Ref) error {
	document := p.trial.document(refs)
	if op, ok := p.op.(fsm.SetOverride); ok {
		document = p.trial.override(document, op)
	}
	a.setRevision(rw, document.Revision)
	return writeJSON(rw, http.StatusOK, document)
}

// override has the document tell of the only thing that an override changes.
func (t *trial) override(document diff.Document, op fsm.SetOverride) diff.Document {
	ref := fsm.Ref{Kind: fsm.KindBackend, Pool: op.Pool, Name: op.Name}
	before, after := overrideOf(t.before, ref), overrideOf(t.after, ref)
	if string(before) == string(after) {
		return document
	}
	document.Unchanged = 0
	document.Changes = []diff.Change{{
		Kind: ref.Kind, Pool: ref.Pool, Name: ref.Name, Action: diff.Update,
		Fields: []diff.Field{{Pointer: "/status/override", Before: before, After: after}},
	}}
	return document
}

// overrideOf returns the override of a backend as JSON, nil if there is none.
func overrideOf(s *fsm.State, ref fsm.Ref) json.RawMessage {
	b, ok := s.Object(ref).(*fsm.Backend)
	if !ok || b == nil || b.Status.Override == nil {
		return nil
	}
	o := b.Status.Override
	text, err := json.Marshal(overrideView{o.Health, o.For, o.Reason, o.Actor, o.At})
	if err != nil {
		return nil // its types cannot fail to encode
	}
	return text
}
