package cluster

import (
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

// crashed copies a node's directory as a crash at this moment would leave it, but
// for the image, which is that of before.
func (c *testCluster) crashed(n *testNode, image []byte) (dir string) {
	c.t.Helper()
	eventually(c.t, "what is applied is written down", func() bool {
		data, err := os.ReadFile(n.dir.file(fileApplied))
		m, _ := parseApplied(data, n.UID())
		return err == nil && m.index >= n.views.applied.Load().index
	})
	dir = c.freshDir()
	if err := os.CopyFS(dir, os.DirFS(n.dir.path)); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, fileImage), image, 0o600); err != nil {
		c.t.Fatal(err)
	}
	return dir
}

// imageWith returns a node's image once it holds a backend.
func (c *testCluster) imageWith(n *testNode, name string) (image []byte) {
	c.t.Helper()
	eventually(c.t, "the image has backend "+name, func() bool {
		state, _, err := readImage(n.dir.file(fileImage))
		if err != nil || state == nil || state.Backend("default", name) == nil {
			return false
		}
		image, err = os.ReadFile(n.dir.file(fileImage))
		return err == nil
	})
	return image
}

// alone opens a node on a directory, and does not run it.
func (c *testCluster) alone(name, dir string) *Node {
	c.t.Helper()
	config := c.config(name, c.joins()...)
	config.DataDir = dir
	config.Bind = "127.0.0.1:0"
	n := c.open(config)
	c.t.Cleanup(func() {
		if err := n.Close(); err != nil {
			c.t.Error(err)
		}
	})
	return n
}

func TestANodeThatCrashedServesWhatItHadAppliedBeforeItHasALeader(t *testing.T) {
	c := newTestCluster(t)
	nodes := c.form(3)
	c.put(nodes[0], numbered(1))
	images := map[*testNode][]byte{}
	for _, n := range nodes {
		images[n] = c.imageWith(n, "b1")
	}
	for i := range 20 {
		c.put(nodes[i%3], numbered(10+i))
	}
	for _, n := range nodes {
		c.has(n, "b29")
		back := c.alone(n.Name(), c.crashed(n, images[n]))
		if s := back.State(); s.Digest() != n.State().Digest() || s.Revision() != n.State().Revision() || back.Status().Confirmed {
			t.Errorf("node %s serves revision %d of %d, status %+v", n.Name(), s.Revision(), n.State().Revision(), back.Status())
		}
	}
}

func TestANodeThatCrashedGoesOnWhereItWas(t *testing.T) {
	c := newTestCluster(t)
	nodes := c.form(3)
	c.put(nodes[0], numbered(1))
	f := c.follower()
	image := c.imageWith(f, "b1")
	for i := range 20 {
		c.put(f, numbered(10+i))
	}
	dir := c.crashed(f, image)
	c.kill(f.Name())
	c.dirs[f.Name()] = dir
	c.put(c.leader(), numbered(2))
	back := c.start(c.config(f.Name(), c.joins()...))
	neverBack(t, back)
	if back.State().Backend("default", "b29") == nil {
		t.Error("it does not serve what it had")
	}
	c.settled(back)
	c.has(back, "b2")
}

func TestOnlyWhatWasAppliedIsServedOfTheLog(t *testing.T) {
	c := newTestCluster(t)
	n := c.form(1)[0]
	c.put(n, numbered(1))
	image := c.imageWith(n, "b1")
	at := map[string]uint64{}
	for i := range 3 {
		put := numbered(2 + i)
		c.put(n, put)
		at[put.Name] = n.views.applied.Load().index
	}
	uid, term := n.UID(), n.consensus.Load().raft.CurrentTerm()
	crash := c.crashed(n, image)
	if err := n.consensus.Load().raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	c.put(n, numbered(5))
	at["b5"] = n.views.applied.Load().index
	snapshotted := c.crashed(n, image)
	for name, test := range map[string]struct {
		from   string // the directory
		mark   []byte
		change func(t *testing.T, dir string)
		want   []string
		not    []string
	}{
		"up to the mark":               {from: crash, mark: appliedMark{at["b3"], term}.encode(uid), want: []string{"b1", "b2", "b3"}, not: []string{"b4"}},
		"no mark":                      {from: crash, want: []string{"b1"}, not: []string{"b2"}},
		"another node's mark":          {from: crash, mark: appliedMark{at["b3"], term}.encode(newUID()), want: []string{"b1"}, not: []string{"b2"}},
		"a mark behind the image":      {from: crash, mark: appliedMark{1, 1}.encode(uid), want: []string{"b1"}, not: []string{"b2"}},
		"the image is damaged":         {from: crash, mark: appliedMark{at["b3"], term}.encode(uid), change: noImage, want: []string{"b1", "b3"}, not: []string{"b4"}},
		"the snapshot instead of it":   {from: snapshotted, change: noImage, want: []string{"b1", "b4"}, not: []string{"b5"}},
		"the snapshot and the log":     {from: snapshotted, mark: appliedMark{at["b5"], term}.encode(uid), change: noImage, want: []string{"b1", "b4", "b5"}},
		"the log does not go on there": {from: snapshotted, mark: appliedMark{at["b5"], term}.encode(uid), change: gapAt(at["b2"]), want: []string{"b1", "b4", "b5"}},
		"of another cluster":           {from: crash, mark: appliedMark{at["b3"], term}.encode(uid), change: otherCluster, want: []string{"b1"}, not: []string{"b2"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := c.freshDir()
			if err := os.CopyFS(dir, os.DirFS(test.from)); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, fileApplied), test.mark, 0o600); err != nil {
				t.Fatal(err)
			}
			if test.change != nil {
				test.change(t, dir)
			}
			state := c.alone("n1", dir).State()
			for _, name := range test.want {
				if state.Backend("default", name) == nil {
					t.Errorf("%s is not served", name)
				}
			}
			for _, name := range test.not {
				if state.Backend("default", name) != nil {
					t.Errorf("%s is served", name)
				}
			}
		})
	}
}

func noImage(t *testing.T, dir string) {
	if err := os.Truncate(filepath.Join(dir, fileImage), 40); err != nil {
		t.Fatal(err)
	}
}

// gapAt takes an entry out of the log that a snapshot has.
func gapAt(index uint64) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		inStore(t, dir, func(logs, _ *bbolt.Bucket) error { return logs.Delete(placeOf(index)) })
	}
}

func otherCluster(t *testing.T, dir string) {
	var id identity
	if _, err := readJSON(filepath.Join(dir, fileIdentity), &id); err != nil {
		t.Fatal(err)
	}
	id.ClusterID = "another"
	if err := replaceJSON(filepath.Join(dir, fileIdentity), id); err != nil {
		t.Fatal(err)
	}
}

// A snapshot from the leader tells of more than the record, which goes by entries.
func TestANewerSnapshotIsServedInThePlaceOfAnOlderImage(t *testing.T) {
	c := newTestCluster(t)
	n := c.form(1)[0]
	c.put(n, numbered(1))
	image := c.imageWith(n, "b1")
	at := n.views.applied.Load().index
	term := n.consensus.Load().raft.CurrentTerm()
	c.put(n, numbered(2))
	if err := n.consensus.Load().raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	mark, uid := appliedMark{at, term}, n.UID()
	for name, change := range map[string]func(t *testing.T, dir string){
		"the log has it too": func(*testing.T, string) {},
		"the log is empty": func(t *testing.T, dir string) {
			inStore(t, dir, func(logs, _ *bbolt.Bucket) error {
				var err error
				for key, _ := logs.Cursor().First(); key != nil && err == nil; key, _ = logs.Cursor().First() {
					err = logs.Delete(key)
				}
				return err
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := c.crashed(n, image)
			if err := os.WriteFile(filepath.Join(dir, fileApplied), mark.encode(uid), 0o600); err != nil {
				t.Fatal(err)
			}
			change(t, dir)
			if c.alone("n1", dir).State().Backend("default", "b2") == nil {
				t.Error("what the snapshot has is not served")
			}
		})
	}
}
