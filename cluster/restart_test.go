package cluster

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"evenkeel/fsm"
)

func TestNodeServesItsImageBeforeItHasALeader(t *testing.T) {
	c := newTestCluster(t)
	nodes := c.form(3)
	c.put(nodes[0], numbered(1))
	for _, n := range nodes {
		c.has(n, "b1")
	}
	for _, n := range nodes {
		c.stop(n.Name())
	}
	n := c.open(c.config("n1", c.joins()...))
	if n.State().Backend("default", "b1") == nil {
		t.Fatal("the image is not there when the node is opened")
	}
	for _, m := range n.Members() {
		if m.UID != n.UID() && m.State == StateAlive {
			t.Errorf("before it met anybody the node says of %q that it is alive", m.Name)
		}
	}
	first := c.run(n)
	version := n.State().Version()
	if s := first.Status(); s.Confirmed || s.Quorum || s.ID == "" {
		t.Errorf("the status without a leader is %+v", s)
	}
	c.start(c.config("n2", c.joins()...))
	for !n.Status().Confirmed {
		state, replaced := n.Watch()
		if state.Version() < version {
			t.Fatalf("the state fell back from version %d to %d", version, state.Version())
		}
		select {
		case <-replaced:
		default:
		}
	}
	c.put(first, numbered(2))
}

func TestReplayDoesNotTakePublishedStateBack(t *testing.T) {
	v := newViews()
	put := func(state *fsm.State, seq uint64, op fsm.Operation) *fsm.State {
		next, results := fsm.Apply(state, []fsm.Command{{ID: fsm.CommandID{Origin: "o", Seq: seq}, Op: op}})
		if results[0].Err != nil {
			t.Fatal(results[0].Err)
		}
		return next
	}
	first := put(fsm.New(), 1, fsm.Init{ClusterID: "c", FeatureLevel: 1, Objects: fsm.DefaultObjects()})
	second := put(first, 2, numbered(1))
	third := put(second, 3, numbered(2))
	v.boot(second, 20)
	v.advance(first, 10)
	if got := v.published.Load().state; got != second {
		t.Error("a state older than the image is published")
	}
	v.advance(second, 20)
	v.advance(third, 30)
	if got := v.published.Load().state; got != third {
		t.Error("a state newer than the image is not published")
	}
}

func TestWhoWaitedForAnEntryReadsItAtOnce(t *testing.T) {
	v := newViews()
	v.confirm(0)
	const entries = 20_000
	state := fsm.New()
	go func() {
		for index := range uint64(entries) {
			v.advance(state, index+1)
		}
	}()
	for index := range uint64(entries) {
		if err := v.waitApplied(t.Context(), index+1); err != nil {
			t.Fatal(err)
		}
		if got := v.published.Load().index; got < index+1 {
			t.Fatalf("entry %d is applied, published is %d", index+1, got)
		}
	}
}

func TestDamagedImageIsNotServed(t *testing.T) {
	path := filepath.Join(t.TempDir(), fileImage)
	state, _ := fsm.Apply(fsm.New(), []fsm.Command{{ID: fsm.CommandID{Origin: "o", Seq: 1}, Op: fsm.Init{ClusterID: "c", FeatureLevel: 1, Objects: fsm.DefaultObjects()}}})
	if err := writeImage(path, &view{state: state, index: 77}); err != nil {
		t.Fatal(err)
	}
	read, index, err := readImage(path)
	if err != nil || index != 77 || read.Digest() != state.Digest() || read.ClusterID() != "c" {
		t.Fatalf("read back index %d, error %v", index, err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		damaged := bytes.Clone(whole)
		damaged[i] ^= 1
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if read, _, err := readImage(path); err == nil || read != nil {
			t.Fatalf("an image with byte %d changed is read", i)
		}
		if err := os.WriteFile(path, whole[:i], 0o600); err != nil {
			t.Fatal(err)
		}
		if read, _, err := readImage(path); err == nil || read != nil {
			t.Fatalf("an image cut at byte %d is read", i)
		}
	}
}

func TestNodeThatFellFarBehindIsSentASnapshot(t *testing.T) {
	c := newTestCluster(t)
	c.form(3)
	f := c.follower()
	c.stop(f.Name())
	leader := c.leader()
	r := leader.consensus.Load().raft
	settings := r.ReloadableConfig()
	settings.TrailingLogs = 1
	if err := r.ReloadConfig(settings); err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		c.put(leader, numbered(i))
	}
	if err := r.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	back := c.start(c.config(f.Name(), c.joins()...))
	c.has(back, "b29")
	if err := back.ReadIndex(t.Context()); err != nil {
		t.Errorf("linearizable read after a snapshot: %v", err)
	}
	if err := leader.ReadIndex(t.Context()); err != nil {
		t.Errorf("linearizable read on the leader: %v", err)
	}
	c.put(back, numbered(99))
	// And once more from its own disk.
	c.stop(back.Name())
	back = c.start(c.config(f.Name(), c.joins()...))
	c.settled(back)
	if err := back.ReadIndex(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestResultOfACommandWithinASnapshotIsFound(t *testing.T) {
	w := newWaiters("me", 0)
	id, result, err := w.add(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	state, _ := fsm.Apply(fsm.New(), []fsm.Command{{ID: id, Op: fsm.Init{ClusterID: "c", FeatureLevel: 1, Objects: fsm.DefaultObjects()}}})
	sink := &memorySink{}
	if err := (&replicaSnapshot{state, 9}).Persist(sink); err != nil {
		t.Fatal(err)
	}
	views := newViews()
	r := &replica{views: views, waiters: w, state: fsm.New(), detach: func(error) {}}
	if err := r.Restore(io.NopCloser(&sink.Buffer)); err != nil {
		t.Fatal(err)
	}
	if got := <-result; !got.Repeat || got.Err != nil {
		t.Errorf("the result is %+v", got)
	}
	if views.applied.Load().index != 9 {
		t.Errorf("the index is %d", views.applied.Load().index)
	}
}

func FuzzRestore(f *testing.F) {
	state, _ := fsm.Apply(fsm.New(), []fsm.Command{{ID: fsm.CommandID{Origin: "o", Seq: 1}, Op: fsm.Init{ClusterID: "c", FeatureLevel: 1, Objects: fsm.DefaultObjects()}}})
	sink := &memorySink{}
	if err := (&replicaSnapshot{state, 9}).Persist(sink); err != nil {
		f.Fatal(err)
	}
	f.Add(sink.Bytes())
	f.Add([]byte("evenkeel-replica 1 9\n"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		before := fsm.New()
		r := &replica{views: newViews(), waiters: newWaiters("me", 0), state: before, detach: func(error) {}}
		if err := r.Restore(io.NopCloser(bytes.NewReader(data))); err != nil && r.state != before {
			t.Error("a snapshot that is refused changed the state")
		}
	})
}

type memorySink struct{ bytes.Buffer }

var _ raft.SnapshotSink = (*memorySink)(nil)

func (*memorySink) ID() string    { return "memory" }
func (*memorySink) Cancel() error { return nil }
func (*memorySink) Close() error  { return nil }

func TestSecondProcessOnADataDirectoryIsToldWhoHasIt(t *testing.T) {
	c := newTestCluster(t)
	n := c.open(c.config("n1"))
	defer n.Close()
	config := c.config("n1")
	config.Bind = "127.0.0.1:0"
	_, err := Open(config)
	if err == nil || !strings.Contains(err.Error(), "uses it") {
		t.Fatalf("a second node on the directory: %v", err)
	}
}

func TestStateWithoutIdentityIsRefused(t *testing.T) {
	c := newTestCluster(t)
	c.form(1)
	c.stop("n1")
	if err := os.Remove(filepath.Join(c.dirs["n1"], fileIdentity)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(c.config("n1")); err == nil || !strings.Contains(err.Error(), fileIdentity) {
		t.Fatalf("a store without an identity: %v", err)
	}
}

func TestFaultsOfTheConfigurationAreReportedAtOnce(t *testing.T) {
	_, err := Open(Config{Name: "Not A Label", DataDir: t.TempDir(), Bind: "nowhere", Join: []string{"n2"}, BootstrapExpect: -1, Profile: "slow"})
	if err == nil {
		t.Fatal("there is no error")
	}
	for _, part := range []string{"Not A Label", "nowhere", `"n2"`, "-1", "slow"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not name %s: %v", part, err)
		}
	}
}

func TestReportsAndMembersNameEveryNode(t *testing.T) {
	c := newTestCluster(t)
	nodes := c.form(3)
	for _, n := range nodes {
		reports := n.Reports(t.Context())
		if len(reports) != 3 {
			t.Errorf("node %s got reports %s", n.Name(), reports)
		}
		for _, m := range n.Members() {
			var report map[string]string
			if err := json.Unmarshal(reports[m.UID], &report); err != nil || report["node"] != m.Name {
				t.Errorf("report of %s is %s", m.Name, reports[m.UID])
			}
			if m.State != StateAlive || m.APIAddr != "api-"+m.Name || m.Version != "test" || m.FeatureLevel != fsm.FeatureLevel || m.ClusterAddr != c.binds[m.Name] {
				t.Errorf("node %s sees member %+v", n.Name(), m)
			}
			if (m.Role == RoleLeader) != (m.UID == n.Status().LeaderUID) {
				t.Errorf("node %s sees member %+v, the leader is %s", n.Name(), m, n.Status().LeaderName)
			}
		}
	}
}
