package httpapi

import (
	"context"
	"net/http"
	"strings"

	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
)

// performed is what became of an operation: it was made, or with dry_run tried.
type performed struct {
	fsm.Result
	op fsm.Operation
	// trial is nil for an operation that was made.
	trial *trial
}

// replayed tells that the same request was accepted under its key before.
func (p performed) replayed() bool { return p.Repeat && p.Refs != nil }

// perform makes an operation as it is wanted, or tries it. body is what the
// client sent. A refusal is Result.Err; an error is one of Propose.
func (a *API) perform(ctx context.Context, want *wanted, op fsm.Operation, body []byte) (performed, error) {
	command := want.command(op, body)
	if err := a.checkLevel(command); err != nil {
		return performed{}, err
	}
	if want.dryRun {
		return a.try(ctx, command)
	}
	result, err := a.config.Cluster.Propose(ctx, command)
	return performed{Result: result, op: op}, err
}

// checkLevel refuses what a cluster with nodes of an older build cannot keep, in
// the words of the request.
func (a *API) checkLevel(c fsm.Command) error {
	c.Op = nil // is checked with all else of it
	refusal := a.config.Cluster.State().CheckLevel(c)
	if refusal == nil {
		return nil
	}
	words := map[string]string{"/key": headerKey, "/reason": "the reason", "/confirm_within": "confirm_within"}
	var faults wantedReader
	for _, fault := range refusal.Faults {
		faults.add("%s %s", words[fault.Pointer], fault.Message)
	}
	return problem.New(problem.InvalidRequest, "%s", strings.Join(faults.faults, "; "))
}

// finish does what is left once an operation was accepted and made: it waits for
// whom the request names, and sets the header fields of every write's answer. The
// caller then writes the answer.
func (a *API) finish(rw http.ResponseWriter, r *http.Request, want *wanted, p performed) {
	if p.replayed() {
		rw.Header().Set(headerReplayed, "true")
	}
	a.waitServed(rw, r, want, p.Revision)
	a.setRevision(rw, max(a.config.Cluster.State().Revision(), p.Revision))
}
