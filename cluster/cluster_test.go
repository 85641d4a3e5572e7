package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/goleak"

	"evenkeel/cluster/secret"
	"evenkeel/fsm"
	"evenkeel/internal/freeport"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// memberlist's queue watcher looks up only every 30 s whether it is shut down.
		goleak.IgnoreTopFunction("github.com/hashicorp/memberlist.(*Memberlist).checkBroadcastQueueDepth"),
		// raft never answers what was asked of it just as it ended.
		goleak.IgnoreAnyFunction("evenkeel/cluster.(*consensus).await.func1"))
}

// patience is generous: the machines that run this may be busy.
const patience = 90 * time.Second

// testNode is a node that runs.
type testNode struct {
	*Node
	cancel context.CancelFunc
	done   chan error
}

// testCluster starts nodes with one secret and keeps their directories.
type testCluster struct {
	t       testing.TB
	root    string // made first, so that it is removed after the nodes ended
	secrets *secret.Ring
	dirs    map[string]string
	binds   map[string]string
	nodes   map[string]*testNode
	logs    *syncBuffer
	opened  func(*Node) // if set, is called before a node runs
	// witnesses are the names of the nodes that are started as such.
	witnesses map[string]bool
	// hangAfter is what a write may take. Where tests run, a sound disk may take
	// seconds.
	hangAfter time.Duration
}

func newTestCluster(t testing.TB) *testCluster {
	t.Helper()
	ring, err := secret.Parse([]byte(secret.New()))
	if err != nil {
		t.Fatal(err)
	}
	c := &testCluster{t: t, root: t.TempDir(), secrets: ring, dirs: map[string]string{}, binds: map[string]string{}, nodes: map[string]*testNode{}, logs: &syncBuffer{}, hangAfter: 30 * time.Second}
	t.Cleanup(func() {
		for name := range c.nodes {
			c.stop(name)
		}
		if t.Failed() {
			t.Logf("log:\n%s", c.logs)
		}
	})
	return c
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// config is the node's configuration; a node keeps directory and address.
func (c *testCluster) config(name string, join ...string) Config {
	if c.dirs[name] == "" {
		c.dirs[name] = c.freshDir()
	}
	if c.binds[name] == "" {
		c.binds[name] = freeport.Address(c.t, "127.0.0.1")
	}
	return Config{
		Name: name, DataDir: c.dirs[name], Bind: c.binds[name], Join: join, Secrets: c.secrets, Version: "test",
		APIAddr: "api-" + name, Witness: c.witnesses[name],
		Report: func() any { return map[string]string{"node": name} },
		Logger: slog.New(slog.NewTextHandler(c.logs, &slog.HandlerOptions{Level: slog.LevelDebug})).With("on", name),
	}
}

func (c *testCluster) freshDir() string {
	c.t.Helper()
	dir, err := os.MkdirTemp(c.root, "node-")
	if err != nil {
		c.t.Fatal(err)
	}
	return dir
}

func (c *testCluster) open(config Config) *Node {
	c.t.Helper()
	n, err := Open(config)
	if err != nil {
		c.t.Fatalf("open node: %v", err)
	}
	n.hangAfter = c.hangAfter
	return n
}

func (c *testCluster) start(config Config) *testNode {
	c.t.Helper()
	return c.run(c.open(config))
}

func (c *testCluster) run(n *Node) *testNode {
	if c.opened != nil {
		c.opened(n)
	}
	ctx, cancel := context.WithCancel(context.Background())
	node := &testNode{Node: n, cancel: cancel, done: make(chan error, 1)}
	go func() { node.done <- n.Run(ctx) }()
	c.nodes[n.Name()] = node
	return node
}

// disks puts something between raft and the log of every node that is started
// from now on.
func (c *testCluster) disks(between func(*Node, raft.LogStore) raft.LogStore) {
	c.opened = func(n *Node) {
		cache, err := raft.NewLogCache(cachedEntries, between(n, checkedLog{n.store.bolt}))
		if err != nil {
			c.t.Fatal(err)
		}
		n.store.cache = cache
	}
}

// stop ends a node as a signal would.
func (c *testCluster) stop(name string) {
	c.t.Helper()
	node := c.nodes[name]
	delete(c.nodes, name)
	node.cancel()
	select {
	case err := <-node.done:
		if err != nil {
			c.t.Errorf("node %s ended with %v", name, err)
		}
	case <-time.After(patience):
		c.t.Fatalf("node %s did not end", name)
	}
}

// kill cuts a node off before it can tell anyone, then ends it.
func (c *testCluster) kill(name string) {
	c.t.Helper()
	node := c.nodes[name]
	delete(c.nodes, name)
	node.port.Close()
	node.cancel()
	select {
	case <-node.done:
	case <-time.After(patience):
		c.t.Fatalf("node %s did not end", name)
	}
}

// form starts n nodes that form a cluster, and waits until all follow a leader.
func (c *testCluster) form(n int) []*testNode {
	c.t.Helper()
	var joins []string
	for i := range n {
		name := fmt.Sprintf("n%d", i+1)
		c.config(name)
		joins = append(joins, c.binds[name])
	}
	if n == 1 {
		joins = nil
	}
	var nodes []*testNode
	for i := range n {
		nodes = append(nodes, c.start(c.config(fmt.Sprintf("n%d", i+1), joins...)))
	}
	c.settled(nodes...)
	return nodes
}

// joins are the addresses of all nodes that were ever configured.
func (c *testCluster) joins() []string {
	var all []string
	for _, addr := range c.binds {
		all = append(all, addr)
	}
	return all
}

func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// settled waits until all nodes are confirmed and know each other as alive.
func (c *testCluster) settled(nodes ...*testNode) {
	c.t.Helper()
	for _, n := range nodes {
		eventually(c.t, "node "+n.Name()+" is settled", func() bool {
			s := n.Status()
			alive := 0
			for node := range n.State().Nodes() {
				if node.State == fsm.NodeAlive {
					alive++
				}
			}
			return s.Quorum && s.Confirmed && alive >= len(nodes)
		})
	}
}

func (c *testCluster) leader() *testNode {
	c.t.Helper()
	var leader *testNode
	eventually(c.t, "there is a leader that the nodes agree on", func() bool {
		leader = nil
		for _, n := range c.nodes {
			uid := n.Status().LeaderUID
			if uid == "" || leader != nil && leader.UID() != uid {
				return false
			}
			for _, m := range c.nodes {
				if m.UID() == uid {
					leader = m
				}
			}
		}
		return leader != nil
	})
	return leader
}

func (c *testCluster) follower() *testNode {
	leader := c.leader()
	for _, n := range c.nodes {
		if n != leader {
			return n
		}
	}
	c.t.Fatal("there is no follower")
	return nil
}

func backend(name string) fsm.Put {
	spec := fsm.BackendSpec{Address: "10.0.0.1:9000"}
	spec.SetDefaults()
	spec.Address = fmt.Sprintf("10.0.0.1:%d", 1000+len(name)*7919%60000)
	return fsm.Put{Pool: "default", Name: name, Spec: spec}
}

func numbered(i int) fsm.Put {
	put := backend(fmt.Sprintf("b%d", i))
	spec := put.Spec.(fsm.BackendSpec)
	spec.Address = fmt.Sprintf("10.%d.%d.%d:9000", i>>16&255, i>>8&255, i&255)
	put.Spec = spec
	return put
}

func (c *testCluster) put(n *testNode, put fsm.Put) fsm.Result {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	result, err := n.Propose(ctx, fsm.Command{Actor: "test", Op: put})
	for (errors.Is(err, ErrNoQuorum) || errors.Is(err, ErrDetached) && n.detachment.passes()) && ctx.Err() == nil {
		result, err = n.Propose(ctx, fsm.Command{Actor: "test", Op: put}) // a busy machine elects at times
	}
	if err != nil {
		c.t.Fatalf("propose on %s: %v", n.Name(), err)
	}
	if result.Err != nil {
		c.t.Fatalf("propose on %s: refused: %v", n.Name(), result.Err)
	}
	return result
}

func (c *testCluster) has(n *testNode, names ...string) {
	c.t.Helper()
	for _, name := range names {
		eventually(c.t, "node "+n.Name()+" has backend "+name, func() bool { return n.State().Backend("default", name) != nil })
	}
}
