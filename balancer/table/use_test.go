package table

import (
	"fmt"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"evenkeel/fsm"
)

// Whatever a registry and this node's own word hold: the backends that are said
// to be used are those that requests go to.
func TestWhoIsSaidToBeUsedIsWhoIsPicked(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		some := func(name string, of int) bool { return rapid.IntRange(1, of).Draw(rt, name) == 1 }
		spec := fsm.PoolSpec{PreferZone: some("zones", 2), PanicPercent: rapid.SampledFrom([]int{0, 0, 40, 100}).Draw(rt, "panic")}
		r, _, clock := ejectingPool(t, spec)
		names := newAnswers()
		names.byHost["known.example"] = []netip.Addr{netip.MustParseAddr("10.0.0.9")}
		builder := NewBuilder(names, Options{Ejects: true, Zone: "here", Now: clock.read})
		words := map[string]fsm.Health{}
		for i := range rapid.IntRange(1, 6).Draw(rt, "backends") {
			name := fmt.Sprint("b", i)
			address := rapid.SampledFrom([]string{fmt.Sprintf("10.0.0.1:%d", i+1), fmt.Sprintf("known.example:%d", i+1), fmt.Sprintf("unknown.example:%d", i+1)}).Draw(rt, "address")
			r.do(putBackend("p", name, address, func(s *fsm.BackendSpec) {
				s.Weight = rapid.IntRange(0, 3).Draw(rt, "weight")
				s.Tier = rapid.IntRange(0, 1).Draw(rt, "tier")
				s.Zone = rapid.SampledFrom([]string{"", "here", "there"}).Draw(rt, "zone")
				s.AdminState = rapid.SampledFrom([]fsm.AdminState{fsm.AdminReady, fsm.AdminReady, fsm.AdminReady, fsm.AdminDrain, fsm.AdminMaint}).Draw(rt, "admin")
			}))
			r.set("p", name, func(s *fsm.BackendStatus) {
				s.Health = rapid.SampledFrom([]fsm.Health{fsm.HealthUnknown, fsm.HealthUp, fsm.HealthUp, fsm.HealthDown}).Draw(rt, "health")
				s.Held = some("held", 6)
				s.Reduction = rapid.SampledFrom([]int{0, 0, 50, 100}).Draw(rt, "reduction")
				if some("override", 5) {
					s.Override = &fsm.Override{Health: rapid.SampledFrom([]fsm.Health{fsm.HealthUp, fsm.HealthDown}).Draw(rt, "says")}
				}
			})
			if some("word", 4) {
				words[r.Backend("p", name).Meta.UID] = rapid.SampledFrom([]fsm.Health{fsm.HealthUp, fsm.HealthDown}).Draw(rt, "word")
			}
		}
		builder.SetLocal(words)
		pool := builder.Update(r.State).PoolNamed("p")
		for _, b := range pool.Backends() {
			if some("fails", 4) {
				pool.Eject(b)
			}
		}
		if some("again", 2) { // else the table is from before the ejections
			builder.Recompile("p")
			pool = builder.Update(r.State).PoolNamed("p")
		}
		picked := map[string]bool{}
		for range 60 {
			if b := pool.Pick(&Choice{}); b != nil {
				picked[b.Name] = true
			}
		}
		for _, b := range pool.Backends() {
			use := pool.Use(b)
			if said := use == Used || use == UsePanic; said != picked[b.Name] {
				rt.Fatalf("%s is said to be %s, and is picked: %v", b.Name, use, picked[b.Name])
			}
		}
	})
}
