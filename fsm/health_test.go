package fsm

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// atLevel returns a registry as a new cluster has it at that level, with n nodes
// that could follow to the newest one.
func atLevel(t testing.TB, level uint64, n int) *registry {
	r := &registry{State: New(), t: t}
	r.must(Init{ClusterID: "c1", FeatureLevel: level, Objects: DefaultObjects()})
	for i := range n {
		r.setNode(fmt.Sprintf("n%d", i+1), NodeAlive)
	}
	return r
}

func (r *registry) setNode(uid string, state NodeState) {
	r.t.Helper()
	r.must(SetNode{Node{UID: uid, Name: uid, State: state, FeatureLevel: FeatureLevel}})
}

// web1 is the backend that most tests are about.
func (r *registry) web1() *Backend { return r.Backend("default", "web1") }

// putWeb1 registers it, as change has it.
func (r *registry) putWeb1(change func(*BackendSpec)) *Backend {
	r.t.Helper()
	put := backend("web1", "10.0.0.5:9000")
	spec := put.Spec.(BackendSpec)
	if change != nil {
		change(&spec)
	}
	put.Spec = spec
	return r.must(put).Object.(*Backend)
}

// putPool changes the pool default.
func (r *registry) putPool(change func(*PoolSpec)) {
	r.t.Helper()
	spec := r.Pool("default").Spec
	check := *spec.Check
	spec.Check = &check
	change(&spec)
	r.must(Put{Name: "default", Spec: spec})
}

// agree has all of web1's observers say the same.
func (r *registry) agree(health Health) {
	r.t.Helper()
	for _, uid := range r.Observers(r.web1()) {
		r.vote(uid, health)
	}
}

// expire ends one thing of web1, and tells whether that was there.
func (r *registry) expire(what ExpiryKind, epoch uint64) bool {
	r.t.Helper()
	b := r.web1()
	result := r.must(Expire{[]Expiry{{"default", "web1", b.Meta.UID, what, epoch}}})
	if result.Changed == (result.Ignored == 1) {
		r.t.Fatalf("changed: %t, ignored: %d", result.Changed, result.Ignored)
	}
	return result.Changed
}

func TestObserversAreAsManyAsTheCheckAsksFor(t *testing.T) {
	r := atLevel(t, FeatureLevel, 9)
	r.putWeb1(nil)
	for _, c := range []struct{ asked, want int }{{0, 3}, {1, 1}, {5, 5}, {9, 9}, {15, 9}} {
		r.putPool(func(s *PoolSpec) { s.Check.Observers = c.asked })
		got := r.Observers(r.web1())
		if len(got) != c.want || !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != c.want {
			t.Errorf("asked for %d, got %v", c.asked, got)
		}
	}
	if old := atLevel(t, 3, 9); len(old.Observers(old.putWeb1(nil))) != 9 {
		t.Error("at level 3 not all nodes observe")
	}
}

func TestANodeMovesItsOwnShareOfObserversAlone(t *testing.T) {
	r := atLevel(t, FeatureLevel, 9)
	const backends = 900
	for i := range backends {
		r.must(backend(fmt.Sprintf("b%d", i), fmt.Sprintf("10.0.%d.%d:80", i>>8, i&255)))
	}
	before, shares := map[string][]string{}, map[string]int{}
	for b := range r.Backends() {
		before[b.Name] = r.Observers(b)
		for _, uid := range before[b.Name] {
			shares[uid]++
		}
	}
	for uid, share := range shares { // 300 is fair; 60 is more than four sigma
		if share < 240 || share > 360 {
			t.Errorf("%s observes %d backends of %d", uid, share, backends)
		}
	}
	r.setNode("n4", NodeDead)
	for b := range r.Backends() {
		was, is := before[b.Name], r.Observers(b)
		if len(is) != 3 || slices.Contains(is, "n4") {
			t.Fatalf("%s is observed by %v", b.Name, is)
		}
		for _, uid := range was {
			if uid != "n4" && !slices.Contains(is, uid) {
				t.Fatalf("%s was observed by %v and is by %v", b.Name, was, is)
			}
		}
	}
	r.setNode("n4", NodeAlive)
	for b := range r.Backends() {
		if !slices.Equal(before[b.Name], r.Observers(b)) {
			t.Fatalf("%s was observed by %v and is by %v once the node is back", b.Name, before[b.Name], r.Observers(b))
		}
	}
}

func TestADepartedObserversVoteStandsInUntilItsSuccessorHasVoted(t *testing.T) {
	r := atLevel(t, FeatureLevel, 9)
	r.putWeb1(nil)
	panel := r.Observers(r.web1())
	r.vote(panel[0], HealthUp)
	r.vote(panel[1], HealthUp)
	r.vote(panel[2], HealthDown)
	r.wantHealth(HealthUp)
	r.setNode(panel[0], NodeDead)
	var successor string
	for _, uid := range r.Observers(r.web1()) {
		if !slices.Contains(panel, uid) {
			successor = uid
		}
	}
	r.wantHealth(HealthUp) // two to one, with the vote of the departed
	r.vote(panel[1], HealthDown)
	r.wantHealth(HealthDown) // which counts no more than another
	r.vote(panel[1], HealthUp)
	r.wantHealth(HealthUp) // and still does
	r.vote(successor, HealthDown)
	r.wantHealth(HealthDown)
	for _, vote := range r.web1().Status.Votes {
		if vote.Observer == panel[0] {
			t.Error("the vote of the departed is kept, though nobody is without")
		}
	}
	if result := r.vote(panel[0], HealthUp); result.Ignored != 1 || result.Changed {
		t.Errorf("a dead node's vote: %+v", result)
	}
	r.setNode(panel[0], NodeAlive)
	r.wantHealth(HealthDown) // the successor stands in for it
	r.vote(panel[0], HealthUp)
	r.wantHealth(HealthUp)
}

func TestWithoutAMajorityThePreviousVerdictStands(t *testing.T) {
	r := atLevel(t, FeatureLevel, 3)
	r.putWeb1(nil)
	r.agree(HealthUp)
	r.vote("n3", HealthDown)
	r.setNode("n1", NodeDead) // one to one
	r.wantHealth(HealthUp)
	r.setNode("n2", NodeDead) // n3 alone
	r.wantHealth(HealthDown)
}

func TestTheRiseToTheHealthLevelDrawsEverythingAnew(t *testing.T) {
	r := atLevel(t, 3, 9)
	r.putWeb1(nil)
	r.must(backend("web2", "10.0.0.6:9000"))
	drain := backend("web3", "10.0.0.7:9000")
	drain.Spec = BackendSpec{Address: "10.0.0.7:9000", Weight: 1, AdminState: AdminDrain}
	r.must(drain)
	// A probe for who will observe at level 4.
	next := *r
	next.must(RaiseLevel{4})
	panel := next.Observers(next.web1())
	for i := range 9 {
		uid, health := fmt.Sprintf("n%d", i+1), HealthUp
		if slices.Contains(panel, uid) {
			health = HealthDown
		}
		r.vote(uid, health)
	}
	r.wantHealth(HealthUp)
	if s := r.web1().Status; s.Epoch != 0 || s.Flaps != 0 || s.Ramp != 0 {
		t.Errorf("at level 3 the status has %+v", s)
	}
	r.must(RaiseLevel{4})
	r.wantHealth(HealthDown)
	if s := r.web1().Status; s.Since != r.Version() || s.Flaps != 1 {
		t.Errorf("status %+v at version %d", s, r.Version())
	}
	if d := r.Backend("default", "web3").Status.Drain; d == nil || d.State != DrainUnderWay || d.Epoch == 0 {
		t.Errorf("the drain is %+v", d)
	}
}

func TestVotesThatDoNotCountAreCounted(t *testing.T) {
	for _, level := range []uint64{3, FeatureLevel} {
		r := atLevel(t, level, 9)
		b := r.putWeb1(nil)
		good := BackendVote{Pool: "default", Name: "web1", UID: b.Meta.UID, Generation: r.CheckGeneration(b), Health: HealthDown}
		late, absent := good, good
		late.UID, absent.Name = "x", "web9"
		observer := r.Observers(b)[0]
		if result := r.must(CastVotes{observer, []BackendVote{late, good, absent}}); result.Ignored != 2 || !result.Changed {
			t.Errorf("level %d: of a late one, a good one and one about nothing: %+v", level, result)
		}
		if result := r.must(CastVotes{observer, []BackendVote{good}}); result.Ignored != 0 || result.Changed {
			t.Errorf("level %d: the same again: %+v", level, result)
		}
		if result := r.must(CastVotes{"stranger", []BackendVote{good, good}}); result.Ignored != 2 {
			t.Errorf("level %d: of a stranger: %+v", level, result)
		}
		id := CommandID{observer, 1}
		r.doAs(id, CastVotes{observer, []BackendVote{late}})
		if again := r.doAs(id, CastVotes{observer, []BackendVote{late}}); !again.Repeat || again.Ignored != 0 {
			t.Errorf("level %d: a repeat: %+v", level, again)
		}
		r.putWeb1(func(s *BackendSpec) { s.AdminState = AdminMaint })
		if result := r.vote(observer, HealthUp); result.Ignored != 1 {
			t.Errorf("level %d: about what is not checked: %+v", level, result)
		}
	}
}

func TestTheReductionIsTheMedianOfThoseWhoSayUp(t *testing.T) {
	r := atLevel(t, FeatureLevel, 3)
	b := r.putWeb1(nil)
	for i, c := range []struct {
		observer  string
		health    Health
		reduction int
		want      int
	}{
		{"n1", HealthUp, 50, 50}, {"n2", HealthUp, 20, 20}, {"n3", HealthUp, 90, 50},
		{"n3", HealthDown, 0, 20}, {"n2", HealthUp, 60, 50}, {"n1", HealthUp, 0, 0},
	} {
		r.must(CastVotes{c.observer, []BackendVote{{Pool: "default", Name: "web1", UID: b.Meta.UID, Generation: r.CheckGeneration(b), Health: c.health, Reduction: c.reduction}}})
		if got := r.web1().Status.Reduction; got != c.want {
			t.Errorf("after vote %d the reduction is %d, want %d", i+1, got, c.want)
		}
	}
	r.refused(CodeInvalid, CastVotes{"n1", []BackendVote{{Health: HealthUp, Reduction: 101}}})
	old := atLevel(t, 3, 3)
	if err := old.refused(CodeInvalid, CastVotes{"n1", []BackendVote{{Health: HealthUp, Reduction: 1}}}); err.Faults[0].Pointer != "/votes/0/reduction" {
		t.Errorf("at level 3: %v", err)
	}
}

func TestABackendThatFlapsIsHeldDown(t *testing.T) {
	r := atLevel(t, FeatureLevel, 3)
	r.putPool(func(s *PoolSpec) {
		s.Damping = &Damping{Flaps: 1, Hold: Duration(5 * time.Second), MaxHold: Duration(20 * time.Second), Decay: Duration(time.Minute)}
	})
	r.putWeb1(nil)
	r.agree(HealthUp)
	r.agree(HealthDown)
	r.agree(HealthUp)
	r.wantHealth(HealthUp) // the first is free
	r.agree(HealthDown)
	r.agree(HealthUp)
	s := r.web1().Status
	if s.Health != HealthDown || !s.Held || s.Flaps != 2 || s.Effective() != HealthDown {
		t.Fatalf("after two flaps: %+v", s)
	}
	first := s.FlapEpoch
	r.agree(HealthDown)
	if s := r.web1().Status; s.Held || s.Health != HealthDown || s.Flaps != 2 {
		t.Fatalf("down while held: %+v", s)
	}
	if r.expire(ExpireHold, first) {
		t.Error("a hold ended that was not there")
	}
	r.agree(HealthUp)
	if r.expire(ExpireHold, first) {
		t.Error("a hold ended by the time of one before it")
	}
	if !r.expire(ExpireHold, r.web1().Status.FlapEpoch) || r.web1().Status.Held {
		t.Error("the hold did not end")
	}
	r.wantHealth(HealthUp)
	if s := r.web1().Status; s.Since != r.Version() || s.Flaps != 2 {
		t.Errorf("after the hold: %+v at version %d", s, r.Version())
	}
	t.Run("the flaps decay one by one", func(t *testing.T) {
		epoch := r.web1().Status.FlapEpoch
		if !r.expire(ExpireFlap, epoch) || r.web1().Status.Flaps != 1 {
			t.Errorf("status %+v", r.web1().Status)
		}
		if r.expire(ExpireFlap, epoch) {
			t.Error("two ended in the time of one")
		}
		if !r.expire(ExpireFlap, r.web1().Status.FlapEpoch) || r.web1().Status.Flaps != 0 {
			t.Errorf("status %+v", r.web1().Status)
		}
		if r.expire(ExpireFlap, r.web1().Status.FlapEpoch) {
			t.Error("one ended that was not there")
		}
	})
	t.Run("none decays while it is down", func(t *testing.T) {
		r.agree(HealthDown)
		if r.expire(ExpireFlap, r.web1().Status.FlapEpoch) {
			t.Error("one decayed")
		}
	})
}

// What else begins and ends, in whatever number, leaves the time of a hold and of a
// flap alone.
func TestOtherBeginningsLeaveHoldsAndFlapsAlone(t *testing.T) {
	r := atLevel(t, FeatureLevel, 3)
	r.putPool(func(s *PoolSpec) {
		s.SlowStart = Duration(time.Minute)
		s.Damping = &Damping{Flaps: 1, Hold: Duration(5 * time.Second), MaxHold: Duration(20 * time.Second), Decay: Duration(time.Minute)}
	})
	r.putWeb1(nil)
	others := func() {
		r.must(SetOverride{Pool: "default", Name: "web1", Health: HealthDown, For: Duration(time.Minute)})
		r.must(SetOverride{Pool: "default", Name: "web1", Health: HealthUp})
		r.must(SetOverride{Pool: "default", Name: "web1"})
		r.putWeb1(func(s *BackendSpec) { s.AdminState = AdminDrain })
		r.putWeb1(nil)
	}
	for range 2 {
		r.agree(HealthUp)
		r.agree(HealthDown)
	}
	r.agree(HealthUp)
	for _, step := range []struct {
		what  ExpiryKind
		held  bool
		flaps int
	}{{ExpireHold, true, 2}, {ExpireFlap, false, 2}, {ExpireFlap, false, 1}} {
		before := r.web1().Status
		if before.Held != step.held || before.Flaps != step.flaps || before.FlapEpoch == 0 {
			t.Fatalf("before the end of a %s: %+v", step.what, before)
		}
		others()
		if s := r.web1().Status; s.FlapEpoch != before.FlapEpoch || s.Epoch <= before.Epoch {
			t.Fatalf("a %s of %+v became %+v", step.what, before, s)
		}
		if r.expire(step.what, r.web1().Status.Epoch) || !r.expire(step.what, before.FlapEpoch) {
			t.Fatalf("a %s did not end by its own epoch alone", step.what)
		}
	}
	if s := r.web1().Status; s.Held || s.Flaps != 0 || s.FlapEpoch != 0 || s.Health != HealthUp {
		t.Errorf("at the end: %+v", s)
	}
}

func TestFlapsAreCountedNoFurtherThanTheyLengthenTheHold(t *testing.T) {
	for _, damping := range []*Damping{
		{Flaps: 2, Hold: Duration(time.Second), MaxHold: Duration(4 * time.Second), Decay: Duration(time.Minute)},
		{Off: true, Flaps: 2, Hold: Duration(time.Second), MaxHold: Duration(4 * time.Second), Decay: Duration(time.Minute)},
	} {
		r := atLevel(t, FeatureLevel, 3)
		r.putPool(func(s *PoolSpec) { s.Damping = damping })
		r.putWeb1(nil)
		for range 20 {
			r.agree(HealthUp)
			if r.web1().Status.Held {
				r.expire(ExpireHold, r.web1().Status.FlapEpoch)
			}
			r.wantHealth(HealthUp)
			r.agree(HealthDown)
		}
		want := 5 // 1 s, 2 s, 4 s after the two that are free
		if damping.Off {
			want = 3
		}
		if got := r.web1().Status.Flaps; got != want {
			t.Errorf("off %t: %d flaps, want %d", damping.Off, got, want)
		}
	}
}

func TestASlowStartBeginsWithNewTraffic(t *testing.T) {
	begun := func(r *registry, since uint64) bool { return r.web1().Status.Ramp > since }
	r := atLevel(t, FeatureLevel, 3)
	r.putPool(func(s *PoolSpec) { s.SlowStart = Duration(time.Minute) })
	r.putWeb1(nil)
	if s := r.web1().Status; s.Ramp != r.Version() {
		t.Errorf("registered at version %d: %+v", r.Version(), s)
	}
	ramp := r.web1().Status.Ramp
	r.agree(HealthUp)
	if r.web1().Status.Ramp != ramp {
		t.Error("the first verdict began another, though it was used before")
	}
	if !r.expire(ExpireRamp, r.web1().Status.Epoch) || r.web1().Status.Ramp != 0 {
		t.Error("it did not end")
	}
	if r.expire(ExpireRamp, r.web1().Status.Epoch) {
		t.Error("it ended twice")
	}
	r.agree(HealthDown)
	epoch := r.web1().Status.Epoch
	version := r.Version()
	r.agree(HealthUp)
	if !begun(r, version) || r.expire(ExpireRamp, epoch) {
		t.Errorf("up again: %+v", r.web1().Status)
	}
	r.agree(HealthDown)
	if r.web1().Status.Ramp != 0 {
		t.Error("it goes on while the backend is down")
	}
	r.agree(HealthUp)
	version = r.Version()
	r.putWeb1(func(s *BackendSpec) { s.Weight = 7 })
	if begun(r, version) || r.web1().Status.Ramp == 0 {
		t.Error("another weight began or ended it")
	}
	r.putWeb1(func(s *BackendSpec) { s.AdminState = AdminDrain })
	if r.web1().Status.Ramp != 0 {
		t.Error("it goes on while the backend drains")
	}
	version = r.Version()
	r.putWeb1(nil)
	if !begun(r, version) {
		t.Error("none began as it became ready")
	}
	version = r.Version()
	r.putWeb1(func(s *BackendSpec) { s.Address = "10.0.0.9:9000" })
	if !begun(r, version) {
		t.Error("none began for another server")
	}
	r.putPool(func(s *PoolSpec) { s.SlowStart = 0 })
	r.agree(HealthDown)
	r.agree(HealthUp)
	if r.web1().Status.Ramp != 0 {
		t.Error("one began in a pool that has none")
	}
}

func TestASlowStartBeginsAndEndsWithOverrides(t *testing.T) {
	override := func(r *registry, health Health) {
		r.must(SetOverride{Pool: "default", Name: "web1", Health: health, For: Duration(time.Hour)})
	}
	back := func(r *registry) { r.must(SetOverride{Pool: "default", Name: "web1"}) }
	expired := func(r *registry) {
		if !r.expire(ExpireOverride, r.web1().Status.Override.Epoch) {
			r.t.Error("the override did not expire")
		}
	}
	for name, c := range map[string]struct {
		before func(*registry)
		last   func(*registry)
		begins bool
	}{
		"one that kept it out is taken back": {func(r *registry) { override(r, HealthDown) }, back, true},
		"one that kept it out expires":       {func(r *registry) { override(r, HealthDown) }, expired, true},
		"one that kept it out is turned":     {func(r *registry) { override(r, HealthDown) }, func(r *registry) { override(r, HealthUp) }, true},
		"what is down is used":               {func(r *registry) { r.agree(HealthDown) }, func(r *registry) { override(r, HealthUp) }, true},
		"what is up stays used":              {func(*registry) {}, func(r *registry) { override(r, HealthUp) }, false},
		"what is used goes on by itself":     {func(r *registry) { override(r, HealthUp) }, expired, false},
		"what is up is kept out":             {func(*registry) {}, func(r *registry) { override(r, HealthDown) }, false},
		"it comes up while it is kept out":   {func(r *registry) { r.agree(HealthDown); override(r, HealthDown) }, func(r *registry) { r.agree(HealthUp) }, false},
		"what is used comes up": {func(r *registry) {
			r.agree(HealthDown)
			override(r, HealthUp)
			r.expire(ExpireRamp, r.web1().Status.Epoch)
		}, func(r *registry) { r.agree(HealthUp) }, false},
		"it came up while it was kept out": {func(r *registry) { r.agree(HealthDown); override(r, HealthDown); r.agree(HealthUp) }, back, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := atLevel(t, FeatureLevel, 3)
			r.putPool(func(s *PoolSpec) { s.SlowStart = Duration(time.Minute) })
			r.putWeb1(nil)
			r.agree(HealthUp)
			r.expire(ExpireRamp, r.web1().Status.Epoch)
			c.before(r)
			if s := r.web1().Status; s.Ramp != 0 {
				t.Fatalf("before: %+v", s)
			}
			c.last(r)
			if s := r.web1().Status; (s.Ramp != 0) != c.begins || c.begins && s.Ramp != r.Version() {
				t.Errorf("at version %d: %+v", r.Version(), s)
			}
		})
	}
	t.Run("one that keeps it out ends the ramp", func(t *testing.T) {
		r := atLevel(t, FeatureLevel, 3)
		r.putPool(func(s *PoolSpec) { s.SlowStart = Duration(time.Minute) })
		r.putWeb1(nil)
		ramp := r.web1().Status.Ramp
		override(r, HealthDown)
		if s := r.web1().Status; ramp == 0 || s.Ramp != 0 {
			t.Errorf("it goes on: %+v", s)
		}
	})
}

func TestAnOverrideTakesThePlaceOfTheVerdict(t *testing.T) {
	r := atLevel(t, FeatureLevel, 3)
	r.putWeb1(nil)
	r.agree(HealthUp)
	revision := r.Revision()
	set := SetOverride{Pool: "default", Name: "web1", Health: HealthDown, For: Duration(time.Hour), Reason: "disk"}
	result := r.must(set)
	s := result.Object.(*Backend).Status
	if s.Effective() != HealthDown || s.Health != HealthUp || s.Override.Actor != "tester" || s.Override.Reason != "disk" || s.Override.Epoch != s.Epoch {
		t.Errorf("set: %+v, %+v", s, s.Override)
	}
	if r.Revision() != revision || result.Version != r.Version() || !result.Changed {
		t.Errorf("revision %d after %d, %+v", r.Revision(), revision, result)
	}
	if refs, _ := r.ChangedSince(result.Version - 1); len(refs) != 1 || refs[0] != r.web1().Ref() {
		t.Errorf("changed %v", refs)
	}
	r.agree(HealthDown)
	r.agree(HealthUp)
	if r.web1().Status.Effective() != HealthDown {
		t.Error("votes moved it")
	}
	first := r.web1().Status.Override.Epoch
	r.must(set) // anew
	if r.expire(ExpireOverride, first) || !r.expire(ExpireOverride, r.web1().Status.Override.Epoch) || r.web1().Status.Effective() != HealthUp {
		t.Errorf("status %+v", r.web1().Status)
	}
	set.Health, set.For = HealthUp, 0
	r.must(set)
	if again := r.must(set); again.Changed {
		t.Error("the same for ever once more changed something")
	}
	if r.expire(ExpireOverride, r.web1().Status.Override.Epoch) {
		t.Error("one for ever expired")
	}
	r.agree(HealthDown)
	if r.web1().Status.Effective() != HealthUp {
		t.Error("the verdict counts against it")
	}
	back := SetOverride{Pool: "default", Name: "web1"}
	if !r.must(back).Changed || r.web1().Status.Override != nil || r.must(back).Changed {
		t.Error("it was not taken back once")
	}
	r.refused(CodeNotFound, SetOverride{Pool: "nope", Name: "web1", Health: HealthUp})
	r.refused(CodeNotFound, SetOverride{Pool: "default", Name: "nope", If: Precondition{Revision: 1}})
	set.If.Revision = r.web1().Meta.Revision + 1
	r.refused(CodePrecondition, set)
	set.If.Revision--
	r.must(set)
	r.putWeb1(func(s *BackendSpec) { s.AdminState = AdminMaint })
	if r.web1().Status.Override == nil {
		t.Error("maintenance took it back")
	}
	r.putWeb1(func(s *BackendSpec) { s.Address = "10.0.0.9:9000" })
	if r.web1().Status.Override != nil {
		t.Error("it is of another server now")
	}
}

func (r *registry) idle(node string, epoch uint64) Result {
	r.t.Helper()
	return r.must(ReportIdle{node, []IdleBackend{{"default", "web1", r.web1().Meta.UID, epoch}}})
}

func (r *registry) wantDrain(want DrainState, idle ...string) {
	r.t.Helper()
	if d := r.web1().Status.Drain; d == nil || d.State != want || !slices.Equal(d.Idle, idle) {
		r.t.Fatalf("the drain is %+v, want %s with %v", d, want, idle)
	}
}

func draining(t *testing.T, nodes int) *registry {
	r := atLevel(t, FeatureLevel, nodes)
	r.putWeb1(nil)
	r.putWeb1(func(s *BackendSpec) { s.AdminState = AdminDrain })
	r.wantDrain(DrainUnderWay)
	return r
}

func TestADrainEndsOnceEveryLiveNodeIsIdle(t *testing.T) {
	r := draining(t, 3)
	revision, epoch := r.Revision(), r.web1().Status.Drain.Epoch
	r.must(SetNode{Node{UID: "w", Name: "w", State: NodeAlive, FeatureLevel: FeatureLevel, Witness: true}})
	r.idle("n2", epoch)
	r.idle("n1", epoch)
	r.wantDrain(DrainUnderWay, "n1", "n2")
	if again := r.idle("n1", epoch); again.Changed || again.Ignored != 0 {
		t.Errorf("reported twice: %+v", again)
	}
	for node, of := range map[string]uint64{"n3": epoch + 1, "w": epoch, "stranger": epoch} {
		if result := r.idle(node, of); result.Changed || result.Ignored != 1 {
			t.Errorf("%s of epoch %d: %+v", node, of, result)
		}
	}
	r.idle("n3", epoch)
	r.wantDrain(DrainDone, "n1", "n2", "n3")
	if r.Revision() != revision {
		t.Error("reports moved the revision")
	}
	if r.expire(ExpireDrain, epoch) {
		t.Error("it timed out after its end")
	}
	r.setNode("n4", NodeAlive)
	r.wantDrain(DrainDone, "n1", "n2", "n3")
	r.putWeb1(nil)
	if r.web1().Status.Drain != nil {
		t.Error("a backend that is ready drains")
	}
	r.putWeb1(func(s *BackendSpec) { s.AdminState = AdminDrain })
	if r.wantDrain(DrainUnderWay); r.web1().Status.Drain.Epoch == epoch {
		t.Error("two drains have one epoch")
	}
}

func TestADrainFollowsTheNodes(t *testing.T) {
	r := draining(t, 3)
	epoch := r.web1().Status.Drain.Epoch
	r.idle("n1", epoch)
	r.idle("n2", epoch)
	r.setNode("n4", NodeAlive)
	r.setNode("n3", NodeDead)
	r.wantDrain(DrainUnderWay, "n1", "n2") // the one that joined is to report
	r.setNode("n1", NodeDead)
	r.wantDrain(DrainUnderWay, "n2")
	r.setNode("n1", NodeAlive) // began anew, and is to report again
	r.idle("n4", epoch)
	r.wantDrain(DrainUnderWay, "n2", "n4")
	r.must(ForgetNode{"n1"})
	r.wantDrain(DrainDone, "n2", "n4")
}

func TestADrainTimesOut(t *testing.T) {
	r := draining(t, 2)
	epoch := r.web1().Status.Drain.Epoch
	r.idle("n1", epoch)
	if r.expire(ExpireDrain, epoch-1) || !r.expire(ExpireDrain, epoch) {
		t.Error("it did not time out by its epoch alone")
	}
	r.wantDrain(DrainTimedOut, "n1")
	if late := r.idle("n2", epoch); late.Changed {
		t.Error("it ended twice")
	}
}

func TestADrainBeginsAnewForAnotherServer(t *testing.T) {
	r := draining(t, 2)
	epoch := r.web1().Status.Drain.Epoch
	r.idle("n1", epoch)
	move := func(s *BackendSpec) { s.AdminState, s.Address = AdminDrain, "10.0.0.9:9000" }
	r.putWeb1(move)
	if r.wantDrain(DrainUnderWay); r.web1().Status.Drain.Epoch == epoch {
		t.Error("it has the epoch of the one before")
	}
	r.putWeb1(func(s *BackendSpec) { move(s); s.AdminState = AdminMaint })
	if r.web1().Status.Drain != nil {
		t.Error("a backend in maintenance drains")
	}
}

func TestAnotherServerHasNoPastButTheEpoch(t *testing.T) {
	r := atLevel(t, FeatureLevel, 3)
	r.putPool(func(s *PoolSpec) {
		s.Damping = &Damping{Flaps: 1, Hold: Duration(5 * time.Second), MaxHold: Duration(20 * time.Second), Decay: Duration(time.Minute)}
	})
	r.putWeb1(nil)
	for range 2 {
		r.agree(HealthUp)
		r.agree(HealthDown)
	}
	r.agree(HealthUp)
	held := r.web1().Status
	if !held.Held {
		t.Fatalf("status %+v", held)
	}
	for name, change := range map[string]func(*BackendSpec){
		"another address": func(s *BackendSpec) { s.Address = "10.0.0.9:9000" },
		"maintenance":     func(s *BackendSpec) { s.AdminState = AdminMaint },
	} {
		t.Run(name, func(t *testing.T) {
			probe := *r
			probe.putWeb1(change)
			s := probe.web1().Status
			if s.Health != HealthUnknown || s.Held || s.Flaps != 0 || len(s.Votes) != 0 || s.Epoch != held.Epoch {
				t.Errorf("status %+v after %+v", s, held)
			}
		})
	}
	probe := *r
	probe.must(Put{Name: "default", Spec: PoolSpec{Strategy: StrategyRandom}})
	if s := probe.web1().Status; s.Health != HealthUnknown || s.Held || s.Flaps != 0 {
		t.Errorf("without a check the status is %+v", s)
	}
}

func TestWhatLevel3LacksIsRefusedThere(t *testing.T) {
	r := atLevel(t, 3, 3)
	r.putWeb1(nil)
	for _, op := range []Operation{SetOverride{Pool: "default", Name: "web1", Health: HealthUp}, Expire{}, ReportIdle{Node: "n1"}} {
		r.refused(CodeInvalid, op)
	}
	r.putWeb1(func(s *BackendSpec) { s.AdminState = AdminDrain })
	if r.web1().Status.Drain != nil {
		t.Error("a drain began that an older build does not know")
	}
}
