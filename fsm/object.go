package fsm

import "time"

// Kind names a kind of registry object.
type Kind string

// The kinds of objects. A node is kept by the cluster itself; users write the
// others.
const (
	KindListener Kind = "listener"
	KindRoute    Kind = "route"
	KindPool     Kind = "pool"
	KindBackend  Kind = "backend"
	KindToken    Kind = "token"
	// KindCertificate is from feature level 6 on.
	KindCertificate Kind = "certificate"
	KindNode        Kind = "node"
)

// Ref names one object. Pool is set for backends only, whose names are unique
// within their pool; a node's Name is its UID.
type Ref struct {
	Kind Kind   `json:"kind"`
	Pool string `json:"pool,omitempty"`
	Name string `json:"name"`
}

// String returns the reference as a person would write it, such as
// "backend default/web1".
func (r Ref) String() string {
	if r.Pool != "" {
		return string(r.Kind) + " " + r.Pool + "/" + r.Name
	}
	return string(r.Kind) + " " + r.Name
}

// Meta is what the registry itself knows of an object.
type Meta struct {
	// UID tells this object from a later one of the same name.
	UID string `json:"uid"`
	// Revision is the registry's revision that last changed labels or spec.
	Revision uint64 `json:"revision"`
	// Created and Modified come from the proposer's clock. They are for
	// display and decide nothing.
	Created  time.Time `json:"created"`
	Modified time.Time `json:"modified"`
	// Actor is who made the last change.
	Actor string `json:"actor"`
}

// Spec is what a user wants of an object: one of [ListenerSpec], [RouteSpec],
// [PoolSpec], [BackendSpec], [TokenSpec] and [CertificateSpec].
type Spec interface {
	Kind() Kind
	// validate reports every fault that needs no other object to be seen.
	validate(f *faults)
	// newFields lists the fields that the first feature level lacks.
	newFields() []newField
}

// Object is one entry of the registry: S is what the user wants of it, T what
// the cluster agreed about it. An Object that a State holds is never changed.
type Object[S Spec, T any] struct {
	Pool   string            `json:"pool,omitempty"` // backends only
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels"`
	Spec   S                 `json:"spec"`
	Status T                 `json:"status"`
	Meta   Meta              `json:"meta"`
}

// Ref returns the object's name.
func (o *Object[S, T]) Ref() Ref { return Ref{Kind: o.Spec.Kind(), Pool: o.Pool, Name: o.Name} }

// GetMeta returns what the registry knows of the object.
func (o *Object[S, T]) GetMeta() Meta { return o.Meta }

// GetLabels returns the object's labels, which must not be changed.
func (o *Object[S, T]) GetLabels() map[string]string { return o.Labels }

// GetSpec returns what a user wants of the object.
func (o *Object[S, T]) GetSpec() Spec { return o.Spec }

// stripped returns the object without its status.
func (o *Object[S, T]) stripped() AnyObject {
	return &Object[S, T]{Pool: o.Pool, Name: o.Name, Labels: o.Labels, Spec: o.Spec, Meta: o.Meta}
}

// AnyObject is an object of whichever kind: *[Listener], *[Route], *[Pool],
// *[Backend], *[Token] or *[Certificate].
type AnyObject interface {
	Ref() Ref
	GetMeta() Meta
	GetLabels() map[string]string
	GetSpec() Spec
	stripped() AnyObject
}

// PutOf returns the put that makes the object as it is, whatever is there.
func PutOf(o AnyObject) Put {
	ref := o.Ref()
	return Put{Pool: ref.Pool, Name: ref.Name, Labels: o.GetLabels(), Spec: o.GetSpec()}
}

// The kinds of objects that users write.
type (
	Listener = Object[ListenerSpec, NoStatus]
	Route    = Object[RouteSpec, NoStatus]
	Pool     = Object[PoolSpec, PoolStatus]
	Backend  = Object[BackendSpec, BackendStatus]
	Token    = Object[TokenSpec, NoStatus]

	Certificate = Object[CertificateSpec, NoStatus]
)

// NoStatus is the status of kinds about which the cluster agrees nothing.
type NoStatus struct{}

// PoolStatus is what the cluster agreed about a pool.
type PoolStatus struct {
	// CheckGeneration is the revision that last changed the pool's check.
	CheckGeneration uint64 `json:"check_generation"`
}

// Health is the agreed verdict about a backend.
type Health string

// The verdicts. Unknown, the state before the first verdict and of pools
// without a check, is used like up.
const (
	HealthUnknown Health = "unknown"
	HealthUp      Health = "up"
	HealthDown    Health = "down"
)

// BackendStatus is what the cluster agreed about a backend.
type BackendStatus struct {
	Health Health `json:"health"`
	// Since is the state's version at which Health took its value.
	Since uint64 `json:"since"`
	// Generation is the revision that last changed the backend's address.
	Generation uint64 `json:"generation"`
	// Votes are the observers' opinions, in the order of their UIDs. One of an
	// observer that departed stays until its successor has voted.
	Votes []Vote `json:"votes"`
	// Reduction is how many percent of its weight the backend asks to be spared,
	// 0 to 100: the median of the observers' votes.
	Reduction int `json:"reduction,omitempty"`
	// Ramp is the version of the state at which the slow start began that is under
	// way; 0: none is. One begins when the backend begins to take new traffic.
	Ramp uint64 `json:"ramp,omitempty"`
	// Flaps is how many times the backend went down, less what has decayed; see
	// [Damping].
	Flaps int `json:"flaps,omitempty"`
	// Held is set while the observers agree that the backend is up and it is
	// kept down for its flaps.
	Held bool `json:"held,omitempty"`
	// Override is what an operator said instead of the verdict.
	Override *Override `json:"override,omitempty"`
	// Drain is how the drain stands while AdminState is drain.
	Drain *Drain `json:"drain,omitempty"`
	// Epoch counts the beginnings of what expires (hold, flaps, ramp, override,
	// drain), so that a late [Expire] ends nothing that began after it.
	Epoch uint64 `json:"epoch,omitempty"`
	// FlapEpoch is Epoch as of when the hold began, or the time up after which one
	// of the flaps is forgotten; 0 while there is neither. What else begins
	// meanwhile does not move it, so that neither is counted anew for that.
	FlapEpoch uint64 `json:"flap_epoch,omitempty"`
}

// Override is an operator's word against the verdict.
type Override struct {
	// Health is up or down.
	Health Health `json:"health"`
	// For is how long it holds, 1 s to 8,760 h; 0: until it is taken back. The
	// leader counts the time, and a new leader begins anew.
	For Duration `json:"for,omitempty"`
	// Reason is for people, at most 256 bytes.
	Reason string `json:"reason,omitempty"`
	Actor  string `json:"actor"`
	// At is the proposer's clock, for display only.
	At time.Time `json:"at"`
	// Epoch is [BackendStatus.Epoch] as of its beginning.
	Epoch uint64 `json:"epoch"`
}

// Drain is how far the cluster has come with a drain.
type Drain struct {
	// State is draining until every live node reported that it has no request in
	// flight to the backend, or the timeout passed.
	State DrainState `json:"state"`
	// Idle are the UIDs of the nodes that reported so, sorted; while the drain is
	// under way none that is gone.
	Idle []string `json:"idle,omitempty"`
	// Epoch is [BackendStatus.Epoch] as of its beginning.
	Epoch uint64 `json:"epoch"`
}

// DrainState is how a drain stands.
type DrainState string

// The states of a drain.
const (
	DrainUnderWay DrainState = "draining"
	DrainDone     DrainState = "drained"
	DrainTimedOut DrainState = "timed_out"
)

// Vote is one observer's opinion of a backend.
type Vote struct {
	// Observer is the UID of the node that votes.
	Observer string `json:"observer"`
	Health   Health `json:"health"`
	// Generation is [State.CheckGeneration] as the observer saw it.
	Generation uint64 `json:"generation"`
	// Reason says in a few words what the last probe met; at most 256 bytes.
	Reason string `json:"reason,omitempty"`
	// At is the observer's clock, for display only.
	At time.Time `json:"at"`
	// Reduction is how many percent of its weight the backend asked that observer
	// to be spared, 0 to 100.
	Reduction int `json:"reduction,omitempty"`
}

// NodeState is the liveness of a node as the leader committed it.
type NodeState string

// The states of a node. Suspicion is local to each node's gossip and is never
// committed.
const (
	NodeAlive NodeState = "alive"
	NodeDead  NodeState = "dead"
	NodeLeft  NodeState = "left"
)

// Node is a member of the cluster as the state holds it.
type Node struct {
	UID         string    `json:"uid"`
	Name        string    `json:"name"`
	State       NodeState `json:"state"`
	ClusterAddr string    `json:"cluster_addr"`
	APIAddr     string    `json:"api_addr"`
	Version     string    `json:"version"`
	// FeatureLevel is the highest level whose commands the node can apply.
	FeatureLevel uint64 `json:"feature_level"`
	// Witness is set for a node that votes in Raft but neither serves nor
	// observes.
	Witness bool `json:"witness,omitempty"`
}
