package httpapi

import (
	"fmt"
	"testing"

	"evenkeel/fsm"
)

// TestAPoolCostsNoMoreForWhatNodesSayOfOthers guards a read of all pools: once a
// node's answer is indexed, a pool costs what its own backends do.
func TestAPoolCostsNoMoreForWhatNodesSayOfOthers(t *testing.T) {
	spec := fsm.BackendSpec{Address: "h:1"}
	spec.SetDefaults()
	state, results := fsm.Apply(fsm.New(), []fsm.Command{
		{ID: fsm.CommandID{Origin: "n", Seq: 1}, Op: fsm.Init{ClusterID: "c", FeatureLevel: fsm.FeatureLevel, Objects: fsm.DefaultObjects()}},
		{ID: fsm.CommandID{Origin: "n", Seq: 2}, Op: fsm.Put{Pool: "default", Name: "b", Spec: spec}},
	})
	for _, result := range results {
		if result.Err != nil {
			t.Fatal(result.Err)
		}
	}
	allocated := func(entries int) float64 {
		var local LocalHealth
		for i := range entries {
			uid := fmt.Sprint("other", i)
			local.Vetoes = append(local.Vetoes, Veto{UID: uid, Health: fsm.HealthDown})
			local.Ejections = append(local.Ejections, Ejection{Pool: "other", UID: uid})
		}
		nodes := []nodeHealth{indexed(local)}
		return testing.AllocsPerRun(20, func() {
			newHealthReader(&viewer{}, &principal{}, state, state.Pool("default"), nodes).summary()
		})
	}
	if few, many := allocated(0), allocated(5000); many > few {
		t.Errorf("a pool takes %v allocations, and %v if a node said much of others", few, many)
	}
}
