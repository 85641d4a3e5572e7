package health

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"evenkeel/fsm"
)

func (r *registry) uid(backend string) string {
	return r.current().Backend("default", backend).Meta.UID
}

// vote casts another node's vote about a backend of the default pool.
func (r *registry) vote(observer, backend string, health fsm.Health) {
	r.t.Helper()
	s := r.current()
	b := s.Backend("default", backend)
	r.must(fsm.CastVotes{Observer: observer, Votes: []fsm.BackendVote{{
		Pool: "default", Name: backend, UID: b.Meta.UID, Generation: s.CheckGeneration(b), Health: health,
	}}})
}

func local(o *Observer) *Local {
	local, _ := o.WatchLocal()
	return local
}

func TestANodeThatAloneCannotReachABackendVetoesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1", "n2", "n3"), newWorld(t)
		r.must(backends(0, 2)...)
		o := observe(t, r, w)
		for _, other := range []string{"n2", "n3"} {
			r.vote(other, "b0", fsm.HealthUp)
		}
		time.Sleep(10 * time.Second)
		if l := local(o); len(l.Health) != 0 || l.CutOff {
			t.Fatalf("at first there is %+v", l)
		}
		w.set("10.0.0.0:80", errRefused)
		_, changed := o.WatchLocal()
		time.Sleep(7 * time.Second)
		<-changed
		veto := local(o).Reasons[r.uid("b0")]
		if local(o).Health[r.uid("b0")] != fsm.HealthDown || veto.Reason != errRefused.Error() || veto.Name != "b0" || veto.Since.IsZero() {
			t.Errorf("local is %+v", local(o))
		}
		if r.health("b0") != fsm.HealthUp || len(local(o).Health) != 1 {
			t.Errorf("the verdict is %s, local %+v", r.health("b0"), local(o))
		}
		_, changed = o.WatchLocal()
		time.Sleep(time.Minute)
		select {
		case <-changed:
			t.Error("another snapshot came though nothing changed")
		default:
		}
		r.vote("n2", "b0", fsm.HealthDown) // now agreed: no veto any more
		time.Sleep(publishPeriod)
		if l := local(o); r.health("b0") != fsm.HealthDown || len(l.Health) != 0 || len(l.Reasons) != 0 {
			t.Errorf("the verdict is %s, local %+v", r.health("b0"), l)
		}
		r.vote("n2", "b0", fsm.HealthUp)
		time.Sleep(publishPeriod)
		if l := local(o); l.Health[r.uid("b0")] != fsm.HealthDown {
			t.Errorf("local is %+v", l)
		}
		time.Sleep(2 * time.Second) // the probe that was planned before
		w.set("10.0.0.0:80", nil)
		time.Sleep(1100 * time.Millisecond) // two passes, a quarter of the interval apart
		if l := local(o); len(l.Health) != 0 {
			t.Errorf("after rise passes local is %+v", l)
		}
	})
}

// elsewhere is an observer of node n1 for a registry of which it observes
// nothing.
func elsewhere(t *testing.T, r *registry, w *world) *Observer {
	o := newObserver(w)
	o.observers = func(*fsm.State, *fsm.Backend) []string { return []string{"n2", "n3", "n4"} }
	run(t, o, r)
	return o
}

func TestANodeProbesForItselfWhatItDoubts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1", "n2", "n3", "n4"), newWorld(t)
		r.must(putCheck(func(c *fsm.Check) {
			c.FastInterval, c.Timeout = fsm.Duration(500*time.Millisecond), fsm.Duration(500*time.Millisecond)
		}))
		r.must(backends(0, 3)...)
		o := elsewhere(t, r, w)
		time.Sleep(10 * time.Second)
		w.set("10.0.0.0:80", errRefused)
		o.Suspect(r.against("b0", ""))
		synctest.Wait()
		if l := local(o); l.Health[r.uid("b0")] != fsm.HealthDown || !l.Reasons[r.uid("b0")].Evidence {
			t.Errorf("local is %+v", l)
		}
		time.Sleep(10 * time.Second)
		if probes := len(w.seen("10.0.0.0:80")); probes < 20 || probes > 22 {
			t.Errorf("%d probes in 10 s of doubt", probes)
		}
		if c := o.Counters(); c.Doubted != 1 || c.Observed != 0 || c.Probed != 1 {
			t.Errorf("counters are %+v", c)
		}
		w.set("10.0.0.0:80", nil)
		time.Sleep(3 * time.Second)
		if l, c := local(o), o.Counters(); len(l.Health) != 0 || c.Doubted != 0 || c.Probed != 0 {
			t.Errorf("after rise passes local is %+v, counters %+v", l, c)
		}
		if commands, _ := r.sent(); commands != 0 {
			t.Errorf("%d commands were proposed by a node that does not observe", commands)
		}
		before := len(w.seen("10.0.0.0:80"))
		time.Sleep(time.Minute)
		if probes := len(w.seen("10.0.0.0:80")) - before; probes != 0 {
			t.Errorf("%d probes after the doubt ended", probes)
		}
		if others := len(w.seen("10.0.0.1:80")); others != 0 {
			t.Errorf("%d probes of what nobody doubted", others)
		}
	})
}

func TestDoubtEndsWhenOthersDecide(t *testing.T) {
	for name, decide := range map[string]func(r *registry){
		"agreed down": func(r *registry) {
			r.vote("n2", "b0", fsm.HealthDown)
			r.vote("n3", "b0", fsm.HealthDown)
			r.vote("n4", "b0", fsm.HealthDown)
		},
		"removed":    func(r *registry) { r.must(fsm.Delete{Ref: ref("b0")}) },
		"moved":      func(r *registry) { r.must(putBackend("b0", "10.0.0.9:80", fsm.AdminReady)) },
		"maintained": func(r *registry) { r.must(putBackend("b0", "10.0.0.0:80", fsm.AdminMaint)) },
		"unchecked":  func(r *registry) { r.must(putCheck(nil)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, w := newRegistry(t, "n1", "n2", "n3", "n4"), newWorld(t)
				r.must(backends(0, 1)...)
				o := elsewhere(t, r, w)
				time.Sleep(time.Second)
				w.set("", errRefused)
				o.Suspect(r.against("b0", ""))
				time.Sleep(10 * time.Second)
				if len(local(o).Health) != 1 {
					t.Fatalf("local is %+v", local(o))
				}
				decide(r)
				time.Sleep(publishPeriod)
				if l, c := local(o), o.Counters(); len(l.Health) != 0 || c.Probed != 0 || c.Doubted != 0 {
					t.Errorf("local is %+v, counters %+v", l, c)
				}
			})
		})
	}
}

func TestDoubtIsBounded(t *testing.T) {
	r := newRegistry(t, "n1")
	r.must(backends(0, 1)...)
	o := newObserver(newWorld(t))
	o.observers = func(*fsm.State, *fsm.Backend) []string { return nil }
	o.follow(r.current())
	o.counters.Doubted = maxDoubted
	o.Suspect(r.against("b0", ""))
	o.weigh()
	if c := o.Counters(); c.EvidenceDropped != 1 || c.Probed != 0 {
		t.Errorf("counters are %+v", c)
	}
}

func TestANodeThatIsCutOffTrustsItsOwnProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1", "n2", "n3", "n4"), newWorld(t)
		var alone atomic.Bool
		r.must(backends(0, 100)...)
		o := newObserver(w)
		o.connection.connected = func() bool { return !alone.Load() }
		o.observers = func(_ *fsm.State, b *fsm.Backend) []string {
			if b.Name == "b0" {
				return []string{"n1", "n2", "n3"}
			}
			return []string{"n2", "n3", "n4"}
		}
		run(t, o, r)
		for _, other := range []string{"n2", "n3", "n4"} {
			r.vote(other, "b1", fsm.HealthDown)
			r.vote(other, "b2", fsm.HealthUp)
		}
		time.Sleep(10 * time.Second)
		w.set("10.0.0.2:80", errRefused)
		alone.Store(true)
		time.Sleep(grace - 2*pollPeriod)
		if c := o.Counters(); local(o).CutOff || c.Probed != 1 {
			t.Fatalf("before the time of grace is over: %+v, %+v", local(o), c)
		}
		time.Sleep(4 * pollPeriod)
		if c := o.Counters(); !local(o).CutOff || c.Probed != 100 || c.Observed != 1 {
			t.Fatalf("local is %+v, counters are %+v", local(o), c)
		}
		if l := local(o); l.Health[r.uid("b1")] != fsm.HealthDown || l.Health[r.uid("b2")] != fsm.HealthUp {
			t.Errorf("it does not begin with the verdicts: b1 is %s, b2 %s", l.Health[r.uid("b1")], l.Health[r.uid("b2")])
		}
		time.Sleep(7 * time.Second)
		l := local(o)
		if l.Health[r.uid("b1")] != fsm.HealthUp || l.Health[r.uid("b2")] != fsm.HealthDown || len(l.Health) != 100 || len(l.Reasons) != 1 {
			t.Errorf("b1 is %s, b2 %s of %d, %d reasons", l.Health[r.uid("b1")], l.Health[r.uid("b2")], len(l.Health), len(l.Reasons))
		}
		if commands, votes := r.sent(); votes > 1 {
			t.Errorf("%d votes in %d commands: of what it does not observe", votes, commands)
		}
		alone.Store(false)
		time.Sleep(pollPeriod + publishPeriod)
		if l, c := local(o), o.Counters(); l.CutOff || len(l.Health) != 0 || c.Probed != 1 {
			t.Errorf("connected again, local is %+v, counters are %+v", l, c)
		}
	})
}

func TestAShortLossOfTheLeaderChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1"), newWorld(t)
		r.must(backends(0, 10)...)
		o := newObserver(w)
		var alone atomic.Bool
		o.connection.connected = func() bool { return !alone.Load() }
		run(t, o, r)
		_, changed := o.WatchLocal()
		for range 10 {
			alone.Store(true)
			time.Sleep(grace - 3*pollPeriod)
			alone.Store(false)
			time.Sleep(2 * pollPeriod)
		}
		select {
		case <-changed:
			t.Errorf("local became %+v", local(o))
		default:
		}
	})
}

func TestSnapshotsAreCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count = 5000
		r, w := newRegistry(t, "n1", "n2", "n3"), newWorld(t)
		r.must(putCheck(func(c *fsm.Check) { c.Fall = 1 }))
		r.must(backends(0, count)...)
		for _, observer := range []string{"n2", "n3"} {
			cast := fsm.CastVotes{Observer: observer}
			for b := range r.current().Backends() {
				cast.Votes = append(cast.Votes, fsm.BackendVote{
					Pool: b.Pool, Name: b.Name, UID: b.Meta.UID, Generation: r.current().CheckGeneration(b), Health: fsm.HealthUp,
				})
			}
			r.must(cast)
		}
		o := observe(t, r, w)
		time.Sleep(4 * time.Second)
		w.set("", errRefused)
		snapshots := 0
		deadline := time.After(4 * time.Second)
		for done := false; !done; {
			_, changed := o.WatchLocal()
			select {
			case <-changed:
				snapshots++
			case <-deadline:
				done = true
			}
		}
		if len(local(o).Health) != count || snapshots > 2000/5 || snapshots < 100 {
			t.Errorf("%d snapshots for %d vetoes within 2 s", snapshots, len(local(o).Health))
		}
	})
}
