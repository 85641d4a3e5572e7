package faults

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

// kind is what an operation asks of a key.
type kind string

const (
	kindRead     kind = "read"      // a linearizable GET
	kindPut      kind = "put"       // whatever there is
	kindSwap     kind = "swap"      // only at the expected revision
	kindCreate   kind = "create"    // only if there is nothing
	kindDelete   kind = "delete"    // whatever there is
	kindDeleteAt kind = "delete-at" // only at the expected revision
)

// writesValue tells that an operation of the kind leaves a value.
func (k kind) writesValue() bool { return k == kindPut || k == kindSwap || k == kindCreate }

// outcome is what the client knows about an operation.
type outcome string

const (
	// outcomeDone: it was answered, and took effect in between.
	outcomeDone outcome = "done"
	// outcomeUnmet: its condition did not hold at some moment in between (412).
	outcomeUnmet outcome = "unmet"
	// outcomeRefused: it never had and never will have an effect.
	outcomeRefused outcome = "refused"
	// outcomeUnknown: it may take effect at any time after its call, or never.
	outcomeUnknown outcome = "unknown"
)

// What the answer to a write says that there was before.
const (
	beforeAbsent  = "absent"
	beforePresent = "present"
)

// operation is one operation of a client on one key, and its answer.
type operation struct {
	Client int    `json:"client"`
	Node   string `json:"node"`
	Kind   kind   `json:"kind"`
	Key    string `json:"key"`
	// Value is what it writes, unlike what any other operation writes.
	Value string `json:"value,omitempty"`
	// Expected is the revision that its condition names.
	Expected uint64 `json:"expected,omitempty"`
	// Call and Return are on one monotonic clock.
	Call   time.Duration `json:"call_ns"`
	Return time.Duration `json:"return_ns"`

	Outcome outcome `json:"outcome"`
	// Seen is the value that a read found, "" if there was nothing.
	Seen string `json:"seen,omitempty"`
	// Revision is that of the value read or written, 0 if the answer did not
	// tell.
	Revision uint64 `json:"revision,omitempty"`
	// Before is what a write found, "" if the answer did not tell.
	Before string `json:"before,omitempty"`
	// State is the revision of the whole registry that the answer was given
	// from or later, 0 if there was none.
	State uint64 `json:"state,omitempty"`
	// Detail is the status or error, for the reader.
	Detail string `json:"detail,omitempty"`
}

// String tells the operation in a line.
func (o operation) String() string {
	text := fmt.Sprintf("client %d at %s, %v to %v: %s %s", o.Client, o.Node,
		o.Call.Round(time.Microsecond), o.Return.Round(time.Microsecond), o.Kind, o.Key)
	return text + describe(o)
}

// describe tells what goes in and out, without who and when.
func describe(o operation) string {
	text := ""
	if o.Value != "" {
		text += " " + o.Value
	}
	if o.Expected != 0 {
		text += fmt.Sprintf(" at %d", o.Expected)
	}
	text += ": " + string(o.Outcome)
	switch {
	case o.Outcome != outcomeDone:
	case o.Kind == kindRead && o.Seen == "":
		text += ", absent"
	case o.Kind == kindRead:
		text += ", " + o.Seen
	case o.Before != "":
		text += ", was " + o.Before
	}
	if o.Revision != 0 {
		text += fmt.Sprintf(" at revision %d", o.Revision)
	}
	return text
}

// history collects operations. Its methods may be called concurrently.
type history struct {
	begun time.Time

	mu         sync.Mutex // guards what follows
	operations []operation
	byOutcome  map[outcome]int
	faults     []string // answers that the API does not promise
}

func newHistory() *history {
	return &history{begun: time.Now(), byOutcome: map[outcome]int{}}
}

// now is the time on the history's clock.
func (h *history) now() time.Duration { return time.Since(h.begun) }

// add records an operation that has returned, and what was wrong with its
// answer, if anything.
func (h *history) add(o operation, fault error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations = append(h.operations, o)
	h.byOutcome[o.Outcome]++
	if fault != nil {
		h.faults = append(h.faults, fmt.Sprintf("%v: %v", o, fault))
	}
}

// all returns the operations so far, and the faults.
func (h *history) all() ([]operation, []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.operations), slices.Clone(h.faults)
}

// number returns how many operations ended with the outcome.
func (h *history) number(of outcome) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.byOutcome[of]
}

// writeHistory writes operations into a file, one JSON object a line.
func writeHistory(name string, operations []operation) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(file)
	for _, o := range operations {
		if err := encoder.Encode(o); err != nil {
			file.Close()
			return fmt.Errorf("write history: %w", err)
		}
	}
	return file.Close()
}
