package ejection

import (
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"evenkeel/balancer/table"
	"evenkeel/fsm"
)

func TestHoldsDoubleAndAreForgotten(t *testing.T) {
	const hold, most = 5 * time.Second, 30 * time.Second
	var r record
	now := time.Minute
	for i, want := range []time.Duration{hold, 2 * hold, 4 * hold, most, most} {
		if got := r.begin(now, hold, most); got != want {
			t.Fatalf("ejection %d lasts %s, want %s", i, got, want)
		}
		now += want
	}
	if got := r.begin(now+most, hold, most); got != 4*hold {
		t.Errorf("after a calm as long as the last ejection it lasts %s", got)
	}
	r.forget(now+10*most, hold, most)
	if r.level != 0 {
		t.Errorf("level %d after a long calm", r.level)
	}
}

// Whatever happens, a hold stays within its bounds, at most doubles from one to
// the next, and all is forgotten after calm enough.
func TestRecordProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hold := time.Duration(rapid.IntRange(100, 10_000).Draw(t, "hold")) * time.Millisecond
		most := hold * time.Duration(rapid.IntRange(1, 100).Draw(t, "most"))
		var r record
		now, last := time.Duration(0), time.Duration(0)
		for range rapid.IntRange(1, 30).Draw(t, "ejections") {
			lasts := r.begin(now, hold, most)
			if lasts < hold || lasts > most || last != 0 && lasts > 2*last {
				t.Fatalf("lasts %s after %s", lasts, last)
			}
			now += time.Duration(rapid.Int64Range(0, int64(lasts)).Draw(t, "until"))
			r.end(now)
			now += time.Duration(rapid.Int64Range(0, int64(3*most)).Draw(t, "calm"))
			last = lasts
		}
		if r.forget(now+3*most, hold, most); r.level != 0 {
			t.Fatalf("level %d is left", r.level)
		}
	})
}

func TestOutliersAreFarBelowTheMean(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var rule fsm.SuccessRate
		rule.SetDefaults()
		rule.Requests = rapid.IntRange(1, 50).Draw(t, "requests")
		rule.Backends = rapid.IntRange(2, 6).Draw(t, "backends")
		rule.Factor = rapid.IntRange(1, 4000).Draw(t, "factor")
		samples := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) sample {
			n := rapid.Uint64Range(0, 200).Draw(t, "attempts")
			return sample{n, rapid.Uint64Range(0, n).Draw(t, "successes")}
		}), 0, 12).Draw(t, "samples")
		var rates []float64
		for _, s := range samples {
			if s.attempts >= uint64(rule.Requests) {
				rates = append(rates, float64(s.successes)/float64(s.attempts))
			}
		}
		bad := outliers(samples, &rule)
		if len(rates) < rule.Backends && len(bad) > 0 {
			t.Fatalf("%d backends were judged, %d are needed", len(rates), rule.Backends)
		}
		mean, square := 0.0, 0.0
		for _, r := range rates {
			mean += r / float64(len(rates))
		}
		for _, r := range rates {
			square += (r - mean) * (r - mean) / float64(len(rates))
		}
		least := mean - float64(rule.Factor)/1000*math.Sqrt(square)
		for i, s := range samples {
			if s.attempts < uint64(rule.Requests) {
				if slices.Contains(bad, i) {
					t.Fatalf("%v had too few attempts", s)
				}
				continue
			}
			far := least - s.rate()
			if got := slices.Contains(bad, i); len(rates) >= rule.Backends && (far > 1e-6 && !got || far < 0 && got) {
				t.Fatalf("%v is an outlier: %v; the least is %f", s, got, least)
			}
		}
		if !slices.IsSortedFunc(bad, func(a, b int) int { return cmpRate(samples[a], samples[b]) }) {
			t.Fatal("the worst is not the first")
		}
	})
}

func cmpRate(a, b sample) int {
	switch {
	case a.rate() < b.rate():
		return -1
	case a.rate() > b.rate():
		return 1
	}
	return 0
}

func TestEqualRatesHaveNoOutlier(t *testing.T) {
	rule := fsm.SuccessRate{Requests: 1, Backends: 3, Factor: 1}
	if bad := outliers([]sample{{3, 1}, {30, 10}, {300, 100}, {9, 3}}, &rule); len(bad) > 0 {
		t.Errorf("outliers %v", bad)
	}
}

// world is a pool "p" of some backends, its tables, and an ejector.
type world struct {
	state   *fsm.State
	seq     uint64
	builder *table.Builder
	ejector *Ejector
	now     time.Duration
	fail    func(format string, args ...any)
}

type noNames struct{}

func (noNames) Lookup(string) []netip.Addr { return nil }
func (noNames) Changed() []string          { return nil }
func (noNames) Forget(string)              {}

func newWorld(fail func(string, ...any), spec fsm.PoolSpec, backends int) *world {
	w := &world{state: fsm.New(), now: time.Hour, fail: fail, ejector: New(slog.New(slog.DiscardHandler))}
	w.builder = table.NewBuilder(noNames{}, table.Options{Ejects: true, Now: func() time.Duration { return w.now }})
	spec.Strategy = fsm.StrategyRoundRobin
	check := new(fsm.Check)
	check.SetDefaults()
	spec.Check = check
	w.do(fsm.Init{ClusterID: "test", FeatureLevel: fsm.FeatureLevel, Objects: []fsm.Put{{Name: "p", Spec: spec}}})
	w.do(fsm.SetNode{Node: fsm.Node{UID: "n1", Name: "n1", State: fsm.NodeAlive, FeatureLevel: fsm.FeatureLevel}})
	for i := range backends {
		w.do(fsm.Put{Pool: "p", Name: fmt.Sprint("b", i), Spec: fsm.BackendSpec{
			Address: fmt.Sprintf("10.0.0.1:%d", i+1), Weight: 1, AdminState: fsm.AdminReady,
		}})
	}
	return w
}

func (w *world) do(op fsm.Operation) {
	w.seq++
	next, results := fsm.Apply(w.state, []fsm.Command{{ID: fsm.CommandID{Origin: "test", Seq: w.seq}, Op: op}})
	if results[0].Err != nil {
		w.fail("%#v: %v", op, results[0].Err)
	}
	w.state = next
}

func (w *world) vote(name string, health fsm.Health) {
	b := w.state.Backend("p", name)
	w.do(fsm.CastVotes{Observer: "n1", Votes: []fsm.BackendVote{{
		Pool: "p", Name: name, UID: b.Meta.UID, Generation: w.state.CheckGeneration(b), Health: health,
	}}})
}

// pool steps and returns the newest pool.
func (w *world) pool() *table.Pool {
	for _, name := range w.ejector.Step(w.state, w.now) {
		w.builder.Recompile(name)
	}
	return w.builder.Update(w.state).PoolNamed("p")
}

func (w *world) failure(name string) bool {
	pool := w.pool()
	b := pool.Backend(name)
	_, ejected := pool.Failed(b, b.Stats.Attempt(int64(w.now)))
	if ejected {
		w.ejector.Report(Report{Pool: pool, Backend: b, Reason: table.FaultConnect})
	}
	return ejected
}

func (w *world) uses() (names []string) {
	for _, b := range w.pool().Choices() {
		names = append(names, b.Name)
	}
	return names
}

func TestAnEjectionEndsByTime(t *testing.T) {
	w := newWorld(t.Fatalf, fsm.PoolSpec{}, 3)
	for _, lasts := range []time.Duration{5 * time.Second, 10 * time.Second} {
		if !w.failure("b1") {
			t.Fatal("not ejected")
		}
		if got := w.uses(); !slices.Equal(got, []string{"b0", "b2"}) {
			t.Fatalf("uses %v", got)
		}
		if list := w.ejector.List(); len(list) != 1 || list[0].Until-list[0].Began != lasts || list[0].Reason != table.FaultConnect {
			t.Fatalf("ejections %v", list)
		}
		if at, ok := w.ejector.Next(); !ok || at != w.now+lasts {
			t.Fatalf("the end is planned for %s, %v", at, ok)
		}
		if w.now += lasts - 1; len(w.uses()) != 2 {
			t.Fatal("it ended before its time")
		}
		if w.now++; len(w.uses()) != 3 || len(w.ejector.List()) != 0 {
			t.Fatal("it did not end in time")
		}
	}
}

func TestAVerdictEndsAnEjection(t *testing.T) {
	w := newWorld(t.Fatalf, fsm.PoolSpec{}, 3)
	w.failure("b1")
	w.vote("b1", fsm.HealthDown)
	if got := w.uses(); len(got) != 2 || len(w.ejector.List()) != 0 {
		t.Fatalf("uses %v, ejections %v", got, w.ejector.List())
	}
	if !w.failure("b2") {
		t.Error("what is agreed down still takes an ejection's place")
	}
	w.vote("b1", fsm.HealthUp)
	if got := w.uses(); !slices.Equal(got, []string{"b0", "b1"}) {
		t.Errorf("after down and up it uses %v", got)
	}
}

// TestAnotherAddressEndsAnEjection: it was about another server.
func TestAnotherAddressEndsAnEjection(t *testing.T) {
	w := newWorld(t.Fatalf, fsm.PoolSpec{}, 3)
	w.failure("b1")
	w.uses()
	spec := w.state.Backend("p", "b1").Spec
	spec.Address = "10.0.0.2:1"
	w.do(fsm.Put{Pool: "p", Name: "b1", Spec: spec})
	if got := w.uses(); len(got) != 3 || len(w.ejector.List()) != 0 {
		t.Errorf("uses %v, ejections %v", got, w.ejector.List())
	}
	if !w.failure("b1") {
		t.Fatal("not ejected")
	}
	w.uses()
	if list := w.ejector.List(); len(list) != 1 || list[0].Until-list[0].Began != 5*time.Second {
		t.Errorf("the new server's first ejection is %v", list)
	}
}

// However failures, verdicts, deletions and time fall together: the bound holds,
// its account is exact, a backend is used again once nothing keeps it out, and
// there is always a backend while one is healthy.
func TestEjectorProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const backends = 5
		// Without holds for flaps, whose end is the cluster's.
		off := fsm.Damping{}
		off.SetDefaults()
		off.Off = true
		w := newWorld(t.Fatalf, fsm.PoolSpec{Damping: &off}, backends)
		name := rapid.Map(rapid.IntRange(0, backends-1), func(i int) string { return fmt.Sprint("b", i) })
		t.Repeat(map[string]func(*rapid.T){
			"failure": func(t *rapid.T) { w.failure(name.Draw(t, "of")) },
			"down":    func(t *rapid.T) { w.vote(name.Draw(t, "of"), fsm.HealthDown) },
			"up":      func(t *rapid.T) { w.vote(name.Draw(t, "of"), fsm.HealthUp) },
			"time":    func(t *rapid.T) { w.now += time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "passes")) },
			"again": func(t *rapid.T) {
				of := name.Draw(t, "of")
				spec := w.state.Backend("p", of).Spec
				w.do(fsm.Delete{Ref: fsm.Ref{Kind: fsm.KindBackend, Pool: "p", Name: of}})
				w.do(fsm.Put{Pool: "p", Name: of, Spec: spec})
			},
			"": func(t *rapid.T) {
				pool := w.pool()
				out, healthy := 0, 0
				for _, b := range pool.Backends() {
					if !b.Down() {
						healthy++
						if b.Stats.Ejected() {
							out++
						}
					}
				}
				if listed := len(w.ejector.List()); listed != out || out > backends/2 {
					t.Fatalf("%d are ejected, %d are listed", out, listed)
				}
				if want := max(healthy-out, min(healthy, 1)); pool.Eligible() < min(want, 1) || pool.Eligible() > healthy {
					t.Fatalf("%d are used, %d are healthy, %d ejected", pool.Eligible(), healthy, out)
				}
			},
		})
		w.now += 24 * time.Hour
		for i := range backends {
			w.vote(fmt.Sprint("b", i), fsm.HealthUp)
		}
		if got := w.uses(); len(got) != backends {
			t.Fatalf("in the end it uses %v", got)
		}
		if w.pool(); len(w.ejector.records) != 0 {
			t.Fatalf("%d records are left", len(w.ejector.records))
		}
	})
}

func TestABackendThatFailsMoreThanTheOthersIsEjected(t *testing.T) {
	var spec fsm.Ejection
	spec.SetDefaults()
	spec.SuccessRate = new(fsm.SuccessRate)
	spec.SuccessRate.SetDefaults()
	w := newWorld(t.Fatalf, fsm.PoolSpec{Ejection: &spec}, 6)
	judge := func() []Report {
		w.pool()
		reports := w.ejector.Rate(w.builder.Rated(), w.now)
		for _, r := range reports {
			w.ejector.Report(r)
		}
		return reports
	}
	judge()
	for _, b := range w.pool().Backends() {
		local := b.Stats.Local(0)
		for i := range 200 {
			switch {
			case b.Name == "b3" && i%2 == 0:
				local.CountResponse(502)
			case b.Name == "b3" && i%10 == 1:
				local.CountResponse(200)
				local.Failures.Add(1)
				local.Broken.Add(1)
			default:
				local.CountResponse(200)
			}
		}
	}
	if attempts, successes := w.pool().Backend("b3").Stats.Outcomes(); attempts != 200 || successes != 80 {
		t.Errorf("%d of %d attempts succeeded, want 80 of 200", successes, attempts)
	}
	if w.now += 9 * time.Second; judge() != nil {
		t.Fatal("judged before the interval's end")
	}
	w.now += time.Second
	if reports := judge(); len(reports) != 1 || reports[0].Backend.Name != "b3" || reports[0].Reason != table.FaultSuccessRate {
		t.Fatalf("ejected %v", reports)
	}
	if got := w.uses(); slices.Contains(got, "b3") || len(got) != 5 {
		t.Errorf("uses %v", got)
	}
	w.now += 10 * time.Second
	if reports := judge(); reports != nil {
		t.Errorf("without requests it ejected %v", reports)
	}
}
