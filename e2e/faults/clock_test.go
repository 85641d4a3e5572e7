//go:build linux

package faults

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

// jump is by how much a wall clock is wrong.
const jump = time.Hour

// TestF13TheWallClockJumps by an hour and back, by turns on the followers and on
// the leader: nobody calls an election for it, writes go on, no request for
// data fails, and a backend that answers stays up.
func TestF13TheWallClockJumps(t *testing.T) {
	s := newClocked(t)
	s.start(t)
	backends := []*harness.Backend{{Name: "b1"}, {Name: "b2"}}
	s.WaitHealth(t, "up", backends...)
	before := s.elections(t)
	for range 2 {
		leader, followers := s.Leader(t), s.Followers(t)
		for _, step := range []map[*harness.Node]time.Duration{
			{followers[0]: jump, followers[1]: -jump},
			{followers[0]: -jump, followers[1]: jump},
			{followers[0]: 0, followers[1]: 0, leader: jump},
			{leader: -jump},
			{leader: 0},
		} {
			s.setClocks(t, step)
			gap := s.gap(t, 2*time.Second)
			t.Logf("the longest time without an acknowledged write was %v, 0.1s was to be reached", gap.Round(10*time.Millisecond))
			s.WaitHealth(t, "up", backends...)
		}
	}
	won := s.elections(t) - before
	t.Logf("%d elections, 0 were to be reached", won)
	if won > 1 { // one a busy machine may cost
		t.Errorf("%d elections in 10 jumps of clocks", won)
	}
	s.healed(t)
}

// TestF13NodesFormWithClocksHoursApart: what keeps their port has no date that
// could be over.
func TestF13NodesFormWithClocksHoursApart(t *testing.T) {
	s := newClocked(t)
	s.Nodes[0].SetClock(t, -24*jump)
	s.Nodes[2].SetClock(t, 24*jump)
	s.start(t)
	s.checkClock(t, s.Nodes[0], -24*jump)
	s.checkClock(t, s.Nodes[2], 24*jump)
	s.healed(t)
}

// newClocked prepares three nodes with wall clocks of their own.
func newClocked(t *testing.T) *subject {
	t.Helper()
	switchedOn(t)
	s := prepareSubject(t, harness.OverlaidBinary(t))
	for _, n := range s.Nodes {
		n.FollowClock()
	}
	return s
}

// setClocks returns once the nodes have read the clocks, else the fault would
// not bite.
func (s *subject) setClocks(t *testing.T, by map[*harness.Node]time.Duration) {
	t.Helper()
	for n, offset := range by {
		n.SetClock(t, offset)
	}
	for n, offset := range by {
		s.checkClock(t, n, offset)
	}
}

// checkClock asks a node for the time.
func (s *subject) checkClock(t *testing.T, n *harness.Node, offset time.Duration) {
	t.Helper()
	harness.Eventually(t, fmt.Sprintf("the clock of %s is %v off", n.Name, offset), func() error {
		answer, err := n.Call(http.MethodGet, "/livez", nil)
		if err != nil {
			return err
		}
		date, err := http.ParseTime(answer.Header.Get("Date"))
		if err != nil {
			return err
		}
		if off := time.Until(date) - offset; off.Abs() > time.Minute {
			return fmt.Errorf("it says %v", date)
		}
		return nil
	})
}

// gap returns the longest time without an acknowledged write.
func (s *subject) gap(t *testing.T, over time.Duration) (longest time.Duration) {
	t.Helper()
	last, acknowledged := time.Now(), s.writes.Acknowledged()
	watch(t, over, func() {
		if now := s.writes.Acknowledged(); now != acknowledged {
			last, acknowledged = time.Now(), now
			return
		}
		longest = max(longest, time.Since(last))
	})
	return longest
}
