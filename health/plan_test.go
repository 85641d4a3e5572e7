package health

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"evenkeel/fsm"
)

func TestWhoIsProbed(t *testing.T) {
	node := func(uid string, state fsm.NodeState, witness bool) fsm.SetNode {
		return fsm.SetNode{Node: fsm.Node{UID: uid, Name: uid, State: state, Witness: witness}}
	}
	default2s := func(*fsm.Check) {}
	cases := map[string]struct {
		first, then []fsm.Operation
		want        bool
	}{
		"a backend of a pool with a check":     {nil, nil, true},
		"a backend that is added later":        {[]fsm.Operation{fsm.Delete{Ref: ref("b0")}}, backends(0, 1), true},
		"a backend that is removed":            {nil, []fsm.Operation{fsm.Delete{Ref: ref("b0")}}, false},
		"a backend in maintenance":             {nil, []fsm.Operation{putBackend("b0", "10.0.0.0:80", fsm.AdminMaint)}, false},
		"a backend that is drained":            {nil, []fsm.Operation{putBackend("b0", "10.0.0.0:80", fsm.AdminDrain)}, true},
		"a backend back from maintenance":      {[]fsm.Operation{putBackend("b0", "10.0.0.0:80", fsm.AdminMaint)}, backends(0, 1), true},
		"a pool that loses its check":          {nil, []fsm.Operation{putCheck(nil)}, false},
		"a pool that gets a check again":       {[]fsm.Operation{putCheck(nil)}, []fsm.Operation{putCheck(default2s)}, true},
		"a node that is dead":                  {nil, []fsm.Operation{node("n1", fsm.NodeDead, false)}, false},
		"a node that is a witness":             {nil, []fsm.Operation{node("n1", fsm.NodeAlive, true)}, false},
		"a node that comes back":               {[]fsm.Operation{node("n1", fsm.NodeDead, false)}, []fsm.Operation{node("n1", fsm.NodeAlive, false)}, true},
		"a node when another one is forgotten": {nil, []fsm.Operation{fsm.ForgetNode{UID: "n2"}}, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, w := newRegistry(t, "n1", "n2"), newWorld(t)
				r.must(backends(0, 1)...)
				r.must(c.first...)
				o := observe(t, r, w)
				time.Sleep(10 * time.Second)
				if c.first != nil && len(w.seen("10.0.0.0:80")) > 0 {
					t.Error("it was probed before the change")
				}
				r.must(c.then...)
				synctest.Wait()
				before := len(w.seen("10.0.0.0:80"))
				time.Sleep(10 * time.Second)
				probed := len(w.seen("10.0.0.0:80")) - before
				if (probed == 5) != c.want || (probed == 0) == c.want {
					t.Errorf("probed %d times in 10 s, want probing %t", probed, c.want)
				}
				if _, ok := o.Opinion("default", "b0"); ok != c.want || len(o.OpinionsOf("default", "")) != o.Counters().Observed {
					t.Errorf("there is an opinion: %t, want %t; of %d targets", ok, c.want, o.Counters().Observed)
				}
			})
		})
	}
}

func ref(backend string) fsm.Ref {
	return fsm.Ref{Kind: fsm.KindBackend, Pool: "default", Name: backend}
}

func TestAnotherAddressStartsAfresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1"), newWorld(t)
		r.must(backends(0, 1)...)
		o := observe(t, r, w)
		time.Sleep(10 * time.Second)
		w.set("10.0.0.9:80", errRefused)
		r.must(putBackend("b0", "10.0.0.9:80", fsm.AdminReady))
		synctest.Wait()
		if opinion, _ := o.Opinion("default", "b0"); opinion.Health != fsm.HealthUnknown || opinion.Run != 0 || !opinion.At.IsZero() {
			t.Errorf("the opinion about the old address stays: %+v", opinion)
		}
		old := len(w.seen("10.0.0.0:80"))
		time.Sleep(7 * time.Second)
		if now := len(w.seen("10.0.0.0:80")); now != old {
			t.Errorf("the old address was probed %d times more", now-old)
		}
		if got := r.health("b0"); got != fsm.HealthDown {
			t.Errorf("health is %s", got)
		}
	})
}

// A result that arrives late must not count for what took the name since.
func TestALateResultOfAnOlderRegistrationIsDropped(t *testing.T) {
	for name, change := range map[string][]fsm.Operation{
		"another address":      {putBackend("b0", "10.0.0.9:80", fsm.AdminReady)},
		"another check":        {putCheck(func(c *fsm.Check) { c.Fall = 4 })},
		"another registration": {fsm.Delete{Ref: ref("b0")}, backends(0, 1)[0]},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, w := newRegistry(t, "n1"), newWorld(t)
				release := make(chan error)
				o := newObserver(w)
				stubborn := true // a prober that does not heed its context
				o.newProber = func(_ *fsm.Pool, address string) (Prober, error) {
					if stubborn {
						stubborn = false
						return proberFunc(func(context.Context) error { return <-release }), nil
					}
					return fakeProber{w, address}, nil
				}
				r.must(backends(0, 1)...)
				run(t, o, r)
				time.Sleep(2 * time.Second) // the probe is under way
				r.must(change...)
				synctest.Wait()
				release <- nil
				synctest.Wait()
				if opinion, ok := o.Opinion("default", "b0"); !ok || opinion.Health != fsm.HealthUnknown || !opinion.At.IsZero() {
					t.Errorf("the late result counted: %+v", opinion)
				}
				time.Sleep(3 * time.Second)
				if opinion, _ := o.Opinion("default", "b0"); opinion.Health != fsm.HealthUp {
					t.Errorf("the new one is not probed: %+v", opinion)
				}
			})
		})
	}
}

func TestAPlanFollowsTheSizeOfTheChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1"), newWorld(t)
		planned := 0
		o := newObserver(w)
		next := o.newProber
		o.newProber = func(pool *fsm.Pool, address string) (Prober, error) {
			planned++
			return next(pool, address)
		}
		r.must(backends(0, 1000)...)
		r.must(fsm.Put{Name: "other", Spec: putCheck(func(*fsm.Check) {}).Spec})
		run(t, o, r)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if planned != 1000 {
			t.Fatalf("%d targets were set up", planned)
		}
		spec := putBackend("x", "10.9.9.9:80", fsm.AdminReady).Spec
		r.must(fsm.Put{Pool: "other", Name: "x", Spec: spec})
		r.must(fsm.SetNode{Node: fsm.Node{UID: "n2", Name: "n2", State: fsm.NodeAlive}})
		synctest.Wait()
		if planned != 1001 {
			t.Errorf("one more backend and node set up %d targets", planned-1000)
		}
		if o.sweep != 2 {
			t.Errorf("%d full plans, want one at the start and one for the node", o.sweep)
		}
		r.must(fsm.SetNode{Node: fsm.Node{UID: "n2", Name: "n2", State: fsm.NodeAlive, APIAddr: "10.0.0.2:7070"}})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if o.sweep != 2 {
			t.Error("a node's new address caused a full plan")
		}
	})
}

// Nothing is forgotten when the observer was too far behind for ChangedSince.
func TestAGapInTheChangesIsBridged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1"), newWorld(t)
		r.must(backends(0, 10)...)
		o := newObserver(w)
		stop := run(t, o, r)
		time.Sleep(5 * time.Second)
		stop()
		for n := range 5000 {
			r.must(putBackend("b0", fmt.Sprintf("10.1.0.0:%d", n+1), fsm.AdminReady))
		}
		r.must(fsm.Delete{Ref: ref("b9")})
		r.must(backends(20, 22)...)
		o.follow(r.current())
		if got := o.Counters().Observed; got != 11 {
			t.Errorf("%d targets, want 11", got)
		}
	})
}
