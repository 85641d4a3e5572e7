package httpapi

import (
	"fmt"

	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
)

// judge turns an outcome that would tell a limited sender of objects that it
// does not see into one that does not: into an error, or for a transaction, whose
// faults are many, into another refusal.
func (p *principal) judge(s *fsm.State, op fsm.Operation, result *fsm.Result) error {
	refusal := result.Err
	if refusal == nil || !p.limited() {
		return nil
	}
	switch op := op.(type) {
	case fsm.Txn:
		result.Err = p.veil(s, op, refusal)
		return nil
	case fsm.Rollback:
		result.Err = p.veilRollback(s, refusal)
		return nil
	}
	if other := refusal.Other; other != nil && !p.sees(s.Object(*other)) {
		switch refusal.Code {
		case fsm.CodeDuplicate:
			return problem.New(problem.DuplicateAddress, "the pool has a backend with this address, which the token %q does not see", p.name)
		case fsm.CodeInUse:
			return problem.New(problem.InUse, "something needs the object, which the token %q does not see", p.name)
		case fsm.CodeUnconfirmed:
			return problem.New(problem.Unconfirmed, "the object is needed to undo what is not confirmed yet, which the token %q does not see", p.name)
		}
	}
	switch op := op.(type) {
	case fsm.Put:
		if refusal.Code == fsm.CodeForbidden {
			return p.hidden(op.Ref(), op.If)
		}
	case fsm.Delete:
		if refusal.Code == fsm.CodeForbidden || s.Object(op.Ref) == nil && refusal.Code == fsm.CodePrecondition {
			return problem.New(problem.NotFound, "%s does not exist, as far as the token %q sees", op.Ref, p.name)
		}
	case fsm.SetOverride:
		if refusal.Code == fsm.CodeForbidden || refusal.Code == fsm.CodeNotFound {
			return problem.New(problem.NotFound, "%s does not exist, as far as the token %q sees", fsm.Ref{Kind: fsm.KindBackend, Pool: op.Pool, Name: op.Name}, p.name)
		}
	}
	return nil
}

// hidden is the answer to a put of an object that the sender does not see.
func (p *principal) hidden(ref fsm.Ref, cond fsm.Precondition) error {
	kind := problem.Forbidden
	code, message := p.hiddenFrom(ref, cond)
	switch code {
	case fsm.CodePrecondition:
		kind = problem.PreconditionFailed
	case fsm.CodeExists:
		kind = problem.Exists
	}
	return problem.New(kind, "%s", message)
}

// hiddenFrom says why an object that the sender does not see is not put: as of one
// that does not exist, if the put asked for one that does. Else the name is taken,
// which cannot be hidden from who would create it.
func (p *principal) hiddenFrom(ref fsm.Ref, cond fsm.Precondition) (fsm.Code, string) {
	switch {
	case cond.Exists || cond.Revision != 0:
		return fsm.CodePrecondition, fmt.Sprintf("%s does not exist", ref)
	case cond.Absent:
		return fsm.CodeExists, fmt.Sprintf("%s exists already", ref)
	}
	return fsm.CodeForbidden, fmt.Sprintf("the name of %s is taken by an object without the labels %s, to which the token %q is limited", ref, p.describeLimit(), p.name)
}

// veil returns the refusal of a transaction as a limited sender is told it. No
// fault of it names an object that the sender does not see, unless the sender
// named it, and then as one that is not there.
func (p *principal) veil(s *fsm.State, txn fsm.Txn, refusal *fsm.Error) *fsm.Error {
	told := &fsm.Error{Code: refusal.Code}
	first, unseen := len(txn.Steps), map[int]bool{}
	for _, fault := range refusal.Faults {
		n, _, ok := splitStep(fault.Pointer)
		if ok && n < len(txn.Steps) {
			if unseen[n] {
				continue // it is told as one that is not there
			}
			unseen[n] = fault.Code == fsm.CodeForbidden
			if fault = p.veilFault(s, txn, txn.Steps[n], fault); n < first {
				first, told.Code, told.Other = n, fault.Code, fault.Other
			}
		}
		told.Faults = append(told.Faults, fault)
	}
	return told
}

func (p *principal) veilFault(s *fsm.State, txn fsm.Txn, step fsm.Step, fault fsm.Fault) fsm.Fault {
	ref := step.Ref()
	switch fault.Code {
	case fsm.CodeForbidden, fsm.CodePrecondition:
		switch {
		case step.Delete != nil && (fault.Code == fsm.CodeForbidden || s.Object(ref) == nil):
			fault.Code, fault.Message = fsm.CodeNotFound, fmt.Sprintf("%s does not exist, as far as the token %q sees", ref, p.name)
		case step.Put != nil && fault.Code == fsm.CodeForbidden:
			if fault.Code, fault.Message = p.hiddenFrom(ref, step.Put.If); fault.Code == fsm.CodeExists {
				fault.Pointer += "/name" // as with what is seen
			}
		}
		return fault
	case fsm.CodeDuplicate, fsm.CodeInUse, fsm.CodeUnconfirmed:
		if fault.Other == nil || p.sees(s.Object(*fault.Other)) || s.Object(*fault.Other) == nil && puts(txn, *fault.Other) {
			return fault
		}
	default:
		return fault
	}
	return p.unnamed(ref.String(), fault)
}

// unnamed returns the fault of a step without the other object, which the sender
// does not see.
func (p *principal) unnamed(ref string, fault fsm.Fault) fsm.Fault {
	fault.Other = nil
	switch fault.Code {
	case fsm.CodeDuplicate:
		fault.Message = fmt.Sprintf("is the address of a backend of the pool already, which the token %q does not see", p.name)
	case fsm.CodeInUse:
		fault.Message = fmt.Sprintf("%s is needed by something that the token %q does not see", ref, p.name)
	case fsm.CodeUnconfirmed:
		fault.Message = fmt.Sprintf("%s is needed to undo what is not confirmed yet, which the token %q does not see", ref, p.name)
	}
	return fault
}

// veilRollback is veil of a rollback, which writes only what its sender sees: what
// else is in its way is another's.
func (p *principal) veilRollback(s *fsm.State, refusal *fsm.Error) *fsm.Error {
	told := &fsm.Error{Code: refusal.Code}
	for _, fault := range refusal.Faults {
		if fault.Other != nil && !p.sees(s.Object(*fault.Other)) {
			ref := "the object"
			if fault.Of != nil {
				ref = fault.Of.String()
			}
			fault = p.unnamed(ref, fault)
		}
		told.Faults = append(told.Faults, fault)
	}
	if other := refusal.Other; other != nil && p.sees(s.Object(*other)) {
		told.Other = other
	}
	return told
}

// puts tells whether the transaction puts an object of that name.
func puts(txn fsm.Txn, ref fsm.Ref) bool {
	for _, step := range txn.Steps {
		if step.Put != nil && step.Ref() == ref {
			return true
		}
	}
	return false
}
