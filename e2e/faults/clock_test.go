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
			setClocks(t, step)
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
	checkClock(t, b.Nodes[0], -24*jump)
	checkClock(t, b.Nodes[2], 24*jump)
	b.waitWrites(20)
	f.end()
	b.finish()
}

// TestF13TheWallClockJumpsWhileNothingIsWritten: what is written would keep the
// followers from missing heartbeats.
func TestF13TheWallClockJumpsWhileNothingIsWritten(t *testing.T) {
	onlyInCampaign(t)
	r := newRow("F13", "wall clock ± 1 h, nothing is written", 0, 0, 0)
	c := harness.Prepare(t, harness.Options{Nodes: 3, Binary: harness.OverlaidBinary(t)})
	for _, n := range c.Nodes {
		n.FollowClock()
		n.Start(t)
	}
	c.WaitFormed(t)
	for range 3 {
		leader, before := c.Leader(t), termOf(t, c)
		for _, by := range []time.Duration{jump, -jump, 0} {
			setClocks(t, map[*harness.Node]time.Duration{leader: by})
			hold(time.Second)
		}
		r.elections = append(r.elections, int(termOf(t, c)-before))
	}
	c.WaitFormed(t)
	c.WaitSame(t)
	r.check(t)
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
func setClocks(t *testing.T, by map[*harness.Node]time.Duration) {
	t.Helper()
	for n, offset := range by {
		n.SetClock(t, offset)
	}
	for n, offset := range by {
		checkClock(t, n, offset)
	}
}

// checkClock asks a node for the time.
func checkClock(t *testing.T, n *harness.Node, offset time.Duration) {
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
