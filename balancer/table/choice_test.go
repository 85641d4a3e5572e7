package table

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"evenkeel/balancer/picker"
	"evenkeel/fsm"
)

// hashPool is a pool of 20 backends by that strategy and hash.
func hashPool(t testing.TB, strategy string, hash *fsm.HashSpec) *Pool {
	t.Helper()
	r := newRegistry(t)
	r.do(fsm.Put{Name: "p", Spec: fsm.PoolSpec{Strategy: strategy, Hash: hash}})
	for i := range 20 {
		r.do(putBackend("p", fmt.Sprint("b", i), fmt.Sprintf("10.0.0.%d:1", i+1)))
	}
	return build(r, Options{})
}

// A request is hashed by what the pool says, and by nothing else of it; without
// that by the client's address.
func TestWhatARequestIsHashedBy(t *testing.T) {
	source := netip.MustParseAddr("192.0.2.7")
	byText := picker.HashString
	address := source.As16()
	bySource := picker.HashBytes(address[:])
	for _, c := range []struct {
		name string
		hash *fsm.HashSpec
		q    Choice
		want uint64
	}{
		{"by the address when nothing is said", nil, Choice{Path: "/x"}, bySource},
		{"by the address", &fsm.HashSpec{On: fsm.HashSource}, Choice{Path: "/x"}, bySource},
		{"by an IPv4 address in IPv6 as by itself", nil, Choice{Client: netip.MustParseAddr("::ffff:192.0.2.7")}, bySource},
		{"by the path", &fsm.HashSpec{On: fsm.HashPath}, Choice{Path: "/x", Query: "y"}, byText("/x")},
		{"by the first field of a name", &fsm.HashSpec{On: fsm.HashHeader, Name: "X-User"},
			Choice{Fields: fields{"X-User": {"ann", "bob"}}}, byText("ann")},
		{"by the address without the field", &fsm.HashSpec{On: fsm.HashHeader, Name: "X-User"}, Choice{Fields: fields{}}, bySource},
		{"by the address without any fields", &fsm.HashSpec{On: fsm.HashHeader, Name: "X-User"}, Choice{}, bySource},
		{"by the first cookie of a name", &fsm.HashSpec{On: fsm.HashCookie, Name: "id"},
			Choice{Fields: cookies("a=b; xid=3", "id=7; id=8")}, byText("7")},
		{"by a cookie in quotes as without", &fsm.HashSpec{On: fsm.HashCookie, Name: "id"}, Choice{Fields: cookies(`id="7"`)}, byText("7")},
		{"by the address without the cookie", &fsm.HashSpec{On: fsm.HashCookie, Name: "id"}, Choice{Fields: cookies("ID=7; id")}, bySource},
		{"by the first parameter of a name", &fsm.HashSpec{On: fsm.HashQuery, Name: "u"}, Choice{Query: "a=1&u=x&u=y"}, byText("x")},
		{"by a parameter without a value", &fsm.HashSpec{On: fsm.HashQuery, Name: "u"}, Choice{Query: "&u"}, byText("")},
		{"by an escaped parameter as by a plain one", &fsm.HashSpec{On: fsm.HashQuery, Name: "u v"}, Choice{Query: "u+%76=a%20b+c%2"}, byText("a b c%2")},
		{"by the address without the parameter", &fsm.HashSpec{On: fsm.HashQuery, Name: "u"}, Choice{Query: "U=1&&uu=2"}, bySource},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, q := hashPool(t, fsm.StrategyMaglev, c.hash), c.q
			if !q.Client.IsValid() {
				q.Client = source
			}
			b := p.Pick(&q)
			if q.Key != c.want || !q.Keyed {
				t.Fatalf("the key is %#x, want %#x", q.Key, c.want)
			}
			if again := p.Pick(&Choice{Key: c.want, Keyed: true}); again != b {
				t.Fatalf("with the key alone it chooses %q, with the request %q", again.Name, b.Name)
			}
		})
	}
}

func TestAllNodesSendAKeyToTheSameBackend(t *testing.T) {
	for _, strategy := range []string{fsm.StrategyMaglev, fsm.StrategyRingHash, fsm.StrategyRendezvous} {
		t.Run(strategy, func(t *testing.T) {
			one, other := hashPool(t, strategy, nil), hashPool(t, strategy, nil)
			chosen := map[string]bool{}
			for i := range 500 {
				client := netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)})
				a, b := one.Pick(&Choice{Client: client}), other.Pick(&Choice{Client: client, Loop: 3})
				if a.Name != b.Name {
					t.Fatalf("client %v is sent to %q and %q", client, a.Name, b.Name)
				}
				chosen[a.Name] = true
			}
			if len(chosen) != 20 {
				t.Fatalf("500 clients are sent to %d of 20 backends", len(chosen))
			}
		})
	}
}

func TestABoundedPoolReadsLoads(t *testing.T) {
	for name, c := range map[string]struct {
		p    *Pool
		want bool
	}{
		"a hash":         {hashPool(t, fsm.StrategyMaglev, nil), false},
		"a bounded hash": {hashPool(t, fsm.StrategyMaglev, &fsm.HashSpec{On: fsm.HashSource, BalanceFactor: 125}), true},
		"peak EWMA":      {hashPool(t, fsm.StrategyPeakEWMA, nil), true},
		"round robin":    {hashPool(t, fsm.StrategyRoundRobin, nil), false},
	} {
		if c.p.ReadsLoads() != c.want {
			t.Errorf("%s says that it reads loads: %v", name, !c.want)
		}
	}
	p := hashPool(t, fsm.StrategyRendezvous, &fsm.HashSpec{On: fsm.HashSource, BalanceFactor: 101})
	for range 40 {
		if b := p.Pick(new(Choice)); b.Stats.Load.Add(0, 1) > 3 {
			t.Fatalf("one client put %d of 40 requests on %q", b.Stats.InFlight(), b.Name)
		}
	}
}

func TestHashedPicksAllocateNothing(t *testing.T) {
	for _, hash := range []fsm.HashSpec{
		{On: fsm.HashSource}, {On: fsm.HashPath}, {On: fsm.HashQuery, Name: "u"}, {On: fsm.HashCookie, Name: "id"},
		{On: fsm.HashHeader, Name: "X-User"}, {On: fsm.HashPath, BalanceFactor: 110},
	} {
		p, q := hashPool(t, fsm.StrategyRingHash, &hash), new(Choice)
		request := Choice{Path: "/x", Query: "a=b&u=%20", Fields: fields{"Cookie": {"id=7"}, "X-User": {"ann"}}}
		if n := testing.AllocsPerRun(1000, func() { *q = request; p.Pick(q) }); n != 0 {
			t.Errorf("a pick by %+v allocates %v times", hash, n)
		}
	}
}

func zone(z string) func(*fsm.BackendSpec) { return func(s *fsm.BackendSpec) { s.Zone = z } }

func TestZonesArePreferredWithinTheTier(t *testing.T) {
	backends := []fsm.Put{
		putBackend("p", "a", "10.0.0.1:1", zone("east")), putBackend("p", "b", "10.0.0.2:1", zone("west")),
		putBackend("p", "c", "10.0.0.3:1"), putBackend("p", "d", "10.0.0.4:1", zone("north"), tier(1)),
		putBackend("p", "e", "10.0.0.5:1", zone("east")),
	}
	for _, c := range []struct {
		name   string
		prefer bool
		zone   string
		down   []string
		want   string // of first attempts
		all    string // with retries
	}{
		{"the own zone alone", true, "east", nil, "[a e]", "[a b c e]"},
		{"the rest of it when one is down", true, "east", []string{"a"}, "[e]", "[b c e]"},
		{"all others of the tier when all of it are down", true, "east", []string{"a", "e"}, "[b c]", "[b c]"},
		{"all of the tier for a node of a zone without any", true, "south", nil, "[a b c e]", "[a b c e]"},
		{"a lower tier before the own zone", true, "north", nil, "[a b c e]", "[a b c e]"},
		{"the own zone of the next tier when the lower has none", true, "north", []string{"a", "b", "c", "e"}, "[d]", "[d]"},
		{"all for a node that knows no zone", true, "", nil, "[a b c e]", "[a b c e]"},
		{"all where zones do not matter", false, "east", nil, "[a b c e]", "[a b c e]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRegistry(t)
			spec := putPool("p").Spec.(fsm.PoolSpec)
			spec.PreferZone = c.prefer
			r.do(fsm.Put{Name: "p", Spec: spec})
			for _, put := range backends {
				r.do(put)
			}
			for _, name := range c.down {
				r.vote("p", name, fsm.HealthDown)
			}
			p := build(r, Options{Zone: c.zone})
			first := map[string]bool{}
			for range 50 {
				first[p.Pick(new(Choice)).Name] = true
			}
			if got := fmt.Sprint(slices.Sorted(maps.Keys(first))); got != c.want {
				t.Fatalf("first attempts go to %s, want %s", got, c.want)
			}
			if got := fmt.Sprint(picked(p)); got != c.all {
				t.Fatalf("with retries they go to %s, want %s", got, c.all)
			}
		})
	}
}

// A retry leaves the zone only when all of it was tried in vain.
func TestARetryStaysInTheZoneAsLongAsItCan(t *testing.T) {
	r := newRegistry(t)
	spec := putPool("p").Spec.(fsm.PoolSpec)
	spec.PreferZone = true
	r.do(fsm.Put{Name: "p", Spec: spec}, putBackend("p", "a", "10.0.0.1:1", zone("west")),
		putBackend("p", "b", "10.0.0.2:1", zone("east")), putBackend("p", "c", "10.0.0.3:1", zone("east")))
	p, tried := build(r, Options{Zone: "east"}), new(Tried)
	var zones []string
	for b := p.Pick(&Choice{Tried: tried}); b != nil; b = p.Pick(&Choice{Tried: tried}) {
		zones = append(zones, b.spec().Zone)
		tried.Add(b)
	}
	if got := fmt.Sprint(zones); got != "[east east west]" {
		t.Fatalf("tried zones %s", got)
	}
}

// Loops go on observing by the old table while a pool's new strategy makes its
// backends learn; what they count stays.
func TestAPoolMayBeToldToReadLatenciesWhileLoopsServe(t *testing.T) {
	r := newRegistry(t)
	r.do(putPool("p"), putBackend("p", "a", "10.0.0.1:1"))
	builder := NewBuilder(newAnswers(), Options{Loops: 2})
	stats := builder.Update(r.State).PoolNamed("p").Backends()[0].Stats
	var loop sync.WaitGroup
	stop := make(chan struct{})
	loop.Go(func() {
		for now := int64(0); ; now++ {
			select {
			case <-stop:
				return
			default:
				stats.Latency.Observe(1, 1000, now)
			}
		}
	})
	r.do(fsm.Put{Name: "p", Spec: fsm.PoolSpec{Strategy: fsm.StrategyPeakEWMA}})
	pool := builder.Update(r.State).PoolNamed("p")
	close(stop)
	loop.Wait()
	if pool.Backends()[0].Stats != stats {
		t.Fatal("the counters are others")
	}
	stats.Latency.Observe(1, 1000, 1<<40)
	if stats.Latency.At(1, 1<<40) == 0 {
		t.Fatal("it learns nothing")
	}
}

func BenchmarkHashedPick(b *testing.B) {
	for _, strategy := range []string{fsm.StrategyMaglev, fsm.StrategyRingHash, fsm.StrategyRendezvous} {
		b.Run(strategy, func(b *testing.B) {
			p, q := hashPool(b, strategy, &fsm.HashSpec{On: fsm.HashPath}), new(Choice)
			b.ReportAllocs()
			for b.Loop() {
				q.Path, q.Keyed = "/a/path/of/some/length", false
				p.Pick(q)
			}
		})
	}
}
