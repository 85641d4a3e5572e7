package table

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"pgregory.net/rapid"

	"evenkeel/fsm"
)

func TestOneChangeCompilesOnePool(t *testing.T) {
	r := newRegistry(t)
	r.do(putPool("a"), putPool("b"), putBackend("a", "x", "10.0.0.1:1"), putBackend("b", "x", "10.0.0.1:1"))
	builder := NewBuilder(newAnswers(), Options{})
	table := builder.Update(r.State)
	for _, c := range []struct {
		name    string
		change  func()
		rebuilt []string
	}{
		{"a new backend compiles its pool", func() { r.do(putBackend("a", "y", "10.0.0.2:1")) }, []string{"a"}},
		{"a weight compiles its pool", func() { r.do(putBackend("b", "x", "10.0.0.1:1", weight(5))) }, []string{"b"}},
		{"a verdict compiles its pool", func() { r.vote("a", "x", fsm.HealthUp) }, []string{"a"}},
		{"a vote that leaves the verdict compiles nothing", func() { r.vote("a", "x", fsm.HealthUp) }, nil},
		{"labels of a backend compile nothing", func() {
			put := putBackend("a", "x", "10.0.0.1:1")
			put.Labels = map[string]string{"team": "red"}
			r.do(put)
		}, nil},
		{"a pool's check compiles nothing", func() {
			put := putPool("b")
			spec := put.Spec.(fsm.PoolSpec)
			check := *spec.Check
			check.Rise = 9
			spec.Check = &check
			put.Spec = spec
			r.do(put)
		}, nil},
		{"a pool's strategy compiles it", func() {
			r.do(fsm.Put{Name: "b", Spec: fsm.PoolSpec{Strategy: fsm.StrategyRandom}})
		}, []string{"b"}},
		{"a listener compiles nothing", func() { r.do(putListener("web", ":80")) }, nil},
		{"a route compiles no pool", func() { r.do(rule{name: "r"}.putTo("a")) }, nil},
		{"a deleted backend compiles its pool", func() { r.do(remove(fsm.KindBackend, "a", "y")) }, []string{"a"}},
	} {
		before := pools(table)
		c.change()
		table = builder.Update(r.State)
		var rebuilt []string
		for name, pool := range pools(table) {
			if before[name] != pool {
				rebuilt = append(rebuilt, name)
			}
		}
		if !slices.Equal(rebuilt, c.rebuilt) {
			t.Errorf("%s: compiled %v, want %v", c.name, rebuilt, c.rebuilt)
		}
		if table.State() != r.State {
			t.Errorf("%s: the table is not of the new state", c.name)
		}
	}
	if again := builder.Update(r.State); again != table {
		t.Error("the same state gave another table")
	}
}

func (r rule) putTo(pool string) fsm.Put {
	put := r.put()
	spec := put.Spec.(fsm.RouteSpec)
	spec.Pools = []fsm.WeightedPool{{Name: pool, Weight: 1}}
	put.Spec = spec
	return put
}

func pools(t *Table) map[string]*Pool {
	all := map[string]*Pool{}
	for p := range t.Pools() {
		all[p.Name] = p
	}
	return all
}

func TestCountersStayWithTheBackend(t *testing.T) {
	r := newRegistry(t)
	r.do(putPool("p"), putBackend("p", "a", "10.0.0.1:1"), putBackend("p", "b", "10.0.0.2:1"))
	builder := NewBuilder(newAnswers(), Options{})
	first := builder.Update(r.State).PoolNamed("p").Backends()[0]
	first.Stats.Local(0).Requests.Add(7)

	r.do(putBackend("p", "a", "10.0.0.1:1", weight(3), admin(fsm.AdminDrain)))
	if got := builder.Update(r.State).PoolNamed("p").Backends()[0]; got.Stats != first.Stats {
		t.Error("a changed backend got new counters")
	}
	r.do(fsm.Put{Name: "p", Spec: fsm.PoolSpec{Strategy: fsm.StrategyRandom}})
	if got := builder.Update(r.State).PoolNamed("p").Backends()[0]; got.Stats != first.Stats {
		t.Error("a backend of a changed pool got new counters")
	}
	r.do(remove(fsm.KindBackend, "p", "a"), putBackend("p", "a", "10.0.0.1:1", weight(3), admin(fsm.AdminDrain)))
	if got := builder.Update(r.State).PoolNamed("p").Backends()[0]; got.Stats == first.Stats || got.Stats.Requests() != 0 {
		t.Error("a later registration of the same name got the counters of the deleted one")
	}
}

func TestCountersOutliveAFullRebuild(t *testing.T) {
	r := newRegistry(t)
	r.do(putPool("p"), putPool("gone"), putBackend("p", "a", "10.0.0.1:1"), rule{name: "old"}.put())
	builder := NewBuilder(newAnswers(), Options{})
	stats := builder.Update(r.State).PoolNamed("p").Backends()[0].Stats

	r.do(remove(fsm.KindPool, "", "gone"), remove(fsm.KindRoute, "", "old"), rule{name: "new"}.put())
	for i := range 5000 { // more than the state remembers
		r.do(putBackend("p", "b", "10.0.0.2:1", weight(1+i%2)))
	}
	if _, known := r.ChangedSince(builder.last.state.Version()); known {
		t.Fatal("the state still knows what changed: the test tests nothing")
	}
	table := builder.Update(r.State)
	if got := picked(table.PoolNamed("p")); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("picks %v", got)
	}
	if table.PoolNamed("p").Backends()[0].Stats != stats {
		t.Error("the counters were lost")
	}
	if table.PoolNamed("gone") != nil || nameOf(table.Route(&Request{Listener: "", Host: "", Path: "/"})) != "new" {
		t.Error("the deleted pool or route is still there")
	}
}

func TestAnotherClustersStateReplacesEverything(t *testing.T) {
	r := newRegistry(t)
	r.do(putPool("p"), putBackend("p", "a", "10.0.0.1:1"))
	builder := NewBuilder(newAnswers(), Options{})
	builder.Update(r.State)

	other := &registry{State: fsm.New(), t: t}
	other.do(fsm.Init{ClusterID: "other", FeatureLevel: fsm.FeatureLevel, Objects: []fsm.Put{putPool("q")}},
		putPool("q2"), putBackend("q", "z", "10.0.0.1:1"), putBackend("q", "y", "10.0.0.2:1"))
	table := builder.Update(other.State)
	if got := slices.Sorted(maps.Keys(pools(table))); !slices.Equal(got, []string{"q", "q2"}) {
		t.Fatalf("has pools %v", got)
	}
}

func TestCountersOfDeletedBackendsAreReleased(t *testing.T) {
	r := newRegistry(t)
	r.do(putPool("p"), putBackend("p", "a", "10.0.0.1:1"), putBackend("p", "b", "10.0.0.2:1"))
	builder := NewBuilder(newAnswers(), Options{})
	inUse := builder.Update(r.State)
	stats := weak.Make(inUse.PoolNamed("p").Backends()[0].Stats)
	r.do(remove(fsm.KindBackend, "p", "a"))
	next := builder.Update(r.State)
	runtime.GC()
	if stats.Value() == nil {
		t.Fatal("released while a table in use knows the backend")
	}
	runtime.KeepAlive(inUse)
	for deadline := time.Now().Add(10 * time.Second); stats.Value() != nil; runtime.GC() {
		if time.Now().After(deadline) {
			t.Fatal("never released")
		}
	}
	runtime.KeepAlive(next)
	runtime.KeepAlive(builder)
}

func TestNewsOfAHostNameReachThePoolsThatUseIt(t *testing.T) {
	r := newRegistry(t)
	dns := newAnswers()
	builder := NewBuilder(dns, Options{})
	r.do(putPool("p"), putPool("q"), putBackend("p", "a", "Web.Example:1"), putBackend("p", "b", "10.0.0.2:1"), putBackend("q", "b", "10.0.0.2:1"))
	table := builder.Update(r.State)
	if got := picked(table.PoolNamed("p")); !slices.Equal(got, []string{"b"}) {
		t.Fatalf("before the name resolved it picks %v", got)
	}
	if _, ok := table.PoolNamed("p").Backends()[0].Endpoint(0); ok {
		t.Fatal("a name that never resolved has an endpoint")
	}

	dns.set("web.example", "10.0.0.1")
	next := builder.Update(r.State)
	if got := picked(next.PoolNamed("p")); !slices.Equal(got, []string{"a", "b"}) {
		t.Fatalf("after the name resolved it picks %v", got)
	}
	if next.PoolNamed("q") != table.PoolNamed("q") {
		t.Error("a pool that does not use the name was compiled too")
	}
	if again := builder.Update(r.State); again != next {
		t.Error("without news there is another table")
	}

	dns.set("web.example", "10.0.0.7", "10.0.0.8")
	if got := builder.Update(r.State).PoolNamed("p").Backends()[0].Endpoints(); len(got) != 2 || got[0].String() != "10.0.0.7:1" {
		t.Fatalf("after the name moved its endpoints are %v", got)
	}
}

func TestHostNamesNobodyUsesAreForgotten(t *testing.T) {
	r := newRegistry(t)
	dns := newAnswers()
	builder := NewBuilder(dns, Options{})
	update := func(want ...string) {
		t.Helper()
		builder.Update(r.State)
		if got := slices.Sorted(maps.Keys(dns.asked)); !slices.Equal(got, want) {
			t.Fatalf("the resolver is asked for %v, want %v", got, want)
		}
	}
	r.do(putPool("p"), putPool("q"), putBackend("p", "a", "one.example:1"), putBackend("p", "b", "one.example:2"), putBackend("q", "a", "one.example:1"))
	update("one.example")
	r.do(remove(fsm.KindBackend, "p", "a"))
	update("one.example")
	r.do(putBackend("p", "b", "two.example:2"))
	update("one.example", "two.example")
	r.do(remove(fsm.KindBackend, "q", "a"), remove(fsm.KindPool, "", "q"))
	update("two.example")
	r.do(remove(fsm.KindBackend, "p", "b"))
	update()
}

// Whatever the order of changes and of updates, the table made step by step is
// the table made at once, and what is in a table that requests still use stays
// as it was.
func TestStepByStepIsTheSameAsAtOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRegistry(t)
		names := newAnswers()
		names.set("some.example", "10.1.0.1", "10.1.0.2")
		options := Options{Zone: "here"}
		builder := NewBuilder(names, options)
		last := builder.Update(r.State)
		was := describe(last)
		pool := rapid.SampledFrom([]string{"p", "p-0", "p1"})
		name := rapid.SampledFrom([]string{"a", "a-b", "a1", "b"}) // some begin others
		rt.Repeat(map[string]func(*rapid.T){
			"put pool": func(rt *rapid.T) {
				strategy := rapid.SampledFrom([]string{fsm.StrategyRandom, fsm.StrategyRoundRobin}).Draw(rt, "strategy")
				r.tryDo(fsm.Put{Name: pool.Draw(rt, "pool"), Spec: fsm.PoolSpec{Strategy: strategy, PreferZone: rapid.Bool().Draw(rt, "prefer zone")}})
			},
			"delete pool": func(rt *rapid.T) { r.tryDo(remove(fsm.KindPool, "", pool.Draw(rt, "pool"))) },
			"put backend": func(rt *rapid.T) {
				host := rapid.SampledFrom([]string{"10.0.0.1", "10.0.0.2", "some.example"}).Draw(rt, "host")
				zone := rapid.SampledFrom([]string{"here", "there"}).Draw(rt, "zone")
				r.tryDo(putBackend(pool.Draw(rt, "pool"), name.Draw(rt, "name"), host+":80",
					weight(rapid.IntRange(0, 2).Draw(rt, "weight")), tier(rapid.IntRange(0, 1).Draw(rt, "tier")),
					func(s *fsm.BackendSpec) { s.Zone = zone }))
			},
			"delete backend": func(rt *rapid.T) {
				r.tryDo(remove(fsm.KindBackend, pool.Draw(rt, "pool"), name.Draw(rt, "name")))
			},
			"vote": func(rt *rapid.T) {
				p, n := pool.Draw(rt, "pool"), name.Draw(rt, "name")
				if r.Backend(p, n) != nil {
					r.vote(p, n, rapid.SampledFrom([]fsm.Health{fsm.HealthUp, fsm.HealthDown}).Draw(rt, "health"))
				}
			},
			"resolve": func(rt *rapid.T) {
				names.set("some.example", fmt.Sprintf("10.1.0.%d", rapid.IntRange(1, 9).Draw(rt, "address")))
			},
			"update": func(rt *rapid.T) {
				next := builder.Update(r.State)
				if got, want := describe(next), describe(NewBuilder(names, options).Update(r.State)); !slices.Equal(got, want) {
					rt.Fatalf("step by step:\n%v\nat once:\n%v", got, want)
				}
				if now := describe(last); !slices.Equal(now, was) {
					rt.Fatalf("the table before is now:\n%v\nand was:\n%v", now, was)
				}
				sameCounters(rt, last, next)
				last, was = next, describe(next)
			},
		})
	})
}

// sameCounters fails unless each backend that is in both tables has its
// counters from the first.
func sameCounters(rt *rapid.T, before, after *Table) {
	counters := map[string]*Stats{}
	for p := range before.Pools() {
		for _, b := range p.Backends() {
			counters[b.UID] = b.Stats
		}
	}
	for p := range after.Pools() {
		for _, b := range p.Backends() {
			if stats := counters[b.UID]; stats != nil && stats != b.Stats {
				rt.Fatalf("backend %s/%s lost its counters", b.Pool, b.Name)
			}
		}
	}
}

func describe(t *Table) []string {
	var lines []string
	for p := range t.Pools() {
		lines = append(lines, fmt.Sprintf("pool %s %s %v", p.Name, p.Strategy(), picked(p)))
		for _, b := range p.Backends() {
			lines = append(lines, fmt.Sprintf("backend %s/%s %s %v %v %v %v", b.Pool, b.Name, b.UID, b.Endpoints(), b.Weight(), b.Health(), b.place))
		}
		for place, b := range p.choices {
			lines = append(lines, fmt.Sprintf("place %d: %s, near %d", place, b.Name, p.near))
		}
	}
	return lines
}

func TestRequestsGoOnWhileTablesAreReplaced(t *testing.T) {
	r := newRegistry(t)
	r.do(putPool("p"), rule{name: "r", host: "*.example.com"}.put())
	for i := range 10 {
		r.do(putBackend("p", fmt.Sprintf("b%d", i), fmt.Sprintf("10.0.0.%d:1", i+1)))
	}
	builder := NewBuilder(newAnswers(), Options{})
	var current atomic.Pointer[Table]
	current.Store(builder.Update(r.State))
	done := make(chan struct{})
	var requests sync.WaitGroup
	for range 4 {
		requests.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				table := current.Load()
				pool := table.Pool(table.Route(&Request{Listener: "web", Host: "www.example.com", Path: "/"}))
				b := pool.Pick(new(Choice))
				b.Stats.Load.Add(0, 1)
				var tried Tried
				tried.Add(b)
				if other := pool.Pick(&Choice{Tried: &tried}); other == nil || other == b {
					t.Error("a retry found no other backend")
				}
				b.Stats.Load.Add(0, -1)
			}
		})
	}
	for i := range 300 {
		r.do(putBackend("p", fmt.Sprintf("b%d", i%10), fmt.Sprintf("10.0.0.%d:1", i%10+1), weight(1+i%3)))
		current.Store(builder.Update(r.State))
	}
	close(done)
	requests.Wait()
	for _, b := range current.Load().PoolNamed("p").Backends() {
		if n := b.Stats.InFlight(); n != 0 {
			t.Errorf("backend %q has %d in flight after the last request", b.Name, n)
		}
	}
}
