package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"evenkeel/fsm"
)

// Problem is an answer of the API that is an error (RFC 9457).
type Problem struct {
	Request string `json:"-"` // method and URL
	Status  int    `json:"status"`
	// Type is a URI whose last part names the problem, such as "no-quorum".
	Type   string      `json:"type"`
	Title  string      `json:"title"`
	Detail string      `json:"detail"`
	Faults []fsm.Fault `json:"faults"`
}

// readProblem makes a problem of an answer whose body may be anything.
func readProblem(request string, status int, body []byte) *Problem {
	p := &Problem{}
	if json.Unmarshal(body, p) != nil || p.Title == "" && p.Detail == "" {
		text := strings.TrimSpace(string(body))
		if len(text) > 200 {
			text = text[:200] + "…"
		}
		p = &Problem{Detail: text}
	}
	p.Request, p.Status = request, status
	return p
}

// is tells whether the last part of the problem's type is name.
func (p *Problem) is(name string) bool {
	return p.Type == name || strings.HasSuffix(p.Type, "/"+name) || strings.HasSuffix(p.Type, ":"+name)
}

// Error implements error: the request, what the API says, and each fault with
// its pointer on a line of its own.
func (p *Problem) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d", p.Request, p.Status)
	title := p.Title
	if title == "" {
		title = http.StatusText(p.Status)
	}
	fmt.Fprintf(&b, " %s", title)
	// The detail of a single fault repeats it.
	if p.Detail != "" && p.Detail != title && len(p.Faults) != 1 {
		fmt.Fprintf(&b, ": %s", p.Detail)
	}
	for _, fault := range p.Faults {
		pointer := fault.Pointer
		if pointer == "" {
			pointer = "(whole document)"
		}
		fmt.Fprintf(&b, "\n  %s: %s", pointer, fault.Message)
	}
	return b.String()
}
