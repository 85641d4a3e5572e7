package fsm

import (
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// agreedOf is what the observers agreed, whether or not it is held back.
func agreedOf(b *Backend) Health {
	if b.Status.Held {
		return HealthUp
	}
	return b.Status.Health
}

// support tells how many observers of the backend say so themselves, and how many
// could count as such with votes of those who departed.
func support(s *State, b *Backend, votes []Vote, health Health) (own, most int) {
	observers, voted, departed := s.Observers(b), 0, 0
	for _, vote := range votes {
		if vote.Generation != s.CheckGeneration(b) {
			continue
		}
		observes := slices.Contains(observers, vote.Observer)
		switch {
		case observes && vote.Health == health:
			own++
			voted++
		case observes:
			voted++
		case vote.Health == health && s.FeatureLevel() >= 4:
			departed++
		}
	}
	return own, own + min(departed, len(observers)-voted)
}

// fataler is who is told that a rule does not hold.
type fataler interface {
	Fatalf(format string, args ...any)
}

// checkVerdicts holds what a command made of the verdicts to the rule: none turns
// up or down without a majority for it, and none stays against one.
func checkVerdicts(t fataler, before, after *State) {
	for b := range after.Backends() {
		majority := len(after.Observers(b))/2 + 1
		is := agreedOf(b)
		for _, health := range []Health{HealthUp, HealthDown} {
			own, most := support(after, b, b.Status.Votes, health)
			if own >= majority && is != health {
				t.Fatalf("%d of %v say %s about %s, which is %s", own, after.Observers(b), health, b.Ref(), is)
			}
			old := before.Backend(b.Pool, b.Name)
			news := old == nil || old.Meta.UID != b.Meta.UID || agreedOf(old) != is
			if news && is == health && most < majority {
				t.Fatalf("%s became %s with votes %+v of %v", b.Ref(), is, b.Status.Votes, after.Observers(b))
			}
		}
	}
}

// checkStatus holds each status to what its fields say of each other.
func checkStatus(t fataler, before, after *State) {
	for b := range after.Backends() {
		s := b.Status
		if s.Held && (s.Health != HealthDown || s.Override == nil && s.Effective() != HealthDown) {
			t.Fatalf("%s is held and %s, used as %s", b.Ref(), s.Health, s.Effective())
		}
		if s.Ramp > after.Version() {
			t.Fatalf("%s starts slowly in the future: %+v", b.Ref(), s)
		}
		if (s.FlapEpoch != 0) != (s.Held || s.Flaps > 0 && s.Health == HealthUp) || s.FlapEpoch > s.Epoch {
			t.Fatalf("nothing lasts, or something of no epoch: %s with %+v", b.Ref(), s)
		}
		if s.Flaps < 0 || s.Flaps > maxFlaps+20 || s.Reduction < 0 || s.Reduction > 100 {
			t.Fatalf("%s is out of bounds: %+v", b.Ref(), s)
		}
		if after.FeatureLevel() >= 4 {
			checkDrain(t, after, b)
			if len(s.Votes) > maxObservers+len(someNodes) {
				t.Fatalf("%s has %d votes", b.Ref(), len(s.Votes))
			}
		}
		if s.Override != nil && s.Override.Epoch > s.Epoch {
			t.Fatalf("the override of %s is of the future", b.Ref())
		}
		if old := before.Backend(b.Pool, b.Name); old != nil && old.Meta.UID == b.Meta.UID && old.Status.Epoch > s.Epoch {
			t.Fatalf("the epoch of %s fell from %d to %d", b.Ref(), old.Status.Epoch, s.Epoch)
		}
	}
}

// serves tells whether new traffic may go to the backend, whoever says so.
func serves(b *Backend) bool {
	s := b.Status
	down := s.Health == HealthDown
	if s.Override != nil {
		down = s.Override.Health == HealthDown
	}
	return b.Spec.AdminState == AdminReady && !down
}

// checkRamps holds slow starts to when they may begin and go on: with new traffic
// in a pool that has them, and as long as the backend gets any.
func checkRamps(t fataler, before, after *State) {
	for b := range after.Backends() {
		old := before.Backend(b.Pool, b.Name)
		served, ramp := false, uint64(0)
		if old != nil && old.Meta.UID == b.Meta.UID && old.Status.Generation == b.Status.Generation {
			served, ramp = serves(old), old.Status.Ramp
		}
		slow := after.Pool(b.Pool).Spec.SlowStart > 0
		// Of a pool that changes with its backends either may be what counts.
		same := before.Pool(b.Pool) != nil && slow == (before.Pool(b.Pool).Spec.SlowStart > 0)
		switch is := b.Status.Ramp; {
		case !serves(b) && is != 0:
			t.Fatalf("%s starts slowly and is not used: %+v", b.Ref(), b.Status)
		case served && serves(b) && is != 0 && is != ramp:
			t.Fatalf("%s was used already and started slowly again: %+v", b.Ref(), b.Status)
		case same && !served && serves(b) && (is > before.Version()) != slow:
			t.Fatalf("%s is used from here on, slow start %t: %+v", b.Ref(), slow, b.Status)
		}
	}
}

func checkDrain(t fataler, s *State, b *Backend) {
	drain := b.Status.Drain
	if (drain != nil) != (b.Spec.AdminState == AdminDrain) {
		t.Fatalf("%s is %s with the drain %+v", b.Ref(), b.Spec.AdminState, drain)
	}
	if drain == nil || drain.State != DrainUnderWay {
		return
	}
	missing := len(s.observers) == 0
	for _, uid := range s.observers {
		missing = missing || !slices.Contains(drain.Idle, uid)
	}
	for _, uid := range drain.Idle {
		if !slices.Contains(s.observers, uid) {
			t.Fatalf("the drain of %s counts %s, which is gone", b.Ref(), uid)
		}
	}
	if !missing {
		t.Fatalf("the drain of %s goes on, though all of %v are idle", b.Ref(), s.observers)
	}
}

func TestVerdictsAndWhatFollowsHoldAfterEveryCommand(t *testing.T) {
	for name, start := range map[string]*State{
		"at the newest level": atLevel(t, FeatureLevel, 6).State, "from level 3 on": atLevel(t, 3, 6).State, "with one observer": volatile(t),
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				entries, _ := drawEntries(t, start)
				s := start
				for _, entry := range entries {
					for _, command := range entry {
						before := s
						s, _ = Apply(before, []Command{command})
						checkVerdicts(t, before, s)
						checkStatus(t, before, s)
						checkRamps(t, before, s)
					}
				}
			})
		})
	}
}

func TestExpiriesOfAnotherEpochChangeNothing(t *testing.T) {
	start := atLevel(t, FeatureLevel, 6).State
	rapid.Check(t, func(t *rapid.T) {
		_, s := drawEntries(t, start)
		op := drawExpire(t, s, rapid.SampledFrom([]uint64{1, 2, ^uint64(0)}).Draw(t, "off by"))
		after, results := Apply(s, []Command{{ID: CommandID{"late", 1}, Op: op}})
		if results[0].Err != nil || results[0].Changed || results[0].Ignored != len(op.Items) || after.Digest() != s.Digest() {
			t.Fatalf("%+v gave %+v", op, results[0])
		}
	})
}

// TestHistoriesReachWhatTheyAreToTest fails if the histories above are too tame
// to meet what they are drawn for. Some of it is rare, and is given more of them.
func TestHistoriesReachWhatTheyAreToTest(t *testing.T) {
	starts := []*State{atLevel(t, FeatureLevel, 6).State, volatile(t)}
	const kinds, rounds = 11, 30
	met := map[string]int{}
	for round := 0; round < rounds && len(met) < kinds; round++ {
		rapid.Check(t, func(t *rapid.T) {
			start := rapid.SampledFrom(starts).Draw(t, "start")
			entries, _ := drawEntries(t, start)
			s := start
			for _, entry := range entries {
				s, _ = Apply(s, entry)
				for b := range s.Backends() {
					for name, is := range map[string]bool{
						"up": b.Status.Health == HealthUp, "down": b.Status.Health == HealthDown, "held": b.Status.Held, "ramp": b.Status.Ramp != 0,
						"flaps": b.Status.Flaps > 0, "override": b.Status.Override != nil, "draining": b.Status.Drain != nil,
						"drained": b.Status.Drain != nil && b.Status.Drain.State == DrainDone, "reduction": b.Status.Reduction > 0,
						"ramp under an override": b.Status.Override != nil && b.Status.Ramp != 0,
						"departed":               len(standInsOf(s, b)) > 0,
					} {
						if is {
							met[name]++
						}
					}
				}
			}
		})
	}
	if len(met) < kinds {
		t.Errorf("only these were met: %v", met)
	}
}

// volatile is a registry in which one node's vote turns a verdict, and the next
// flap holds it.
func volatile(t testing.TB) *State {
	r := atLevel(t, FeatureLevel, 1)
	spec := dampedPool()
	spec.Check.Observers = 1
	r.must(Put{Name: "default", Spec: spec})
	for _, name := range []string{"a", "b", "c"} {
		b := r.must(backend(name, "10.0.1.1:8"+strconv.Itoa(int(name[0])))).Object.(*Backend)
		for _, health := range []Health{HealthUp, HealthDown, HealthUp} {
			r.must(CastVotes{"n1", []BackendVote{{Pool: "default", Name: name, UID: b.Meta.UID, Generation: r.CheckGeneration(b), Health: health}}})
		}
	}
	return r.State
}

func standInsOf(s *State, b *Backend) []Vote {
	d := newDraft(s)
	return d.standIns(d.hearingOf(b, s.Pool(b.Pool)), b.Status.Votes)
}

// complaints counts what a check finds wrong.
type complaints int

func (c *complaints) Fatalf(string, ...any) { *c++ }

// TestTheChecksSeeAWrongRule plants in a state what a wrong rule would make of
// it: checks that pass over that would prove nothing of the right ones.
func TestTheChecksSeeAWrongRule(t *testing.T) {
	for name, c := range map[string]struct {
		down  int // of three observers
		plant func(s *BackendStatus)
	}{
		"nothing is wrong with one vote":    {1, func(*BackendStatus) {}},
		"nothing is wrong with two":         {2, func(*BackendStatus) {}},
		"one vote of three decides":         {1, func(s *BackendStatus) { s.Health = HealthDown }},
		"a majority does not decide":        {2, func(s *BackendStatus) { s.Health = HealthUp }},
		"a majority for down makes unknown": {2, func(s *BackendStatus) { s.Health = HealthUnknown }},
		"a hold that keeps nothing out":     {1, func(s *BackendStatus) { s.Held = true }},
		"a slow start of what is not used":  {2, func(s *BackendStatus) { s.Ramp = 1 }},
		"a drain of what does not drain":    {1, func(s *BackendStatus) { s.Drain = &Drain{State: DrainUnderWay} }},
		"an override of the future":         {1, func(s *BackendStatus) { s.Override = &Override{Health: HealthUp, Epoch: s.Epoch + 1} }},
	} {
		t.Run(name, func(t *testing.T) {
			r := atLevel(t, FeatureLevel, 3)
			b := r.must(backend("planted", "10.0.9.9:80")).Object.(*Backend)
			vote := func(observer string, health Health) {
				r.must(CastVotes{observer, []BackendVote{{Pool: b.Pool, Name: b.Name, UID: b.Meta.UID, Generation: r.CheckGeneration(b), Health: health}}})
			}
			observers := r.Observers(b)
			for _, observer := range observers {
				vote(observer, HealthUp)
			}
			for _, observer := range observers[:c.down-1] {
				vote(observer, HealthDown)
			}
			before := r.State
			vote(observers[c.down-1], HealthDown)
			c.plant(&r.Backend(b.Pool, b.Name).Status) // a new object, which before does not have
			var found complaints
			checkVerdicts(&found, before, r.State)
			checkStatus(&found, before, r.State)
			checkRamps(&found, before, r.State)
			if planted := name[:7] != "nothing"; planted != (found > 0) {
				t.Errorf("%d complaints", found)
			}
		})
	}
}
