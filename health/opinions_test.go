package health

import (
	"testing"
	"testing/synctest"

	"evenkeel/fsm"
)

// Whoever asks about one backend waits for no copy of what is known of all.
func TestOpinionsAreThoseThatAreWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1"), newWorld(t)
		r.must(backends(0, 500)...)
		r.must(fsm.Put{Name: "other", Spec: putCheck(func(*fsm.Check) {}).Spec})
		put := putBackend("b1", "10.9.0.0:80", fsm.AdminReady)
		put.Pool = "other"
		r.must(put)
		o := observe(t, r, w)
		synctest.Wait()
		all := o.OpinionsOf("default", "")
		if len(all) != 500 || all[0].Name != "b0" || all[1].Name != "b1" || all[2].Name != "b10" {
			t.Fatalf("%d opinions, or not by name", len(all))
		}
		if of := o.OpinionsOf("other", ""); len(of) != 1 || of[0].Pool != "other" {
			t.Errorf("the other pool's are %v", of)
		}
		one := o.OpinionsOf("default", all[7].UID)
		if len(one) != 1 || one[0].Name != all[7].Name {
			t.Errorf("of one backend: %v", one)
		}
		if none := append(o.OpinionsOf("other", all[7].UID), o.OpinionsOf("ghost", "")...); len(none) != 0 {
			t.Errorf("of what is not there: %v", none)
		}
		if n := testing.AllocsPerRun(10, func() { o.OpinionsOf("default", all[7].UID) }); n > 1 {
			t.Errorf("one opinion takes %v allocations", n)
		}
	})
}
