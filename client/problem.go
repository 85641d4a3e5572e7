package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"evenkeel/fsm"
)

// The kinds of problems that programs branch on, as [Problem.Kind] gives them.
// GET /v1/problems/KIND of any node explains each.
const (
	ProblemConflict       = "exists"
	ProblemInUse          = "in-use"
	ProblemPrecondition   = "precondition-failed"
	ProblemNoQuorum       = "no-quorum"
	ProblemStopping       = "stopping"
	ProblemOverloaded     = "overloaded"
	ProblemOutrun         = "outrun"
	ProblemDetached       = "detached"
	ProblemOutcomeUnknown = "outcome-unknown"
	ProblemCompacted      = "compacted"
	ProblemKeyReused      = "key-reused"
	ProblemUnconfirmed    = "unconfirmed"
	ProblemNotYet         = "not-yet"
	ProblemTooSlow        = "too-slow"
)

// Problem is an answer of the API that is an error (RFC 9457).
type Problem struct {
	// Request is the method and URL that was answered so.
	Request string `json:"-"`
	Status  int    `json:"status"`
	// Type is a URI whose last part is the kind.
	Type   string `json:"type"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	// Faults are all things wrong with what was sent.
	Faults []Fault `json:"faults"`
	// Current is the object as it is, where a precondition does not hold.
	Current json.RawMessage `json:"current"`
	// base is the node that answered, header its answer's.
	base   string
	header http.Header
}

// Fault is one thing wrong with what was sent, at a pointer (RFC 6901) into it. In
// a manifest it has a line and a column too, both from 1; 0: not known.
type Fault struct {
	fsm.Fault
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
}

// String returns the fault with its place.
func (f Fault) String() string {
	where := f.Pointer
	if f.Line > 0 {
		where = strings.TrimSuffix(fmt.Sprintf("line %d, column %d: %s", f.Line, f.Column, f.Pointer), ": ")
	}
	if where == "" {
		where = "(whole document)"
	}
	return where + ": " + f.Message
}

// maxForeign bounds what is shown of an answer that is no problem document, in
// bytes.
const maxForeign = 200

// readProblem makes a problem of an answer whose body may be anything.
func readProblem(request string, status int, header http.Header, body []byte) *Problem {
	p := &Problem{}
	if json.Unmarshal(body, p) != nil || p.Title == "" && p.Detail == "" {
		text := strings.ToValidUTF8(strings.TrimSpace(string(body)), "?")
		if len(text) > maxForeign {
			text = strings.ToValidUTF8(text[:maxForeign], "") + "…"
		}
		p = &Problem{Detail: text}
	}
	p.Request, p.Status, p.header = request, status, header
	return p
}

// Kind returns the last part of the problem's type, such as "no-quorum", or ""
// for an answer that is no problem document.
func (p *Problem) Kind() string {
	return p.Type[strings.LastIndexAny(p.Type, "/:")+1:]
}

// Error implements error: the request, what the API says, and each fault with
// its pointer on a line of its own.
func (p *Problem) Error() string {
	var b strings.Builder
	if p.Request != "" {
		fmt.Fprintf(&b, "%s: ", p.Request)
	}
	title := p.Title
	if title == "" {
		title = http.StatusText(p.Status)
	}
	fmt.Fprintf(&b, "%d %s", p.Status, title)
	// The detail of a single fault repeats it.
	if p.Detail != "" && p.Detail != title && len(p.Faults) != 1 {
		fmt.Fprintf(&b, ": %s", p.Detail)
	}
	for _, fault := range p.Faults {
		b.WriteString("\n  " + fault.String())
	}
	return b.String()
}

// problemOf returns the problem that an error is or wraps, or an empty one.
func problemOf(err error) *Problem {
	if p := (*Problem)(nil); errors.As(err, &p) {
		return p
	}
	return &Problem{}
}

// IsNotFound tells whether something does not exist.
func IsNotFound(err error) bool { return problemOf(err).Status == http.StatusNotFound }

// IsConflict tells whether a write was refused for what the registry holds: the
// name is taken, the object changed meanwhile, is in use, or is held by an
// unconfirmed revision. Nothing was changed.
func IsConflict(err error) bool {
	status := problemOf(err).Status
	return status == http.StatusConflict || status == http.StatusPreconditionFailed
}

// IsStale tells whether the object is not as the write's condition demands;
// [Problem.Current] is the object as it is.
func IsStale(err error) bool { return problemOf(err).Status == http.StatusPreconditionFailed }

// IsInvalid tells whether what was sent is faulty; [Problem.Faults] says where.
func IsInvalid(err error) bool { return problemOf(err).Status == http.StatusBadRequest }

// IsUnauthorized tells whether the token is missing, wrong, expired or revoked.
func IsUnauthorized(err error) bool { return problemOf(err).Status == http.StatusUnauthorized }

// IsForbidden tells whether the token's role or labels do not suffice.
func IsForbidden(err error) bool { return problemOf(err).Status == http.StatusForbidden }

// IsNoQuorum tells whether there was no leader. Nothing was changed.
func IsNoQuorum(err error) bool { return problemOf(err).Kind() == ProblemNoQuorum }

// IsOutcomeUnknown tells whether a write may or may not have been made.
func IsOutcomeUnknown(err error) bool {
	var lost *lostError
	return problemOf(err).Status == http.StatusGatewayTimeout || errors.As(err, &lost)
}

// IsCompacted tells whether a revision is too old for what is remembered.
func IsCompacted(err error) bool { return problemOf(err).Status == http.StatusGone }

// IsKeyReused tells whether another request had the same Idempotency-Key.
func IsKeyReused(err error) bool { return problemOf(err).Kind() == ProblemKeyReused }

// IsUnconfirmed tells whether a revision that waits for its confirmation holds
// the object.
func IsUnconfirmed(err error) bool { return problemOf(err).Kind() == ProblemUnconfirmed }
