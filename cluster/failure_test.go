package cluster

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"evenkeel/cluster/secret"
	"evenkeel/fsm"
	"evenkeel/internal/freeport"
)

func TestKilledLeaderIsReplacedAndComesBackByItself(t *testing.T) {
	c := newTestCluster(t)
	c.form(3)
	old := c.leader()
	c.put(old, numbered(1))
	uid, term := old.UID(), old.Status().Term
	c.kill(old.Name())

	survivor := c.leader()
	if now := survivor.Status().Term; term == 0 || now <= term {
		t.Errorf("the term is %d after an election, and was %d before", now, term)
	}
	begun := time.Now()
	c.put(survivor, numbered(2))
	t.Logf("first write through a survivor that had a leader again took %s", time.Since(begun))
	eventually(t, "the dead node is recorded as dead", func() bool {
		node := survivor.State().Node(uid)
		return node != nil && node.State == fsm.NodeDead
	})

	back := c.start(c.config(old.Name(), c.joins()...))
	c.has(back, "b1", "b2")
	c.settled(back)
	eventually(t, "the node is recorded as alive again", func() bool {
		return survivor.State().Node(uid).State == fsm.NodeAlive
	})
	c.put(back, numbered(3))
}

func TestKilledFollowerComesBackUnderAnotherAddressAtOnce(t *testing.T) {
	c := newTestCluster(t)
	c.form(3)
	f := c.follower()
	name := f.Name()
	c.kill(name)
	c.put(c.leader(), numbered(1))

	// Another port and another address, before anyone took the node for dead.
	c.binds[name] = freeport.Address(t, "127.0.0.2")
	var others []string
	for other, addr := range c.binds {
		if other != name {
			others = append(others, addr)
		}
	}
	begun := time.Now()
	back := c.start(c.config(name, others...))
	c.has(back, "b1")
	t.Logf("caught up %s after its start", time.Since(begun))
	c.put(back, numbered(2))
	for _, n := range c.nodes {
		eventually(t, "node "+n.Name()+" sees it alive at its new address", func() bool {
			for _, m := range n.Members() {
				if m.UID == back.UID() {
					return m.State == StateAlive && m.ClusterAddr == c.binds[name]
				}
			}
			return false
		})
	}
	t.Logf("gossip agreed %s after its start", time.Since(begun))
}

func TestAllNodesComeBackUnderOtherAddresses(t *testing.T) {
	c := newTestCluster(t)
	nodes := c.form(3)
	c.put(nodes[0], numbered(1))
	for _, n := range nodes {
		c.stop(n.Name())
	}
	for name := range c.binds {
		c.binds[name] = freeport.Address(t, "127.0.0.3")
	}
	for i, n := range nodes {
		nodes[i] = c.start(c.config(n.Name(), c.joins()...))
	}
	c.settled(nodes...)
	c.put(nodes[1], numbered(2))
}

func TestNodesFindEachOtherAgainWithoutJoinAddresses(t *testing.T) {
	c := newTestCluster(t)
	nodes := c.form(3)
	c.put(nodes[0], numbered(1))
	for _, n := range nodes {
		c.kill(n.Name())
	}
	for i, n := range nodes {
		nodes[i] = c.start(c.config(n.Name()))
	}
	c.settled(nodes...)
	c.put(nodes[2], numbered(2))
}

func TestReplacedNodeIsLetInAndItsPredecessorRemoved(t *testing.T) {
	c := newTestCluster(t)
	c.form(3)
	f := c.follower()
	name, old := f.Name(), f.UID()
	c.put(f, numbered(1))
	c.kill(name)

	c.dirs[name] = c.freshDir()
	fresh := c.start(c.config(name, c.joins()...))
	c.has(fresh, "b1")
	if fresh.UID() == old {
		t.Fatal("an empty disk gave the node its old identity")
	}
	eventually(t, "the successor votes and the predecessor is gone", func() bool {
		members := c.leader().Members()
		for _, m := range members {
			if m.UID == old || m.Role == RoleNonvoter {
				return false
			}
		}
		return len(members) == 3 && c.leader().State().Node(old) == nil
	})
	c.put(fresh, numbered(2))
}

func TestPredecessorThatReturnsDetachesAndSaysWhy(t *testing.T) {
	c := newTestCluster(t)
	c.form(3)
	f := c.follower()
	name, oldDir := f.Name(), c.dirs[f.Name()]
	c.put(f, numbered(1))
	c.kill(name)
	c.dirs[name] = c.freshDir()
	c.start(c.config(name, c.joins()...))
	eventually(t, "the predecessor is removed", func() bool { return c.leader().State().Node(f.UID()) == nil })

	c.dirs["ghost"] = oldDir
	ghost := c.config("ghost", c.joins()...)
	back := c.start(ghost)
	eventually(t, "the removed node detaches", func() bool { return back.Status().Detached != "" })
	if !strings.Contains(back.Status().Detached, oldDir) {
		t.Errorf("the reason %q does not name the directory", back.Status().Detached)
	}
	if back.State().Backend("default", "b1") == nil {
		t.Error("a removed node does not serve what it has")
	}
	if _, err := back.Propose(context.Background(), fsm.Command{Actor: "test", Op: numbered(3)}); !errors.Is(err, ErrDetached) {
		t.Errorf("propose on a detached node: %v", err)
	}
	if err := back.ReadIndex(context.Background()); !errors.Is(err, ErrDetached) {
		t.Errorf("read index on a detached node: %v", err)
	}
}

func TestStoppedLeaderHandsOver(t *testing.T) {
	c := newTestCluster(t)
	c.form(3)
	leader, next := c.stopLeader()
	eventually(t, "it is recorded as left", func() bool {
		node := next.State().Node(leader.UID())
		return node != nil && node.State == fsm.NodeLeft
	})
	for _, m := range next.Members() {
		if m.UID == leader.UID() && m.State != StateLeft {
			t.Errorf("a node that left is %q", m.State)
		}
	}
}

// stopLeader stops the leader until its leadership is handed over and not fought
// over, which it may be where the machine stands still for an election timeout.
func (c *testCluster) stopLeader() (stopped, next *testNode) {
	c.t.Helper()
	for range 5 {
		stopped = c.leader()
		term := stopped.consensus.Load().raft.CurrentTerm()
		begun := time.Now()
		c.stop(stopped.Name())
		took := time.Since(begun)
		next = c.leader()
		got := next.consensus.Load().raft.CurrentTerm()
		c.t.Logf("the stop took %s, term %d became %d", took, term, got)
		if got == term+1 {
			return stopped, next
		}
		c.settled(c.start(c.config(stopped.Name(), c.joins()...)))
	}
	c.t.Fatal("no leadership was handed over")
	return nil, nil
}

func TestWithoutAQuorumWritesFailAndReadsGoOn(t *testing.T) {
	c := newTestCluster(t)
	nodes := c.form(3)
	c.put(nodes[0], numbered(1))
	c.has(nodes[2], "b1")
	c.kill("n1")
	c.kill("n2")
	last := nodes[2]
	eventually(t, "the last node knows that the quorum is lost", func() bool { return !last.Status().Quorum })
	begun := time.Now()
	if _, err := last.Propose(context.Background(), fsm.Command{Actor: "test", Op: numbered(2)}); !errors.Is(err, ErrNoQuorum) {
		t.Errorf("propose without a quorum: %v", err)
	}
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("the answer took %s", took)
	}
	if err := last.ReadIndex(context.Background()); !errors.Is(err, ErrNoQuorum) {
		t.Errorf("linearizable read without a quorum: %v", err)
	}
	if last.State().Backend("default", "b1") == nil {
		t.Error("the last node forgot its state")
	}

	c.start(c.config("n2", c.joins()...))
	c.put(last, numbered(3))
}

func TestTwoClustersWithOneSecretStayTwo(t *testing.T) {
	c := newTestCluster(t)
	a := c.form(1)[0]
	b := c.start(c.config("other"))
	c.settled(b)
	if a.Status().ID == b.Status().ID {
		t.Fatal("two nodes that formed alone have one identity")
	}
	c.stop("other")
	b = c.start(c.config("other", c.binds["n1"]))
	eventually(t, "the refusal is logged", func() bool {
		return strings.Contains(c.logs.String(), "refuses this one or is refused") || strings.Contains(c.logs.String(), "a node of another cluster is refused")
	})
	c.settled(b)
	c.put(a, numbered(1))
	c.put(b, numbered(2))
	for _, n := range []*testNode{a, b} {
		if members, _ := n.gossip.view(); len(members) != 0 {
			t.Errorf("node %s gossips with %d nodes of another cluster", n.Name(), len(members))
		}
		if len(n.Members()) != 1 {
			t.Errorf("node %s has members %v", n.Name(), n.Members())
		}
	}
}

func TestNodeWithAnotherSecretIsNotLetIn(t *testing.T) {
	c := newTestCluster(t)
	n := c.form(1)[0]
	ring, err := secret.Parse([]byte(secret.New()))
	if err != nil {
		t.Fatal(err)
	}
	config := c.config("stranger", c.binds["n1"])
	config.Secrets = ring
	stranger := c.start(config)
	eventually(t, "the refusal is counted", func() bool {
		for _, count := range n.port.Counters().Refused {
			if count > 0 {
				return true
			}
		}
		return false
	})
	if id := stranger.Status().ID; id != "" {
		t.Errorf("a stranger is part of cluster %q", id)
	}
	if len(n.Members()) != 1 {
		t.Errorf("members are %v", n.Members())
	}
}

func TestEntryThatCannotBeReadDetachesNodesAndNeverDivergesThem(t *testing.T) {
	c := newTestCluster(t)
	nodes := c.form(3)
	c.put(nodes[0], numbered(1))
	for _, n := range nodes {
		c.has(n, "b1")
	}
	leader := c.leader()
	entry := []byte(`[{"v":9,"kind":"from the future"}]`)
	if err := leader.consensus.Load().raft.Apply(entry, time.Second).Error(); err != nil {
		t.Fatal(err)
	}
	digest := nodes[0].State().Digest()
	eventually(t, "the two that make a majority with the entry are detached", func() bool {
		detached := 0
		for _, n := range nodes {
			if n.Status().Detached != "" {
				detached++
			}
		}
		return detached >= 2
	})
	for _, n := range nodes {
		if n.State().Backend("default", "b1") == nil || n.State().Digest() != digest {
			t.Errorf("node %s does not serve the last state that all agreed on", n.Name())
		}
		if _, err := n.Propose(context.Background(), fsm.Command{Actor: "test", Op: numbered(2)}); !errors.Is(err, ErrDetached) && !errors.Is(err, ErrNoQuorum) {
			t.Errorf("propose on node %s: %v", n.Name(), err)
		}
	}
	if !strings.Contains(leader.Status().Detached, "entry") {
		t.Errorf("the reason is %q", leader.Status().Detached)
	}
}
