package httpapi

import (
	"net/http"
	"slices"

	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
	"evenkeel/httpapi/strictjson"
)

// overrideDocument is an operator's word against the verdict of a backend.
type overrideDocument struct {
	Health string        `json:"health"`
	For    *fsm.Duration `json:"for,omitempty"`
	Reason string        `json:"reason,omitempty"`
}

// newOverride returns a write of the backend's status.
func (a *API) newOverride(r *http.Request) (*write, error) {
	w, err := newWrite(a.resource(fsm.KindBackend), r)
	if err == nil && w.want.cond.Absent {
		err = problem.New(problem.InvalidRequest, "If-None-Match * asks for an object that does not exist, and an override is of a backend that does: leave it out")
	}
	return w, err
}

// override puts an operator's word in place of the verdict.
func (a *API) override(rw http.ResponseWriter, r *http.Request) error {
	w, err := a.newOverride(r)
	if err != nil {
		return err
	}
	body, err := readBody(rw, r)
	if err != nil {
		return err
	}
	op, faults := parseOverride(w, body)
	if len(faults) > 0 {
		return problem.Invalid(faults)
	}
	w.body = body
	p, err := a.carryOut(r, w, op)
	if err != nil {
		return err
	}
	return a.written(rw, r, w, p)
}

// parseOverride returns what a body says, or all its faults.
func parseOverride(w *write, body []byte) (fsm.SetOverride, []fsm.Fault) {
	op := fsm.SetOverride{Pool: w.ref.Pool, Name: w.ref.Name, If: w.want.cond}
	value, faults := strictjson.Parse(body)
	if value == nil {
		return op, faults
	}
	var doc overrideDocument
	faults = append(faults, value.DecodeFields(strictjson.FieldsOf(&doc), "")...)
	if slices.ContainsFunc(faults, func(f fsm.Fault) bool { return f.Pointer == "" }) {
		return op, faults // it is no object, and has no fields to look at
	}
	op.Health, op.Reason = fsm.Health(doc.Health), doc.Reason
	switch {
	case doc.For == nil:
	case *doc.For == 0: // a command has 0 for an override without end, which nobody means by it
		faults = append(faults, fsm.Fault{Pointer: "/for", Message: `"0s" is not from "1s" to "8760h": leave it out for an override that holds until it is taken back`})
	default:
		op.For = *doc.For
	}
	if doc.Health == "" && !overlaps(faults, "/health") {
		faults = append(faults, fsm.Fault{Pointer: "/health", Message: "is missing: write up or down; DELETE takes an override back"})
	}
	return op, w.validated(faults, op)
}

// endOverride takes an override back. As with every DELETE, one that is not there
// is no error.
func (a *API) endOverride(rw http.ResponseWriter, r *http.Request) error {
	w, err := a.newOverride(r)
	if err != nil {
		return err
	}
	op := fsm.SetOverride{Pool: w.ref.Pool, Name: w.ref.Name, If: w.want.cond}
	if refusal := fsm.Validate(op); refusal != nil {
		return problem.New(problem.InvalidRequest, "%s", messages(refusal.Faults))
	}
	p, err := a.carryOut(r, w, op)
	if err != nil {
		return err
	}
	return a.removed(rw, r, w, p)
}
