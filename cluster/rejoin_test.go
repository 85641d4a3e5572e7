package cluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"evenkeel/fsm"
)

// damages are what may have happened to the store of a member.
var damages = map[string]func(t *testing.T, dir string){
	"the log store is truncated": func(t *testing.T, dir string) {
		path := filepath.Join(dir, fileStore)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		// Its second half may be free: the file grows by doubling.
		if err := os.Truncate(path, info.Size()/4); err != nil {
			t.Fatal(err)
		}
	},
	"the log store is garbage": func(t *testing.T, dir string) {
		if err := os.WriteFile(filepath.Join(dir, fileStore), make([]byte, 1<<16), 0o600); err != nil {
			t.Fatal(err)
		}
	},
	"the log store is empty": func(t *testing.T, dir string) {
		if err := os.Truncate(filepath.Join(dir, fileStore), 0); err != nil {
			t.Fatal(err)
		}
	},
	"the log store is missing": func(t *testing.T, dir string) {
		if err := os.Remove(filepath.Join(dir, fileStore)); err != nil {
			t.Fatal(err)
		}
	},
	"bits of an entry are flipped": flipBits,
	"the snapshot before the log is damaged": func(t *testing.T, dir string) {
		damageSnapshot(t, dir)
		inStore(t, dir, func(logs, _ *bbolt.Bucket) error { return logs.Delete(placeOf(1)) })
	},
	"the snapshot before the log is gone": func(t *testing.T, dir string) {
		if err := os.RemoveAll(filepath.Join(dir, dirSnapshots)); err != nil {
			t.Fatal(err)
		}
		inStore(t, dir, func(logs, _ *bbolt.Bucket) error { return logs.Delete(placeOf(1)) })
	},
	"the members in the snapshot before the log": func(t *testing.T, dir string) {
		flipInMembers(t, dir)
		inStore(t, dir, func(logs, _ *bbolt.Bucket) error { return logs.Delete(placeOf(1)) })
	},
	"what a snapshot behind the log says of itself": func(t *testing.T, dir string) {
		metas := snapshotFiles(t, dir, "meta.json")
		if err := os.WriteFile(metas[0], []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		inStore(t, dir, func(logs, _ *bbolt.Bucket) error {
			c := logs.Cursor()
			for key, _ := c.First(); key != nil; key, _ = c.Next() {
				if err := c.Delete(); err != nil {
					return err
				}
			}
			return nil
		})
	},
	"other files are damaged too": func(t *testing.T, dir string) {
		flipBits(t, dir)
		for _, name := range []string{fileForming, filePeers} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	},
}

func inStore(t *testing.T, dir string, change func(logs, conf *bbolt.Bucket) error) {
	t.Helper()
	inBolt(t, &dataDir{path: dir}, change)
}

// flipBits damages an entry on the disk, where no library looks at it.
func flipBits(t *testing.T, dir string) {
	t.Helper()
	inStore(t, dir, func(logs, _ *bbolt.Bucket) error {
		stored := slices.Clone(logs.Get(placeOf(4)))
		stored[len(stored)/2] ^= 1
		return logs.Put(placeOf(4), stored)
	})
}

func snapshotFiles(t *testing.T, dir, name string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, dirSnapshots, "*", name))
	if err != nil || len(found) == 0 {
		t.Fatalf("snapshots: %v, %v", found, err)
	}
	return found
}

func damageSnapshot(t *testing.T, dir string) {
	t.Helper()
	for _, path := range snapshotFiles(t, dir, "state.bin") {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 1
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// withSnapshot forms a cluster whose nodes have a snapshot, and b1 to b3.
func (c *testCluster) withSnapshot(n int) []*testNode {
	c.t.Helper()
	nodes := c.form(n)
	for i := range 3 {
		c.put(nodes[0], numbered(i+1))
	}
	for _, node := range nodes {
		c.has(node, "b3")
		if err := node.consensus.Load().raft.Snapshot().Error(); err != nil {
			c.t.Fatal(err)
		}
	}
	return nodes
}

// rejoined waits until a node is a member with a vote, and what it was is none.
func (c *testCluster) rejoined(n *testNode, was string, members int) {
	c.t.Helper()
	eventually(c.t, "node "+n.Name()+" votes, and what it was does not", func() bool {
		all := c.leader().Members()
		for _, m := range all {
			if m.UID == was || m.Role == RoleNonvoter || m.State != StateAlive {
				return false
			}
		}
		return len(all) == members && n.Status().Detached == "" && c.leader().State().Node(was) == nil
	})
}

func TestANodeWithADamagedStoreServesItsImageAndJoinsAgain(t *testing.T) {
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			c := newTestCluster(t)
			nodes := c.withSnapshot(3)
			id := nodes[0].Status().ID
			damaged := c.follower()
			uid, dir := damaged.UID(), c.dirs[damaged.Name()]
			c.stop(damaged.Name())
			damage(t, dir)
			c.put(c.leader(), numbered(4))

			opened := c.open(c.config(damaged.Name(), c.joins()...))
			if opened.UID() == uid {
				t.Fatal("it may vote under its old UID")
			}
			if opened.State().Backend("default", "b3") == nil || opened.Status().Confirmed {
				t.Error("its image is not served, or not as unconfirmed")
			}
			if reason := opened.Status().Detached; !strings.Contains(reason, fileStore) || !strings.Contains(reason, "damaged-1") || !strings.Contains(reason, "recover") {
				t.Errorf("the reason %q does not name file, place and remedy", reason)
			}
			if members := opened.Members(); slices.ContainsFunc(members, func(m Member) bool { return m.UID == uid }) {
				t.Errorf("what it was is among the members: %v", members)
			}
			back := c.run(opened)
			neverBack(t, back)
			c.rejoined(back, uid, 3)
			c.has(back, "b4")
			c.put(back, numbered(5))
			if back.Status().ID != id {
				t.Errorf("it is in cluster %q, it was in %q", back.Status().ID, id)
			}
			// As any other member from now on.
			again := back.UID()
			c.stop(back.Name())
			back = c.start(c.config(back.Name(), c.joins()...))
			c.settled(back)
			if back.UID() != again {
				t.Error("the next start makes it another one")
			}
		})
	}
}

func TestANodeWhoseImageIsDamagedTooServesNothingUntilItHasJoinedAgain(t *testing.T) {
	c := newTestCluster(t)
	c.withSnapshot(3)
	damaged := c.follower()
	uid, dir := damaged.UID(), c.dirs[damaged.Name()]
	c.stop(damaged.Name())
	flipBits(t, dir)
	if err := os.WriteFile(filepath.Join(dir, fileImage), []byte("evenkeel-image"), 0o600); err != nil {
		t.Fatal(err)
	}
	opened := c.open(c.config(damaged.Name(), c.joins()...))
	if state := opened.State(); state.ClusterID() != "" || state.Count(fsm.KindBackend) != 0 {
		t.Error("it serves something")
	}
	back := c.run(opened)
	c.rejoined(back, uid, 3)
	c.has(back, "b1", "b3")
}

// The leader may have met the old UID never, or see it alive in gossip yet.
func TestANodeWithADamagedStoreIsLetInByALeaderThatNeverMetIt(t *testing.T) {
	c := newTestCluster(t)
	c.withSnapshot(3)
	damaged := c.follower()
	uid := damaged.UID()
	c.kill(damaged.Name())
	flipBits(t, c.dirs[damaged.Name()])
	for _, n := range c.others() { // of what gossip knew nothing is left
		c.kill(n.Name())
	}
	for name := range c.dirs {
		c.start(c.config(name, c.joins()...))
	}
	c.rejoined(c.nodes[damaged.Name()], uid, 3)
}

func TestNodesWithDamagedStoresWaitForAMajorityThatHasState(t *testing.T) {
	for name, count := range map[string]int{"two of three": 2, "all": 3} {
		t.Run(name, func(t *testing.T) {
			c := newTestCluster(t)
			nodes := c.withSnapshot(3)
			id := nodes[0].Status().ID
			for _, n := range nodes {
				c.stop(n.Name())
			}
			var damaged []*testNode
			for i, n := range nodes {
				if i < count {
					flipBits(t, c.dirs[n.Name()])
				}
				back := c.start(c.config(n.Name(), c.joins()...))
				if i < count {
					damaged = append(damaged, back)
				}
			}
			fresh := c.start(c.config("fresh", c.joins()...)) // with it there are as many as founded
			for _, n := range damaged {
				eventually(t, "they know each other and ask", func() bool {
					members, _ := n.gossip.view()
					return len(members) == 3 && n.waits.Load() != nil
				})
			}
			eventually(t, "the new node knows of the cluster", func() bool { return fresh.gossip.formed() == id })
			rounds := damaged[0].Status().Detached
			if !strings.Contains(rounds, "no node that leads the cluster is there") {
				t.Errorf("the reason %q does not say what it waits for", rounds)
			}
			for _, n := range damaged {
				if s := n.Status(); s.ID != id || s.Quorum || s.Confirmed || n.State().Backend("default", "b3") == nil {
					t.Errorf("node %s: %+v", n.Name(), s)
				}
				if has, err := n.store.hasState(); has || err != nil {
					t.Errorf("node %s founded something: %t, %v", n.Name(), has, err)
				}
				if _, err := n.Propose(context.Background(), fsm.Command{Actor: "test", Op: numbered(9)}); !errors.Is(err, ErrDetached) {
					t.Errorf("propose: %v", err)
				}
				if list := n.acceptedList(); list != nil {
					t.Errorf("node %s accepted founders %v", n.Name(), list)
				}
				if _, err := n.accept(t.Context(), n.UID(), founders{List: []string{n.UID()}}); err == nil {
					t.Error("it takes part in forming")
				}
			}
			if fresh.Status().ID != "" {
				t.Errorf("the new node is in %q", fresh.Status().ID)
			}
		})
	}
}

// A build that did not know of successors writes the identity without what the node
// waits for. Nobody can tell then what it was.
func TestAWaitingNodeThatAnOlderBuildRanOnSaysWhatToDo(t *testing.T) {
	c := newTestCluster(t)
	nodes := c.withSnapshot(3)
	for _, n := range nodes {
		c.stop(n.Name())
	}
	flipBits(t, c.dirs["n3"])
	waits := c.start(c.config("n3", c.joins()...))
	eventually(t, "it asks to be let in", func() bool { return waits.waits.Load() != nil })
	c.stop("n3")

	path := filepath.Join(c.dirs["n3"], fileIdentity)
	var id identity
	if _, err := readJSON(path, &id); err != nil {
		t.Fatal(err)
	}
	id.Rejoin, id.NamedAfter = nil, ""
	if err := replaceJSON(path, id); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"n1", "n2"} {
		c.start(c.config(name, c.joins()...))
	}
	back := c.start(c.config("n3", c.joins()...))
	c.has(back, "b1", "b3")
	eventually(t, "it says what to do", func() bool {
		reason := back.Status().Detached
		return strings.Contains(reason, "no member") && strings.Contains(reason, c.dirs["n3"]) && strings.Contains(reason, "aside and start it again")
	})
}

func TestANodeThatWasRemovedIsNotLetInByDamage(t *testing.T) {
	c := newTestCluster(t)
	c.withSnapshot(3)
	damaged := c.follower()
	c.stop(damaged.Name())
	if err := c.ask(c.leader().RemoveMember, damaged.UID()); err != nil {
		t.Fatal(err)
	}
	flipBits(t, c.dirs[damaged.Name()])
	rest := c.leader()
	back := c.start(c.config(damaged.Name(), c.joins()...))
	eventually(t, "it says why it is not let in", func() bool { return strings.Contains(back.Status().Detached, "no member any more") })
	if members := rest.Members(); len(members) != 2 {
		t.Errorf("the members are %v", members)
	}
}

// Somebody copied the data directory, and the copy is damaged.
func TestTheSuccessorOfANodeThatLivesIsNotLetIn(t *testing.T) {
	c := newTestCluster(t)
	c.form(3)
	leader, alive := c.leader(), c.follower()
	for name, n := range map[string]*testNode{"a follower": alive, "the leader": leader} {
		from := hello{meta: meta{Protocol: protocolVersion, Name: "copy", FeatureLevel: fsm.FeatureLevel}, Addr: "127.0.0.1:1", Was: []string{n.UID()}}
		_, err := leader.admit(t.Context(), newUID(), from)
		for _, part := range []string{n.UID(), c.binds[n.Name()], "copy of its data directory", "move its data directory aside"} {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("the successor of %s: %v, want %q", name, err, part)
			}
		}
		if members, _ := leader.gossip.view(); members[alive.UID()].State != gossipAlive {
			t.Errorf("the node counts as gone")
		}
	}
}

// What the node was is in no gossip if the leader began behind its death.
func TestTheLeaderTakesItsWordThatANodeIsAnotherNow(t *testing.T) {
	c := newTestCluster(t)
	c.form(3)
	leader, dead := c.leader(), c.follower()
	c.kill(dead.Name())
	from := hello{meta: meta{Protocol: protocolVersion, Name: dead.Name(), FeatureLevel: fsm.FeatureLevel}, Addr: "127.0.0.1:1", Was: []string{dead.UID()}}
	successor := newUID()
	eventually(t, "it is let in", func() bool {
		leader.gossip.mu.Lock()
		delete(leader.gossip.members, dead.UID())
		leader.gossip.mu.Unlock()
		_, err := leader.admit(t.Context(), successor, from)
		return err == nil
	})
	if members, _ := leader.gossip.view(); members[dead.UID()].State != gossipLeft || members[dead.UID()].Name != dead.Name() {
		t.Errorf("what it was counts as %+v", members[dead.UID()])
	}
	if _, member := leader.consensus.Load().server(successor); !member {
		t.Error("it is no member")
	}
}

func TestASnapshotThatIsDamagedAndNotNeededIsPassedOver(t *testing.T) {
	c := newTestCluster(t)
	n := c.withSnapshot(1)[0]
	uid := n.UID()
	c.stop("n1")
	damageSnapshot(t, c.dirs["n1"])
	n = c.start(c.config("n1"))
	c.settled(n)
	if n.UID() != uid {
		t.Error("it is another node now")
	}
	c.has(n, "b1", "b3")
	c.put(n, numbered(4))
}

// What comes after a damage that raft meets while it runs is up to the next start.
func TestDamageMetWhileANodeRunsIsMendedByItsNextStart(t *testing.T) {
	c := newTestCluster(t)
	c.withSnapshot(3)
	damaged := c.follower()
	uid := damaged.UID()
	damaged.storeBroken(&damagedError{"entry 4 does not match its checksum"})
	eventually(t, "the node is detached", func() bool { return damaged.Status().Detached != "" })
	if reason := damaged.Status().Detached; !strings.Contains(reason, fileStore) || !strings.Contains(reason, "start the node again") {
		t.Errorf("the reason %q does not name file and remedy", reason)
	}
	c.stop(damaged.Name())
	flipBits(t, c.dirs[damaged.Name()])
	c.rejoined(c.start(c.config(damaged.Name(), c.joins()...)), uid, 3)
}

// A leader that fails before it has committed the change takes it with it, and the
// node would be a member by its own word alone, for ever.
func TestANodeIsToldThatItIsAdmittedWhenThatIsCommitted(t *testing.T) {
	c := newTestCluster(t)
	gates := c.gatedDisks("n1", "n2", "n3")
	c.form(3)
	leader := c.leader()
	for _, n := range c.others(leader) {
		gates[n.Name()].set(errors.New("planted: the disk does not write"), nil)
	}
	uid := newUID()
	asks := hello{meta: leader.meta(), Addr: "127.0.0.1:1"}
	asks.Name = "fresh"
	ask := func() error {
		ctx, cancel := context.WithTimeout(context.Background(), formingPause)
		defer cancel()
		_, err := leader.admit(ctx, uid, asks)
		return err
	}
	eventually(t, "the change is in the leader's log", func() bool {
		if ask() == nil {
			t.Fatal("it is admitted by a leader that cannot commit anything")
		}
		_, is := leader.consensus.Load().server(uid)
		return is
	})
	if ask() == nil {
		t.Fatal("it is told of an admission that is not committed")
	}
	for _, gate := range gates {
		gate.set(nil, nil)
	}
	eventually(t, "it is told once it is", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), formingCall)
		defer cancel()
		_, err := c.leader().admit(ctx, uid, asks)
		return err == nil
	})
}
