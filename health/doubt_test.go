package health

import (
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"evenkeel/fsm"
)

const lone = "10.0.0.0:80" // the address of the only backend

func TestAHangIsAgreedDownWithinIntervalAndFallTimeouts(t *testing.T) {
	for _, after := range []time.Duration{0, 300 * time.Millisecond, 700 * time.Millisecond, 1100 * time.Millisecond, 1900 * time.Millisecond} {
		t.Run(after.String()+" later", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, w := newRegistry(t, "n1"), newWorld(t)
				r.must(putCheck(func(*fsm.Check) {}))
				r.must(backends(0, 1)...)
				observe(t, r, w)
				time.Sleep(10*time.Second + after)
				check := r.current().Pool("default").Spec.Check
				w.slow(time.Hour)
				began, before := time.Now(), len(w.seen(lone))
				_, changed := r.Watch()
				<-changed
				most := time.Duration(check.Interval) + time.Duration(check.Fall)*time.Duration(check.Timeout) + 2*tick + coalesce
				if took := time.Since(began); r.health("b0") != fsm.HealthDown || took > most {
					t.Errorf("%s after %s, want down within %s", r.health("b0"), took, most)
				}
				if probes := len(w.seen(lone)) - before; probes != check.Fall {
					t.Errorf("that took %d probes, want %d", probes, check.Fall)
				}
			})
		})
	}
}

func TestWhatStaysDownIsProbedAtTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1"), newWorld(t)
		r.must(putCheck(func(*fsm.Check) {}))
		r.must(backends(0, 1)...)
		observe(t, r, w)
		time.Sleep(10 * time.Second)
		calm := w.seen(lone)
		checkTimes(t, "while it is up", calm, 2*time.Second)
		w.set("", errRefused)
		time.Sleep(6 * time.Second)
		if r.health("b0") != fsm.HealthDown {
			t.Fatalf("it is %s", r.health("b0"))
		}
		before := len(w.seen(lone))
		time.Sleep(20 * time.Second)
		down := w.seen(lone)[before:]
		checkTimes(t, "while it is down", down, 2*time.Second)
		w.set("", nil)
		began := time.Now()
		_, changed := r.Watch()
		<-changed
		if took := time.Since(began); r.health("b0") != fsm.HealthUp || took > 3*time.Second+2*tick+coalesce {
			t.Errorf("%s after %s, want up within an interval and a timeout", r.health("b0"), took)
		}
		before = len(w.seen(lone))
		time.Sleep(20 * time.Second)
		again := w.seen(lone)[before:]
		checkTimes(t, "up again", again, 2*time.Second)
		if off := again[0].Sub(calm[0]) % (2 * time.Second); off > tick && off < 2*time.Second-tick {
			t.Errorf("it is off the schedule by %s", off)
		}
	})
}

// A node without file descriptors has no reason to use more of them.
func TestProbesThatDoNotCountAreNotRepeatedFaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1"), newWorld(t)
		r.must(putCheck(func(c *fsm.Check) { c.Timeout = fsm.Duration(100 * time.Millisecond) }))
		r.must(backends(0, 1)...)
		observe(t, r, w)
		time.Sleep(9 * time.Second)
		before := len(w.seen(lone))
		w.set("", errRefused)
		for len(w.seen(lone)) == before {
			time.Sleep(10 * time.Millisecond)
		}
		synctest.Wait()
		w.set("", syscall.EMFILE)
		before = len(w.seen(lone))
		time.Sleep(20 * time.Second)
		if probes := len(w.seen(lone)) - before; probes > 11 {
			t.Errorf("%d probes in 20 s, want one every 2 s", probes)
		}
	})
}
