package cluster

import (
	"testing"

	"github.com/hashicorp/raft"
)

func TestANodeThatStopsTakesNoOffice(t *testing.T) {
	c := newTestCluster(t)
	c.form(3)
	leader, stopping := c.leader(), c.follower()
	part, term := leader.consensus.Load(), leader.consensus.Load().raft.CurrentTerm()
	stopping.consensus.Load().transport.leaving.begun.Store(true)

	// It declines at once, and is told by nobody's election.
	id := raft.ServerID(stopping.UID())
	if err := part.raft.LeadershipTransferToServer(id, raft.ServerAddress(id)).Error(); err == nil || part.raft.CurrentTerm() != term {
		t.Error("it took the leadership")
	}
	unsafely(t, c.ask(leader.TransferLeadership, stopping.UID()), "did not take the leadership")
	c.put(leader, numbered(1))

	// What stands by itself gets no vote, and does not raise the term.
	for range 3 {
		stopping.consensus.Load().transport.wake(stopping.consensus.Load().raft)
	}
	c.kill(leader.Name())
	for _, n := range c.nodes {
		eventually(t, "the other one leads", func() bool {
			uid := n.Status().LeaderUID
			return uid != "" && uid != leader.UID()
		})
		if n.Status().LeaderUID == stopping.UID() {
			t.Error("a node that stops was elected")
		}
	}
	// It votes, and follows.
	c.put(stopping, numbered(2))
}
