package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"evenkeel/cluster/peer"
	"evenkeel/fsm"
)

// renewed is a backend that lapses unless it is renewed.
func renewed(name string, ttl time.Duration) fsm.Put {
	put := backend(name)
	spec := put.Spec.(fsm.BackendSpec)
	spec.TTL = fsm.Duration(ttl)
	put.Spec = spec
	return put
}

func (l *ledger) renewal(name string) (fsm.Ref, string) {
	b := l.Backend("default", name)
	return b.Ref(), b.Meta.UID
}

func TestABackendLapsesWhenItsTimeHasPassedSinceItsLastRenewal(t *testing.T) {
	l, told, now := newLedger(t), newRenewals(), time.Now()
	counts := newCountdowns(told)
	l.pool(func(spec *fsm.PoolSpec) { spec.SlowStart = 0 })
	l.do(renewed("b", 10*time.Second))
	l.wantRipe(counts, now)
	ref, uid := l.renewal("b")
	if !told.renew(ref, uid, now.Add(8*time.Second)) || !told.renew(ref, uid, now.Add(9*time.Second)) {
		t.Fatal("a renewal does not count")
	}
	l.wantRipe(counts, now.Add(19*time.Second-1))
	if !told.renew(ref, uid, now.Add(19*time.Second-1)) {
		t.Fatal("one just in time does not count")
	}
	l.wantRipe(counts, now.Add(19*time.Second))
	items := l.wantRipe(counts, now.Add(29*time.Second), fsm.ExpireTTL)

	// Until it is gone, who renews it is told to register again, however long that
	// takes: a renewal that is taken is not lost.
	if told.renew(ref, uid, now.Add(29*time.Second)) || told.renew(ref, uid, now.Add(35*time.Second)) {
		t.Error("it is renewed while it lapses")
	}
	l.do(fsm.Expire{Items: items})
	if l.Backend("default", "b") != nil {
		t.Error("it is still there")
	}
	l.wantRipe(counts, now.Add(time.Hour))
	if len(told.last) != 0 {
		t.Errorf("%v is kept of what is gone", told.last)
	}
}

func TestWhatWasRegisteredAgainOrChangedDoesNotLapse(t *testing.T) {
	l, told, now := newLedger(t), newRenewals(), time.Now()
	counts := newCountdowns(told)
	l.pool(func(spec *fsm.PoolSpec) { spec.SlowStart = 0 })
	l.do(renewed("b", 10*time.Second))
	l.wantRipe(counts, now)
	items := l.wantRipe(counts, now.Add(10*time.Second), fsm.ExpireTTL)
	l.do(renewed("b", 20*time.Second)) // the command for the lapse comes too late
	if result := l.do(fsm.Expire{Items: items}); result.Ignored != 1 || l.Backend("default", "b") == nil {
		t.Errorf("%+v", result)
	}
	ref, uid := l.renewal("b")
	l.wantRipe(counts, now.Add(11*time.Second))
	if !told.renew(ref, uid, now.Add(11*time.Second)) {
		t.Error("what was registered again cannot be renewed")
	}
	l.wantRipe(counts, now.Add(31*time.Second-1))
	l.do(fsm.Delete{Ref: ref})
	l.do(renewed("b", 10*time.Second))
	l.wantRipe(counts, now.Add(35*time.Second)) // another one, whatever was told of the first
	l.wantRipe(counts, now.Add(45*time.Second), fsm.ExpireTTL)
}

func TestWhatIsHeldForAConfirmationIsRenewedMeanwhile(t *testing.T) {
	l, told, now := newLedger(t), newRenewals(), time.Now()
	counts := newCountdowns(told)
	l.pool(func(spec *fsm.PoolSpec) { spec.SlowStart = 0 })
	revision := l.doWithin(time.Hour, renewed("b", 10*time.Second))
	l.wantRipe(counts, now)
	items := l.wantRipe(counts, now.Add(10*time.Second), fsm.ExpireTTL)
	if result := l.do(fsm.Expire{Items: items}); result.Ignored != 1 {
		t.Fatalf("%+v", result)
	}
	told.settle(items)
	ref, uid := l.renewal("b")
	if !told.renew(ref, uid, now.Add(10*time.Second+1)) {
		t.Fatal("what stayed cannot be renewed")
	}
	l.do(fsm.Confirm{Revision: revision})
	l.wantRipe(counts, now.Add(20*time.Second))
	l.wantRipe(counts, now.Add(20*time.Second+1), fsm.ExpireTTL)
}

func TestTheTimeThatTheLeaderStoodStillDoesNotCountAgainstBackends(t *testing.T) {
	l, told, now := newLedger(t), newRenewals(), time.Now()
	counts := newCountdowns(told)
	l.pool(func(spec *fsm.PoolSpec) { spec.SlowStart = 0 })
	l.do(renewed("b", 10*time.Second))
	l.do(renewed("b22", 10*time.Second))
	l.wantRipe(counts, now)
	ref, uid := l.renewal("b22")
	if !told.renew(ref, uid, now.Add(5*time.Second)) {
		t.Fatal("a renewal does not count")
	}
	counts.stoodStill(time.Minute) // at 8 s
	l.wantRipe(counts, now.Add(68*time.Second))
	if !told.renew(ref, uid, now.Add(69*time.Second)) {
		t.Fatal("a renewal does not count")
	}
	if items := l.wantRipe(counts, now.Add(70*time.Second), fsm.ExpireTTL); items[0].Name != "b" {
		t.Errorf("%+v lapses", items)
	}
	l.do(fsm.Delete{Ref: ref})
	l.do(fsm.Delete{Ref: fsm.Ref{Kind: fsm.KindBackend, Pool: "default", Name: "b"}})
	if l.wantRipe(counts, now.Add(71*time.Second)); counts.ttls != 0 {
		t.Errorf("%d are counted that are gone", counts.ttls)
	}
}

// A process that is stopped is imitated by a wait that returns too late.
func TestALeaderNoticesThatItStoodStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t)
		counts := newCountdowns(newRenewals())
		l.pool(func(spec *fsm.PoolSpec) { spec.SlowStart = 0 })
		l.do(renewed("b", 10*time.Second))
		begun := time.Now()
		counts.follow(l.State, begun)
		for time.Since(begun) < 5*time.Second {
			counts.await(t.Context(), nil)
		}
		if due, _ := counts.next(); !due.Equal(begun.Add(10 * time.Second)) {
			t.Errorf("it is due after %s though nothing stood still", due.Sub(begun))
		}
		counts.waited(time.Now().Add(-time.Minute), stillCheck)
		if due, _ := counts.next(); !due.Equal(begun.Add(70*time.Second - stillCheck)) {
			t.Errorf("it is due after %s", due.Sub(begun))
		}
	})
}

func TestALeaderThatDoesNotKnowAllYetTakesNoRenewals(t *testing.T) {
	n := &Node{leaders: newLeaders(), renewals: newRenewals()}
	n.leaders.set(t.Context(), "me", true, 1)
	_, err := n.takeRenewals(t.Context(), "other", renewRequest{[]Renewal{{Pool: "default", Name: "b", UID: "u"}}})
	if !peer.IsRemote(err, codeNotLeader) {
		t.Errorf("error %v", err)
	}
}

func TestRenewalsOfOneNodeShareItsCalls(t *testing.T) {
	r := newRenewer()
	ctx, cancel := context.WithCancel(t.Context())
	held, entered := make(chan struct{}), make(chan struct{}, 1)
	var sizes []int
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.run(ctx, func(_ context.Context, items []Renewal) ([]int, error) {
			if len(sizes) == 0 {
				entered <- struct{}{}
				<-held
			}
			sizes = append(sizes, len(items))
			return []int{len(items) - 1, -1, len(items)}, nil // of which two are no places
		})
	}()
	var all sync.WaitGroup
	errs := make(chan error, 2500)
	renew := func(i int) { errs <- r.do(ctx, Renewal{Name: fmt.Sprint(i)}) }
	all.Go(func() { renew(0) })
	<-entered
	for i := range 2400 {
		all.Go(func() { renew(i) })
	}
	eventually(t, "all wait", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.waiting) == 2400 })
	close(held)
	all.Wait()
	close(errs)
	unknown := 0
	for err := range errs {
		if errors.Is(err, ErrNotRegistered) {
			unknown++
		} else if err != nil {
			t.Error(err)
		}
	}
	for range 2 { // as those do that were taken before they could; it takes the second when it is done with the first
		r.wake <- struct{}{}
	}
	eventually(t, "it wakes up", func() bool { return len(r.wake) == 0 })
	cancel()
	<-done
	if fmt.Sprint(sizes) != "[1 1000 1000 400]" || unknown != 4 {
		t.Errorf("calls of %v, %d not registered", sizes, unknown)
	}
}

func TestMoreRenewalsThanANodeTakesAreRefused(t *testing.T) {
	r := newRenewer()
	r.waiting = make([]renewing, maxRenewing)
	if err := r.do(t.Context(), Renewal{}); !errors.Is(err, ErrOverloaded) {
		t.Errorf("error %v", err)
	}
}

// Which node a renewal comes to does not matter, and it costs no commit.
func TestABackendStaysAsLongAsItIsRenewedAtAnyNode(t *testing.T) {
	c := newTestCluster(t)
	c.form(3)
	leader := c.leader()
	nodes := append(c.others(leader), leader)
	c.put(nodes[0], renewed("b1", 5*time.Second))
	c.put(nodes[0], renewed("b22", 5*time.Second))
	eventually(t, "all nodes have them", func() bool {
		for _, n := range nodes {
			if n.State().Backend("default", "b22") == nil {
				return false
			}
		}
		return true
	})
	version := nodes[0].State().Version()
	own := nodes[0].State().Backend("default", "b1")
	for i := 0; nodes[0].State().Backend("default", "b22") != nil; i++ {
		r := Renewal{Pool: "default", Name: "b1", UID: own.Meta.UID}
		if err := nodes[i%3].Renew(t.Context(), r); err != nil && !errors.Is(err, ErrNoQuorum) {
			t.Fatalf("renew at node %s: %v", nodes[i%3].Name(), err)
		}
		if err := pause(t.Context(), 20*time.Millisecond); err != nil {
			t.Fatal("b22 did not lapse")
		}
	}
	state := nodes[0].State()
	entry := state.RevisionAt(state.Revision())
	if entry == nil || entry.Kind != fsm.DoneLapse || entry.Count != 1 || entry.Changes[0].Ref.Name != "b22" {
		t.Errorf("the last revision is %+v", entry)
	}
	if state.Version() > version+10 {
		t.Errorf("version %d after %d: renewals are commits", state.Version(), version)
	}
	if state.Backend("default", "b1") == nil {
		t.Error("what was renewed lapsed")
	}
	gone := Renewal{Pool: "default", Name: "b22", UID: own.Meta.UID}
	eventually(t, "what lapsed is to register again", func() bool { return errors.Is(nodes[1].Renew(t.Context(), gone), ErrNotRegistered) })
}
