package fsm

import "time"

// CommandID names one write for ever: the UID of the node that took it and a
// number that the node never uses twice. A command that arrives again under
// the same id gets the first result and changes nothing.
type CommandID struct {
	Origin string `json:"origin"`
	Seq    uint64 `json:"seq"`
}

// Command is one write, with its precondition inside it.
type Command struct {
	ID CommandID
	// Time is the proposer's clock; it is for display and decides nothing.
	Time time.Time
	// Actor is who asked for the write, and Reason why, for people: at most 256
	// bytes each.
	Actor  string
	Reason string
	// Key, if set, has the command applied at most once for all that bear it,
	// whichever nodes they come from.
	Key Key
	// ConfirmWithin, if not 0, has the cluster undo the write unless [Confirm]
	// keeps it within that time, 1 s to 24 h. The leader counts.
	ConfirmWithin Duration
	Op            Operation
}

// Key is what a client calls one request of its own, so that it may send it
// again when it did not learn the outcome.
type Key struct {
	// Name is 1 to 128 printable ASCII characters without a space.
	Name string `json:"name"`
	// Request stands for all that the client asked for. The same name with another
	// request is refused.
	Request string `json:"request"`
}

// Operation is what a command does: one of [Init], [Put], [Delete], [Txn],
// [Rollback], [Confirm], [CastVotes], [SetNode], [ForgetNode], [RaiseLevel],
// [RestorePart], [SetOverride], [Expire], [ReportIdle], [SetDataKey] and
// [RotateTickets].
type Operation interface {
	// commandKind is the operation's name in the encoding.
	commandKind() string
}

// Init gives a new cluster its identity and its first objects. On a state
// that has an identity it is refused.
type Init struct {
	ClusterID    string `json:"cluster_id"`
	FeatureLevel uint64 `json:"feature_level"`
	Objects      []Put  `json:"objects"`
}

// Precondition is checked by the state machine itself when the command is
// applied. The zero value always holds.
type Precondition struct {
	// Absent asks that no such object exists (If-None-Match: *).
	Absent bool `json:"absent,omitempty"`
	// Exists asks that the object exists (If-Match: *).
	Exists bool `json:"exists,omitempty"`
	// Revision, if not 0, asks that the object's meta.revision is this
	// (If-Match: "N").
	Revision uint64 `json:"revision,omitempty"`
	// Labels asks that the object, if there is one, bears all of these. It is of
	// who writes and not of the write: to miss them is [CodeForbidden].
	Labels map[string]string `json:"labels,omitempty"`
}

// IsZero reports whether it always holds.
func (p Precondition) IsZero() bool {
	return !p.Absent && !p.Exists && p.Revision == 0 && len(p.Labels) == 0
}

// Put creates the object or replaces its labels and spec. A put that changes
// nothing is accepted without a new revision.
type Put struct {
	Pool   string // backends only
	Name   string
	Labels map[string]string
	Spec   Spec
	If     Precondition
}

// Ref returns the name of the object that is put.
func (p Put) Ref() Ref { return Ref{Kind: p.Spec.Kind(), Pool: p.Pool, Name: p.Name} }

// Delete removes the object. Without a precondition the removal of an object
// that does not exist is accepted and changes nothing.
type Delete struct {
	Ref
	If Precondition
}

// CastVotes carries all opinions of one observer that changed.
type CastVotes struct {
	Observer string        `json:"observer"`
	Votes    []BackendVote `json:"votes"`
}

// BackendVote is an observer's opinion of one registration of a backend. A
// vote whose UID or Generation is not the state's is ignored.
type BackendVote struct {
	Pool       string `json:"pool"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
	Generation uint64 `json:"generation"`
	Health     Health `json:"health"` // up or down
	Reason     string `json:"reason,omitempty"`
	// Reduction is how many percent of its weight the backend asks to be spared,
	// 0 to 100.
	Reduction int `json:"reduction,omitempty"`
}

// SetOverride puts an operator's word in place of a backend's verdict, or takes
// it back when Health is empty; to take back what is not there changes nothing.
// It moves no revision.
type SetOverride struct {
	Pool   string       `json:"pool"`
	Name   string       `json:"name"`
	Health Health       `json:"health,omitempty"` // up, down or empty
	For    Duration     `json:"for,omitempty"`    // see [Override]
	Reason string       `json:"reason,omitempty"`
	If     Precondition `json:"if,omitzero"`
}

// Expire ends what has lasted its time. Only the leader proposes it. An item
// whose UID or Epoch is not the state's is ignored.
type Expire struct {
	Items []Expiry `json:"items"` // at most 10,000
}

// Expiry names one thing of one backend that has lasted its time.
type Expiry struct {
	Pool string     `json:"pool"`
	Name string     `json:"name"`
	UID  string     `json:"uid"`
	What ExpiryKind `json:"what"`
	// Epoch is of the override or drain; [BackendStatus.FlapEpoch] for a hold or a
	// flap, [BackendStatus.Epoch] for a slow start, and [Meta.Revision] for a backend
	// that was not renewed.
	Epoch uint64 `json:"epoch"`
}

// ExpiryKind is what of a backend can expire.
type ExpiryKind string

// What expires: a hold for flaps, one flap, a slow start, an override, a drain,
// and a backend that was not renewed.
const (
	ExpireHold     ExpiryKind = "hold"
	ExpireFlap     ExpiryKind = "flap"
	ExpireRamp     ExpiryKind = "ramp"
	ExpireOverride ExpiryKind = "override"
	ExpireDrain    ExpiryKind = "drain"
	ExpireTTL      ExpiryKind = "ttl"
)

// ReportIdle tells that a node has no request in flight to backends that drain,
// and begins none. An item whose UID or Epoch is not the state's is ignored.
type ReportIdle struct {
	Node     string        `json:"node"`
	Backends []IdleBackend `json:"backends"` // at most 10,000
}

// IdleBackend is one drain that a node has done its part of.
type IdleBackend struct {
	Pool  string `json:"pool"`
	Name  string `json:"name"`
	UID   string `json:"uid"`
	Epoch uint64 `json:"epoch"` // of the drain
}

// SetNode records a member of the cluster and its liveness. Only the leader
// proposes it.
type SetNode struct {
	Node Node `json:"node"`
}

// ForgetNode removes a member that will not come back. Only the leader
// proposes it. Forgetting an unknown node changes nothing.
type ForgetNode struct {
	UID string `json:"uid"`
}

// RaiseLevel lets the cluster use what a higher feature level brings. Only the
// leader proposes it, once every server of the Raft configuration runs a build
// that can read it. A level that the cluster has already changes nothing.
type RaiseLevel struct {
	Level uint64 `json:"level"`
}

func (Init) commandKind() string        { return "init" }
func (Put) commandKind() string         { return "put" }
func (Delete) commandKind() string      { return "delete" }
func (Txn) commandKind() string         { return "txn" }
func (Rollback) commandKind() string    { return "rollback" }
func (Confirm) commandKind() string     { return "confirm" }
func (CastVotes) commandKind() string   { return "votes" }
func (SetNode) commandKind() string     { return "node" }
func (ForgetNode) commandKind() string  { return "forget_node" }
func (RaiseLevel) commandKind() string  { return "raise_level" }
func (SetOverride) commandKind() string { return "override" }
func (Expire) commandKind() string      { return "expire" }
func (ReportIdle) commandKind() string  { return "idle" }
