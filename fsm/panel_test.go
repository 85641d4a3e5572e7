package fsm

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestElectsSaysOfOneWhatElectSaysOfAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Few hashes, so that scores are equal now and then.
		hashes := rapid.SliceOfN(rapid.Uint64Range(0, 8), 1, 20).Draw(t, "hashes")
		var candidates []candidate
		for i, hash := range hashes {
			candidates = append(candidates, candidate{fmt.Sprintf("n%02d", i), hash})
		}
		backend, k := rapid.Uint64().Draw(t, "backend"), rapid.IntRange(1, maxObservers).Draw(t, "k")
		p := elect(candidates, backend, k)
		for i := range candidates {
			if got, want := elects(candidates, i, backend, k), slices.Contains(p.seats[:p.size], uint16(i)); got != want {
				t.Fatalf("candidate %d of %v, %d of them elected: %t, want %t", i, candidates, k, got, want)
			}
		}
	})
}

// A node's death and return must not leave garbage for each backend: nothing else
// is applied until all are looked at.
func TestANodeThatComesOrGoesAllocatesNothingPerBackend(t *testing.T) {
	const backends = 10_000
	s := voted(t, largeState(t, backends), 9)
	seq := uint64(0)
	allocations := testing.AllocsPerRun(4, func() {
		seq++
		node := Node{UID: "n4", Name: "n4", State: [...]NodeState{NodeAlive, NodeDead}[seq%2], FeatureLevel: FeatureLevel}
		next, results := Apply(s, []Command{{ID: CommandID{"b", seq}, Op: SetNode{node}}})
		if results[0].Err != nil || !results[0].Changed {
			t.Fatalf("%+v", results[0])
		}
		s = next
	})
	if allocations > backends/10 {
		t.Errorf("a node's death or return allocates %.0f times with %d backends", allocations, backends)
	}
}
