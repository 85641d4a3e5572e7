package cluster

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"evenkeel/fsm"
)

// recovered makes a cluster of what is left on one node.
func (c *testCluster) recovered(name string, write bool) Recovery {
	c.t.Helper()
	r, err := Recover(c.dirs[name], RecoverOptions{Write: write})
	if err != nil {
		c.t.Fatalf("recover %s: %v", name, err)
	}
	return r
}

func TestASurvivorIsMadeANewCluster(t *testing.T) {
	for name, snapshot := range map[string]bool{"from its log": false, "from a snapshot and its log": true} {
		t.Run(name, func(t *testing.T) {
			c := newTestCluster(t)
			nodes := c.form(3)
			leader := c.leader()
			c.put(leader, numbered(1))
			survivor := c.others(leader)[0]
			c.has(survivor, "b1")
			if snapshot {
				if err := survivor.consensus.Load().raft.Snapshot().Error(); err != nil {
					t.Fatal(err)
				}
			}
			c.put(leader, numbered(2))
			c.has(survivor, "b2")
			before, revision, uid := survivor.Status().ID, survivor.State().Revision(), survivor.UID()
			for _, n := range nodes {
				if n != survivor {
					c.kill(n.Name())
				}
			}
			c.stop(survivor.Name())

			looked := c.recovered(survivor.Name(), false)
			if looked.UID != uid || looked.Before != before || looked.After != "" || looked.Revision != revision || looked.Backends != 2 || looked.LastEntry == 0 || looked.Appended.IsZero() {
				t.Errorf("it has %+v, want revision %d of cluster %s", looked, revision, before)
			}
			var others []string
			for _, n := range nodes {
				if n != survivor {
					others = append(others, n.Name())
				}
			}
			slices.Sort(others)
			if !slices.Equal(looked.Others, others) {
				t.Errorf("the others are %q, want %q", looked.Others, others)
			}
			if again := c.recovered(survivor.Name(), false); again.Revision != revision || again.Before != before {
				t.Errorf("a look changes something: %+v", again)
			}
			if first := c.recovered(survivor.Name(), true); first.After == "" || first.After == before {
				t.Errorf("it becomes %+v", first)
			}
			done := c.recovered(survivor.Name(), true) // as after a crash

			join := c.joins()
			alone := c.start(c.config(survivor.Name(), join...))
			if alone.State().Backend("default", "b2") == nil {
				t.Error("it does not serve its image")
			}
			c.settled(alone)
			c.put(alone, numbered(3))
			if got := alone.Status().ID; got != done.After || alone.UID() == uid || alone.State().ClusterID() != done.After {
				t.Errorf("it is node %s of cluster %s, the registry is that of %s, want %s", alone.UID(), got, alone.State().ClusterID(), done.After)
			}
			if alone.State().Backend("default", "b1") == nil || alone.State().Backend("default", "b2") == nil {
				t.Error("objects are lost")
			}
			if members := alone.Members(); len(members) != 1 {
				t.Errorf("the members are %v", members)
			}

			// With an empty directory a node of the old cluster is let in, with its
			// old one it stays out.
			fresh := c.config(others[1], join...)
			fresh.DataDir = c.freshDir()
			joined := c.start(fresh)
			c.has(joined, "b1", "b2", "b3")
			eventually(t, "the new node votes", func() bool {
				return slices.ContainsFunc(alone.Members(), func(m Member) bool { return m.UID == joined.UID() && m.Role == RoleFollower && m.State == StateAlive })
			})
			old := c.start(c.config(others[0], join...))
			c.put(joined, numbered(4))
			if old.Status().ID != before || old.Status().Quorum {
				t.Errorf("a node of the old cluster has the state %+v", old.Status())
			}
			if len(alone.Members()) != 2 {
				t.Errorf("the members are %v", alone.Members())
			}
		})
	}
}

// The identity is new before the log is: an attempt that ends in between leaves a log
// that knows the node under the UID that it had.
func TestASecondAttemptToRecoverKnowsTheNode(t *testing.T) {
	c := newTestCluster(t)
	n := c.form(1)[0]
	c.put(n, numbered(1))
	eventually(t, "the leader has recorded itself", func() bool { return n.State().Node(n.UID()) != nil })
	uid, before := n.UID(), n.Status().ID
	c.stop("n1")
	for range 2 {
		c.partly(t, func(dir *dataDir) error { return dir.renew(uid, newUID(), newClusterID()) })
		if looked := c.recovered("n1", false); looked.UID != uid || looked.Before != before || len(looked.Others) != 0 {
			t.Errorf("after an attempt that ended early: %+v, want node %s of cluster %s alone", looked, uid, before)
		}
	}
	done := c.recovered("n1", true)
	alone := c.start(c.config("n1"))
	c.settled(alone)
	if node := alone.State().Node(alone.UID()); node == nil || alone.State().Count(fsm.KindNode) != 1 || alone.Status().ID != done.After {
		t.Errorf("the registry has %d nodes, of itself %+v", alone.State().Count(fsm.KindNode), node)
	}
}

func TestARecoveryThatCannotBeIsRefused(t *testing.T) {
	c := newTestCluster(t)
	empty := t.TempDir()
	refused := func(path, why string) {
		t.Helper()
		before, _ := os.ReadFile(filepath.Join(path, fileIdentity))
		if _, err := Recover(path, RecoverOptions{Write: true}); err == nil || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), path) {
			t.Errorf("of %s: %v, want that %q", path, err, why)
		}
		after, _ := os.ReadFile(filepath.Join(path, fileIdentity))
		if strings.Contains(string(before), "cluster_id") && clusterIDIn(before) != clusterIDIn(after) {
			t.Error("a refused recovery changes the identity")
		}
	}
	refused(empty, "not the data directory")
	if left, err := os.ReadDir(empty); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
	n := c.form(1)[0]
	c.put(n, numbered(1))
	refused(c.dirs["n1"], "uses it")
	c.stop("n1")
	store := filepath.Join(c.dirs["n1"], fileStore)
	whole, err := os.ReadFile(store)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(store, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	refused(c.dirs["n1"], "another survivor")
	if err := os.Truncate(filepath.Join(c.dirs["n1"], fileImage), 20); err != nil {
		t.Fatal(err)
	}
	if r, err := Recover(c.dirs["n1"], RecoverOptions{Write: true, FromImage: true}); err == nil || !strings.Contains(err.Error(), "nor is its image") {
		t.Errorf("with log and image damaged: %+v, %v", r, err)
	}
	if err := os.WriteFile(store, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := Recover(c.dirs["n1"], RecoverOptions{Write: true, FromImage: true}); err == nil || !strings.Contains(err.Error(), "its log is sound") {
		t.Errorf("from the image beside a sound log: %+v, %v", r, err)
	}
	c.recovered("n1", true)

	lonely := c.open(c.config("new", "127.0.0.1:1"))
	if err := lonely.Close(); err != nil {
		t.Fatal(err)
	}
	refused(c.dirs["new"], "never was part")
}

func clusterIDIn(identity []byte) string {
	_, rest, _ := strings.Cut(string(identity), `"cluster_id"`)
	return rest
}

// What is left of the old cluster may find its majority again.
func TestARecoveredNodeIsOutOfReachOfTheOldCluster(t *testing.T) {
	c := newTestCluster(t)
	c.form(3)
	leader := c.leader()
	c.put(leader, numbered(1))
	survivor := c.others(leader)[0]
	c.has(survivor, "b1")
	lost := c.others(survivor)
	for _, n := range lost {
		c.kill(n.Name())
	}
	c.stop(survivor.Name())
	c.recovered(survivor.Name(), true)
	join := c.joins()
	alone := c.start(c.config(survivor.Name(), join...))
	c.settled(alone)
	c.put(alone, numbered(2))
	var old []*testNode
	for _, n := range lost {
		old = append(old, c.start(c.config(n.Name(), join...)))
	}
	eventually(t, "the old cluster has a leader again", func() bool { return old[0].Status().Quorum && old[1].Status().Quorum })
	for i := range 30 {
		c.put(old[i%2], numbered(100+i))
	}
	if err := c.ask(old[0].TransferLeadership, ""); err != nil { // another term, from another node
		t.Fatal(err)
	}
	c.put(old[0], numbered(3))
	c.put(alone, numbered(4))
	if s := alone.Status(); s.LeaderUID != alone.UID() || s.Detached != "" {
		t.Errorf("the new cluster is %+v", s)
	}
	if state := alone.State(); state.Backend("default", "b3") != nil || state.Backend("default", "b100") != nil || state.Backend("default", "b4") == nil {
		t.Error("the new cluster has what the old one wrote, or lacks its own")
	}
	if old[0].State().Backend("default", "b2") != nil {
		t.Error("the old cluster has what the new one wrote")
	}
}
