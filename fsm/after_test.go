package fsm_test

import (
	"fmt"
	"slices"
	"testing"

	"evenkeel/fsm"
)

func TestObjectsAfterANameAreTheRestOfTheList(t *testing.T) {
	commands := []fsm.Command{{ID: fsm.CommandID{Origin: "n", Seq: 1}, Op: fsm.Init{ClusterID: "c", FeatureLevel: fsm.FeatureLevel, Objects: fsm.DefaultObjects()}}}
	put := func(pool, name string, spec fsm.Spec) {
		commands = append(commands, fsm.Command{
			ID: fsm.CommandID{Origin: "n", Seq: uint64(len(commands) + 1)}, Op: fsm.Put{Pool: pool, Name: name, Spec: spec},
		})
	}
	pools := []string{"a", "a-b", "ab", "b"}
	for _, pool := range pools {
		var spec fsm.PoolSpec
		spec.SetDefaults()
		put("", pool, spec)
		for _, name := range []string{"0", "a", "a-b", "ab", "z"} {
			var spec fsm.BackendSpec
			spec.SetDefaults()
			spec.Address = fmt.Sprintf("%s.%s:1", name, pool)
			put(pool, name, spec)
		}
	}
	s, results := fsm.Apply(fsm.New(), commands)
	for _, result := range results {
		if result.Err != nil {
			t.Fatal(result.Err)
		}
	}
	refs := func(behind fsm.Ref) []fsm.Ref {
		var all []fsm.Ref
		for o := range s.ObjectsAfter(behind) {
			all = append(all, o.Ref())
		}
		return all
	}
	for _, kind := range []fsm.Kind{fsm.KindListener, fsm.KindRoute, fsm.KindPool, fsm.KindBackend, fsm.KindToken, fsm.KindNode, "none"} {
		all := refs(fsm.Ref{Kind: kind})
		if kind != fsm.KindNode && len(all) != s.Count(kind) {
			t.Errorf("%s: %d objects of %d", kind, len(all), s.Count(kind))
		}
		for i, ref := range all {
			if rest := refs(ref); !slices.Equal(rest, all[i+1:]) {
				t.Errorf("behind %s: %v", ref, rest)
			}
			gone := ref
			gone.Name += "-"
			if rest := refs(gone); len(rest) > 0 && kind == fsm.KindPool && rest[0].Name == ref.Name {
				t.Errorf("behind %s: %v", gone, rest)
			}
		}
	}
	if got := refs(fsm.Ref{Kind: fsm.KindBackend, Pool: "a-b"}); len(got) == 0 || got[0] != (fsm.Ref{Kind: fsm.KindBackend, Pool: "a-b", Name: "0"}) {
		t.Errorf("the first of a pool is %v", got)
	}
}
