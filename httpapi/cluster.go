package httpapi

import (
	"context"
	"encoding/json"
	"time"

	"evenkeel/cluster"
	"evenkeel/fsm"
)

// Registry is where objects are read and written. All methods are called
// concurrently.
type Registry interface {
	// State returns the local state at once; it is never nil.
	State() *fsm.State
	// Watch returns the local state at once, and a channel that is closed when
	// another takes its place.
	Watch() (*fsm.State, <-chan struct{})
	// Age returns how old the local state may be; known is false if there is none.
	Age() (age time.Duration, known bool)
	// Propose returns when the local state has the outcome. A refusal is
	// Result.Err; an error is one of the cluster's sentinels, or internal.
	Propose(ctx context.Context, c fsm.Command) (fsm.Result, error)
	// ReadIndex returns when the local state is at least what was committed
	// at the call.
	ReadIndex(ctx context.Context) error
	// Renew tells the leader that a backend with a TTL is still there. Errors are
	// cluster.ErrNotRegistered, others of the cluster's sentinels, or internal.
	Renew(ctx context.Context, r cluster.Renewal) error
}

// Membership is what this node knows of the cluster. All methods are called
// concurrently.
type Membership interface {
	UID() string
	Status() cluster.Status
	Members() []cluster.Member
	// Reports asks all live nodes for what their [API.Report] returns, by UID,
	// and leaves out those that do not answer before ctx ends.
	Reports(ctx context.Context) map[string]json.RawMessage
	// Ask asks one node, which may be this one, what [API.AnswerHealth] answers
	// there, and ends when ctx does. cluster.ErrOlderBuild is in the error's chain
	// if the node knows no such question.
	Ask(ctx context.Context, uid, topic string, request []byte) ([]byte, error)
	// RemoveMember, PromoteMember and TransferLeadership change the members
	// through whoever leads. Errors are the cluster's sentinels, or internal.
	RemoveMember(ctx context.Context, uid string) error
	PromoteMember(ctx context.Context, uid string) error
	TransferLeadership(ctx context.Context, uid string) error
}

// Cluster is what the API needs of the cluster.
type Cluster interface {
	Registry
	Membership
}
