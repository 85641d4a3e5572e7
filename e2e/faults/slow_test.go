//go:build linux

package faults

import (
	"fmt"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

// TestF9BothFollowersWriteSlowly: each write to the log of both takes 150 ms
// more, and nobody calls an election for it.
func TestF9BothFollowersWriteSlowly(t *testing.T) {
	s := newInjected(t)
	s.slow(t, s.Followers(t), 150*time.Millisecond, 10*time.Second)
}

// TestF9TheLeaderWritesSlowly: the leadership goes to a node that does not.
func TestF9TheLeaderWritesSlowly(t *testing.T) {
	for _, delay := range []int{50, 200, 1000} {
		t.Run(fmt.Sprintf("+%d ms", delay), func(t *testing.T) {
			s := newInjected(t)
			before := s.elections(t)
			leader := s.Leader(t)
			leader.SetFaults(t, harness.Faults{DelayMS: delay})
			t.Logf("the leadership left after %v, 5s was to be reached", s.waitOtherLeads(t, leader).Round(10*time.Millisecond))
			s.writes.WaitAcknowledged(t, 50)
			leader.SetFaults(t, harness.Faults{})
			s.healed(t)
			t.Logf("%d elections", s.elections(t)-before)
		})
	}
}

// TestF9AllWriteSlowly: leadership is not passed to and fro between disks that
// are slow alike.
func TestF9AllWriteSlowly(t *testing.T) {
	s := newInjected(t)
	s.slow(t, s.Nodes, 50*time.Millisecond, 20*time.Second)
}

// slow has a majority write slowly for a while, which must cost one election at
// most.
func (s *subject) slow(t *testing.T, nodes []*harness.Node, delay, over time.Duration) {
	t.Helper()
	for _, n := range nodes {
		n.SetFaults(t, harness.Faults{DelayMS: int(delay.Milliseconds())})
	}
	s.writes.WaitAcknowledged(t, 1)
	elections, acknowledged := s.elections(t), s.writes.Acknowledged()
	watch(t, over, func() {})
	won, wrote := s.elections(t)-elections, s.writes.Acknowledged()-acknowledged
	t.Logf("%d writes and %d elections in %v", wrote, won, over)
	if won > 1 {
		t.Errorf("%d elections, want 1 at most", won)
	}
	// Each node gets one write at a time, which takes that long at least.
	if most := len(s.Nodes) * int(over/delay+2); wrote == 0 || wrote > most {
		t.Errorf("%d writes in %v, want 1 to %d: the fault did not bite", wrote, over, most)
	}
	for _, n := range nodes {
		n.SetFaults(t, harness.Faults{})
	}
	s.healed(t)
}
