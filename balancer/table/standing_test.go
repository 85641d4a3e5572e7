package table

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"evenkeel/fsm"
)

// set gives a backend a status, as operations and votes would.
func (r *registry) set(pool, name string, change func(*fsm.BackendStatus)) {
	r.t.Helper()
	old := r.Backend(pool, name)
	r.do(fsm.Put{Pool: pool, Name: name, Labels: map[string]string{"n": fmt.Sprint(r.seq)}, Spec: old.Spec})
	change(&r.Backend(pool, name).Status) // a new object, which no table has yet
}

// clock is a monotonic clock that a test turns.
type clock struct{ now time.Duration }

func (c *clock) read() time.Duration { return c.now }

// ejectingPool is a builder of a registry with one pool "p", where ejections count.
func ejectingPool(t testing.TB, spec fsm.PoolSpec, backends ...fsm.Put) (*registry, *Builder, *clock) {
	r, c := newRegistry(t), &clock{now: time.Hour}
	if spec.Strategy == "" {
		spec.Strategy = fsm.StrategyRoundRobin
	}
	r.do(fsm.Put{Name: "p", Spec: spec})
	for _, b := range backends {
		r.do(b)
	}
	return r, NewBuilder(newAnswers(), Options{Ejects: true, Now: c.read}), c
}

func TestWhoIsUsedByTheOrderOfWhatIsKnown(t *testing.T) {
	down, up := fsm.HealthDown, fsm.HealthUp
	override := func(h fsm.Health) *fsm.Override { return &fsm.Override{Health: h} }
	for _, c := range []struct {
		name   string
		spec   func(*fsm.BackendSpec)
		status fsm.BackendStatus
		local  fsm.Health
		want   bool
	}{
		{"unknown is used", nil, fsm.BackendStatus{}, "", true},
		{"a verdict of down is not", nil, fsm.BackendStatus{Health: down}, "", false},
		{"one that is held is not", nil, fsm.BackendStatus{Health: up, Held: true}, "", false},
		{"an override to up goes before the verdict", nil, fsm.BackendStatus{Health: down, Override: override(up)}, "", true},
		{"an override to up goes before a hold", nil, fsm.BackendStatus{Health: up, Held: true, Override: override(up)}, "", true},
		{"an override to up goes before a veto", nil, fsm.BackendStatus{Health: down, Override: override(up)}, down, true},
		{"an override to down goes before the verdict", nil, fsm.BackendStatus{Health: up, Override: override(down)}, "", false},
		{"an override to down goes before this node's word", nil, fsm.BackendStatus{Health: up, Override: override(down)}, up, false},
		{"a veto goes before the verdict", nil, fsm.BackendStatus{Health: up}, down, false},
		{"the word of a node that is cut off replaces the verdict", nil, fsm.BackendStatus{Health: down}, up, true},
		{"maintenance goes before an override", admin(fsm.AdminMaint), fsm.BackendStatus{Override: override(up)}, up, false},
		{"a weight of 0 goes before an override", weight(0), fsm.BackendStatus{Override: override(up)}, up, false},
		{"one that asks to be spared everything is not used", nil, fsm.BackendStatus{Health: up, Reduction: 100}, "", false},
		{"one that asks to be spared nearly everything is", nil, fsm.BackendStatus{Health: up, Reduction: 99}, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			put := putBackend("p", "b", "10.0.0.1:1")
			if c.spec != nil {
				put = putBackend("p", "b", "10.0.0.1:1", c.spec)
			}
			r, builder, _ := ejectingPool(t, fsm.PoolSpec{}, put)
			r.set("p", "b", func(s *fsm.BackendStatus) {
				c.status.Since, c.status.Generation = s.Since, s.Generation
				*s = c.status
			})
			if c.local != "" {
				builder.SetLocal(map[string]fsm.Health{r.Backend("p", "b").Meta.UID: c.local})
			}
			if got := len(picked(builder.Update(r.State).PoolNamed("p"))) == 1; got != c.want {
				t.Errorf("used: %v", got)
			}
		})
	}
}

func TestALocalWordCompilesItsPoolAlone(t *testing.T) {
	r := newRegistry(t)
	r.do(putPool("a"), putPool("b"), putBackend("a", "x", "10.0.0.1:1"), putBackend("a", "y", "10.0.0.2:1"), putBackend("b", "x", "10.0.0.1:1"))
	builder := NewBuilder(newAnswers(), Options{})
	first := builder.Update(r.State)
	builder.SetLocal(map[string]fsm.Health{r.Backend("a", "x").Meta.UID: fsm.HealthDown})
	second := builder.Update(r.State)
	if got := picked(second.PoolNamed("a")); !slices.Equal(got, []string{"y"}) || second.PoolNamed("b") != first.PoolNamed("b") {
		t.Fatalf("after a veto a has %v, and b is new: %v", got, second.PoolNamed("b") != first.PoolNamed("b"))
	}
	builder.SetLocal(map[string]fsm.Health{r.Backend("a", "x").Meta.UID: fsm.HealthDown})
	if builder.Update(r.State) != second {
		t.Error("the same words gave another table")
	}
	builder.SetLocal(nil)
	if got := picked(builder.Update(r.State).PoolNamed("a")); len(got) != 2 {
		t.Errorf("after the veto ended a has %v", got)
	}
}

func TestPanicAndTiers(t *testing.T) {
	for _, c := range []struct {
		name    string
		percent int
		tiers   []int
		down    string // a letter each: u up, d down, o overridden to down
		want    string
		panics  bool
	}{
		{"without a threshold the usable ones are used", 0, []int{0, 0, 0, 0}, "uddd", "a", false},
		{"without a threshold nobody is", 0, []int{0, 0}, "dd", "", false},
		{"exactly at the threshold there is no panic", 50, []int{0, 0, 0, 0}, "uudd", "ab", false},
		{"below it all are used", 50, []int{0, 0, 0, 0}, "uddd", "abcd", true},
		{"at 100 one that is down is enough", 100, []int{0, 0}, "ud", "ab", true},
		{"a tier in trouble is left before it panics", 50, []int{0, 0, 0, 1, 1}, "uddud", "d", false},
		{"only when no tier has enough all are used", 60, []int{0, 0, 0, 1, 1}, "uddud", "abcde", true},
		{"what an operator says to be down is not there at all", 50, []int{0, 0, 0}, "udo", "a", false},
		{"nor is it used in a panic", 100, []int{0, 0, 0}, "udo", "ab", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, builder, _ := ejectingPool(t, fsm.PoolSpec{PanicPercent: c.percent})
			for i, of := range c.tiers {
				name := string(rune('a' + i))
				r.do(putBackend("p", name, "10.0.0.1:"+string(rune('1'+i)), tier(of)))
				r.set("p", name, func(s *fsm.BackendStatus) {
					switch c.down[i] {
					case 'd':
						s.Health = fsm.HealthDown
					case 'o':
						s.Override = &fsm.Override{Health: fsm.HealthDown}
					}
				})
			}
			pool := builder.Update(r.State).PoolNamed("p")
			if got := strings.Join(picked(pool), ""); got != c.want || pool.Panics() != c.panics {
				t.Errorf("uses %q, panics: %v; want %q", got, pool.Panics(), c.want)
			}
		})
	}
}

func three() []fsm.Put {
	return []fsm.Put{putBackend("p", "a", "10.0.0.1:1"), putBackend("p", "b", "10.0.0.2:1"), putBackend("p", "c", "10.0.0.3:1")}
}

func TestAnEjectionCountsAtOnceInEveryTable(t *testing.T) {
	for _, strategy := range []string{fsm.StrategyRoundRobin, fsm.StrategyWeightedRoundRobin, fsm.StrategyRandom, fsm.StrategyLeastConnections,
		fsm.StrategyPowerOfTwoChoices, fsm.StrategyPeakEWMA, fsm.StrategyMaglev, fsm.StrategyRingHash, fsm.StrategyRendezvous} {
		t.Run(strategy, func(t *testing.T) {
			r, builder, _ := ejectingPool(t, fsm.PoolSpec{Strategy: strategy}, three()...)
			pool := builder.Update(r.State).PoolNamed("p")
			bad := pool.Backend("b")
			if first, ejected := pool.Failed(bad, bad.Stats.Attempt(0)); !first || !ejected {
				t.Fatalf("first %v, ejected %v", first, ejected)
			}
			q := &Choice{Keyed: true}
			for i := range 200 {
				q.Key = uint64(i) * 0x9e3779b97f4a7c15
				if pool.Pick(q).Name == "b" {
					t.Fatal("it was chosen by the table that had it")
				}
			}
			if n := testing.AllocsPerRun(100, func() { pool.Pick(q) }); n != 0 {
				t.Errorf("a choice allocates %v times", n)
			}
			if got := strings.Join(picked(pool), ""); got != "abc" {
				t.Errorf("with all others tried it is left: %q", got)
			}
			builder.Recompile("p")
			if got := strings.Join(picked(builder.Update(r.State).PoolNamed("p")), ""); got != "ac" {
				t.Errorf("the next table has %q", got)
			}
			pool.Shared.Vacate()
			bad.Stats.Readmit()
			builder.Recompile("p")
			if got := strings.Join(picked(builder.Update(r.State).PoolNamed("p")), ""); got != "abc" {
				t.Errorf("after the end there are %q", got)
			}
		})
	}
}

func TestEjectionsAreBounded(t *testing.T) {
	percent := func(n int) *fsm.Ejection {
		var e fsm.Ejection
		e.SetDefaults()
		e.MaxPercent = n
		return &e
	}
	for _, c := range []struct {
		name     string
		percent  int
		backends int
		want     int
	}{
		{"the only one is never ejected", 100, 1, 0},
		{"the last one is never ejected", 100, 3, 2},
		{"one in any case", 1, 3, 1},
		{"none at 0", 0, 3, 0},
		{"the share is rounded down", 50, 5, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, builder, _ := ejectingPool(t, fsm.PoolSpec{Ejection: percent(c.percent)})
			for i := range c.backends {
				r.do(putBackend("p", string(rune('a'+i)), "10.0.0.1:"+string(rune('1'+i))))
			}
			pool, got := builder.Update(r.State).PoolNamed("p"), 0
			for _, b := range pool.Backends() {
				if _, ejected := pool.Failed(b, b.Stats.Attempt(0)); ejected {
					got++
				}
			}
			if got != c.want || pool.Shared.Spared() != uint64(c.backends-got) {
				t.Errorf("ejected %d, spared %d, want %d", got, pool.Shared.Spared(), c.want)
			}
		})
	}
}

func TestWhenAllHealthyOnesAreEjectedTheyAreUsed(t *testing.T) {
	r, builder, _ := ejectingPool(t, putPool("p").Spec.(fsm.PoolSpec), three()[:2]...)
	pool := builder.Update(r.State).PoolNamed("p")
	if !pool.Eject(pool.Backend("a")) {
		t.Fatal("not ejected")
	}
	r.vote("p", "b", fsm.HealthDown)
	if got := picked(builder.Update(r.State).PoolNamed("p")); !slices.Equal(got, []string{"a"}) {
		t.Errorf("uses %v", got)
	}
}

func TestFailuresInARow(t *testing.T) {
	spec := fsm.Ejection{Failures: 3, Errors: 2, Hold: fsm.Duration(time.Second), MaxHold: fsm.Duration(time.Second), MaxPercent: 100}
	r, builder, _ := ejectingPool(t, fsm.PoolSpec{Ejection: &spec}, three()...)
	pool := builder.Update(r.State).PoolNamed("p")
	a, b := pool.Backend("a"), pool.Backend("b")
	for i, step := range []struct {
		fails, first, ejected bool
	}{{true, true, false}, {true, false, false}, {false, false, false}, {true, true, false}, {true, false, false}, {true, false, true}, {true, false, false}} {
		if !step.fails {
			pool.Succeeded(a, a.Stats.Attempt(0), 0)
			continue
		}
		if first, ejected := pool.Failed(a, a.Stats.Attempt(0)); first != step.first || ejected != step.ejected {
			t.Errorf("step %d: first %v, ejected %v", i, first, ejected)
		}
	}
	for i, step := range []struct {
		status  int
		ejected bool
	}{{500, false}, {200, false}, {503, false}, {599, true}} {
		if got := pool.Answered(b, b.Stats.Attempt(0), step.status); got != step.ejected {
			t.Errorf("response %d: ejected %v", i, got)
		}
	}
}

func TestNothingIsEjectedWhereNobodyEndsThatOrBelowItsLevel(t *testing.T) {
	for name, c := range map[string]struct {
		ejects bool
		level  uint64
	}{"where nobody ends ejections": {false, healthLevel}, "below the level that brought them": {true, healthLevel - 1}} {
		r := &registry{State: fsm.New(), t: t}
		r.do(fsm.Init{ClusterID: "test", FeatureLevel: c.level, Objects: []fsm.Put{putPool("p")}}, three()[0], three()[1])
		builder := NewBuilder(newAnswers(), Options{Ejects: c.ejects})
		pool := builder.Update(r.State).PoolNamed("p")
		if first, ejected := pool.Failed(pool.Backend("a"), Attempt{}); first || ejected {
			t.Errorf("%s: first %v, ejected %v", name, first, ejected)
		}
	}
}

func TestASlowStartGrowsInFewSteps(t *testing.T) {
	r, builder, c := ejectingPool(t, fsm.PoolSpec{Strategy: fsm.StrategyWeightedRoundRobin, SlowStart: fsm.Duration(10 * time.Second)}, three()...)
	builder.Update(r.State)
	r.set("p", "a", func(s *fsm.BackendStatus) { s.Ramp = 7 })
	tables := map[*Table]bool{}
	last, turn := 0, 0
	for end := c.now + 12*time.Second; c.now < end; c.now += 50 * time.Millisecond {
		table := builder.Update(r.State)
		tables[table] = true
		share := table.PoolNamed("p").Backend("a").own.share
		if share < last {
			t.Fatalf("the share falls from %d to %d", last, share)
		}
		if turn == 0 && share != 100 {
			t.Fatalf("it begins with %d thousandths", share)
		}
		last, turn = share, turn+1
	}
	if last != 1000 || len(tables) > 21 || len(tables) < 20 {
		t.Errorf("it ends with %d thousandths, after %d tables", last, len(tables))
	}
	if _, ok := builder.NextStep(); ok {
		t.Error("a step is due after the end")
	}
}

func TestAStepOfASlowStartIsThereWhenItIsDue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		takes := time.Duration(rapid.Int64Range(int64(time.Second), int64(time.Hour)).Draw(t, "takes"))
		began := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "began"))
		now, steps := began, 0
		share, next := rampShare(now, began, takes)
		for next != 0 {
			if next <= now {
				t.Fatalf("the next step is due at %s, before %s", next, now)
			}
			before := share
			now = next
			if share, next = rampShare(now, began, takes); share <= before {
				t.Fatalf("step %d is not there when it is due", steps)
			}
			steps++
		}
		if share != 1000 || steps != rampSteps {
			t.Fatalf("ends at %d after %d steps", share, steps)
		}
	})
}

func TestAReductionLeavesAShare(t *testing.T) {
	r, builder, _ := ejectingPool(t, fsm.PoolSpec{Strategy: fsm.StrategyWeightedRoundRobin}, three()...)
	r.set("p", "a", func(s *fsm.BackendStatus) { s.Reduction = 75 })
	pool, n := builder.Update(r.State).PoolNamed("p"), 0
	for range 900 {
		if pool.Pick(&Choice{}).Name == "a" {
			n++
		}
	}
	if n != 100 {
		t.Errorf("a quarter of an equal weight got %d of 900 requests, want 100", n)
	}
}

// A request that hung since before a backend came back says nothing of it now.
func TestWhatBeganBeforeABackendCameBackIsNoEvidence(t *testing.T) {
	health := func(r *registry, h fsm.Health) { r.vote("p", "a", h) }
	state := func(r *registry, s fsm.AdminState) { r.do(putBackend("p", "a", "10.0.0.1:1", admin(s))) }
	for name, c := range map[string]struct {
		back     func(r *registry, b *Builder, of *Pool, next func())
		evidence bool
	}{
		"nothing happened": {func(*registry, *Builder, *Pool, func()) {}, true},
		"it was agreed down and up again": {func(r *registry, _ *Builder, _ *Pool, next func()) {
			health(r, fsm.HealthDown)
			next()
			health(r, fsm.HealthUp)
		}, false},
		"it was agreed down": {func(r *registry, _ *Builder, _ *Pool, _ func()) { health(r, fsm.HealthDown) }, true},
		"a veto ended": {func(r *registry, b *Builder, _ *Pool, next func()) {
			b.SetLocal(map[string]fsm.Health{r.Backend("p", "a").Meta.UID: fsm.HealthDown})
			next()
			b.SetLocal(nil)
		}, false},
		"it was in maintenance": {func(r *registry, _ *Builder, _ *Pool, next func()) {
			state(r, fsm.AdminMaint)
			next()
			state(r, fsm.AdminReady)
		}, false},
		"it moved": {func(r *registry, _ *Builder, _ *Pool, _ func()) { r.do(putBackend("p", "a", "10.0.0.9:1")) }, false},
		"it was relabelled": {func(r *registry, _ *Builder, _ *Pool, _ func()) {
			r.do(putBackend("p", "a", "10.0.0.1:1", weight(3)))
		}, true},
		"an ejection began and ended": {func(_ *registry, b *Builder, of *Pool, _ func()) {
			of.Eject(of.Backend("a"))
			of.Shared.Vacate()
			of.Backend("a").Stats.Readmit()
			b.Recompile("p")
		}, false},
		"one that began later succeeded": {func(_ *registry, _ *Builder, of *Pool, _ func()) {
			of.Succeeded(of.Backend("a"), of.Backend("a").Stats.Attempt(11), 1)
		}, false},
		"one that began earlier succeeded": {func(_ *registry, _ *Builder, of *Pool, _ func()) {
			of.Succeeded(of.Backend("a"), of.Backend("a").Stats.Attempt(9), 1)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			spec := putPool("p").Spec.(fsm.PoolSpec)
			spec.Ejection = &fsm.Ejection{Failures: 1, Errors: 1, Hold: fsm.Duration(time.Second), MaxHold: fsm.Duration(time.Second), MaxPercent: 100}
			r, _, clock := ejectingPool(t, spec, three()...)
			builder := NewBuilder(newAnswers(), Options{Loops: 2, Ejects: true, Now: clock.read})
			next := func() { builder.Update(r.State) }
			pool := builder.Update(r.State).PoolNamed("p")
			before := pool.Backend("a").Stats.Attempt(10)
			c.back(r, builder, pool, next)
			pool = builder.Update(r.State).PoolNamed("p")
			a := pool.Backend("a")
			if first, ejected := pool.Failed(a, before); first != c.evidence || ejected != c.evidence {
				t.Errorf("a failure of before: first %v, ejected %v, want %v", first, ejected, c.evidence)
			}
			if name == "it was agreed down" {
				return
			}
			pool.Shared.Vacate()
			a.Stats.Readmit()
			if first, ejected := pool.Failed(a, a.Stats.Attempt(12)); !first || !ejected {
				t.Errorf("a failure of now: first %v, ejected %v", first, ejected)
			}
		})
	}
}

// Of a backend that loses every other request some that began later succeed at any
// time. That forgives what began before one recovery, and not each failure.
func TestABackendThatLosesAPartOfItsRequestsIsEjected(t *testing.T) {
	r, builder, _ := ejectingPool(t, fsm.PoolSpec{}, three()...)
	pool := builder.Update(r.State).PoolNamed("p")
	a := pool.Backend("a")
	at := func(began int64) Attempt { return a.Stats.Attempt(began) }
	pool.Succeeded(a, at(20), 0)
	for _, began := range []int64{10, 5, 19} {
		if first, ejected := pool.Failed(a, at(began)); first || ejected {
			t.Fatalf("what began at %d, before the success at 20: first %v, ejected %v", began, first, ejected)
		}
	}
	pool.Succeeded(a, at(30+forgivenOnce), 0)
	if first, ejected := pool.Failed(a, at(21+forgivenOnce)); first || ejected {
		t.Errorf("much later: first %v, ejected %v", first, ejected)
	}
	pool.Succeeded(a, at(50+forgivenOnce), 0)
	if first, ejected := pool.Failed(a, at(40+forgivenOnce)); !first || !ejected {
		t.Errorf("what began behind the success that forgave: first %v, ejected %v", first, ejected)
	}
}

// What began before a backend came back is no sign that it works now, either.
func TestALateSuccessForgivesNothingOfNow(t *testing.T) {
	spec := putPool("p").Spec.(fsm.PoolSpec)
	spec.Ejection = &fsm.Ejection{Failures: 2, Hold: fsm.Duration(time.Second), MaxHold: fsm.Duration(time.Second), MaxPercent: 100}
	r, builder, _ := ejectingPool(t, spec, three()...)
	pool := builder.Update(r.State).PoolNamed("p")
	a := pool.Backend("a")
	download := a.Stats.Attempt(1)
	a.Stats.comeBack()
	pool.Failed(a, a.Stats.Attempt(10))
	pool.Succeeded(a, download, 0)
	if _, ejected := pool.Failed(a, a.Stats.Attempt(11)); !ejected {
		t.Error("the second failure in a row does not eject")
	}
}

// Nor does what was sent to it while it was ejected.
func TestWhatBeganWhileABackendWasEjectedIsNoEvidenceBehindThat(t *testing.T) {
	r, builder, _ := ejectingPool(t, fsm.PoolSpec{}, three()...)
	pool := builder.Update(r.State).PoolNamed("p")
	a := pool.Backend("a")
	pool.Failed(a, a.Stats.Attempt(1))
	during := a.Stats.Attempt(2)
	pool.Shared.Vacate()
	a.Stats.Readmit()
	if first, ejected := pool.Failed(a, during); first || ejected {
		t.Errorf("first %v, ejected %v", first, ejected)
	}
}

// Nor may what hung since then make it seem worse than the others.
func TestWhatBeganBeforeABackendCameBackIsLeftOutOfItsRate(t *testing.T) {
	r, builder, _ := ejectingPool(t, fsm.PoolSpec{}, three()...)
	pool := builder.Update(r.State).PoolNamed("p")
	a := pool.Backend("a")
	before, local := a.Stats.Attempt(1), a.Stats.Local(0)
	a.Stats.renew()
	local.Failures.Add(1)
	pool.Failed(a, before)
	local.CountResponse(200)
	if attempts, successes := a.Stats.Outcomes(); attempts != 1 || successes != 1 {
		t.Errorf("%d of %d attempts succeeded, want 1 of 1", successes, attempts)
	}
	if pool.Ejection.Errors = 1; pool.Answered(a, before, 503) {
		t.Error("a response to a request of before ejects")
	}
}

// Nor do failures in a row go on from before it came back.
func TestFailuresInARowBeginAnewWhenABackendComesBack(t *testing.T) {
	spec := putPool("p").Spec.(fsm.PoolSpec)
	spec.Ejection = &fsm.Ejection{Failures: 2, Errors: 2, Hold: fsm.Duration(time.Second), MaxHold: fsm.Duration(time.Second), MaxPercent: 100}
	r, builder, _ := ejectingPool(t, spec, three()...)
	pool := builder.Update(r.State).PoolNamed("p")
	a := pool.Backend("a")
	pool.Failed(a, a.Stats.Attempt(1))
	pool.Answered(a, a.Stats.Attempt(1), 503)
	for _, h := range []fsm.Health{fsm.HealthDown, fsm.HealthUp} {
		r.vote("p", "a", h)
		pool = builder.Update(r.State).PoolNamed("p")
	}
	a = pool.Backend("a")
	if first, ejected := pool.Failed(a, a.Stats.Attempt(2)); !first || ejected {
		t.Errorf("its first failure since: first %v, ejected %v", first, ejected)
	}
	if pool.Answered(a, a.Stats.Attempt(2), 503) {
		t.Error("its first error since ejects it")
	}
}
