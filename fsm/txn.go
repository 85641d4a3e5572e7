package fsm

import (
	"fmt"
)

// maxSteps bounds one transaction.
const maxSteps = 20_000

// Txn applies its steps all or none, at one revision. Their order does not
// matter: what a step names must exist when all of them are done, and what one
// removes must be needed by nothing then. A fault of any step refuses all, with
// every fault of each; the pointers begin with /steps/N.
type Txn struct {
	Steps []Step // 1 to 20,000, of as many objects
}

// Step is one write of a [Txn]: a put or a delete.
type Step struct {
	Put    *Put    `json:"put,omitempty"`
	Delete *Delete `json:"delete,omitempty"`
}

// Ref returns the name of the object that the step writes.
func (s Step) Ref() Ref {
	switch {
	case s.Put != nil && s.Put.Spec != nil:
		return s.Put.Ref()
	case s.Delete != nil:
		return s.Delete.Ref
	}
	return Ref{}
}

// validate reports what is wrong with the transaction as such, and if deep also
// with its steps.
func (t Txn) validate(f *faults, deep bool) {
	if len(t.Steps) < 1 || len(t.Steps) > maxSteps {
		f.add("/steps", "has %d items, 1 to %d are taken", len(t.Steps), maxSteps)
		return
	}
	seen := make(map[Ref]int, len(t.Steps))
	for n, step := range t.Steps {
		pointer := stepPointer(n)
		if (step.Put == nil) == (step.Delete == nil) {
			f.add(pointer, "must be either a put or a delete")
			continue
		}
		if deep {
			f.within(pointer, step.validate(f.writing))
		}
		ref := step.Ref()
		if first, twice := seen[ref]; twice && ref != (Ref{}) {
			f.add(pointer, "%s is written by step %d already: write it once", ref, first)
		} else {
			seen[ref] = n
		}
	}
}

func (s Step) validate(writing bool) *Error {
	f := faults{writing: writing}
	if s.Put != nil {
		s.Put.validate(&f)
	} else {
		checkRef(&f, s.Delete.Ref)
		s.Delete.If.validate(&f)
	}
	return f.err()
}

func stepPointer(n int) string { return fmt.Sprintf("/steps/%d", n) }

// within adds the faults of a part at that pointer.
func (f *faults) within(pointer string, err *Error) {
	if err == nil {
		return
	}
	for _, fault := range err.Faults {
		if fault.Code == "" {
			fault.Code = err.Code
		}
		if fault.Other == nil {
			fault.Other = err.Other
		}
		fault.Pointer = pointer + fault.Pointer
		f.put(fault)
	}
}

// txn performs the steps, all or none.
func (d *draft) txn(c Command, op Txn) *Error {
	before := d.commit()
	err := d.tryTxn(c, op)
	if err != nil {
		*d = *newDraft(before)
	}
	return err
}

// joint is what a transaction puts off until all its steps are done.
type joint struct {
	writes map[Ref]*Put // nil for a delete
}

// puts tells whether the transaction writes the object.
func (j *joint) puts(kind Kind, name string) bool {
	return j != nil && j.writes[Ref{Kind: kind, Name: name}] != nil
}

func (d *draft) tryTxn(c Command, op Txn) *Error {
	d.recorded.kind = DoneTxn
	d.joint = &joint{writes: make(map[Ref]*Put, len(op.Steps))}
	d.unbounded = true
	defer func() { d.joint, d.unbounded = nil, false }()
	for _, step := range op.Steps {
		d.joint.writes[step.Ref()] = step.Put
		d.giveUp(step.Ref())
	}
	f := &stepFaults{steps: op.Steps}
	d.steps = make([]StepResult, len(op.Steps))
	for _, due := range txnOrder {
		for n, step := range op.Steps {
			if due(step) {
				f.add(n, d.step(c, step, &d.steps[n]))
			}
		}
	}
	for n, step := range op.Steps {
		f.add(n, d.checkStep(step))
	}
	if err := f.err(); err != nil {
		return err
	}
	return d.checkBounds()
}

// errTold refuses a step for the fault of another one that is told already.
var errTold = &Error{Code: CodeInvalid}

// stepFaults collects the faults of steps. The refusal has the code of the first
// step that has one.
type stepFaults struct {
	faults
	steps []Step
	first *Error
	at    int
}

func (f *stepFaults) add(n int, err *Error) {
	if err == nil || len(err.Faults) == 0 {
		return // see errTold
	}
	if f.first == nil || n < f.at {
		f.first, f.at = err, n
	}
	told, ref := len(f.list), f.steps[n].Ref()
	f.within(stepPointer(n), err)
	for i := range f.list[told:] {
		f.list[told+i].Of = &ref
	}
}

func (f *stepFaults) err() *Error {
	if f.first == nil {
		return nil
	}
	return &Error{Code: f.first.Code, Faults: f.list, Other: f.first.Other}
}

// txnOrder has what others refer to written first and removed last.
var txnOrder = [...]func(Step) bool{
	func(s Step) bool {
		return s.Delete != nil && (s.Delete.Kind == KindBackend || s.Delete.Kind == KindRoute)
	},
	func(s Step) bool { return s.Put != nil && s.Put.Ref().Kind == KindPool },
	func(s Step) bool {
		return s.Put != nil && s.Put.Ref().Kind != KindPool && s.Put.Ref().Kind != KindBackend
	},
	func(s Step) bool { return s.Put != nil && s.Put.Ref().Kind == KindBackend },
	func(s Step) bool {
		return s.Delete != nil && s.Delete.Kind != KindBackend && s.Delete.Kind != KindRoute
	},
}

// giveUp lets another step take the address of a backend, or the hash of a token,
// that this one changes or removes.
func (d *draft) giveUp(ref Ref) {
	if ref.Kind != KindBackend && ref.Kind != KindToken {
		return
	}
	if old := d.object(ref); old != nil {
		d.unindex(old)
	}
}

func (d *draft) step(c Command, step Step, result *StepResult) *Error {
	touched := len(d.touched)
	result.Ref = step.Ref()
	d.created = false
	if err := step.validate(false); err != nil {
		return err
	}
	if step.Delete != nil {
		err := d.delete(*step.Delete)
		result.Changed = len(d.touched) > touched
		return err
	}
	object, err := d.put(c, *step.Put)
	result.Object, result.Created, result.Changed = object, d.created, len(d.touched) > touched
	d.created = false
	if object != nil && !result.Changed {
		d.index(object) // see giveUp
	}
	return err
}

// checkStep checks what could not be while other steps were to come.
func (d *draft) checkStep(step Step) *Error {
	if step.Put != nil {
		if step.Put.Ref().Kind == KindBackend || step.validate(false) != nil {
			return nil // it was told
		}
		return d.checkNames(*step.Put)
	}
	if d.joint.writes[step.Delete.Ref] != nil {
		return nil
	}
	return d.checkUnused(step.Delete.Ref)
}

// checkBounds checks the room for all that was put.
func (d *draft) checkBounds() *Error {
	for _, limit := range limits {
		if held := d.roomHeld(limit.kind); d.counts[limit.kind]+held > limit.most {
			return refuse(CodeLimit, "", "the registry would hold %d%s objects of kind %s, at most %d are taken: delete some first",
				d.counts[limit.kind], comingBack(held), limit.kind, limit.most)
		}
	}
	return nil
}
