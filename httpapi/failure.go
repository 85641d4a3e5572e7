package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"evenkeel/cluster"
	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
)

// asProblem maps every error that can reach a handler to what the client is
// told.
func asProblem(err error) *problem.Problem {
	var p *problem.Problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, cluster.ErrNoQuorum):
		return problem.New(problem.NoQuorum, "no leader could be reached within the time: nothing was changed").With("Retry-After", "1")
	case errors.Is(err, cluster.ErrOverloaded):
		return problem.New(problem.Overloaded, "more writes are waiting than this node takes: nothing was changed").With("Retry-After", "1")
	case errors.Is(err, cluster.ErrUnsafe):
		return problem.New(problem.Unsafe, "%s", err)
	case errors.Is(err, cluster.ErrNoMember):
		return problem.New(problem.NotFound, "%s", err)
	case errors.Is(err, cluster.ErrStopping):
		return problem.New(problem.Stopping, "this node was told to stop: ask another one; nothing was changed").With("Retry-After", "1")
	case errors.Is(err, cluster.ErrDetached):
		return problem.New(problem.Detached, "%s", err)
	case errors.Is(err, cluster.ErrOutcomeUnknown), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return problem.New(problem.OutcomeUnknown, "the cluster did not tell the outcome in time: read the object before you repeat the request")
	}
	return problem.New(problem.Internal, "%s", clip(err.Error()))
}

// bodyProblem maps what can go wrong while a body is read.
func bodyProblem(err error) error {
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return problem.New(problem.BodyTooLarge, "the body has more than %d bytes", tooLarge.Limit)
	}
	if timeout := (interface{ Timeout() bool })(nil); errors.As(err, &timeout) && timeout.Timeout() {
		return problem.New(problem.BodyTimeout, "the body did not arrive in time")
	}
	return problem.New(problem.InvalidRequest, "the body could not be read: %s", clip(err.Error()))
}

// refused maps the state machine's refusal of a write.
func (a *API) refused(w *write, refusal *fsm.Error) error {
	faults := w.pointers(refusal.Faults)
	detail := messages(faults)
	switch refusal.Code {
	case fsm.CodeNotFound:
		if w.pathPool {
			return problem.New(problem.NotFound, "%s", detail)
		}
		return problem.Invalid(faults)
	case fsm.CodeDuplicate:
		p := problem.New(problem.DuplicateAddress, "%s", detail)
		p.Faults = faults
		if refusal.Other != nil {
			p.With("Location", a.resource(refusal.Other.Kind).path(*refusal.Other))
		}
		return p
	case fsm.CodeExists:
		if w.create {
			return problem.New(problem.Exists, "%s", detail).With("Location", w.res.path(w.ref))
		}
		return a.stale(w, detail)
	case fsm.CodePrecondition:
		return a.stale(w, detail)
	case fsm.CodeInUse:
		return problem.New(problem.InUse, "%s", detail)
	case fsm.CodeLimit:
		return problem.New(problem.RegistryFull, "%s", detail)
	case fsm.CodeTooLarge:
		return problem.New(problem.BodyTooLarge, "%s", detail)
	case fsm.CodeForbidden:
		return problem.New(problem.Forbidden, "%s", detail)
	case fsm.CodeKeyReused:
		return keyReused(w.want)
	case fsm.CodeUnconfirmed:
		return problem.New(problem.Unconfirmed, "%s", detail)
	case fsm.CodeForgotten:
		return problem.New(problem.OutcomeUnknown, "%s", detail)
	}
	return problem.Invalid(faults)
}

// keyReused names the key as the client does.
func keyReused(want *wanted) error {
	return problem.New(problem.KeyReused, "%s %q was used for another request: take a new one", headerKey, want.key)
}

// stale is a precondition that does not hold, with the object as it is.
func (a *API) stale(w *write, detail string) error {
	p := problem.New(problem.PreconditionFailed, "%s", detail)
	if current := w.want.by.find(a.config.Cluster.State(), w.ref); current != nil {
		p.Current = w.res.render(a.viewer(w.want.by), current)
		p.With("ETag", etag(current))
	}
	return p
}

func messages(faults []fsm.Fault) string {
	texts := make([]string, len(faults))
	for i, fault := range faults {
		texts[i] = fault.Message
	}
	return strings.Join(texts, "; ")
}
