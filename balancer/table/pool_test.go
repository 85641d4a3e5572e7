package table

import (
	"net/netip"
	"slices"
	"testing"
	"unsafe"

	"evenkeel/fsm"
)

func weight(w int) func(*fsm.BackendSpec) { return func(s *fsm.BackendSpec) { s.Weight = w } }
func tier(n int) func(*fsm.BackendSpec)   { return func(s *fsm.BackendSpec) { s.Tier = n } }
func admin(a fsm.AdminState) func(*fsm.BackendSpec) {
	return func(s *fsm.BackendSpec) { s.AdminState = a }
}

func TestEligibleBackends(t *testing.T) {
	for _, c := range []struct {
		name     string
		backends []fsm.Put
		votes    map[string]fsm.Health
		want     []string
	}{
		{"of unknown health are used", []fsm.Put{putBackend("p", "a", "10.0.0.1:1"), putBackend("p", "b", "10.0.0.2:1")},
			nil, []string{"a", "b"}},
		{"that are down are not used", []fsm.Put{putBackend("p", "a", "10.0.0.1:1"), putBackend("p", "b", "10.0.0.2:1")},
			map[string]fsm.Health{"a": fsm.HealthDown, "b": fsm.HealthUp}, []string{"b"}},
		{"that are drained take nothing new", []fsm.Put{putBackend("p", "a", "10.0.0.1:1", admin(fsm.AdminDrain)), putBackend("p", "b", "10.0.0.2:1")},
			nil, []string{"b"}},
		{"in maintenance take nothing", []fsm.Put{putBackend("p", "a", "10.0.0.1:1", admin(fsm.AdminMaint)), putBackend("p", "b", "10.0.0.2:1")},
			nil, []string{"b"}},
		{"of weight 0 take nothing", []fsm.Put{putBackend("p", "a", "10.0.0.1:1", weight(0)), putBackend("p", "b", "10.0.0.2:1")},
			nil, []string{"b"}},
		{"of the lowest tier are used alone", []fsm.Put{putBackend("p", "a", "10.0.0.1:1", tier(3)), putBackend("p", "b", "10.0.0.2:1", tier(1)), putBackend("p", "c", "10.0.0.3:1", tier(1))},
			nil, []string{"b", "c"}},
		{"of the next tier stand in when the lowest has none", []fsm.Put{putBackend("p", "a", "10.0.0.1:1"), putBackend("p", "b", "10.0.0.2:1", tier(1)), putBackend("p", "c", "10.0.0.3:1", tier(2))},
			map[string]fsm.Health{"a": fsm.HealthDown}, []string{"b"}},
		{"whose name never resolved are not used", []fsm.Put{putBackend("p", "a", "nowhere.example:1"), putBackend("p", "b", "10.0.0.2:1")},
			nil, []string{"b"}},
		{"of a tier that does not resolve give way to the next", []fsm.Put{putBackend("p", "a", "nowhere.example:1"), putBackend("p", "b", "10.0.0.2:1", tier(1))},
			nil, []string{"b"}},
		{"may be none", []fsm.Put{putBackend("p", "a", "10.0.0.1:1", weight(0))}, nil, nil},
		{"of an empty pool are none", nil, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRegistry(t)
			r.do(putPool("p"))
			for _, put := range c.backends {
				r.do(put)
			}
			for name, health := range c.votes {
				r.vote("p", name, health)
			}
			pool := NewBuilder(newAnswers(), Options{}).Update(r.State).PoolNamed("p")
			if got := picked(pool); !slices.Equal(got, c.want) {
				t.Fatalf("picks %v, want %v", got, c.want)
			}
			if pool.Eligible() != len(c.want) || len(pool.Backends()) != len(c.backends) {
				t.Fatalf("says %d of %d are eligible, want %d of %d", pool.Eligible(), len(pool.Backends()), len(c.want), len(c.backends))
			}
			for _, b := range pool.Backends() {
				if b.Eligible() != slices.Contains(c.want, b.Name) {
					t.Errorf("backend %q says eligible: %v", b.Name, b.Eligible())
				}
			}
		})
	}
}

func TestEachStrategyPicksEachBackendOnceWithRetries(t *testing.T) {
	for _, strategy := range []string{
		fsm.StrategyRoundRobin, fsm.StrategyWeightedRoundRobin, fsm.StrategyRandom,
		fsm.StrategyLeastConnections, fsm.StrategyPowerOfTwoChoices, fsm.StrategyPeakEWMA,
		fsm.StrategyMaglev, fsm.StrategyRingHash, fsm.StrategyRendezvous,
	} {
		t.Run(strategy, func(t *testing.T) {
			r := newRegistry(t)
			r.do(fsm.Put{Name: "p", Spec: fsm.PoolSpec{Strategy: strategy}},
				putBackend("p", "a", "10.0.0.1:1"), putBackend("p", "b", "10.0.0.2:1", weight(9)), putBackend("p", "c", "10.0.0.3:1"))
			pool := NewBuilder(newAnswers(), Options{}).Update(r.State).PoolNamed("p")
			if got := picked(pool); !slices.Equal(got, []string{"a", "b", "c"}) {
				t.Fatalf("picks %v", got)
			}
			if pool.Strategy() != strategy {
				t.Fatalf("says its strategy is %q", pool.Strategy())
			}
		})
	}
}

func TestLeastConnectionsReadsTheCounters(t *testing.T) {
	r := newRegistry(t)
	r.do(fsm.Put{Name: "p", Spec: fsm.PoolSpec{Strategy: fsm.StrategyLeastConnections}},
		putBackend("p", "a", "10.0.0.1:1"), putBackend("p", "b", "10.0.0.2:1"))
	pool := NewBuilder(newAnswers(), Options{}).Update(r.State).PoolNamed("p")
	pool.Backends()[0].Stats.Load.Add(0, 1)
	for range 20 {
		if b := pool.Pick(new(Choice)); b.Name != "b" {
			t.Fatal("took the busy one")
		}
	}
}

func TestEndpointsOfAHostNameTakeTurns(t *testing.T) {
	r := newRegistry(t)
	dns := newAnswers()
	dns.set("web.example", "10.0.0.1", "10.0.0.2", "2001:db8::1")
	r.do(putPool("p"), putBackend("p", "a", "web.example:9000"), putBackend("p", "b", "10.0.0.9:9000"))
	backends := NewBuilder(dns, Options{}).Update(r.State).PoolNamed("p").Backends()

	got := map[netip.AddrPort]int{}
	for range 30 {
		endpoint, ok := backends[0].Endpoint(0)
		if !ok {
			t.Fatal("the name is resolved and yet there is no endpoint")
		}
		got[endpoint]++
	}
	for _, want := range []string{"10.0.0.1:9000", "10.0.0.2:9000", "[2001:db8::1]:9000"} {
		if got[netip.MustParseAddrPort(want)] != 10 {
			t.Errorf("%s had %d of 30 turns, want 10", want, got[netip.MustParseAddrPort(want)])
		}
	}
	if endpoint, ok := backends[1].Endpoint(0); !ok || endpoint.String() != "10.0.0.9:9000" {
		t.Errorf("the backend with an address has endpoint %v, %v", endpoint, ok)
	}
}

func TestDataPathAllocatesNothing(t *testing.T) {
	r := withRules(t, rule{name: "a", host: "www.example.com", pathPrefix: "/api"}, rule{name: "b"},
		rule{name: "c", host: "*.example.com", listeners: []string{"web"}, path: "/api/users"})
	r.do(putPool("q"), putRoute("d", fsm.RouteSpec{
		Match: fsm.RouteMatch{Host: "two.example"}, Pools: []fsm.WeightedPool{{Name: "p", Weight: 1}, {Name: "q", Weight: 2}},
	}), putBackend("p", "a", "10.0.0.1:1"), putBackend("p", "b", "10.0.0.2:1"), putBackend("q", "a", "10.0.0.1:1"))
	table := NewBuilder(newAnswers(), Options{}).Update(r.State)
	longPath := "/api/a-path-that-is-longer-than-what-a-conversion-keeps-on-the-stack"
	choice, request := new(Choice), &Request{Listener: "web", Path: longPath}
	for _, host := range []string{"WWW.example.com:8080", "two.example", "[::1]:80"} {
		request.Host = host
		if n := testing.AllocsPerRun(1000, func() {
			table.Pool(table.Route(request)).Pick(choice).Endpoint(0)
		}); n != 0 {
			t.Errorf("a request for %q allocates %v times", host, n)
		}
	}
	pool, tried := table.PoolNamed("p"), new(Tried)
	again := &Choice{Tried: tried}
	if n := testing.AllocsPerRun(1000, func() {
		tried.Reset()
		tried.Add(pool.Pick(again))
		pool.Pick(again)
	}); n != 0 {
		t.Errorf("a retry allocates %v times", n)
	}
}

func TestResponsesAreCountedByClass(t *testing.T) {
	s := newStats(2)
	for _, status := range []int{200, 204, 404, 503, 101, 99, 600, -7} {
		s.Local(status & 1).CountResponse(status)
	}
	for class, want := range []uint64{3, 1, 2, 0, 1, 1} {
		if got := s.Responses(class); got != want {
			t.Errorf("class %d has %d, want %d", class, got, want)
		}
	}
}

func TestLocalCountersShareNoCacheLine(t *testing.T) {
	if size := unsafe.Sizeof(Local{}); size%64 != 0 {
		t.Fatalf("Local has %d bytes, want a multiple of the cache line, 64", size)
	}
}

// TestAPickerStaysAsLongAsWhatItWasMadeOf: an edit that leaves the choice alone
// neither begins the rotation anew nor computes a table again.
func TestAPickerStaysAsLongAsWhatItWasMadeOf(t *testing.T) {
	pool := func(change func(*fsm.PoolSpec)) fsm.Put {
		spec := fsm.PoolSpec{Strategy: fsm.StrategyMaglev}
		change(&spec)
		return fsm.Put{Name: "p", Spec: spec}
	}
	for name, c := range map[string]struct {
		change fsm.Operation
		stays  bool
	}{
		"other attempts":        {pool(func(s *fsm.PoolSpec) { s.Retries = &fsm.Retries{Attempts: 2} }), true},
		"another key to hash":   {pool(func(s *fsm.PoolSpec) { s.Hash = &fsm.HashSpec{On: fsm.HashPath} }), true},
		"a backend's address":   {putBackend("p", "b", "10.0.0.9:1"), true},
		"another strategy":      {pool(func(s *fsm.PoolSpec) { s.Strategy = fsm.StrategyRingHash }), false},
		"a bound of the loads":  {pool(func(s *fsm.PoolSpec) { s.Hash = &fsm.HashSpec{On: fsm.HashPath, BalanceFactor: 125} }), false},
		"another weight":        {putBackend("p", "b", "10.0.0.2:1", weight(2)), false},
		"one backend less":      {remove(fsm.KindBackend, "p", "a"), false},
		"one that is not ready": {putBackend("p", "a", "10.0.0.1:1", admin(fsm.AdminMaint)), false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t)
			r.do(pool(func(*fsm.PoolSpec) {}), putBackend("p", "a", "10.0.0.1:1"), putBackend("p", "b", "10.0.0.2:1"), putBackend("p", "c", "10.0.0.3:1"))
			builder := NewBuilder(newAnswers(), Options{})
			before := builder.Update(r.State).PoolNamed("p")
			r.do(c.change)
			after := builder.Update(r.State).PoolNamed("p")
			if before == after {
				t.Fatal("the pool is the same")
			}
			if stays := before.picker == after.picker; stays != c.stays {
				t.Errorf("the picker stays: %v, want %v", stays, c.stays)
			}
		})
	}
}
