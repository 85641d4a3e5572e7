package fsm

import (
	"fmt"
	"slices"
	"strings"
)

// maxFaults bounds what is told of one document: a short one can be wrong in
// hundreds of places.
const maxFaults = 100

// faults collects everything that is wrong with a document, so that its
// writer learns of all of it at once.
type faults struct {
	list []Fault
	// writing is set for what is about to be written, and not for what is applied:
	// there rules count as well that came after the feature level.
	writing bool
}

// add reports one fault; the message names the value, what is wrong with it
// and what to do.
func (f *faults) add(pointer, format string, args ...any) {
	f.put(Fault{Pointer: pointer, Message: fmt.Sprintf(format, args...)})
}

func (f *faults) put(fault Fault) {
	switch {
	case len(f.list) < maxFaults:
		f.list = append(f.list, fault)
	case len(f.list) == maxFaults:
		f.list = append(f.list, Fault{Message: fmt.Sprintf("there are more faults than the %d listed", maxFaults)})
	}
}

// has tells whether something was reported of the place.
func (f *faults) has(pointer string) bool {
	return slices.ContainsFunc(f.list, func(fault Fault) bool { return fault.Pointer == pointer })
}

// err returns the collected faults as a refusal, or nil if there are none.
func (f *faults) err() *Error {
	if len(f.list) == 0 {
		return nil
	}
	return &Error{Code: CodeInvalid, Faults: f.list}
}

// Error implements error: the code, and every fault with its pointer.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Code))
	for i, fault := range e.Faults {
		separator := "; "
		if i == 0 {
			separator = ": "
		}
		b.WriteString(separator)
		if fault.Pointer != "" {
			b.WriteString(fault.Pointer + " ")
		}
		b.WriteString(fault.Message)
	}
	return b.String()
}

// refuse returns a refusal with a single fault.
func refuse(code Code, pointer, format string, args ...any) *Error {
	return &Error{Code: code, Faults: []Fault{{Pointer: pointer, Message: fmt.Sprintf(format, args...)}}}
}
