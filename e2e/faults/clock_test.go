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
	b := newClocked(t, newRow("F13", "wall clock ± 1 h", atOnce, 100*time.Millisecond, 0), 0)
	for range rounds(2) {
		leader, followers := b.Leader(t), b.Followers(t)
		for _, step := range []map[*harness.Node]time.Duration{
			{followers[0]: jump, followers[1]: -jump},
			{followers[0]: -jump, followers[1]: jump},
			{followers[0]: 0, followers[1]: 0, leader: jump},
			{leader: -jump},
			{leader: 0},
		} {
			f := b.begin()
			b.setClocks(step)
			hold(2 * time.Second)
			b.waitWrites(20)
			f.end()
		}
	}
	b.finish()
}

// TestF13NodesFormWithClocksHoursApart: what keeps their port has no date that
// could be over.
func TestF13NodesFormWithClocksHoursApart(t *testing.T) {
	b := newClocked(t, newRow("F13", "formed with clocks two days apart", 0, 0, 0), 24*jump)
	f := b.begin()
	b.checkClock(b.Nodes[0], -24*jump)
	b.checkClock(b.Nodes[2], 24*jump)
	b.waitWrites(20)
	f.end()
	b.finish()
}

// newClocked starts three nodes with wall clocks of their own, of which the
// first is behind and the last ahead.
func newClocked(t *testing.T, r *row, apart time.Duration) *bed {
	t.Helper()
	onlyInCampaign(t)
	off := -apart
	return newBed(t, r, bedOptions{binary: harness.OverlaidBinary(t), prepare: func(n *harness.Node) {
		n.FollowClock()
		if off != 0 {
			n.SetClock(t, off)
		}
		off += apart
	}})
}

// setClocks returns once the nodes have read the clocks, else the fault would
// not bite.
func (b *bed) setClocks(by map[*harness.Node]time.Duration) {
	b.t.Helper()
	for n, offset := range by {
		n.SetClock(b.t, offset)
	}
	for n, offset := range by {
		b.checkClock(n, offset)
	}
}

// checkClock asks a node for the time.
func (b *bed) checkClock(n *harness.Node, offset time.Duration) {
	b.t.Helper()
	harness.Eventually(b.t, fmt.Sprintf("the clock of %s is %v off", n.Name, offset), func() error {
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
