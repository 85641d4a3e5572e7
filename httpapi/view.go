package httpapi

import (
	"strconv"
	"time"

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
}

func etag(o fsm.AnyObject) string {
	return `"` + strconv.FormatUint(o.GetMeta().Revision, 10) + `"`
}

// viewer is what rendering needs beside the object: who the nodes are, and
// what they reported if they were asked.
type viewer struct {
	names map[string]string // of nodes, by UID
	// witnesses are the UIDs of nodes that open no listeners.
	witnesses map[string]bool
	reports   map[string]nodeReport
}

// nodeReport is one node's answer, or its absence.
type nodeReport struct {
	Report
	answered bool
}

// viewer returns one that has asked no node.
func (a *API) viewer() *viewer {
	v := &viewer{names: map[string]string{}, witnesses: map[string]bool{}}
	for node := range a.config.Cluster.State().Nodes() {
		v.names[node.UID] = node.Name
	}
	for _, member := range a.config.Cluster.Members() {
		v.names[member.UID] = member.Name
		v.witnesses[member.UID] = member.Witness
	}
	return v
}

func agreedStatus[S fsm.Spec, T any](_ *viewer, o *fsm.Object[S, T]) any { return o.Status }

// listenersView is a listener's status: how it fares on each node.
type listenersView struct {
	Nodes map[string]ListenerStatus `json:"nodes"`
}

// ListenerStatus is how one listener fares on one node.
type ListenerStatus struct {
	// State is "listening", "failed", "draining", or, of a node that did not
	// answer or does not know the listener yet, "unknown".
	State string `json:"state"`
	// Address is where the node listens, or was told to.
	Address string `json:"address,omitempty"`
	Error   string `json:"error,omitempty"`
}

func listenerStatus(v *viewer, o *fsm.Listener) any {
	view := listenersView{Nodes: map[string]ListenerStatus{}}
	for uid, report := range v.reports {
		if v.witnesses[uid] {
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
		view.Nodes[v.name(uid)] = status
	}
	return view
}

func (v *viewer) name(uid string) string {
	if name := v.names[uid]; name != "" {
		return name
	}
	return uid
}

// backendView is a backend's status with its votes as people read them.
type backendView struct {
	Health     fsm.Health `json:"health"`
	Since      uint64     `json:"since"`
	Generation uint64     `json:"generation"`
	Votes      []voteView `json:"votes"`
}

type voteView struct {
	Node       string     `json:"node"`
	Observer   string     `json:"observer"`
	Health     fsm.Health `json:"health"`
	Generation uint64     `json:"generation"`
	Reason     string     `json:"reason,omitempty"`
	At         time.Time  `json:"at"`
}

func backendStatus(v *viewer, o *fsm.Backend) any {
	view := backendView{Health: o.Status.Health, Since: o.Status.Since, Generation: o.Status.Generation, Votes: []voteView{}}
	for _, vote := range o.Status.Votes {
		view.Votes = append(view.Votes, voteView{
			Node: v.name(vote.Observer), Observer: vote.Observer, Health: vote.Health,
			Generation: vote.Generation, Reason: vote.Reason, At: vote.At,
		})
	}
	return view
}
