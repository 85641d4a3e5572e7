package httpapi

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"evenkeel/cluster"
	"evenkeel/fsm"
)

// object is a registry object on the wire.
type object struct {
	Pool   string            `json:"pool,omitempty"`
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels"`
	Spec   fsm.Spec          `json:"spec"`
	Status any               `json:"status"`
	Meta   fsm.Meta          `json:"meta"`
	// Token is the token itself, in the answer that made it and nowhere else.
	Token string `json:"token,omitempty"`
}

func etag(o fsm.AnyObject) string {
	return `"` + strconv.FormatUint(o.GetMeta().Revision, 10) + `"`
}

// viewer is what rendering needs beside the object: who the nodes are, which it looks
// up when that is asked for, and what they reported if they were asked. It is for one
// goroutine.
type viewer struct {
	nodes    func() *fsm.State
	members  func() []cluster.Member
	gossiped map[string]cluster.Member // by UID; nil until somebody asks
	reports  map[string]nodeReport
	// told are the names that were asked for, if they are kept.
	told  []toldName
	keeps bool
	// by is who reads: what it does not see is not told of other objects either.
	by     *principal
	chains *chains
	index  *tlsIndex // nil until somebody asks
}

// toldName is the name of a node.
type toldName struct{ uid, name string }

// nodeReport is one node's answer, or its absence.
type nodeReport struct {
	Report
	answered bool
}

// viewer returns one that has asked no node, for whoever reads.
func (a *API) viewer(by *principal) *viewer {
	return &viewer{nodes: a.config.Cluster.State, members: a.config.Cluster.Members, by: by, chains: &a.chains}
}

// name returns what a node is called: as the registry has it, else as the node says
// if it is there, else its UID.
func (v *viewer) name(uid string) string {
	name := v.lookup(uid)
	if v.keeps {
		v.told = append(v.told, toldName{uid, name})
	}
	return name
}

func (v *viewer) lookup(uid string) string {
	if v.nodes == nil {
		return uid
	}
	if node := v.nodes().Node(uid); node != nil && node.Name != "" {
		return node.Name
	}
	return cmp.Or(v.member(uid).Name, uid)
}

// member returns a node as it tells of itself, or a zero one.
func (v *viewer) member(uid string) cluster.Member {
	if v.gossiped == nil {
		v.gossiped = map[string]cluster.Member{}
		for _, member := range v.members() {
			v.gossiped[member.UID] = member
		}
	}
	return v.gossiped[uid]
}

// serving returns the UIDs of the nodes that are alive and take traffic.
func (v *viewer) serving() []string {
	var uids []string
	for node := range v.nodes().Nodes() {
		if node.State == fsm.NodeAlive && !node.Witness {
			uids = append(uids, node.UID)
		}
	}
	return uids
}

func agreedStatus[S fsm.Spec, T any](_ *viewer, o *fsm.Object[S, T]) any { return o.Status }

// listenersView is a listener's status: how it fares on each node.
type listenersView struct {
	Nodes map[string]ListenerStatus `json:"nodes"`
	// Warnings are what clients will find wrong with its certificates.
	Warnings []string `json:"warnings,omitempty"`
}

// ListenerStatus is how one listener fares on one node.
type ListenerStatus struct {
	// State is "listening", "failed" if it does not, or refuses every handshake of
	// TLS, "draining", or, of a node that did not answer or does not know the listener
	// yet, "unknown".
	State string `json:"state"`
	// Address is where the node listens, or was told to.
	Address string `json:"address,omitempty"`
	// Error is why it failed, or what of its certificates the node cannot show.
	Error string `json:"error,omitempty"`
}

func listenerStatus(v *viewer, o *fsm.Listener) any {
	view := listenersView{Nodes: map[string]ListenerStatus{}, Warnings: v.listenerWarnings(o)}
	for uid, report := range v.reports {
		if v.member(uid).Witness {
			continue
		}
		status, known := report.Listeners[o.Name]
		switch {
		case known:
		case report.answered:
			status = ListenerStatus{State: "unknown", Error: "the node does not have the listener yet"}
		default:
			status = ListenerStatus{State: "unknown", Error: "the node did not answer in time"}
		}
		status.Error = v.ofSeen(o, status.Error)
		view.Nodes[v.name(uid)] = status
	}
	return view
}

// ofSeen returns what a node says of a listener without names of certificates that the
// reader does not see. Those that the listener names itself are no secret.
func (v *viewer) ofSeen(o *fsm.Listener, fault string) string {
	if fault == "" || !v.by.limited() || !o.Spec.ShowsAll() {
		return fault
	}
	for certificate := range v.nodes().Certificates() {
		if !v.by.sees(certificate) && strings.Contains(fault, strconv.Quote(certificate.Name)) {
			return fmt.Sprintf("the node cannot show a certificate, which the token %q does not see", v.by.name)
		}
	}
	return fault
}

// backendView is a backend's status with its votes as people read them.
type backendView struct {
	Health     fsm.Health `json:"health"`
	Since      uint64     `json:"since"`
	Generation uint64     `json:"generation"`
	Votes      []voteView `json:"votes"`
	agreedHealth
}

// agreedHealth is what else the cluster agreed about a backend.
type agreedHealth struct {
	// Effective is what the backend is taken for: the override if there is one,
	// else down while it is held, else the verdict.
	Effective fsm.Health    `json:"effective"`
	Reduction int           `json:"reduction,omitempty"`
	Ramp      uint64        `json:"ramp,omitempty"`
	Flaps     int           `json:"flaps,omitempty"`
	Held      bool          `json:"held,omitempty"`
	Override  *overrideView `json:"override,omitempty"`
	Drain     *drainView    `json:"drain,omitempty"`
}

type overrideView struct {
	Health fsm.Health   `json:"health"`
	For    fsm.Duration `json:"for,omitempty"`
	Reason string       `json:"reason,omitempty"`
	Actor  string       `json:"actor"`
	At     time.Time    `json:"at"`
}

// drainView tells how far a drain is, and which nodes it waits for, by name.
type drainView struct {
	State   fsm.DrainState `json:"state"`
	Idle    []string       `json:"idle"`
	Waiting []string       `json:"waiting"`
}

func (v *viewer) agreed(s *fsm.BackendStatus) agreedHealth {
	view := agreedHealth{Effective: s.Effective(), Reduction: s.Reduction, Ramp: s.Ramp, Flaps: s.Flaps, Held: s.Held}
	if o := s.Override; o != nil {
		view.Override = &overrideView{o.Health, o.For, o.Reason, o.Actor, o.At}
	}
	if d := s.Drain; d != nil {
		view.Drain = &drainView{State: d.State, Idle: []string{}, Waiting: []string{}}
		for _, uid := range d.Idle {
			view.Drain.Idle = append(view.Drain.Idle, v.name(uid))
		}
		for _, uid := range v.serving() {
			if d.State == fsm.DrainUnderWay && !slices.Contains(d.Idle, uid) {
				view.Drain.Waiting = append(view.Drain.Waiting, v.name(uid))
			}
		}
	}
	return view
}

type voteView struct {
	Node       string     `json:"node"`
	Observer   string     `json:"observer"`
	Health     fsm.Health `json:"health"`
	Generation uint64     `json:"generation"`
	Reason     string     `json:"reason,omitempty"`
	At         time.Time  `json:"at"`
	Reduction  int        `json:"reduction,omitempty"`
}

func backendStatus(v *viewer, o *fsm.Backend) any {
	view := backendView{Health: o.Status.Health, Since: o.Status.Since, Generation: o.Status.Generation, Votes: []voteView{}, agreedHealth: v.agreed(&o.Status)}
	for _, vote := range o.Status.Votes {
		view.Votes = append(view.Votes, voteView{
			Node: v.name(vote.Observer), Observer: vote.Observer, Health: vote.Health,
			Generation: vote.Generation, Reason: vote.Reason, At: vote.At, Reduction: vote.Reduction,
		})
	}
	return view
}
