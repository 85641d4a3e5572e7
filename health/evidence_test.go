package health

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"evenkeel/fsm"
)

// against is evidence of this node, or of another, against a backend.
func (r *registry) against(backend, from string) Evidence {
	return Evidence{Pool: "default", Name: backend, UID: r.current().Backend("default", backend).Meta.UID, Kind: "connect", From: from}
}

func TestWithEvidenceOneFailedProbeDecides(t *testing.T) {
	for name, from := range map[string]string{"its own": "", "another node's": "n2"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, w := newRegistry(t, "n1"), newWorld(t)
				r.must(backends(0, 1)...)
				o := observe(t, r, w)
				time.Sleep(10*time.Second + 3*time.Millisecond)
				w.set("", errRefused)
				before := len(w.seen("10.0.0.0:80"))
				_, changed := r.Watch()
				began := time.Now()
				o.Suspect(r.against("b0", from))
				<-changed
				if took := time.Since(began); took > coalesce || r.health("b0") != fsm.HealthDown {
					t.Errorf("after %s it is %s", took, r.health("b0"))
				}
				if probes := len(w.seen("10.0.0.0:80")) - before; probes != 1 {
					t.Errorf("it took %d probes", probes)
				}
				opinion, _ := o.Opinion("default", "b0")
				if !opinion.Evidence || opinion.LastError != errRefused.Error() || opinion.Run != -1 {
					t.Errorf("opinion is %+v", opinion)
				}
				if c := o.Counters(); c.Evidence != 1 || c.EvidenceProbes != 1 {
					t.Errorf("counters are %+v", c)
				}
			})
		})
	}
}

func TestAProbeForEvidenceLeavesTheScheduleAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1"), newWorld(t)
		r.must(backends(0, 1)...)
		o := observe(t, r, w)
		time.Sleep(10 * time.Second)
		seen := w.seen("10.0.0.0:80")
		between := seen[len(seen)-1].Add(3 * time.Second)
		time.Sleep(time.Until(between))
		o.Suspect(r.against("b0", ""))
		time.Sleep(20 * time.Second)
		seen = w.seen("10.0.0.0:80")
		extra := slices.IndexFunc(seen, between.Equal)
		if extra < 0 {
			t.Fatalf("no probe at %s, but at %s", between, seen)
		}
		checkTimes(t, "the others", slices.Delete(seen, extra, extra+1), 2*time.Second)
	})
}

// A probe that began before the evidence may have met the backend while it still
// worked, and one that hangs would cost its timeout.
func TestAProbeUnderWayIsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1"), newWorld(t)
		r.must(backends(0, 1)...)
		o := observe(t, r, w)
		time.Sleep(10 * time.Second)
		w.slow(time.Hour) // it hangs from now on
		before := len(w.seen("10.0.0.0:80"))
		for len(w.seen("10.0.0.0:80")) == before {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(500 * time.Millisecond)
		began := time.Now()
		o.Suspect(r.against("b0", ""))
		synctest.Wait()
		if seen := w.seen("10.0.0.0:80"); len(seen) != before+2 || time.Since(seen[len(seen)-1]) != 0 {
			t.Fatalf("%d probes, want another one at once", len(seen)-before)
		}
		_, changed := r.Watch()
		<-changed
		// Its timeout is 1 s.
		if took := time.Since(began); took > time.Second+coalesce || r.health("b0") != fsm.HealthDown {
			t.Errorf("after %s it is %s", took, r.health("b0"))
		}
		if c := o.Counters(); c.Void != 0 || c.Failed != 1 {
			t.Errorf("counters are %+v", c)
		}
	})
}

func TestABackendThatPassesIsNotFlooded(t *testing.T) {
	for name, takes := range map[string]time.Duration{"fast": 0, "slower than the gap": 80 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, w := newRegistry(t, "n1"), newWorld(t)
				w.slow(takes)
				r.must(backends(0, 1)...)
				o := observe(t, r, w)
				time.Sleep(10 * time.Second)
				before := len(w.seen("10.0.0.0:80"))
				for range 60_000 {
					o.Suspect(r.against("b0", "n2"))
					time.Sleep(time.Millisecond)
				}
				// 6 while the gap grows from 50 ms, then one an interval.
				probes := len(w.seen("10.0.0.0:80")) - before
				if probes < 30 || probes > 30+30+8 {
					t.Errorf("%d probes in a minute of accusations", probes)
				}
				if r.health("b0") != fsm.HealthUp {
					t.Errorf("it is %s", r.health("b0"))
				}
				time.Sleep(time.Minute) // forgotten
				w.set("", errRefused)
				began := time.Now()
				_, changed := r.Watch()
				o.Suspect(r.against("b0", "n2"))
				<-changed
				if took := time.Since(began); took > takes+coalesce {
					t.Errorf("after a quiet minute it took %s", took)
				}
			})
		})
	}
}

func TestEvidenceDuringItsAnswerIsAnsweredToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1"), newWorld(t)
		r.must(backends(0, 1)...)
		o := observe(t, r, w)
		time.Sleep(10*time.Second + time.Millisecond)
		began := time.Now()
		o.Suspect(r.against("b0", "")) // passes: the process is only about to die
		synctest.Wait()
		w.set("", errRefused)
		o.Suspect(r.against("b0", ""))
		_, changed := r.Watch()
		<-changed
		if took := time.Since(began); took > minGap+tick+coalesce || r.health("b0") != fsm.HealthDown {
			t.Errorf("after %s it is %s", took, r.health("b0"))
		}
	})
}

func TestVoidSamplesAnswerNoEvidence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1"), newWorld(t)
		r.must(backends(0, 1)...)
		o := observe(t, r, w)
		time.Sleep(10 * time.Second)
		w.set("", fmt.Errorf("connect: %w", syscall.EMFILE))
		before := len(w.seen("10.0.0.0:80"))
		o.Suspect(r.against("b0", ""))
		time.Sleep(time.Minute)
		if probes := len(w.seen("10.0.0.0:80")) - before; probes < 30 || probes > 70 {
			t.Errorf("%d probes in a minute", probes)
		}
		if r.health("b0") != fsm.HealthUp {
			t.Errorf("it is %s", r.health("b0"))
		}
		w.set("", errRefused) // descriptors are there again
		time.Sleep(2*time.Second + tick)
		if r.health("b0") != fsm.HealthDown {
			t.Errorf("it is %s", r.health("b0"))
		}
	})
}

func TestEvidenceThatIsIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1", "n2"), newWorld(t)
		r.must(backends(0, 1)...)
		o := elsewhere(t, r, w)
		time.Sleep(10 * time.Second)
		other := r.against("b0", "")
		other.UID = "x"
		o.Suspect(other)
		o.Suspect(Evidence{Pool: "none", Name: "none", UID: "y"})
		o.Suspect(r.against("b0", "n2")) // somebody else's, and not this node's to probe
		synctest.Wait()
		if c := o.Counters(); c.Evidence != 3 || c.EvidenceIgnored != 2 || c.EvidenceProbes != 0 || c.Probed != 0 {
			t.Errorf("counters are %+v", c)
		}
		if probes := len(w.seen("10.0.0.0:80")); probes != 0 {
			t.Errorf("%d probes", probes)
		}
	})
}

func TestEvidenceIsBounded(t *testing.T) {
	o := New(Config{Self: "n1"})
	for n := range maxEvidence + 7 {
		for range 3 {
			o.Suspect(Evidence{UID: fmt.Sprint(n)})
		}
	}
	o.docket.mu.Lock()
	waiting := len(o.docket.waiting)
	o.docket.mu.Unlock()
	if c := o.Counters(); waiting != maxEvidence || c.EvidenceDropped != 21 || c.Evidence != 3*(maxEvidence+7) {
		t.Errorf("%d wait, counters are %+v", waiting, c)
	}
}
