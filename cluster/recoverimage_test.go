package cluster

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"evenkeel/fsm"
)

// damagedCluster stops three nodes that have b1 to b3, with all their stores
// damaged.
func (c *testCluster) damagedCluster() (id string, revision uint64) {
	c.t.Helper()
	nodes := c.withSnapshot(3)
	id, revision = nodes[0].Status().ID, nodes[0].State().Revision()
	for _, n := range nodes {
		c.stop(n.Name())
		damages["bits of an entry are flipped"](c.t.(*testing.T), c.dirs[n.Name()])
	}
	return id, revision
}

func (c *testCluster) fromImage(name string, write bool) Recovery {
	c.t.Helper()
	r, err := Recover(c.dirs[name], RecoverOptions{Write: write, FromImage: true})
	if err != nil {
		c.t.Fatalf("recover %s: %v", name, err)
	}
	return r
}

// isNewCluster starts a node that was recovered, and one that joins it.
func (c *testCluster) isNewCluster(name string, r Recovery) {
	c.t.Helper()
	alone := c.start(c.config(name, c.joins()...))
	if alone.State().Backend("default", "b3") == nil {
		c.t.Error("it does not serve its image")
	}
	c.settled(alone)
	c.put(alone, numbered(4))
	if alone.Status().ID != r.After || alone.State().ClusterID() != r.After || len(alone.Members()) != 1 {
		c.t.Errorf("it is in cluster %s with %v, want %s", alone.Status().ID, alone.Members(), r.After)
	}
	joined := c.start(c.config("fresh", c.binds[name]))
	c.has(joined, "b1", "b3", "b4")
	eventually(c.t, "the new node votes", func() bool {
		for _, m := range alone.Members() {
			if m.UID == joined.UID() {
				return m.Role == RoleFollower && m.State == StateAlive
			}
		}
		return false
	})
	c.put(joined, numbered(5))
	c.stop(name) // and goes on from its own log
	alone = c.start(c.config(name, c.joins()...))
	c.settled(alone, joined)
	c.has(alone, "b1", "b4", "b5")
}

func TestASurvivorWithADamagedLogIsMadeANewClusterOfItsImage(t *testing.T) {
	for name, begin := range map[string]func(t *testing.T, c *testCluster){
		"before it is started": func(*testing.T, *testCluster) {},
		"after it was started, and waited": func(_ *testing.T, c *testCluster) {
			n := c.start(c.config("n1", c.joins()...))
			eventually(c.t, "it asks to be let in", func() bool { return n.waits.Load() != nil })
			c.stop("n1")
		},
		"after a crash while its store was moved aside": func(t *testing.T, c *testCluster) {
			c.partly(t, func(dir *dataDir) error {
				return errors.Join(dir.renounce(&damagedError{"entry 4"}), dir.moveAside(), dir.makeStore())
			})
		},
		"after a crash behind the new identity": func(t *testing.T, c *testCluster) {
			c.partly(t, func(dir *dataDir) error {
				s, err := emptyStore(dir, &damagedError{"entry 4"}, slog.New(slog.DiscardHandler))
				if err != nil {
					return err
				}
				return errors.Join(dir.renew(dir.id.Rejoin.Was[0], newUID(), newClusterID()), s.close())
			})
			n := c.start(c.config("n1", c.joins()...))
			eventually(t, "raft runs", func() bool { return n.consensus.Load() != nil })
			if has, err := n.store.hasState(); has || err != nil || n.Status().Quorum {
				t.Errorf("a start in between votes: %t, %v", has, err)
			}
			c.stop("n1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestCluster(t)
			_, revision := c.damagedCluster()
			begin(t, c)
			for _, fromImage := range []bool{false, true} {
				looked, err := Recover(c.dirs["n1"], RecoverOptions{FromImage: fromImage})
				if err != nil || looked.Damage == "" || looked.After != "" || looked.Revision != revision || looked.Backends != 3 || len(looked.Others) != 2 || looked.Written.IsZero() {
					t.Fatalf("it has %+v, %v, want revision %d", looked, err, revision)
				}
			}
			if r, err := Recover(c.dirs["n1"], RecoverOptions{Write: true}); err == nil || r.After != "" || !strings.Contains(err.Error(), "another survivor") {
				t.Errorf("without being told to it takes the image: %+v, %v", r, err)
			}
			first := c.fromImage("n1", true)
			if r, err := Recover(c.dirs["n1"], RecoverOptions{}); err != nil || r.Damage != "" || r.Revision != revision {
				t.Errorf("the new log: %+v, %v", r, err)
			}
			c.isNewCluster("n1", first)
		})
	}
}

// partly does a part of something to n1's directory, and crashes.
func (c *testCluster) partly(t *testing.T, part func(*dataDir) error) {
	t.Helper()
	dir, err := openDataDir(c.dirs["n1"])
	if err == nil {
		err = errors.Join(part(dir), dir.close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestARecoveryFromTheImageKeepsTheNodesRecord(t *testing.T) {
	c := newTestCluster(t)
	c.damagedCluster()
	n := c.start(c.config("n1", c.joins()...)) // has another UID then
	eventually(t, "it asks to be let in", func() bool { return n.waits.Load() != nil })
	c.stop("n1")
	looked := c.fromImage("n1", false)
	if looked.UID == n.UID() || len(looked.Others) != 2 {
		t.Errorf("it takes itself for one of the others: %+v", looked)
	}
	c.fromImage("n1", true)
	state, _, err := readImage(c.dirs["n1"] + "/" + fileImage)
	if err != nil || state.Count(fsm.KindNode) != 1 {
		t.Errorf("the new cluster has %d nodes, %v", state.Count(fsm.KindNode), err)
	}
}
