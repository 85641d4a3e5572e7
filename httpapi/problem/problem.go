// Package problem is the one shape in which the API says that something went
// wrong: RFC 9457 problem details, application/problem+json.
//
// It owns the closed list of problem types with their status codes and titles,
// and how a problem is written. It refuses to own when which one applies.
package problem

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"evenkeel/fsm"
)

// ContentType is the media type of a problem (RFC 9457, section 3).
const ContentType = "application/problem+json"

// BasePath is where every node explains the problem types. A type is a
// reference with an absolute path (RFC 9457, section 3.1.1), so that it can be
// followed at the node that gave it and depends on no site elsewhere.
const BasePath = "/v1/problems/"

// maxFaults bounds the list in one answer.
const maxFaults = 101

// Problem is an answer that is not what the client hoped for. As an error it
// travels from where it is found to where it is written.
type Problem struct {
	Kind   Kind
	Detail string
	// Faults are all things wrong with the request, with JSON pointers into
	// its body.
	Faults []fsm.Fault
	// Places are where each of Faults stands in a body of several lines; nil if
	// that is not known.
	Places []Place
	// Current is, for [PreconditionFailed], the object as it is.
	Current any
	// Currents are, for [PreconditionFailed] of a write of several objects, those
	// whose condition does not hold, by the pointers of what asked for it.
	Currents map[string]any
	// Header is added to the answer's.
	Header http.Header
}

// Place is where in a text something stands: line and column from 1 and in
// characters, 0 for nowhere.
type Place struct {
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
}

// New returns a problem; the detail says what is wrong with this request and
// what to do.
func New(kind Kind, format string, args ...any) *Problem {
	return &Problem{Kind: kind, Detail: fmt.Sprintf(format, args...)}
}

// Invalid returns the problem of a request's body with these faults. What they quote
// of a private key in the wrong place is left out.
func Invalid(faults []fsm.Fault) *Problem {
	faults = withoutKeys(faults)
	return &Problem{Kind: InvalidObject, Faults: faults, Detail: describe(faults)}
}

// quotedKey is a private key in PEM as far as a fault quotes it.
var quotedKey = regexp.MustCompile(`(PRIVATE KEY-----)[^"]*`)

func withoutKeys(faults []fsm.Fault) []fsm.Fault {
	shown := slices.Clone(faults)
	for i := range shown {
		fault := &shown[i]
		for _, text := range []*string{&fault.Pointer, &fault.Message} {
			if strings.Contains(*text, "PRIVATE KEY-----") {
				*text = quotedKey.ReplaceAllString(*text, "$1...")
			}
		}
	}
	return shown
}

func describe(faults []fsm.Fault) string {
	if len(faults) != 1 {
		return fmt.Sprintf("%d things are wrong, see faults", len(faults))
	}
	if faults[0].Pointer == "" {
		return faults[0].Message
	}
	return faults[0].Pointer + ": " + faults[0].Message
}

// With adds a header field to the answer and returns p.
func (p *Problem) With(name, value string) *Problem {
	if p.Header == nil {
		p.Header = http.Header{}
	}
	p.Header.Set(name, value)
	return p
}

// Error implements error.
func (p *Problem) Error() string { return string(p.Kind) + ": " + p.Detail }

// document is the problem on the wire.
type document struct {
	Type     string         `json:"type"`
	Title    string         `json:"title"`
	Status   int            `json:"status"`
	Detail   string         `json:"detail,omitempty"`
	Faults   []fault        `json:"faults,omitempty"`
	Current  any            `json:"current,omitempty"`
	Currents map[string]any `json:"currents,omitempty"`
}

type fault struct {
	Place
	fsm.Fault
}

// faults returns the faults as they are sent.
func (p *Problem) faults() []fault {
	list := make([]fault, min(len(p.Faults), maxFaults))
	for i := range list {
		list[i].Fault = p.Faults[i]
		if i < len(p.Places) {
			list[i].Place = p.Places[i]
		}
	}
	return list
}

// MarshalJSON returns the document as [Problem.Write] sends it.
func (p *Problem) MarshalJSON() ([]byte, error) {
	entry := Lookup(p.Kind)
	body, err := json.Marshal(document{
		Type: BasePath + string(p.Kind), Title: entry.Title, Status: entry.Status, Detail: p.Detail,
		Faults: p.faults(), Current: p.Current, Currents: p.Currents,
	})
	if err != nil {
		return nil, fmt.Errorf("encode problem %q: %w", p.Kind, err)
	}
	return body, nil
}

// Write sends the problem as the whole answer.
func (p *Problem) Write(w http.ResponseWriter) error {
	entry := Lookup(p.Kind)
	body, err := p.MarshalJSON()
	if err != nil {
		return err
	}
	for name, values := range p.Header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", ContentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1)) // it is whole before the handler ends
	w.WriteHeader(entry.Status)
	if _, err := w.Write(append(body, '\n')); err != nil {
		return fmt.Errorf("write problem %q: %w", p.Kind, err)
	}
	return nil
}
