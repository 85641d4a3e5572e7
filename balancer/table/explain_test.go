package table

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"evenkeel/fsm"
)

// TestExplainAgreesWithRouting holds the search of any request in any registry
// against the route that the request takes, and each miss against the reference.
func TestExplainAgreesWithRouting(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rules := rapid.SliceOfN(rapid.Custom(drawRule), 0, 12).Draw(rt, "rules")
		r := newRegistry(t)
		r.do(putListener("web", ":80"), putListener("api", ":81"), putPool("p"))
		for _, rule := range rules {
			r.tryDo(rule.putTo("p"))
		}
		table := NewBuilder(newAnswers(), Options{}).Update(r.State)
		for range 5 {
			q := drawRequest(rt)
			taken, search := table.Explain(q)
			if want := table.Route(q); taken != want {
				rt.Fatalf("%+v: explained as %s, takes %s", q, nameOf(taken), nameOf(want))
			}
			checkSearch(rt, r.State, q, taken, search)
		}
	})
}

func checkSearch(rt *rapid.T, s *fsm.State, q *Request, taken *Route, search Search) {
	rt.Helper()
	all := 0
	for range s.Routes() {
		all++
	}
	if got := len(search.Considered) + search.Behind; got != all || len(search.LeftOff) > 0 {
		rt.Fatalf("%+v: %d routes are told of, there are %d", q, got, all)
	}
	for i, c := range search.Considered {
		last := taken != nil && i == len(search.Considered)-1
		if c.Taken != last || c.Taken != (c.Missed == "") || c.Taken != (c.Why == "") || last && c.Route != taken.Name {
			rt.Fatalf("%+v: considered %+v, taken is %s", q, c, nameOf(taken))
		}
		object := s.Route(c.Route)
		_, host := referenceHost(object.Spec.Match.Host, q.Host)
		_, path := referencePath(object.Spec.Match, q.Path)
		_, rest := referenceConditions(object.Spec.Match, q)
		ours := len(object.Spec.Listeners) == 0 || slices.Contains(object.Spec.Listeners, q.Listener)
		var want []string
		switch {
		case !ours:
			want = []string{MissListener}
		case !host:
			want = []string{MissHost}
		case !path:
			want = []string{MissPath}
		case !rest:
			want = []string{MissMethod, MissHeader, MissQuery}
		default:
			want = []string{""}
		}
		if !slices.Contains(want, c.Missed) {
			rt.Fatalf("%+v: of %s it is said that it missed %q (%s), want one of %q", q, c.Route, c.Missed, c.Why, want)
		}
	}
}

func TestTheRoutesThatCameClosestAreListedOfMany(t *testing.T) {
	r := newRegistry(t)
	r.do(putListener("web", ":80"), putListener("api", ":81"), putPool("p"))
	for i := range 300 {
		spec := fsm.RouteSpec{Pools: []fsm.WeightedPool{{Name: "p", Weight: 1}}, Match: fsm.RouteMatch{Host: fmt.Sprintf("h%d.test", i)}}
		switch {
		case i < 30:
			spec.Match = fsm.RouteMatch{Host: "here.test", Path: fmt.Sprintf("/%d", i)}
		case i < 40:
			spec.Match = fsm.RouteMatch{Host: "here.test", PathPrefix: "/", Methods: []string{fmt.Sprintf("M%d", i)}}
		case i < 50:
			spec.Listeners = []string{"api"}
		}
		r.do(putRoute(fmt.Sprintf("r%03d", i), spec))
	}
	table := NewBuilder(newAnswers(), Options{}).Update(r.State)
	taken, search := table.Explain(&Request{Listener: "web", Host: "here.test", Path: "/x", Method: "GET"})
	if taken != nil || len(search.Considered) != maxConsidered || search.LeftOff[MissHost] != 190 || search.LeftOff[MissListener] != 10 {
		t.Fatalf("taken %v, %d listed, left off %v", taken, len(search.Considered), search.LeftOff)
	}
	counts := map[string]int{}
	for _, c := range search.Considered {
		counts[c.Missed]++
	}
	if counts[MissPath] != 30 || counts[MissMethod] != 10 || counts[MissHost] != 60 {
		t.Errorf("listed are %v", counts)
	}
}

func TestMissesAreSaid(t *testing.T) {
	for name, test := range map[string]struct {
		match fsm.RouteMatch
		miss  string
		says  string
	}{
		"a host":                  {fsm.RouteMatch{Host: "*.b"}, MissHost, `the host "a.test" is not *.b`},
		"a path":                  {fsm.RouteMatch{Path: "/x"}, MissPath, `the path "/cart" is not /x`},
		"a prefix":                {fsm.RouteMatch{PathPrefix: "/ca"}, MissPath, "not below /ca"},
		"an expression":           {fsm.RouteMatch{PathRegexp: "/ca"}, MissPath, "not all matched by /ca"},
		"a method":                {fsm.RouteMatch{Methods: []string{"PUT", "POST"}}, MissMethod, "GET is none of PUT, POST"},
		"a field":                 {fsm.RouteMatch{Headers: []fsm.ValueMatch{{Name: "A"}, {Name: "X-B", Value: "1"}}}, MissHeader, `X-B there has to be one that is "1"`},
		"a field that is to lack": {fsm.RouteMatch{Headers: []fsm.ValueMatch{{Name: "A", Absent: true}}}, MissHeader, "A there has to be nothing"},
		"a parameter":             {fsm.RouteMatch{Query: []fsm.ValueMatch{{Name: "q", Regexp: "z+"}}}, MissQuery, "q there has to be one that is all matched by z+"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t)
			r.do(putListener("web", ":80"), putPool("p"), putRoute("r", fsm.RouteSpec{Match: test.match, Pools: []fsm.WeightedPool{{Name: "p", Weight: 1}}}))
			table := NewBuilder(newAnswers(), Options{}).Update(r.State)
			_, search := table.Explain(&Request{Listener: "web", Host: "A.test:80", Path: "/cart", Method: "GET", Query: "q=x", Fields: headers{"A": {"1"}}})
			if c := search.Considered[0]; c.Missed != test.miss || !strings.Contains(c.Why, test.says) {
				t.Errorf("missed %q: %s", c.Missed, c.Why)
			}
		})
	}
}

var someStrategy = rapid.SampledFrom([]string{
	fsm.StrategyRoundRobin, fsm.StrategyWeightedRoundRobin, fsm.StrategyRandom, fsm.StrategyLeastConnections,
	fsm.StrategyPowerOfTwoChoices, fsm.StrategyPeakEWMA, fsm.StrategyMaglev, fsm.StrategyRingHash, fsm.StrategyRendezvous,
})

func isHashing(strategy string) bool {
	return strategy == fsm.StrategyMaglev || strategy == fsm.StrategyRingHash || strategy == fsm.StrategyRendezvous
}

// drawPool returns a builder and a registry with any pool p of up to six backends
// in any state.
func drawPool(t *testing.T, rt *rapid.T) (*registry, *Builder) {
	r := newRegistry(t)
	spec := putPool("p").Spec.(fsm.PoolSpec)
	spec.Strategy = someStrategy.Draw(rt, "strategy")
	spec.PreferZone = rapid.Bool().Draw(rt, "zones")
	spec.PanicPercent = rapid.SampledFrom([]int{0, 0, 50}).Draw(rt, "panic")
	if isHashing(spec.Strategy) {
		spec.Hash = &fsm.HashSpec{On: fsm.HashHeader, Name: "A", BalanceFactor: rapid.SampledFrom([]int{0, 0, 125}).Draw(rt, "factor")}
	}
	if rapid.Bool().Draw(rt, "sticky") {
		spec.Sticky = &fsm.Sticky{Cookie: "c"}
	}
	r.do(fsm.Put{Name: "p", Spec: spec})
	for i := range rapid.IntRange(0, 6).Draw(rt, "backends") {
		name := fmt.Sprintf("b%d", i)
		r.do(putBackend("p", name, fmt.Sprintf("10.0.0.%d:80", i+1), func(s *fsm.BackendSpec) {
			s.Weight = rapid.SampledFrom([]int{1, 1, 3, 0}).Draw(rt, "weight")
			s.Tier = rapid.SampledFrom([]int{0, 0, 1}).Draw(rt, "tier")
			s.Zone = rapid.SampledFrom([]string{"here", "there"}).Draw(rt, "zone")
			s.AdminState = rapid.SampledFrom([]fsm.AdminState{fsm.AdminReady, fsm.AdminReady, fsm.AdminReady, fsm.AdminDrain}).Draw(rt, "admin")
		}))
		if rapid.IntRange(0, 2).Draw(rt, "down") == 0 {
			r.vote("p", name, fsm.HealthDown)
		}
	}
	return r, NewBuilder(newAnswers(), Options{Zone: "here", Ejects: true, StickyKeys: [][]byte{[]byte("key")}})
}

// TestExplainAgreesWithPicks holds what is said of any pool against what its picks
// are: the same backend where that is settled, else one of those with a share.
func TestExplainAgreesWithPicks(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r, builder := drawPool(t, rt)
		pool := builder.Update(r.State).PoolNamed("p")
		for _, b := range pool.Backends() { // since the table was made
			if rapid.IntRange(0, 3).Draw(rt, "ejected") == 0 {
				pool.Eject(b)
			}
		}
		fields := headers{"A": {someValue.Draw(rt, "key")}}
		if pool.IsSticky() && len(pool.Backends()) > 0 && rapid.Bool().Draw(rt, "returns") {
			b := rapid.SampledFrom(pool.Backends()).Draw(rt, "to")
			cookie, _, _ := strings.Cut(pool.Cookie(b), ";")
			fields["Cookie"] = []string{cookie}
		}
		ask := func() *Choice { return &Choice{Client: netip.MustParseAddr("192.0.2.1"), Fields: fields} }
		e := pool.Explain(ask())
		shares := map[string]float64{}
		sum := 0.0
		for _, b := range e.Backends {
			if b.Share > 0 {
				shares[b.Name] = b.Share
			}
			sum += b.Share
			if b.Candidate != pool.Backend(b.Name).Eligible() || b.Use != pool.Use(pool.Backend(b.Name)) || b.Share > 0 && !b.Candidate {
				rt.Fatalf("backend %+v", b)
			}
		}
		if len(pool.Choices()) > 0 && math.Abs(sum-1) > 1e-9 {
			rt.Fatalf("the shares %v make %f", shares, sum)
		}
		for range 50 {
			checkPick(rt, e, shares, pool.Pick(ask()))
		}
	})
}

func checkPick(rt *rapid.T, e PoolExplained, shares map[string]float64, b *Backend) {
	rt.Helper()
	switch e.Choice.How {
	case ChosenNone:
		if b != nil {
			rt.Fatalf("there is said to be no backend, and %s was picked", b.Name)
		}
	case ChosenSticky, ChosenHash, ChosenOnly:
		if b == nil || b.Name != e.Choice.Backend {
			rt.Fatalf("%+v, and %v was picked", e.Choice, b)
		}
	default:
		if b == nil || shares[b.Name] == 0 || e.Choice.Backend != "" {
			rt.Fatalf("%+v with shares %v, and %v was picked", e.Choice, shares, b)
		}
	}
}

func TestExplainMovesNoRotation(t *testing.T) {
	r := newRegistry(t)
	r.do(putPool("p"), putBackend("p", "a", "10.0.0.1:80"), putBackend("p", "b", "10.0.0.2:80"))
	pool := NewBuilder(newAnswers(), Options{}).Update(r.State).PoolNamed("p")
	first := pool.Pick(new(Choice)).Name
	pool.Explain(new(Choice))
	if second := pool.Pick(new(Choice)).Name; second == first {
		t.Errorf("%s was picked twice", first)
	}
}

func TestBackendsOfALargePoolAreCountedBeyondTheFirst(t *testing.T) {
	r := newRegistry(t)
	r.do(putPool("p"))
	var ops []fsm.Operation
	for i := range maxExplained + 200 {
		down := admin(fsm.AdminReady)
		if i < 500 {
			down = admin(fsm.AdminMaint)
		}
		ops = append(ops, putBackend("p", fmt.Sprintf("b%04d", i), fmt.Sprintf("10.0.%d.%d:80", i/250, i%250+1), down))
	}
	r.do(ops...)
	e := NewBuilder(newAnswers(), Options{}).Update(r.State).PoolNamed("p").Explain(new(Choice))
	candidates := 0
	for _, b := range e.Backends {
		if b.Candidate {
			candidates++
		}
	}
	if len(e.Backends) != maxExplained || candidates != 700 || e.LeftOff[UseMaint] != 200 {
		t.Errorf("%d backends, %d of them candidates, left off %v", len(e.Backends), candidates, e.LeftOff)
	}
}
