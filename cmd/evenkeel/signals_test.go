package main

import (
	"testing"

	"evenkeel/fsm"
	"evenkeel/health"
)

func TestEvidenceThatMakesNoSenseIsCountedAndNotPassedOn(t *testing.T) {
	for payload, faulty := range map[string]bool{
		`{"p":"web","n":"web1","u":"b1","k":"reset"}`:       false,
		`{"p":"web","n":"web1","u":"b1","k":"x","later":1}`: false,
		`{"p":"web","n":"web1","k":"reset"}`:                true,
		`{"p":3}`:                                           true,
		``:                                                  true,
		"\x00\xff":                                          true,
	} {
		e := &evidence{observer: health.New(health.Config{Self: "u1"})}
		e.hear("u2", []byte(payload))
		if got := e.faulty.Load() == 1; got != faulty || e.faulty.Load()+e.received.Load() != 1 {
			t.Errorf("%q: faulty %t, want %t", payload, got, faulty)
		}
	}
}

func TestVerdictsThatChangeAreCounted(t *testing.T) {
	const voter = "6f1c0b1e-0000-4000-8000-00000000000a"
	state := fsm.New()
	seq := uint64(0)
	apply := func(op fsm.Operation) {
		t.Helper()
		seq++
		after, results := fsm.Apply(state, []fsm.Command{{ID: fsm.CommandID{Origin: voter, Seq: seq}, Op: op}})
		if results[0].Err != nil {
			t.Fatal(results[0].Err)
		}
		state = after
	}
	apply(fsm.Init{ClusterID: "c", FeatureLevel: fsm.FeatureLevel, Objects: fsm.DefaultObjects()})
	apply(fsm.SetNode{Node: fsm.Node{UID: voter, Name: "n1", State: fsm.NodeAlive, FeatureLevel: fsm.FeatureLevel}})
	spec := fsm.BackendSpec{}
	spec.SetDefaults()
	spec.Address = "10.0.0.1:80"
	seen := &transitions{}
	before := state
	apply(fsm.Put{Pool: "default", Name: "web1", Spec: spec})
	seen.count(before, state) // a new one has changed nothing
	for _, health := range []fsm.Health{fsm.HealthUp, fsm.HealthDown, fsm.HealthDown} {
		b := state.Backend("default", "web1")
		before = state
		apply(fsm.CastVotes{Observer: voter, Votes: []fsm.BackendVote{{Pool: "default", Name: "web1", UID: b.Meta.UID, Generation: state.CheckGeneration(b), Health: health}}})
		seen.count(before, state)
	}
	if got := seen.counts(); got[fsm.HealthUp] != 1 || got[fsm.HealthDown] != 1 || got[fsm.HealthUnknown] != 0 {
		t.Errorf("counted %v", got)
	}
}
