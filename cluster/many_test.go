package cluster

import (
	"context"
	"errors"
	"testing"
	"time"

	"evenkeel/fsm"
)

// withoutVote returns the running nodes that have none, as one node sees them,
// and how many members have one.
func (c *testCluster) withoutVote(seen *testNode) (rest []*testNode, voters int) {
	for _, m := range seen.Members() {
		if m.Role != RoleNonvoter {
			voters++
			continue
		}
		for _, n := range c.nodes {
			if n.UID() == m.UID {
				rest = append(rest, n)
			}
		}
	}
	return rest, voters
}

// readsCurrent wants a linearizable read on a node to see what another one was
// just acknowledged.
func (c *testCluster) readsCurrent(writer, reader *testNode, put fsm.Put) {
	c.t.Helper()
	c.put(writer, put)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := reader.ReadIndex(ctx)
	for errors.Is(err, ErrNoQuorum) && ctx.Err() == nil { // a busy machine elects
		err = reader.ReadIndex(ctx)
	}
	if err != nil {
		c.t.Fatalf("read on %s: %v", reader.Name(), err)
	}
	if reader.State().Backend(put.Pool, put.Name) == nil {
		c.t.Errorf("a linearizable read on %s does not see %s, which %s acknowledged", reader.Name(), put.Name, writer.Name())
	}
}

// Of nine nodes seven vote, and the other two do all the rest.
func TestMoreThanSevenNodes(t *testing.T) {
	c := newTestCluster(t)
	c.opened = func(n *Node) { n.profile.heartbeat = time.Second } // nine nodes on a few busy cores
	c.form(8)
	c.settled(c.start(c.config("n9", c.joins()...)))
	var rest []*testNode
	for _, n := range c.nodes {
		eventually(t, n.Name()+" sees seven voters and two others", func() bool {
			var voters int
			rest, voters = c.withoutVote(n)
			return voters == 7 && len(rest) == 2
		})
	}
	spare := rest[0]
	voter := c.leader()
	for i := range 5 {
		c.readsCurrent(spare, rest[1], numbered(2*i))
		c.readsCurrent(voter, spare, numbered(2*i+1))
	}
	unsafely(t, c.ask(spare.PromoteMember, spare.UID()), "7 nodes have a vote")
	if _, voters := c.withoutVote(c.leader()); voters != 7 {
		t.Errorf("%d nodes vote", voters)
	}

	// A voter dies and is removed: one of the two takes its place.
	dead := c.others(append(rest, c.leader())...)[0]
	c.kill(dead.Name())
	begun := time.Now()
	if err := c.ask(spare.RemoveMember, dead.UID()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "seven vote again", func() bool {
		left, voters := c.withoutVote(c.leader())
		return !c.isMember(dead.UID()) && voters == 7 && len(left) == 1
	})
	t.Logf("seven voted again after %s", time.Since(begun))
	c.readsCurrent(rest[0], rest[1], numbered(100))
}
