package cluster

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"evenkeel/fsm"
)

// others are all nodes but the given ones.
func (c *testCluster) others(but ...*testNode) []*testNode {
	var rest []*testNode
	for _, n := range c.nodes {
		if !containsNode(but, n) {
			rest = append(rest, n)
		}
	}
	return rest
}

func containsNode(nodes []*testNode, n *testNode) bool {
	for _, one := range nodes {
		if one == n {
			return true
		}
	}
	return false
}

// ask repeats a change while a busy machine elects.
func (c *testCluster) ask(change func(context.Context, string) error, uid string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := change(ctx, uid)
	for (errors.Is(err, ErrNoQuorum) || errors.Is(err, ErrOutcomeUnknown)) && ctx.Err() == nil {
		err = change(ctx, uid)
	}
	return err
}

// unsafely wants a refusal that says why.
func unsafely(t *testing.T, err error, why string) {
	t.Helper()
	if !errors.Is(err, ErrUnsafe) || !strings.Contains(err.Error(), why) || strings.Count(err.Error(), ErrUnsafe.Error()) != 1 {
		t.Errorf("got %v, want a refusal because %q", err, why)
	}
}

func TestLeadershipIsTransferredAsAsked(t *testing.T) {
	c := newTestCluster(t)
	c.form(3)
	leader := c.leader()
	rest := c.others(leader)
	to, asked := rest[0], rest[1]
	if err := c.ask(asked.TransferLeadership, to.UID()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the node that was asked for leads", func() bool { return c.leader() == to })
	if err := c.ask(asked.TransferLeadership, to.UID()); err != nil {
		t.Errorf("to the leader itself: %v", err)
	}
	if err := c.ask(to.TransferLeadership, ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another node leads", func() bool { return c.leader() != to })
	if err := c.ask(asked.TransferLeadership, "nobody"); !errors.Is(err, ErrNoMember) {
		t.Errorf("to nobody: %v", err)
	}
	leader = c.leader()
	dead := c.others(leader)[0]
	c.kill(dead.Name())
	for _, n := range c.others() {
		eventually(t, "a dead node is refused", func() bool {
			err := c.ask(n.TransferLeadership, dead.UID())
			return errors.Is(err, ErrUnsafe) && strings.Contains(err.Error(), "does not answer")
		})
	}
	c.put(leader, numbered(1))
}

func TestAMemberIsRemovedAsAsked(t *testing.T) {
	c := newTestCluster(t)
	c.form(5)
	leader := c.leader()
	rest := c.others(leader)
	gone := func(n *testNode) {
		t.Helper()
		eventually(t, "it is no member", func() bool {
			for _, other := range c.others(n) {
				if other.Status().Detached != "" {
					continue
				}
				for _, m := range other.Members() {
					if m.UID == n.UID() {
						return false
					}
				}
			}
			return true
		})
	}
	// A dead one, which is not needed for it.
	c.kill(rest[0].Name())
	if err := c.ask(rest[1].RemoveMember, rest[0].UID()); err != nil {
		t.Fatal(err)
	}
	gone(rest[0])
	// A live one, which learns of it.
	if err := c.ask(rest[1].RemoveMember, rest[2].UID()); err != nil {
		t.Fatal(err)
	}
	gone(rest[2])
	eventually(t, "the removed node detaches", func() bool { return rest[2].Status().Detached != "" })
	c.stop(rest[2].Name())
	// The leader.
	leader = c.leader()
	if err := c.ask(leader.RemoveMember, leader.UID()); err != nil {
		t.Fatal(err)
	}
	gone(leader)
	c.stop(leader.Name())
	if err := c.ask(c.leader().RemoveMember, leader.UID()); !errors.Is(err, ErrNoMember) {
		t.Errorf("once more: %v", err)
	}
	c.put(c.leader(), numbered(1))
}

func TestNoQuorumIsRemoved(t *testing.T) {
	c := newTestCluster(t)
	c.form(3)
	leader := c.leader()
	rest := c.others(leader)
	c.kill(rest[0].Name())
	eventually(t, "the leader takes the node for dead", func() bool {
		own, _, _ := leader.leaders.current()
		part := leader.consensus.Load()
		return own != nil && part != nil && leader.liveness(part, own, rest[0].UID()) != "alive"
	})
	for _, live := range []*testNode{leader, rest[1]} {
		unsafely(t, c.ask(rest[1].RemoveMember, live.UID()), "only 1 are alive")
	}
	if err := c.ask(rest[1].RemoveMember, rest[0].UID()); err != nil {
		t.Fatal(err)
	}
	c.put(rest[1], numbered(1))
}

func TestTheLastVoterStays(t *testing.T) {
	c := newTestCluster(t)
	n := c.form(1)[0]
	unsafely(t, c.ask(n.RemoveMember, n.UID()), "the only one with a vote")
	unsafely(t, c.ask(n.TransferLeadership, ""), "no other voter")
}

func TestAVoteIsGivenAsAsked(t *testing.T) {
	const nobody = "5d0f0f9c-52a4-4a3e-a8f4-0d2d0c9a3f11"
	c := newTestCluster(t)
	c.form(3)
	leader := c.leader()
	if err := leader.consensus.Load().raft.AddNonvoter(nobody, nobody, 0, time.Second).Error(); err != nil {
		t.Fatal(err)
	}
	follower := c.others(c.leader())[0]
	unsafely(t, c.ask(follower.PromoteMember, nobody), "does not answer")
	unsafely(t, c.ask(follower.TransferLeadership, nobody), "has no vote")
	if err := c.ask(follower.PromoteMember, follower.UID()); err != nil {
		t.Errorf("of a voter: %v", err)
	}
	if err := c.ask(follower.PromoteMember, "nobody"); !errors.Is(err, ErrNoMember) {
		t.Errorf("of nobody: %v", err)
	}
	if err := c.ask(follower.RemoveMember, nobody); err != nil {
		t.Errorf("its removal: %v", err)
	}
	if _, member := c.leader().consensus.Load().server(nobody); member {
		t.Error("it is a member")
	}
	unsafely(t, changeOutcome(changeAnswer(unsafe("for %s", "a reason"))), "for a reason")
	if err := changeOutcome(changeAnswer(ErrNoMember)); !errors.Is(err, ErrNoMember) {
		t.Error(err)
	}
}

// A restore whose proposer has gone is given up, so that what came of it is
// not held for ever.
func TestARestoreThatDoesNotGoOnIsGivenUp(t *testing.T) {
	c := newTestCluster(t)
	n := c.form(1)[0]
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	result, err := n.Propose(ctx, fsm.Command{Actor: "test", Op: fsm.RestorePart{ID: "r1", Objects: []fsm.Put{numbered(1)}}})
	if err != nil || result.Err != nil || n.State().Restoring() != "r1" {
		t.Fatalf("%v, %v, restoring %q", err, result.Err, n.State().Restoring())
	}
	var watch restoreWatch
	begun := time.Now()
	for _, look := range []struct {
		id   string
		at   time.Duration
		late bool
	}{
		{"", 0, false}, {"", 2 * restorePatience, false},
		{"r1", 3 * restorePatience, false}, {"r1", 4 * restorePatience, false}, {"r1", 4*restorePatience + 1, true},
		{"r2", 5 * restorePatience, false}, {"", 9 * restorePatience, false},
	} {
		if late := watch.isLate(look.id, begun.Add(look.at)); late != look.late {
			t.Errorf("%q after %v is late: %v", look.id, look.at, late)
		}
	}
	if err := n.duty(ctx, fsm.RestorePart{ID: "r1", Abort: true}); err != nil || n.State().Restoring() != "" {
		t.Errorf("%v, restoring %q", err, n.State().Restoring())
	}
}

// Of two removals, each safe by itself, one is refused.
func TestTwoRemovalsAtOnceLeaveAMajority(t *testing.T) {
	c := newTestCluster(t)
	c.form(4)
	leader := c.leader()
	rest := c.others(leader)
	c.kill(rest[0].Name())
	errs := make(chan error, 2)
	for _, n := range rest[1:] {
		go func() { errs <- c.ask(leader.RemoveMember, n.UID()) }()
	}
	first, second := <-errs, <-errs
	if (first == nil) == (second == nil) {
		t.Errorf("got %v and %v, want one refusal", first, second)
	}
	c.put(leader, numbered(1))
}

// barriers counts the entries of a log that removals have cost.
func barriers(t *testing.T, s *store) (count int) {
	t.Helper()
	last, err := s.cache.LastIndex()
	if err != nil {
		t.Fatal(err)
	}
	for index := uint64(1); index <= last; index++ {
		entry, ok, err := s.entry(index)
		if err != nil {
			t.Fatal(err)
		}
		if ok && entry.Type == raft.LogBarrier {
			count++
		}
	}
	return count
}

// A voter that is there but stores nothing is none of a majority.
func TestAVoterWithAFullDiskDoesNotCountWhenAnotherIsRemoved(t *testing.T) {
	c := newTestCluster(t)
	gates := c.gatedDisks("n1", "n2", "n3")
	c.form(3)
	leader := c.leader()
	rest := c.others(leader)
	gates[rest[0].Name()].set(errPlanted, nil)
	// The first attempt may find it out by an entry of its own, each further one
	// finds that entry: as long as nothing changes it costs the log nothing.
	part := leader.consensus.Load()
	for range 4 {
		unsafely(t, c.ask(leader.RemoveMember, rest[1].UID()), "store what is written")
	}
	if barriers(t, part.store) > 1 {
		t.Errorf("4 attempts that were refused cost %d entries", barriers(t, part.store))
	}
	c.put(leader, numbered(1))
	gates[rest[0].Name()].set(nil, nil)
	c.has(rest[0], "b1")
}

// TestAChangeWaitsForTheOneBeforeIt also when nobody waits for that any more.
func TestAChangeWaitsForTheOneBeforeIt(t *testing.T) {
	const nobody = "5d0f0f9c-52a4-4a3e-a8f4-0d2d0c9a3f11"
	c := newTestCluster(t)
	gates := c.gatedDisks("n1", "n2", "n3")
	c.form(3)
	leader := c.leader()
	part := leader.consensus.Load()
	for _, n := range c.others(leader) {
		gates[n.Name()].set(errPlanted, nil)
	}
	begun := 0
	add := func([]raft.Server) (raft.Future, error) {
		begun++
		return part.raft.AddNonvoter(nobody, nobody, 0, time.Second), nil
	}
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if err := part.changeServers(ctx, add); err == nil { // the leader's own duty may wait before this does
			t.Error("a change that does not commit is reported as made")
		}
		cancel()
	}
	if begun != 1 {
		t.Errorf("%d changes began at once", begun)
	}
	for _, n := range c.others(leader) {
		gates[n.Name()].set(nil, nil)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// A busy machine may have elected meanwhile; either way it begins.
	if err := part.changeServers(ctx, add); begun != 2 {
		t.Errorf("%d changes began: %v", begun, err)
	}
}
