//go:build linux

package main

import (
	"testing"
	"time"
)

func TestTheLimitIsSeenInTheClocks(t *testing.T) {
	b, core := newBurningBench(t), anyCore(t)
	burner, err := b.again("burner", modeBurner, []int{core})
	if err != nil {
		t.Fatal(err)
	}
	address, err := b.freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	sleeper, err := b.again("backend", modeBackend, []int{core}, address)
	if err != nil {
		t.Fatal(err)
	}
	waitBusy(t, burner, 100*time.Millisecond)
	waitBusy(t, sleeper, time.Millisecond)
	for name, c := range map[string]struct {
		proxy *process
		want  limit
	}{
		"a balancer that sleeps while the load's core is full is held up by the load": {sleeper, limitLoad},
		"one that never sleeps is the limit itself":                                   {burner, limitProxy},
	} {
		t.Run(name, func(t *testing.T) {
			job := Job{Core: core, Watch: []Watched{{watchProxy, c.proxy.pid()}}}
			// The clocks are not read in one moment, and on a busy machine those lie
			// apart: the longer the window, the less that counts.
			for window := 300 * time.Millisecond; ; window *= 2 {
				before, err := read(job)
				if err != nil {
					t.Fatal(err)
				}
				waitBusy(t, burner, window)
				after, err := read(job)
				if err != nil {
					t.Fatal(err)
				}
				w := after.since(before)
				asleep := w.usage[watchProxy].Asleep
				got := limitOf(asleep, w.coreIdle)
				if got == c.want {
					return
				}
				if window > 4*time.Second {
					t.Fatalf("asleep %.2f, core idle %.2f: limit %v, want %v", asleep, w.coreIdle, got, c.want)
				}
			}
		})
	}
}

func TestCPUTimeIsThatOfAllThreads(t *testing.T) {
	b := newBurningBench(t)
	burner, err := b.again("burner", modeBurner, []int{anyCore(t)})
	if err != nil {
		t.Fatal(err)
	}
	before := waitBusy(t, burner, 50*time.Millisecond)
	if after := waitBusy(t, burner, 50*time.Millisecond); after-before < 50*time.Millisecond {
		t.Errorf("%v more, want at least 50ms", after-before)
	}
	if err := b.end(burner); err != nil {
		t.Fatal(err)
	}
	if used, err := cpuTime(burner.pid()); err == nil {
		t.Errorf("a process that has ended has used %v, want an error", used)
	}
}

// waitBusy waits until the process has used that much more CPU time and
// returns what it has used altogether.
func waitBusy(t *testing.T, p *process, more time.Duration) time.Duration {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	var begin time.Duration
	for first := true; time.Now().Before(deadline); first = false {
		used, err := cpuTime(p.pid())
		if err != nil {
			t.Fatal(err)
		}
		if first {
			begin = used
		}
		// A program that is there to sleep has used something once it has started.
		if used-begin >= more || more <= time.Millisecond && used >= more {
			return used
		}
		if err := pause(t.Context(), 5*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("%s has not used %v within a minute", p.name, more)
	return 0
}
