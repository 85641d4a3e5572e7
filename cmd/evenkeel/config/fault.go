package config

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong with the options.
type Fault struct {
	// Option is the option's name, such as "api-addr".
	Option string
	// Source says where the value came from, such as "flag --api-addr" or
	// "node.yaml:3"; it is "" for an option that nobody gave.
	Source string
	// Value is what was given; "" if nothing was, or if it is a secret.
	Value string
	// Message is what is wrong, and what to do.
	Message string
}

// String returns the fault as one line.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.Option)
	if f.Value != "" {
		fmt.Fprintf(&b, " %q", f.Value)
	}
	if f.Source != "" {
		fmt.Fprintf(&b, " (%s)", f.Source)
	}
	return b.String() + ": " + f.Message
}

// Faults is all that is wrong with the options of a node.
type Faults []Fault

// Error implements error, with one line per fault.
func (f Faults) Error() string {
	if len(f) == 1 {
		return "read options: " + f[0].String()
	}
	lines := make([]string, 0, len(f)+1)
	lines = append(lines, fmt.Sprintf("read options: %d faults", len(f)))
	for _, fault := range f {
		lines = append(lines, "  "+fault.String())
	}
	return strings.Join(lines, "\n")
}
