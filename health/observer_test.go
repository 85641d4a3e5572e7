package health

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"evenkeel/fsm"
)

var errRefused = errors.New("connect to backend: connection refused")

func TestProbesFollowTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1", "n2", "n3"), newWorld(t)
		w.slow(700 * time.Millisecond)
		r.must(backends(0, 200)...)
		began := time.Now()
		observe(t, r, w)
		time.Sleep(61 * time.Second)
		var tenths [10]int
		for n := range 200 {
			seen := w.seen(fmt.Sprintf("10.0.0.%d:80", n))
			first := seen[0].Sub(began)
			if first >= 2*time.Second+tick || len(seen) < 30 {
				t.Fatalf("backend %d: %d probes in 61 s, the first after %s", n, len(seen), first)
			}
			tenths[min(9, first/(200*time.Millisecond))]++
			checkTimes(t, fmt.Sprint("backend ", n), seen, 2*time.Second)
		}
		for i, count := range tenths {
			if count == 0 || count > 50 {
				t.Errorf("%d of 200 first probes in tenth %d of the interval", count, i)
			}
		}
	})
}

func TestABackendThatHangsIsProbedOnceAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1"), newWorld(t)
		w.slow(time.Hour)
		r.must(putCheck(func(c *fsm.Check) { c.Timeout = c.Interval }))
		r.must(backends(0, 20)...)
		o := observe(t, r, w)
		time.Sleep(20 * time.Second)
		if got := r.health("b7"); got != fsm.HealthDown {
			t.Errorf("health is %s", got)
		}
		if opinion, _ := o.Opinion("default", "b7"); opinion.Reason != "no answer within 2s" || opinion.Run > -8 {
			t.Errorf("opinion is %+v", opinion)
		}
		// Overlaps are reported by the world.
		checkTimes(t, "b7", w.seen("10.0.0.7:80"), 2*time.Second)
	})
}

func TestProbesAtOnceAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1"), newWorld(t)
		w.slow(time.Hour)
		r.must(putCheck(func(c *fsm.Check) { c.Timeout = c.Interval }))
		r.must(backends(0, 5000)...)
		o := observe(t, r, w)
		time.Sleep(15 * time.Second)
		w.mu.Lock()
		if w.most != maxInFlight || len(w.probes) != 5000 {
			t.Errorf("at most %d probes at once, %d backends probed; want %d and all", w.most, len(w.probes), maxInFlight)
		}
		w.mu.Unlock()
		if c := o.Counters(); c.Observed != 5000 || c.InFlight != maxInFlight {
			t.Errorf("counters are %+v", c)
		}
	})
}

func TestAVerdictFollowsTheProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1"), newWorld(t)
		r.must(putCheck(func(c *fsm.Check) { c.FastInterval = c.Interval }))
		r.must(backends(0, 3)...)
		o := observe(t, r, w)
		time.Sleep(3 * time.Second)
		if got := r.health("b1"); got != fsm.HealthUp {
			t.Fatalf("after the first probe health is %s", got)
		}
		w.set("10.0.0.1:80", errRefused)
		time.Sleep(4*time.Second - time.Millisecond)
		if got := r.health("b1"); got != fsm.HealthUp {
			t.Errorf("after 2 of 3 failures health is %s", got)
		}
		time.Sleep(2 * time.Second)
		if got := r.health("b1"); got != fsm.HealthDown {
			t.Errorf("after 3 failures health is %s", got)
		}
		if votes := r.current().Backend("default", "b1").Status.Votes; len(votes) != 1 || votes[0].Reason != errRefused.Error() {
			t.Errorf("votes are %+v", votes)
		}
		w.set("10.0.0.1:80", nil)
		time.Sleep(4 * time.Second)
		if got := r.health("b1"); got != fsm.HealthUp {
			t.Errorf("after 2 passes health is %s", got)
		}
		commands, votes := r.sent()
		time.Sleep(10 * time.Minute)
		if c, v := r.sent(); c != commands || v != votes {
			t.Errorf("%d commands were proposed while nothing changed", c-commands)
		}
		if c := o.Counters(); c.Votes != 5 || c.Failed != 3 || c.Passed < 900 || c.CommandsFailed != 0 {
			t.Errorf("counters are %+v", c)
		}
	})
}

func TestVoidSamplesDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1"), newWorld(t)
		r.must(backends(0, 1)...)
		o := observe(t, r, w)
		time.Sleep(10 * time.Second)
		w.set("", fmt.Errorf("connect to 10.0.0.0:80: %w", syscall.EMFILE))
		time.Sleep(time.Minute)
		opinion, ok := o.Opinion("default", "b0")
		if !ok || opinion.Health != fsm.HealthUp || opinion.Void == "" || opinion.Reason != "" || opinion.Run != 5 {
			t.Errorf("opinion is %+v", opinion)
		}
		if got := r.health("b0"); got != fsm.HealthUp || o.Counters().Void < 29 {
			t.Errorf("health is %s, counters %+v", got, o.Counters())
		}
	})
}

// A prober that returns long after its timeout shows a node that was stopped.
func TestAStalledNodeBlamesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, "n1")
		r.must(backends(0, 1)...)
		o := New(Config{Self: "n1"})
		o.newProber = func(*fsm.Pool, string) (Prober, error) {
			return proberFunc(func(ctx context.Context) error {
				<-ctx.Done()
				time.Sleep(time.Minute)
				return context.Cause(ctx)
			}), nil
		}
		run(t, o, r)
		time.Sleep(10 * time.Minute)
		if c := o.Counters(); c.Failed != 0 || c.Void < 9 {
			t.Errorf("counters are %+v", c)
		}
	})
}

type proberFunc func(context.Context) error

func (f proberFunc) Probe(ctx context.Context) (int, error) { return 0, f(ctx) }

func TestABackendWhoseCheckCannotBeRunIsNotBlamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, "n1")
		r.must(backends(0, 1)...)
		o := New(Config{Self: "n1"})
		o.newProber = func(*fsm.Pool, string) (Prober, error) { return nil, errors.New("no such type") }
		run(t, o, r)
		time.Sleep(time.Minute)
		if opinion, _ := o.Opinion("default", "b0"); opinion.Health != fsm.HealthUnknown || opinion.Void != "set up the check: no such type" {
			t.Errorf("opinion is %+v", opinion)
		}
	})
}

func TestTheVoteInTheStateIsTheObserversMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1"), newWorld(t)
		r.must(backends(0, 1)...)
		w.set("", errRefused)
		stop := run(t, newObserver(w), r)
		time.Sleep(10 * time.Second)
		stop()
		if got := r.health("b0"); got != fsm.HealthDown {
			t.Fatalf("health is %s", got)
		}
		w.set("", nil)
		observe(t, r, w)
		time.Sleep(2*time.Second - time.Millisecond)
		if got := r.health("b0"); got != fsm.HealthDown {
			t.Errorf("one pass after a restart made it %s", got)
		}
		time.Sleep(3 * time.Second)
		if got := r.health("b0"); got != fsm.HealthUp {
			t.Errorf("rise passes after a restart left it %s", got)
		}
	})
}

func TestRunEndsWhileEverythingHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1"), newWorld(t)
		r.propose = func(ctx context.Context, _ fsm.CastVotes) error { <-ctx.Done(); return ctx.Err() }
		r.must(backends(0, 100)...)
		stop := run(t, newObserver(w), r)
		time.Sleep(3 * time.Second)
		w.slow(time.Hour)
		time.Sleep(2 * time.Second)
		began := time.Now()
		stop()
		if took := time.Since(began); took != 0 {
			t.Errorf("took %s", took)
		}
	})
}
