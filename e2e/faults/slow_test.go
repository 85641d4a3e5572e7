//go:build linux

package faults

import (
	"fmt"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

// patientAttempt lets a client wait for writes that take a multiple of what the
// disks are told to.
const patientAttempt = 2 * time.Second

// newInjected starts three nodes whose log stores have faults on demand.
func newInjected(t *testing.T, r *row) *bed {
	t.Helper()
	onlyInCampaign(t)
	return newBed(t, r, bedOptions{binary: harness.InjectBinary(t), prepare: (*harness.Node).Inject})
}

// setFaults gives the stores of some nodes other faults.
func (b *bed) setFaults(faults harness.Faults, nodes ...*harness.Node) {
	b.t.Helper()
	for _, n := range nodes {
		n.SetFaults(b.t, faults)
	}
}

// TestF9BothFollowersWriteSlowly: each write to the log of both takes 150 ms
// more, and nobody calls an election for it.
func TestF9BothFollowersWriteSlowly(t *testing.T) {
	b := newInjected(t, newRow("F9", "+150 ms per write, both followers", 0, 0, 1))
	for range rounds(2) {
		b.slow(150*time.Millisecond, 10*time.Second, b.Followers(t)...)
	}
	b.finish()
}

// TestF9AllWriteSlowly: leadership is not passed to and fro between disks that
// are slow alike, nor lost when a write takes as long as the leader's lease.
func TestF9AllWriteSlowly(t *testing.T) {
	for _, c := range []struct {
		profile string
		delay   time.Duration
	}{
		{"default", 50 * time.Millisecond},
		{"default", 200 * time.Millisecond},
		{"safe", 200 * time.Millisecond},
	} {
		t.Run(fmt.Sprintf("%s, +%v", c.profile, c.delay), func(t *testing.T) {
			onlyInCampaign(t)
			b := newBed(t, newRow("F9", fmt.Sprintf("+%v per write, all, profile %s", c.delay, c.profile), 0, 0, 1), bedOptions{
				extra: []string{"--profile", c.profile}, attempt: patientAttempt, binary: harness.InjectBinary(t), prepare: (*harness.Node).Inject,
			})
			b.slow(c.delay, 20*time.Second, b.Nodes...)
			b.finish()
		})
	}
}

// TestF9TheLeaderDiesWhileAllWriteSlowly: the others find another, although each of
// an election's writes takes as long as a candidate waits for votes otherwise.
func TestF9TheLeaderDiesWhileAllWriteSlowly(t *testing.T) {
	onlyInCampaign(t)
	r := newRow("F9", "kill -9 of the leader, +200 ms per write, all", 0, 0, 2)
	b := newBed(t, r, bedOptions{attempt: patientAttempt, binary: harness.InjectBinary(t), prepare: (*harness.Node).Inject})
	for range rounds(2) {
		leader := b.Leader(t)
		f := b.begin(leader)
		b.setFaults(harness.Faults{DelayMS: 200}, b.Nodes...)
		b.waitWrites(5)
		killed := time.Now()
		leader.Kill()
		b.ledByAnother(leader)
		r.note("another led after %s", seconds(time.Since(killed)))
		b.waitWrites(5)
		b.setFaults(harness.Faults{}, b.Nodes...)
		leader.Start(t)
		b.WaitFormed(t)
		b.waitWrites(20)
		f.end()
	}
	b.finish()
}

// slow has a majority write slowly for a while.
func (b *bed) slow(delay, over time.Duration, nodes ...*harness.Node) {
	b.t.Helper()
	f := b.begin()
	b.setFaults(harness.Faults{DelayMS: int(delay.Milliseconds())}, nodes...)
	b.waitWrites(1)
	before, begun := b.gaps[0].acknowledged(), time.Now()
	hold(over)
	wrote, most := b.gaps[0].acknowledged()-before, int(time.Since(begun)/delay)+2
	b.setFaults(harness.Faults{}, nodes...)
	// A client sends one write at a time, which takes that long at least.
	if wrote == 0 || wrote > most {
		b.void("%d writes of one client in %v, at most %d can be if each takes %v more", wrote, over, most, delay)
	}
	b.WaitFormed(b.t)
	b.waitWrites(20)
	f.end()
}

// leftWithin is how soon leadership leaves a node whose disk is slow.
const leftWithin = 5 * time.Second

// TestF9TheLeaderWritesSlowly: the leadership goes to a node that does not.
func TestF9TheLeaderWritesSlowly(t *testing.T) {
	for _, delay := range []int{50, 200, 1000} {
		t.Run(fmt.Sprintf("+%d ms", delay), func(t *testing.T) {
			r := newRow("F9", fmt.Sprintf("+%d ms per write, the leader", delay), 0, 0, -1)
			b := newInjected(t, r)
			// It hands over once a minute at most, so one round is all a bed has.
			leader := b.Leader(t)
			f := b.begin()
			leader.SetFaults(t, harness.Faults{DelayMS: delay})
			b.ledByAnother(leader)
			took := time.Since(f.begun)
			r.note("left after %s", seconds(took))
			if took > leftWithin {
				t.Errorf("the leadership left after %v, at most %v is wanted", took, leftWithin)
			}
			b.waitWrites(20)
			leader.SetFaults(t, harness.Faults{})
			b.WaitFormed(t)
			f.end()
			b.finish()
		})
	}
}

const (
	// failing is how long writes fail.
	failing = 4 * time.Second
	// caughtUpAfter is how long a node may take that could not write.
	caughtUpAfter = 2 * time.Second
)

var noSpace = harness.Faults{Error: "no space left on device"}

// TestF11WritesFail for some seconds, on the leader and on a follower: writes go
// on, and the node takes part again by itself.
func TestF11WritesFail(t *testing.T) {
	r := newRow("F11", "write errors, leader and follower", time.Second, 2*time.Second, -1)
	b := newInjected(t, r)
	for range rounds(3) {
		leader := b.Leader(t)
		b.failWrites(leader, func() { b.ledByAnother(leader) })
		b.failWrites(b.Followers(t)[0], func() {})
	}
	b.finish()
}

func (b *bed) failWrites(n *harness.Node, bitten func()) {
	b.t.Helper()
	f := b.begin()
	n.SetFaults(b.t, noSpace)
	bitten()
	hold(failing)
	b.waitWrites(20)
	behind, err := n.Cluster()
	if err != nil {
		b.t.Fatal(err)
	}
	other := b.Without(n)[0]
	ahead, err := other.Cluster()
	if err != nil {
		b.t.Fatal(err)
	}
	if ahead.Version < behind.Version+20 {
		b.void("%s is at version %d and %s, which could not write, at %d", other.Name, ahead.Version, n.Name, behind.Version)
	}
	n.SetFaults(b.t, harness.Faults{})
	begun := time.Now()
	b.caughtUp(n)
	took := time.Since(begun)
	b.row.note("caught up after %s", seconds(took))
	if took > caughtUpAfter {
		b.t.Errorf("%s had caught up after %v, at most %v is wanted", n.Name, took, caughtUpAfter)
	}
	b.WaitFormed(b.t)
	f.end()
}

// TestF11NoNodeCanWrite for some seconds: writes are refused, traffic goes on.
func TestF11NoNodeCanWrite(t *testing.T) {
	b := newInjected(t, newRow("F11", "write errors, all", 0, 0, -1))
	f := b.begin()
	b.setFaults(noSpace, b.Nodes...)
	acknowledged := make([]int, len(b.gaps))
	for i, client := range b.gaps {
		acknowledged[i] = client.acknowledged()
	}
	hold(failing)
	for i, client := range b.gaps {
		// What was written before may be acknowledged after.
		if more := client.acknowledged() - acknowledged[i]; more > 2 {
			b.void("%d writes were acknowledged", more)
		}
	}
	b.load.WaitRequests(t, 300, harness.HTTPAddresses(b.Nodes)...)
	b.setFaults(harness.Faults{}, b.Nodes...)
	b.WaitFormed(t)
	b.waitWrites(20)
	f.end()
	b.finish()
}
