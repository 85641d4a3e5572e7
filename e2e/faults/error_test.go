//go:build linux

package faults

import (
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

// failing is how long writes fail.
const failing = 4 * time.Second

var noSpace = harness.Faults{Error: "no space left on device"}

// TestF11TheLeaderCannotWrite for some seconds: another leads, and the node
// takes part again by itself.
func TestF11TheLeaderCannotWrite(t *testing.T) {
	s := newInjected(t)
	leader := s.Leader(t)
	leader.SetFaults(t, noSpace)
	t.Logf("the leadership left after %v", s.waitOtherLeads(t, leader).Round(10*time.Millisecond))
	watch(t, failing, func() {})
	s.writes.WaitAcknowledged(t, 50)
	leader.SetFaults(t, harness.Faults{})
	s.healed(t)
}

// TestF11AFollowerCannotWrite for some seconds: the writes go on, and it catches
// up by itself.
func TestF11AFollowerCannotWrite(t *testing.T) {
	s := newInjected(t)
	leader, follower := s.Leader(t), s.Followers(t)[0]
	follower.SetFaults(t, noSpace)
	watch(t, failing, func() {})
	s.writes.WaitAcknowledged(t, 50)
	ahead, err := leader.Cluster()
	if err != nil {
		t.Fatal(err)
	}
	behind, err := follower.Cluster()
	if err != nil {
		t.Fatal(err)
	}
	if ahead.Revision < behind.Revision+40 {
		t.Errorf("the leader is at revision %d and the follower at %d: the fault did not bite", ahead.Revision, behind.Revision)
	}
	follower.SetFaults(t, harness.Faults{})
	s.healed(t)
}

// TestF11NoNodeCanWrite for some seconds: writes are refused, traffic goes on.
func TestF11NoNodeCanWrite(t *testing.T) {
	s := newInjected(t)
	for _, n := range s.Nodes {
		n.SetFaults(t, noSpace)
	}
	acknowledged := s.writes.Acknowledged()
	watch(t, failing, func() {})
	// What was written before may be acknowledged after.
	if more := s.writes.Acknowledged() - acknowledged; more > 2*len(s.Nodes) {
		t.Errorf("%d writes were acknowledged: the fault did not bite", more)
	}
	for _, n := range s.Nodes {
		n.SetFaults(t, harness.Faults{})
	}
	s.healed(t)
}
