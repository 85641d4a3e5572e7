package fsm

import (
	"bytes"
	"testing"
)

func TestASurvivorBeginsWithTheSameObjectsAndWithoutTheOthers(t *testing.T) {
	s := New()
	seq := uint64(0)
	do := func(op Operation) Result {
		t.Helper()
		seq++
		next, results := Apply(s, []Command{{ID: CommandID{Origin: "u1", Seq: seq}, Op: op}})
		if results[0].Err != nil {
			t.Fatal(results[0].Err)
		}
		s = next
		return results[0]
	}
	do(Init{ClusterID: "before", FeatureLevel: FeatureLevel, Objects: DefaultObjects()})
	for _, uid := range []string{"u1", "u2", "u3"} {
		do(SetNode{Node: Node{UID: uid, Name: "n" + uid[1:], State: NodeAlive, FeatureLevel: FeatureLevel}})
	}
	spec := BackendSpec{Address: "10.0.0.1:9000"}
	spec.SetDefaults()
	last := do(Put{Pool: "default", Name: "b", Spec: spec})
	b := s.Backend("default", "b")
	do(CastVotes{Observer: "u1", Votes: []BackendVote{{Pool: "default", Name: "b", UID: b.Meta.UID, Generation: s.CheckGeneration(b), Health: HealthUp}}})
	version, revision := s.Version(), s.Revision()

	r := Recovered(s, "after", "u1", "u9")
	if r.ClusterID() != "after" || r.Revision() != revision || r.Version() <= version {
		t.Errorf("cluster %q at revision %d and version %d, before %d and %d", r.ClusterID(), r.Revision(), r.Version(), revision, version)
	}
	if r.Node("u9") == nil || r.Node("u9").Name != "n1" || r.Count(KindNode) != 1 || r.Backend("default", "b") == nil || r.Count(KindRoute) != s.Count(KindRoute) {
		t.Error("it has not just the survivor and all objects")
	}
	if health := r.Backend("default", "b").Status.Health; health != HealthUp {
		t.Errorf("by the only vote that is left the backend is %q", health)
	}
	if result, known := r.ResultOf(CommandID{Origin: "u1", Seq: seq - 1}); !known || result.Revision != last.Revision {
		t.Error("what became of a command is forgotten")
	}
	if s.ClusterID() != "before" || s.Count(KindNode) != 3 {
		t.Error("the state before has changed")
	}
	var snapshot bytes.Buffer
	if err := r.WriteSnapshot(&snapshot); err != nil {
		t.Fatal(err)
	}
	again, err := ReadSnapshot(&snapshot)
	if err != nil || again.Digest() != r.Digest() {
		t.Errorf("its snapshot does not give it again: %v", err)
	}
	if alone := Recovered(r, "later", "u9", "u8"); alone.ClusterID() != "later" || alone.Revision() != r.Revision() {
		t.Error("a second recovery changes more than the identity")
	}
}
