package fsm

import "slices"

// Rollback makes the registry what it was as of an earlier revision, all or nothing
// and by a new revision. It is planned from the journal as the command is applied,
// so what others wrote just before is undone as well and refuses nothing. Where
// nothing is to change there is no new revision. Tokens stay as they are: one that
// was revoked must not come back to life.
//
// It is refused with [CodeNoRevision] or [CodeCompacted] if the registry as of To is
// yet to come or forgotten, with [CodeInvalid] if more than 20,000 objects would
// change, and for what stands against a change as a [Txn] of all of them would be:
// every fault of each, with pointers that begin with /steps/N. N counts the changes
// in the order of kinds, pools and names.
type Rollback struct {
	To uint64 `json:"to"` // a revision, from 1 on
	// Labels, if there are any, limit it to objects that bear all of these, now and
	// as of To, where there is such an object.
	Labels map[string]string `json:"labels,omitempty"`
}

func (r Rollback) validate(f *faults) {
	if r.To == 0 {
		f.add("/to", "0 is no revision: name the one that the registry is to be as of")
	}
	var labels faults // those of a token, which may be older than a rule for what is written
	checkLabels(&labels, r.Labels)
	for _, fault := range labels.list {
		f.put(fault)
	}
}

// rollback plans the way back and performs it.
func (d *draft) rollback(c Command, op Rollback) *Error {
	if op.To > d.revision {
		return refuse(CodeNoRevision, "/to", "there is no revision %d yet: the newest is %d", op.To, d.revision)
	}
	changes, ok := d.commit().Between(d.revision, op.To)
	if !ok {
		return refuse(CodeCompacted, "/to", "revision %d is forgotten: the registry is known from revision %d on, and what each one behind that changed",
			op.To, d.journalFloor)
	}
	changes = slices.DeleteFunc(changes, func(c Change) bool { return c.Ref.Kind == KindToken || !c.bears(op.Labels) })
	switch {
	case len(changes) == 0:
		return nil
	case len(changes) > maxSteps:
		return refuse(CodeInvalid, "/to", "since revision %d %d objects have changed, and at most %d are written at once: go back to a later revision first",
			op.To, len(changes), maxSteps)
	}
	steps := make([]Step, len(changes))
	for i, change := range changes {
		steps[i] = stepTo(change)
	}
	d.returning = len(op.Labels) == 0 // a part of what stood may not fit the rest
	err := d.txn(c, Txn{Steps: steps})
	d.returning = false
	if err != nil {
		return err
	}
	d.recorded.kind = DoneRollback
	return nil
}

// bears tells whether the object bears the labels both before and after, or where it
// is not there.
func (c Change) bears(labels map[string]string) bool {
	return (c.Before == nil || bears(c.Before.GetLabels(), labels)) && (c.After == nil || bears(c.After.GetLabels(), labels))
}

// stepTo makes the change of an object.
func stepTo(c Change) Step {
	if c.After == nil {
		return Step{Delete: &Delete{Ref: c.Ref}}
	}
	put := PutOf(c.After)
	return Step{Put: &put}
}
