package cluster

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"evenkeel/internal/freeport"
)

func TestLinearizableReadOnAnyNodeSeesWhatWasAcknowledged(t *testing.T) {
	c := newTestCluster(t)
	nodes := c.form(3)
	for i := range 60 {
		put := numbered(i)
		c.put(nodes[i%3], put)
		reader := nodes[(i+1)%3]
		if err := reader.ReadIndex(t.Context()); err != nil {
			t.Fatal(err)
		}
		if reader.State().Backend("default", put.Name) == nil {
			t.Fatalf("node %s does not see a write that node %s acknowledged", reader.Name(), nodes[i%3].Name())
		}
	}
}

// partition cuts one node off from Raft and RPC of the others.
func (c *testCluster) partition(name string) (heal func()) {
	apart := func(n *testNode, uid string) bool { return n.Name() == name || uid == c.nodes[name].UID() }
	for _, n := range c.nodes {
		n.port.SetDirectory(func(uid string) (string, bool) {
			if apart(n, uid) {
				return "127.0.0.1:1", true
			}
			return n.directory.lookup(uid)
		})
		for _, other := range c.nodes {
			n.port.PeerMoved(other.UID())
		}
	}
	return func() {
		for _, n := range c.nodes {
			n.port.SetDirectory(n.directory.lookup)
		}
	}
}

func TestLeaderThatWasDeposedBehindAPartitionGivesNoStaleRead(t *testing.T) {
	c := newTestCluster(t)
	nodes := c.form(3)
	old := c.leader()
	c.put(old, numbered(1))
	heal := c.partition(old.Name())
	var other *testNode
	for _, n := range nodes {
		if n != old {
			other = n
		}
	}
	eventually(t, "the others have a leader of their own", func() bool {
		uid := other.Status().LeaderUID
		return uid != "" && uid != old.UID()
	})
	c.put(other, numbered(2))
	err := old.ReadIndex(t.Context())
	if err == nil && old.State().Backend("default", "b2") == nil {
		t.Fatal("a linearizable read behind a partition misses an acknowledged write")
	}
	if !errors.Is(err, ErrNoQuorum) {
		t.Errorf("the read returned %v", err)
	}
	heal()
	eventually(t, "the read succeeds after the partition", func() bool { return old.ReadIndex(t.Context()) == nil })
	if old.State().Backend("default", "b2") == nil {
		t.Error("the node has not caught up")
	}
	c.put(old, numbered(3))
}

func TestCoalescedCallersGetARunThatBeganAfterTheyAsked(t *testing.T) {
	c := newCoalescer()
	ctx, cancel := context.WithCancel(t.Context())
	entered, leave := make(chan struct{}), make(chan struct{})
	var runs atomic.Uint64
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.run(ctx, func(context.Context) (uint64, error) {
			run := runs.Add(1)
			entered <- struct{}{}
			<-leave
			return run, nil
		})
	}()
	answers := make(chan uint64)
	ask := func() {
		index, err := c.do(ctx)
		if err != nil {
			t.Error(err)
		}
		answers <- index
	}
	go ask()
	<-entered
	for range 10 {
		go ask()
	}
	waiting := func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.waiting) == 10
	}
	eventually(t, "all have asked", waiting)
	leave <- struct{}{}
	if got := <-answers; got != 1 {
		t.Errorf("the first got run %d", got)
	}
	<-entered
	leave <- struct{}{}
	for range 10 {
		if got := <-answers; got != 2 {
			t.Errorf("one who asked during run 1 got run %d", got)
		}
	}
	cancel()
	<-done
}

func TestAnswersOfNonvotersAndOldAnswersProveNoQuorum(t *testing.T) {
	now := time.Now()
	tr := &transport{uid: "a", acked: make(chan struct{}), peers: map[raft.ServerID]*peerProgress{
		"b":     {term: 3, answered: now.Add(-time.Second)},
		"c":     {term: 2, answered: now.Add(time.Second)},
		"extra": {term: 3, answered: now.Add(time.Second)},
	}}
	servers := []raft.Server{
		{Suffrage: raft.Voter, ID: "a", Address: "a"}, {Suffrage: raft.Voter, ID: "b", Address: "b"},
		{Suffrage: raft.Voter, ID: "c", Address: "c"}, {Suffrage: raft.Nonvoter, ID: "extra", Address: "extra"},
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tr.waitQuorum(ended, servers, 3, now); err == nil {
		t.Error("a quorum is seen where there is none")
	}
	tr.peers["b"].answered = now.Add(time.Millisecond)
	if err := tr.waitQuorum(ended, servers, 3, now); err != nil {
		t.Errorf("a quorum is not seen: %v", err)
	}
}

func TestWhileLeaderRunsOnTheLeaderAlone(t *testing.T) {
	c := newTestCluster(t)
	nodes := c.form(3)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running atomic.Int32
	began := make(chan string, 16)
	var ends []chan error
	for _, n := range nodes {
		end := make(chan error, 1)
		ends = append(ends, end)
		go func() {
			end <- n.WhileLeader(ctx, func(ctx context.Context) error {
				running.Add(1)
				defer running.Add(-1)
				began <- n.Name()
				<-ctx.Done()
				return ctx.Err()
			})
		}()
	}
	first := <-began
	if leader := c.leader(); leader.Name() != first {
		t.Errorf("it runs on %s, the leader is %s", first, leader.Name())
	}
	c.stop(first)
	second := <-began
	if second == first {
		t.Errorf("it runs on %s, which has stopped", second)
	}
	eventually(t, "it runs once", func() bool { return running.Load() == 1 })
	cancel()
	for _, end := range ends {
		if err := <-end; !errors.Is(err, context.Canceled) {
			t.Errorf("WhileLeader returned %v", err)
		}
	}
}

func TestWhileLeaderReturnsTheErrorOfItsFunction(t *testing.T) {
	c := newTestCluster(t)
	n := c.form(1)[0]
	want := errors.New("enough")
	if err := n.WhileLeader(t.Context(), func(context.Context) error { return want }); !errors.Is(err, want) {
		t.Errorf("WhileLeader returned %v", err)
	}
}

func TestCommitIsPushedToFollowers(t *testing.T) {
	c := newTestCluster(t)
	var nodes []*testNode
	names := []string{"n1", "n2", "n3"}
	for _, name := range names {
		c.config(name)
	}
	for _, name := range names {
		config, p, err := c.config(name, c.joins()...).prepare()
		if err != nil {
			t.Fatal(err)
		}
		p.commit = time.Minute // raft alone would tell them with the next entry
		n, err := open(config, p, systemNetwork())
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, c.run(n))
	}
	c.settled(nodes...)
	var took []time.Duration
	for i := range 20 {
		put := numbered(i)
		begun := time.Now()
		c.put(nodes[i%3], put)
		for _, n := range nodes {
			c.has(n, put.Name)
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	t.Logf("visible everywhere after %s at the median, %s at worst", took[10], took[19])
	if took[10] > time.Second {
		t.Errorf("a commit is visible everywhere only after %s", took[10])
	}
}

func TestSharedQuestionDoesNotWaitForALeader(t *testing.T) {
	// Who joins the queue behind it would wait twice as long as is promised.
	c := newTestCluster(t)
	n := c.start(c.config("n1", freeport.Address(t, "127.0.0.1"))) // never has a leader
	begun := time.Now()
	if _, err := n.askReadIndex(t.Context()); !errors.Is(err, errNoLeader) {
		t.Errorf("the answer is %v", err)
	}
	if took := time.Since(begun); took > readPatience/2 {
		t.Errorf("the answer took %s", took)
	}
	if err := n.ReadIndex(t.Context()); !errors.Is(err, ErrNoQuorum) {
		t.Errorf("read: %v", err)
	}
	if took := time.Since(begun); took < readPatience {
		t.Errorf("the read gave up after %s", took)
	}
}
