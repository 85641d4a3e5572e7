package cluster

import (
	"testing"
	"time"
)

func TestAgeIsTheTimeSinceALeaderWasHeardFrom(t *testing.T) {
	c := newTestCluster(t)
	c.form(3)
	leader, follower := c.leader(), c.follower()
	if age, known := leader.Age(); age != 0 || !known {
		t.Errorf("the leader's state is %s old, known %v", age, known)
	}
	eventually(t, "a follower's state is about as old as a heartbeat", func() bool {
		age, known := follower.Age()
		return known && age < time.Second
	})
	for _, n := range []*testNode{c.leader(), c.follower()} {
		if n.Name() != follower.Name() {
			c.kill(n.Name())
		}
	}
	for name := range c.nodes {
		if name != follower.Name() {
			c.kill(name)
		}
	}
	grows(t, follower, 2*time.Second)

	// From its disk it is as old as that was written.
	c.kill(follower.Name())
	stood := time.Now()
	eventually(t, "some time passes", func() bool { return time.Since(stood) > 2*time.Second })
	back := c.start(c.config(follower.Name(), c.joins()...))
	grows(t, back, 2*time.Second)
}

// grows waits until a node without a leader knows that its state is so old.
func grows(t *testing.T, n *testNode, least time.Duration) {
	t.Helper()
	eventually(t, "the state is old", func() bool {
		age, known := n.Age()
		return known && age >= least
	})
}

func TestANodeWithoutAStateHasNoAge(t *testing.T) {
	c := newTestCluster(t)
	n := c.open(c.config("n1", "127.0.0.1:9"))
	defer n.Close()
	if age, known := n.Age(); known {
		t.Errorf("the state of nothing is %s old", age)
	}
}
