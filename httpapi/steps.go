package httpapi

import (
	"strconv"
	"strings"

	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
)

// maxCurrents bounds how many objects a refusal shows as they are.
const maxCurrents = 100

// refusedSteps maps the state machine's refusal of a transaction. at returns the
// pointer of a step in what the client sent.
func (a *API) refusedSteps(want *wanted, refusal *fsm.Error, steps []fsm.Step, at func(step int) string) error {
	p := problem.New(refusedKind(refusal.Code), "")
	p.Faults = renamed(refusal.Faults, at)
	if p.Detail = detailOf(p.Faults); refusal.Code == fsm.CodeKeyReused {
		return keyReused(want)
	}
	switch p.Kind {
	case problem.PreconditionFailed:
		a.addCurrents(p, want, refusal, steps, at)
	case problem.DuplicateAddress:
		if other := refusal.Other; other != nil {
			p.With("Location", a.resource(other.Kind).path(*other))
		}
	}
	return p
}

// refusedKind is what kind of problem the refusal of several steps is: that of the
// first of them.
func refusedKind(code fsm.Code) problem.Kind {
	switch code {
	case fsm.CodeDuplicate:
		return problem.DuplicateAddress
	case fsm.CodeExists, fsm.CodePrecondition:
		return problem.PreconditionFailed
	case fsm.CodeInUse:
		return problem.InUse
	case fsm.CodeLimit:
		return problem.RegistryFull
	case fsm.CodeTooLarge:
		return problem.BodyTooLarge
	case fsm.CodeForbidden:
		return problem.Forbidden
	case fsm.CodeKeyReused:
		return problem.KeyReused
	case fsm.CodeUnconfirmed:
		return problem.Unconfirmed
	case fsm.CodeForgotten:
		return problem.OutcomeUnknown
	}
	return problem.InvalidObject
}

// renamed gives faults of steps the pointers of what the client sent.
func renamed(faults []fsm.Fault, at func(step int) string) []fsm.Fault {
	all := make([]fsm.Fault, len(faults))
	for i, fault := range faults {
		if step, rest, ok := splitStep(fault.Pointer); ok {
			fault.Pointer = at(step) + rest
		}
		all[i] = fault
	}
	return all
}

// stepAt is where the state machine has a step of a transaction.
func stepAt(n int) string { return "/steps/" + strconv.Itoa(n) }

// splitStep takes a pointer such as /steps/3/spec/weight apart.
func splitStep(pointer string) (step int, rest string, ok bool) {
	tail, ok := strings.CutPrefix(pointer, "/steps/")
	if !ok {
		return 0, "", false
	}
	number, _, _ := strings.Cut(tail, "/")
	step, err := strconv.Atoi(number)
	if err != nil || step < 0 {
		return 0, "", false
	}
	return step, tail[len(number):], true
}

func detailOf(faults []fsm.Fault) string { return problem.Invalid(faults).Detail }

// addCurrents shows the objects whose conditions do not hold as they are.
func (a *API) addCurrents(p *problem.Problem, want *wanted, refusal *fsm.Error, steps []fsm.Step, at func(step int) string) {
	s, v := a.config.Cluster.State(), a.viewer(want.by)
	p.Currents = map[string]any{}
	first := len(steps)
	for _, fault := range refusal.Faults {
		step, _, ok := splitStep(fault.Pointer)
		stale := fault.Code == fsm.CodePrecondition || fault.Code == fsm.CodeExists
		if !ok || step >= len(steps) || !stale || len(p.Currents) == maxCurrents {
			continue
		}
		ref := steps[step].Ref()
		current := want.by.find(s, ref)
		if current == nil {
			continue
		}
		view := a.resource(ref.Kind).render(v, current)
		p.Currents[at(step)] = view
		if step < first {
			first, p.Current = step, view
		}
	}
}
