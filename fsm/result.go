package fsm

// Result is the outcome of one command. Every replica computes the same.
type Result struct {
	// Version and Revision are the state's right after the command.
	Version  uint64
	Revision uint64
	// Object is what a [Put] or [SetOverride] left in the state, or nil; it is
	// also nil when the command is a repeat.
	Object AnyObject
	// Changed tells whether the command changed labels, spec or status of
	// anything. It is false for a repeat.
	Changed bool
	// Created tells that a [Put] found no such object; a repeat says what the
	// first one found.
	Created bool
	// Ignored is how many votes of [CastVotes], or items of [Expire] and
	// [ReportIdle], did not count: of a node that does not observe the backend,
	// about another registration, check or epoch, or about what is not checked. A
	// repeat says 0.
	Ignored int
	// Repeat tells that the command was applied before, under the same id or key.
	Repeat bool
	// Steps are the outcomes of a [Txn]'s steps, in their order; nil for a repeat.
	Steps []StepResult
	// Changes are all that a [Rollback] changed, in the order of kinds, pools and
	// names; nil for a repeat.
	Changes []Change
	// Refs are, for a repeat under a [Key], what the first command wrote, and then
	// not nil, but empty for a [Confirm], and for a [Rollback] that had nothing to
	// change; nil for any other command.
	Refs []Ref
	// Err is why the command was refused, or nil. A refused command changed
	// nothing.
	Err *Error
}

// StepResult is the outcome of one step of a [Txn].
type StepResult struct {
	Ref Ref
	// Object is what a put left in the state, nil for a delete.
	Object           AnyObject
	Created, Changed bool
}

// Code classifies a refusal, for callers that branch on it.
type Code string

// The codes of refusals.
const (
	CodeInvalid      Code = "invalid"      // the command itself is faulty
	CodeNotFound     Code = "not-found"    // a thing that the command names does not exist
	CodeExists       Code = "exists"       // Precondition.Absent does not hold
	CodeDuplicate    Code = "duplicate"    // another backend of the pool has the address
	CodePrecondition Code = "precondition" // Precondition.Exists or Revision does not hold
	CodeInUse        Code = "in-use"       // something else needs the object
	CodeLimit        Code = "limit"        // the registry is full
	CodeTooLarge     Code = "too-large"    // more than is replicated as one command; a node says it, never the state
	CodeForgotten    Code = "forgotten"    // too old a repeat: its outcome is no longer known
	CodeForbidden    Code = "forbidden"    // Precondition.Labels does not hold
	CodeKeyReused    Code = "key-reused"   // the key was used for another request
	CodeUnconfirmed  Code = "unconfirmed"  // a revision that may yet be undone holds the object
	CodeNoRevision   Code = "no-revision"  // the revision that the command names is yet to come
	CodeCompacted    Code = "compacted"    // the registry as of that revision is forgotten
)

// Fault is one thing that is wrong with a document or command.
type Fault struct {
	// Pointer is the JSON pointer (RFC 6901) of the faulty field within the
	// object, such as "/spec/weight".
	Pointer string `json:"pointer"`
	// Message names the value, what is wrong with it and what to do.
	Message string `json:"message"`
	// Code is of the faulty step, for faults of a [Txn] or [Rollback].
	Code Code `json:"code,omitempty"`
	// Other is the Other of the faulty step's [Error], and Of the object that the step
	// writes, for faults of a [Txn] or [Rollback].
	Other *Ref `json:"-"`
	Of    *Ref `json:"-"`
}

// Error is why a command was refused: all its faults at once.
type Error struct {
	Code   Code    `json:"code"`
	Faults []Fault `json:"faults"`
	// Other is the object that is in the way for [CodeDuplicate],
	// [CodeExists] and [CodeInUse]; of a [Txn] that of its first faulty step.
	Other *Ref `json:"other,omitempty"`
}
