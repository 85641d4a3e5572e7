package health

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"evenkeel/fsm"
)

func TestTenThousandDeathsAreFewCommands(t *testing.T) {
	for name, how := range map[string]string{"at one moment": "moment", "spread over the interval": "", "met by requests": "evidence"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const count = 10_000
				r, w := newRegistry(t, "n1"), newWorld(t)
				r.must(putCheck(func(c *fsm.Check) {
					if how != "evidence" {
						c.Fall = 1
					}
				}))
				r.must(backends(0, count)...)
				o := observe(t, r, w)
				time.Sleep(4 * time.Second)
				if how == "moment" {
					o.mu.Lock()
					for _, target := range o.targets {
						target.due = 5 * time.Second
					}
					o.mu.Unlock()
				}
				before, _ := r.sent()
				w.set("", errRefused)
				if how == "evidence" {
					for b := range r.current().Backends() {
						o.Suspect(Evidence{Pool: b.Pool, Name: b.Name, UID: b.Meta.UID, From: "n2"})
						o.Suspect(Evidence{Pool: b.Pool, Name: b.Name, UID: b.Meta.UID})
					}
					synctest.Wait()
				}
				time.Sleep(2*time.Second + maxPeriod + time.Second)
				after, votes := r.sent()
				if votes != 2*count {
					t.Errorf("%d votes were cast, want one for up and one for down of each backend", votes)
				}
				if after-before > mostOfANode {
					t.Errorf("%d commands", after-before)
				}
				t.Logf("%d votes in %d commands", count, after-before)
				for b := range r.current().Backends() {
					if b.Status.Health != fsm.HealthDown {
						t.Fatalf("%s is %s", b.Name, b.Status.Health)
					}
				}
			})
		})
	}
}

// mostOfANode is how many commands one node may make of a mass death: of three nodes
// that is "some tens".
const mostOfANode = 20

func TestAMassDeathOfAnySizeIsFewCommands(t *testing.T) {
	for _, count := range []int{50, 200, 600, 5000} {
		for _, interval := range []time.Duration{500 * time.Millisecond, 2 * time.Second, 10 * time.Second} {
			t.Run(fmt.Sprint(count, " backends, interval ", interval), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r, w := newRegistry(t, "n1"), newWorld(t)
					r.must(putCheck(func(c *fsm.Check) { c.Interval, c.Timeout = fsm.Duration(interval), fsm.Duration(interval/2) }))
					r.must(backends(0, count)...)
					observe(t, r, w)
					time.Sleep(2 * interval)
					time.Sleep(10 * time.Second) // the pace of what came before is forgotten
					before, _ := r.sent()
					w.set("", errRefused)
					time.Sleep(3*interval + maxPeriod + time.Second)
					after, votes := r.sent()
					if votes != 2*count {
						t.Errorf("%d votes were cast, want one for up and one for down of each backend", votes)
					}
					if t.Logf("%d commands", after-before); after-before > mostOfANode {
						t.Errorf("%d commands, want at most %d", after-before, mostOfANode)
					}
				})
			})
		}
	}
}

func TestASingleChangeIsToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1"), newWorld(t)
		r.must(backends(0, 1)...)
		observe(t, r, w)
		time.Sleep(10 * time.Second)
		w.set("", errRefused)
		_, changed := r.Watch()
		<-changed
		seen := w.seen("10.0.0.0:80")
		if delay := time.Since(seen[len(seen)-1]); delay > coalesce {
			t.Errorf("the vote took %s from the probe", delay)
		}
	})
}

func TestVotesAreRetriedUntilTheStateHasThem(t *testing.T) {
	for name, failure := range map[string]error{
		"after an error":  errors.New("no quorum"),
		"after a refusal": &fsm.Error{Code: fsm.CodeLimit},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, w := newRegistry(t, "n1"), newWorld(t)
				var healed atomic.Bool
				r.propose = func(context.Context, fsm.CastVotes) error {
					if healed.Load() {
						return nil
					}
					return failure
				}
				r.must(backends(0, 50)...)
				o := observe(t, r, w)
				time.Sleep(time.Minute)
				commands, _ := r.sent()
				if commands < 30 || commands > 110 {
					t.Errorf("%d commands in a minute of failure", commands)
				}
				if got := r.health("b0"); got != fsm.HealthUnknown {
					t.Fatalf("health is %s", got)
				}
				healed.Store(true)
				time.Sleep(2 * time.Second)
				if got := r.health("b0"); got != fsm.HealthUp {
					t.Errorf("afterwards health is %s", got)
				}
				if c := o.Counters(); c.CommandsFailed != uint64(commands) {
					t.Errorf("counters are %+v, want %d failures", c, commands)
				}
			})
		})
	}
}

func TestALostVoteIsCastAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1"), newWorld(t)
		r.must(backends(0, 1)...)
		observe(t, r, w)
		time.Sleep(10 * time.Second)
		b := r.current().Backend("default", "b0")
		r.must(fsm.CastVotes{Observer: "n1", Votes: []fsm.BackendVote{{
			Pool: "default", Name: "b0", UID: b.Meta.UID, Generation: r.current().CheckGeneration(b), Health: fsm.HealthDown,
		}}})
		time.Sleep(100 * time.Millisecond)
		if got := r.health("b0"); got != fsm.HealthUp {
			t.Errorf("health is %s", got)
		}
	})
}

func TestASlowClusterDelaysNoProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1"), newWorld(t)
		r.propose = func(ctx context.Context, _ fsm.CastVotes) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(7 * time.Second):
				return nil
			}
		}
		r.must(backends(0, 100)...)
		observe(t, r, w)
		time.Sleep(time.Minute)
		for n := range 100 {
			address := fmt.Sprintf("10.0.0.%d:80", n)
			checkTimes(t, address, w.seen(address), 2*time.Second)
		}
		if commands, _ := r.sent(); commands > 9 {
			t.Errorf("%d commands of 7 s each within a minute: they overlapped", commands)
		}
	})
}

// What flaps faster than its hold lets an opinion stand is, once held, no votes at
// all; and it is up in the end.
func TestABackendThatIsHeldAndFlapsCostsNoVotes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1"), newWorld(t)
		r.must(putCheck(func(c *fsm.Check) {
			c.Interval, c.Timeout, c.Rise, c.Fall = fsm.Duration(200*time.Millisecond), fsm.Duration(100*time.Millisecond), 1, 1
		}))
		r.must(backends(0, 1)...)
		observe(t, r, w)
		time.Sleep(5 * time.Second)
		flap := func(times int) {
			for n := range times {
				w.set("", []error{errRefused, nil}[n%2])
				time.Sleep(time.Second)
			}
		}
		flap(10)
		if flaps := r.current().Backend("default", "b0").Status.Flaps; flaps != 4 {
			t.Fatalf("%d flaps in 10 s", flaps)
		}
		before, _ := r.sent()
		flap(30)
		if after, _ := r.sent(); after != before {
			t.Errorf("%d commands in 30 s of flaps", after-before)
		}
		w.set("", nil)
		time.Sleep(10 * time.Second)
		if b := r.current().Backend("default", "b0"); !b.Status.Held {
			t.Errorf("up again for 10 s, it is not held but %s", b.Status.Health)
		}
	})
}

func TestFlappingBackendsDoNotFloodTheCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1"), newWorld(t)
		r.must(putCheck(func(c *fsm.Check) {
			c.Interval, c.Timeout, c.Rise, c.Fall = fsm.Duration(200*time.Millisecond), fsm.Duration(100*time.Millisecond), 1, 1
		}))
		r.must(backends(0, 200)...)
		observe(t, r, w)
		time.Sleep(5 * time.Second)
		before, _ := r.sent()
		for n := range 30 {
			w.set("", []error{errRefused, nil}[n%2])
			time.Sleep(time.Second)
		}
		after, _ := r.sent()
		t.Logf("200 backends flapping every second for 30 s: %d commands", after-before)
		if most := voteBurst + 8 + int(30*time.Second/maxPeriod); after-before > most {
			t.Errorf("%d commands in 30 s, want at most %d", after-before, most)
		}
	})
}
