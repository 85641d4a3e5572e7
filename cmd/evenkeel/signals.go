package main

import (
	"encoding/json"
	"sync/atomic"

	"evenkeel/balancer"
	"evenkeel/cluster"
	"evenkeel/health"
)

// topicEvidence is what nodes tell each other when their requests meet something
// that speaks against a backend.
const topicEvidence = "evidence"

// gossipedEvidence is its payload. The longest names make some 300 bytes of it.
// A released field is never changed.
type gossipedEvidence struct {
	Pool string `json:"p"`
	Name string `json:"n"`
	UID  string `json:"u"`
	Kind string `json:"k"`
}

// evidence passes what this node's requests meet on to its own observer and to
// all other nodes, and what theirs meet to its observer.
type evidence struct {
	node     *cluster.Node
	observer *health.Observer

	met, received, faulty atomic.Uint64
}

// meet takes what a request of this node met. It does not block.
func (e *evidence) meet(of balancer.Evidence) {
	e.met.Add(1)
	e.observer.Suspect(health.Evidence{Pool: of.Pool, Name: of.Name, UID: of.UID, Kind: of.Kind})
	payload, err := json.Marshal(gossipedEvidence{of.Pool, of.Name, of.UID, of.Kind})
	if err != nil {
		return // four texts can always be encoded
	}
	e.node.Tell(topicEvidence, payload)
}

// hear takes what another node told. It does not block.
func (e *evidence) hear(from string, payload []byte) {
	var told gossipedEvidence
	if err := json.Unmarshal(payload, &told); err != nil || told.Pool == "" || told.Name == "" || told.UID == "" {
		e.faulty.Add(1)
		return
	}
	e.received.Add(1)
	e.observer.Suspect(health.Evidence{Pool: told.Pool, Name: told.Name, UID: told.UID, Kind: told.Kind, From: from})
}
