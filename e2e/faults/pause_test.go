//go:build linux

package faults

import (
	"testing"
	"time"
)

// TestF3TheLeaderIsPaused for less and for much more than an election takes. That
// the one who wakes up answers no linearizable read from before, the operations'
// checker sees.
func TestF3TheLeaderIsPaused(t *testing.T) {
	r := newRow("F3", "leader paused 0.3 to 30 s", 500*time.Millisecond, 1200*time.Millisecond, -1)
	pauses := []time.Duration{300 * time.Millisecond, 3 * time.Second}
	if campaign() {
		pauses = []time.Duration{300 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second}
	}
	b := newBed(t, r, bedOptions{})
	for _, length := range pauses {
		leader := b.Leader(t)
		f := b.begin(leader)
		leader.Pause(t)
		hold(length)
		leader.Resume(t)
		b.WaitFormed(t)
		b.waitWrites(20)
		f.end()
		if length >= time.Second && f.elections == 0 {
			b.void("the leader was paused for %v, and nobody else was elected", length)
		}
	}
	b.finish()
}

// hold lets a fault last.
func hold(d time.Duration) { <-time.After(d) }
