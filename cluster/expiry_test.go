package cluster

import (
	"fmt"
	"testing"
	"time"

	"evenkeel/fsm"
)

// ledger is a registry in memory, for what follows states without a cluster.
type ledger struct {
	*fsm.State
	t   testing.TB
	seq uint64
}

func newLedger(t testing.TB) *ledger {
	l := &ledger{State: fsm.New(), t: t}
	l.do(fsm.Init{ClusterID: "c", FeatureLevel: fsm.FeatureLevel, Objects: fsm.DefaultObjects()})
	l.do(fsm.SetNode{Node: fsm.Node{UID: "n1", Name: "n1", State: fsm.NodeAlive, FeatureLevel: fsm.FeatureLevel}})
	l.pool(func(*fsm.PoolSpec) {})
	return l
}

func (l *ledger) do(op fsm.Operation) fsm.Result {
	l.t.Helper()
	l.seq++
	next, results := fsm.Apply(l.State, []fsm.Command{{ID: fsm.CommandID{Origin: "test", Seq: l.seq}, Op: op}})
	if results[0].Err != nil {
		l.t.Fatalf("%T: %v", op, results[0].Err)
	}
	l.State = next
	return results[0]
}

// pool changes the pool default, which holds what flapped once and starts slowly.
func (l *ledger) pool(change func(*fsm.PoolSpec)) {
	l.t.Helper()
	spec := l.Pool("default").Spec
	spec.SlowStart = fsm.Duration(10 * time.Minute)
	spec.Damping = &fsm.Damping{Flaps: 1, Hold: fsm.Duration(5 * time.Second), MaxHold: fsm.Duration(time.Minute), Decay: fsm.Duration(time.Minute)}
	change(&spec)
	l.do(fsm.Put{Name: "default", Spec: spec})
}

func (l *ledger) votes(name string, healths ...fsm.Health) {
	l.t.Helper()
	for _, health := range healths {
		b := l.Backend("default", name)
		l.do(fsm.CastVotes{Observer: "n1", Votes: []fsm.BackendVote{{Pool: "default", Name: name, UID: b.Meta.UID, Generation: l.CheckGeneration(b), Health: health}}})
	}
}

func (l *ledger) wantRipe(c *countdowns, now time.Time, want ...fsm.ExpiryKind) []fsm.Expiry {
	l.t.Helper()
	c.follow(l.State, now)
	items := c.ripe(now)
	var kinds []fsm.ExpiryKind
	for _, item := range items {
		kinds = append(kinds, item.What)
	}
	if fmt.Sprint(kinds) != fmt.Sprint(want) {
		l.t.Fatalf("ripe is %v, want %v", kinds, want)
	}
	return items
}

func TestWhatLastsIsEndedOnceItsTimeHasPassed(t *testing.T) {
	const up, down = fsm.HealthUp, fsm.HealthDown
	for name, c := range map[string]struct {
		begin func(*ledger)
		span  time.Duration
		want  fsm.ExpiryKind
		over  func(*fsm.BackendStatus) bool
	}{
		"a slow start": {func(l *ledger) { l.do(backend("b")) }, 10 * time.Minute, fsm.ExpireRamp, func(s *fsm.BackendStatus) bool { return s.Ramp == 0 }},
		"a hold": {func(l *ledger) { l.do(backend("b")); l.votes("b", up, down, up, down, up) }, 5 * time.Second, fsm.ExpireHold,
			func(s *fsm.BackendStatus) bool { return !s.Held && s.Health == up }},
		"a flap": {func(l *ledger) {
			l.pool(func(s *fsm.PoolSpec) { s.SlowStart = 0 })
			l.do(backend("b"))
			l.votes("b", up, down, up)
		}, time.Minute, fsm.ExpireFlap, func(s *fsm.BackendStatus) bool { return s.Flaps == 0 }},
		"an override": {func(l *ledger) {
			l.pool(func(s *fsm.PoolSpec) { s.SlowStart = 0 })
			l.do(backend("b"))
			l.do(fsm.SetOverride{Pool: "default", Name: "b", Health: down, For: fsm.Duration(time.Hour)})
		}, time.Hour, fsm.ExpireOverride, func(s *fsm.BackendStatus) bool { return s.Override == nil }},
		"a drain": {func(l *ledger) { l.do(drainingNamed("b", 0)) }, fsm.DefaultDrainTimeout, fsm.ExpireDrain,
			func(s *fsm.BackendStatus) bool { return s.Drain.State == fsm.DrainTimedOut }},
		"a drain with a timeout": {func(l *ledger) { l.do(drainingNamed("b", time.Second)) }, time.Second, fsm.ExpireDrain,
			func(s *fsm.BackendStatus) bool { return s.Drain.State == fsm.DrainTimedOut }},
	} {
		t.Run(name, func(t *testing.T) {
			l, counts, now := newLedger(t), newCountdowns(newRenewals()), time.Now()
			l.wantRipe(counts, now)
			c.begin(l)
			l.wantRipe(counts, now)
			if due, ok := counts.next(); !ok || !due.Equal(now.Add(c.span)) {
				t.Errorf("the first is due after %s (%t), want %s", due.Sub(now), ok, c.span)
			}
			l.do(backend("other")) // the version moves on
			l.wantRipe(counts, now.Add(c.span-1))
			now = now.Add(c.span)
			items := l.wantRipe(counts, now, c.want)
			l.wantRipe(counts, now.Add(expiryRetry-1))
			items = append(l.wantRipe(counts, now.Add(expiryRetry), c.want), items...) // as if it were lost
			if result := l.do(fsm.Expire{Items: items}); result.Ignored != 1 || !c.over(&l.Backend("default", "b").Status) {
				t.Errorf("%+v: %+v", result, l.Backend("default", "b").Status)
			}
		})
	}
}

func drainingNamed(name string, timeout time.Duration) fsm.Put {
	put := backend(name)
	spec := put.Spec.(fsm.BackendSpec)
	spec.AdminState, spec.DrainTimeout = fsm.AdminDrain, fsm.Duration(timeout)
	put.Spec = spec
	return put
}

func TestWhatBeginsAnewIsCountedAnew(t *testing.T) {
	l, counts, now := newLedger(t), newCountdowns(newRenewals()), time.Now()
	l.pool(func(s *fsm.PoolSpec) { s.SlowStart = 0 })
	l.do(backend("b"))
	l.votes("b", fsm.HealthUp, fsm.HealthDown, fsm.HealthUp, fsm.HealthDown, fsm.HealthUp)
	l.wantRipe(counts, now)
	l.votes("b", fsm.HealthDown, fsm.HealthUp) // unseen in between
	l.wantRipe(counts, now.Add(4*time.Second))
	l.wantRipe(counts, now.Add(8*time.Second))
	l.wantRipe(counts, now.Add(9*time.Second), fsm.ExpireHold)
	next := newCountdowns(newRenewals()) // another leader's
	l.wantRipe(next, now.Add(time.Hour))
	l.wantRipe(next, now.Add(time.Hour+5*time.Second), fsm.ExpireHold)
	l.do(fsm.Delete{Ref: fsm.Ref{Kind: fsm.KindBackend, Pool: "default", Name: "b"}})
	l.wantRipe(counts, now.Add(time.Hour))
	if len(counts.all) != 0 || len(counts.order) != 0 {
		t.Errorf("%d backends and %d in order are kept of what is gone", len(counts.all), len(counts.order))
	}
}

// A script that renews an override again and again keeps no flap from decaying, and
// no hold from ending.
func TestNothingElseBeginsAHoldOrAFlapAnew(t *testing.T) {
	l, counts, now := newLedger(t), newCountdowns(newRenewals()), time.Now()
	l.pool(func(s *fsm.PoolSpec) {
		s.SlowStart = 0
		s.Damping = &fsm.Damping{Flaps: 1, Hold: fsm.Duration(time.Minute), MaxHold: fsm.Duration(time.Minute), Decay: fsm.Duration(time.Minute)}
	})
	l.do(backend("b"))
	l.votes("b", fsm.HealthUp, fsm.HealthDown, fsm.HealthUp, fsm.HealthDown, fsm.HealthUp)
	l.wantRipe(counts, now)
	for _, what := range []fsm.ExpiryKind{fsm.ExpireHold, fsm.ExpireFlap, fsm.ExpireFlap} {
		for second := 0; second < 60; second += 20 {
			l.do(fsm.SetOverride{Pool: "default", Name: "b", Health: fsm.HealthUp, For: fsm.Duration(time.Hour)})
			l.wantRipe(counts, now.Add(time.Duration(second)*time.Second))
		}
		l.wantRipe(counts, now.Add(time.Minute-1))
		now = now.Add(time.Minute)
		if result := l.do(fsm.Expire{Items: l.wantRipe(counts, now, what)}); result.Ignored != 0 {
			t.Fatalf("a %s was ended, and %+v", what, result)
		}
		l.wantRipe(counts, now)
	}
	if s := l.Backend("default", "b").Status; s.Held || s.Flaps != 0 || s.Override == nil {
		t.Errorf("%+v", s)
	}
}

// A slow start is found by the epoch that the end of a hold moves on.
func TestASlowStartEndsBesideTheHoldThatEndsWithIt(t *testing.T) {
	l, counts, now := newLedger(t), newCountdowns(newRenewals()), time.Now()
	l.pool(func(s *fsm.PoolSpec) { s.SlowStart = fsm.Duration(4 * time.Second) })
	l.do(backend("b"))
	l.votes("b", fsm.HealthUp, fsm.HealthDown, fsm.HealthUp, fsm.HealthDown, fsm.HealthUp)
	l.wantRipe(counts, now) // held from here on
	now = now.Add(time.Second)
	l.do(fsm.SetOverride{Pool: "default", Name: "b", Health: fsm.HealthUp})
	l.wantRipe(counts, now) // and used from here on
	items := l.wantRipe(counts, now.Add(4*time.Second), fsm.ExpireRamp, fsm.ExpireHold)
	if result := l.do(fsm.Expire{Items: items}); result.Ignored != 0 || l.Backend("default", "b").Status.Ramp != 0 {
		t.Errorf("%+v of %+v: %+v", result, items, l.Backend("default", "b").Status)
	}
}

func TestASpanThatChangesMovesTheEnd(t *testing.T) {
	l, counts, now := newLedger(t), newCountdowns(newRenewals()), time.Now()
	l.do(backend("b"))
	l.wantRipe(counts, now)
	l.pool(func(s *fsm.PoolSpec) { s.SlowStart = fsm.Duration(time.Minute) })
	l.wantRipe(counts, now.Add(59*time.Second))
	l.wantRipe(counts, now.Add(60*time.Second), fsm.ExpireRamp)
}

func TestASlowStartOutlivesTheFlapsThatDecayInIt(t *testing.T) {
	l, counts, now := newLedger(t), newCountdowns(newRenewals()), time.Now()
	l.do(backend("b"))
	l.votes("b", fsm.HealthUp, fsm.HealthDown, fsm.HealthUp, fsm.HealthDown, fsm.HealthUp)
	b := l.Backend("default", "b")
	l.do(fsm.Expire{Items: []fsm.Expiry{{Pool: "default", Name: "b", UID: b.Meta.UID, What: fsm.ExpireHold, Epoch: b.Status.FlapEpoch}}})
	l.wantRipe(counts, now) // two flaps, and a slow start
	l.do(fsm.Expire{Items: l.wantRipe(counts, now.Add(time.Minute), fsm.ExpireFlap)})
	l.wantRipe(counts, now.Add(time.Minute))
	// The second flap and the slow start end in one command.
	l.pool(func(s *fsm.PoolSpec) { s.SlowStart = fsm.Duration(2 * time.Minute) })
	items := l.wantRipe(counts, now.Add(2*time.Minute), fsm.ExpireRamp, fsm.ExpireFlap)
	if result := l.do(fsm.Expire{Items: items}); result.Ignored != 0 {
		t.Errorf("%+v of %+v", result, items)
	}
}

func TestOneCommandEndsWhatFitsIntoIt(t *testing.T) {
	l, counts, now := newLedger(t), newCountdowns(newRenewals()), time.Now()
	const backends = 6000
	for i := range backends {
		l.do(numbered(i))
	}
	counts.follow(l.State, now)
	now = now.Add(10 * time.Minute)
	ended, commands := 0, 0
	for {
		counts.follow(l.State, now)
		items := counts.ripe(now)
		if len(items) == 0 {
			break
		}
		data, err := fsm.EncodeCommand(fsm.Command{ID: fsm.CommandID{Origin: "n", Seq: 1}, Op: fsm.Expire{Items: items}})
		if err != nil || len(data) > maxCommand || len(items) > maxExpiries {
			t.Fatalf("a command with %d items has %d bytes: %v", len(items), len(data), err)
		}
		l.do(fsm.Expire{Items: items})
		ended += len(items)
		commands++
	}
	if ended != backends || commands < 2 || commands > 4 {
		t.Errorf("%d ended in %d commands", ended, commands)
	}
}

// The leader ends an override, and the next one does once the first is gone; it
// counts the whole time itself.
func TestTheLeaderEndsWhatHasLastedItsTime(t *testing.T) {
	c := newTestCluster(t)
	c.form(3)
	n := c.follower()
	for _, name := range []string{"b1", "b22"} {
		c.put(n, backend(name))
	}
	override := func(n *testNode, name string, span time.Duration) {
		result, err := n.Propose(t.Context(), fsm.Command{Actor: "test", Op: fsm.SetOverride{Pool: "default", Name: name, Health: fsm.HealthDown, For: fsm.Duration(span)}})
		if err != nil || result.Err != nil {
			t.Fatalf("override: %v, %v", err, result.Err)
		}
	}
	begun := time.Now()
	override(n, "b1", time.Second)
	eventually(t, "the override ends", func() bool { return n.State().Backend("default", "b1").Status.Override == nil })
	if lasted := time.Since(begun); lasted < time.Second {
		t.Errorf("it lasted %s", lasted)
	}

	override(n, "b22", 3*time.Second)
	gone := time.Now()
	c.kill(c.leader().Name())
	survivor := c.leader()
	eventually(t, "the next leader ends it", func() bool { return survivor.State().Backend("default", "b22").Status.Override == nil })
	if lasted := time.Since(gone); lasted < 3*time.Second {
		t.Errorf("it ended %s after its leader was killed", lasted)
	}
}
