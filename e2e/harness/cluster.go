package harness

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Options says what a cluster is made of.
type Options struct {
	Nodes     int      // how many, witnesses included
	Witnesses int      // how many of the last ones are witnesses
	Race      bool     // run the binary with the race detector
	Binary    string   // run this one, and not the binary as it is shipped
	Env       []string // more of each node's environment, NAME=value
	Extra     []string // more arguments for each node
	Sites     []Site   // where the nodes run, as many as nodes; nil is on loopback
}

// Site is a place for a node in a network namespace of its own, where all ports
// are free.
type Site struct {
	Namespace   string
	Address     string // for clients
	ClusterAddr string // for the other nodes
}

// Cluster is some nodes that were started to form one cluster.
type Cluster struct {
	Nodes  []*Node
	Secret string
	dir    string
}

// Prepare makes a cluster's secret, addresses and directories, and starts
// nothing. Other scenarios wait until the test ends.
func Prepare(t testing.TB, o Options) *Cluster {
	t.Helper()
	binary := o.Binary
	switch {
	case binary != "":
	case o.Race:
		binary = RaceBinary(t)
	default:
		binary = Binary(t)
	}
	Lock(t)
	c := &Cluster{Secret: NewSecret(t), dir: t.TempDir()}
	for i := range o.Nodes {
		name := fmt.Sprintf("n%d", i+1)
		n := &Node{
			Name: name, Dir: filepath.Join(c.dir, name), Extra: slices.Clone(o.Extra), Env: slices.Clone(o.Env), Binary: binary,
			Witness: i >= o.Nodes-o.Witnesses, host: "127.0.0.1", secret: c.Secret, logName: filepath.Join(c.dir, name+".log"),
		}
		if o.Sites == nil {
			n.API, n.ClusterAddr, n.HTTP = API{Address: FreeAddress(t)}, FreeAddress(t), FreeAddress(t)
		} else {
			n.Settle(o.Sites[i])
		}
		c.Nodes = append(c.Nodes, n)
	}
	for _, n := range c.Nodes {
		n.expect = o.Nodes
		for _, other := range c.Nodes {
			n.join = append(n.join, other.ClusterAddr)
		}
	}
	return c
}

// NewCluster starts nodes n1 to nN and waits until they have formed a cluster.
func NewCluster(t testing.TB, o Options) *Cluster {
	t.Helper()
	c := Prepare(t, o)
	for _, n := range c.Nodes {
		n.Start(t)
	}
	c.WaitFormed(t)
	return c
}

// Outsider returns a node that is told to join the cluster but was not among
// its first ones. It is not started.
func (c *Cluster) Outsider(t testing.TB, name, secret string) *Node {
	t.Helper()
	return &Node{
		API: API{Address: FreeAddress(t)}, Name: name, Dir: filepath.Join(c.dir, name), ClusterAddr: FreeAddress(t), HTTP: FreeAddress(t),
		Binary: c.Nodes[0].Binary, host: "127.0.0.1", secret: secret, logName: filepath.Join(c.dir, name+".log"),
		join: c.Nodes[0].join, expect: c.Nodes[0].expect,
	}
}

// NewSecret asks the binary for a cluster secret.
func NewSecret(t testing.TB) string {
	t.Helper()
	out, err := exec.Command(Binary(t), "secret").Output()
	if err != nil {
		t.Fatalf("evenkeel secret: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// Running returns the nodes whose process runs.
func (c *Cluster) Running() []*Node {
	var running []*Node
	for _, n := range c.Nodes {
		if n.Process != nil && n.Process.Running() {
			running = append(running, n)
		}
	}
	return running
}

// WaitFormed waits until every running node is ready, unless it is a witness,
// knows the same leader, and sees every other running node alive.
func (c *Cluster) WaitFormed(t testing.TB) {
	t.Helper()
	for _, n := range c.Running() {
		if !n.Witness {
			n.WaitReady(t)
		}
	}
	Eventually(t, "the nodes agree on a leader and see each other", func() error {
		leader := ""
		for _, n := range c.Running() {
			info, err := n.Cluster()
			switch {
			case err != nil:
				return err
			case info.Leader == "" || !info.Quorum:
				return fmt.Errorf("%s: leader %q, quorum %v", n.Name, info.Leader, info.Quorum)
			case leader != "" && info.Leader != leader:
				return fmt.Errorf("%s follows %s, another node follows %s", n.Name, info.Leader, leader)
			}
			leader = info.Leader
			if err := c.seesAll(n); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *Cluster) seesAll(n *Node) error {
	members, err := n.Members()
	if err != nil {
		return err
	}
	for _, other := range c.Running() {
		if !slices.ContainsFunc(members, func(m NodeInfo) bool { return m.Name == other.Name && m.State == "alive" }) {
			return fmt.Errorf("%s does not see %s alive: %+v", n.Name, other.Name, members)
		}
	}
	return nil
}

// Leader waits until the running nodes agree on a leader and returns it.
func (c *Cluster) Leader(t testing.TB) *Node {
	t.Helper()
	var leader *Node
	Eventually(t, "a leader", func() error {
		leader = nil
		for _, n := range c.Running() {
			info, err := n.Cluster()
			if err != nil {
				return err
			}
			named := c.node(info.Leader)
			if named == nil || !named.Running() || (leader != nil && named != leader) {
				return fmt.Errorf("%s says that the leader is %q", n.Name, info.Leader)
			}
			leader = named
		}
		if leader == nil {
			return errors.New("no node runs")
		}
		return nil
	})
	return leader
}

// Followers returns the running nodes that do not lead.
func (c *Cluster) Followers(t testing.TB) []*Node {
	t.Helper()
	leader := c.Leader(t)
	return slices.DeleteFunc(c.Running(), func(n *Node) bool { return n == leader })
}

// Without returns the running nodes but one.
func (c *Cluster) Without(out *Node) []*Node {
	return slices.DeleteFunc(c.Running(), func(n *Node) bool { return n == out })
}

func (c *Cluster) node(name string) *Node {
	for _, n := range c.Nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// WaitHealth waits until every running node reads that health for the
// backends of the default pool.
func (c *Cluster) WaitHealth(t testing.TB, health string, backends ...*Backend) {
	t.Helper()
	Eventually(t, "every node reads "+health, func() error {
		for _, n := range c.Running() {
			objects, err := n.Backends("default")
			if err != nil {
				return err
			}
			for _, b := range backends {
				if got := objects[b.Name].Status.Health; got != health {
					return fmt.Errorf("%s: backend %s is %q", n.Name, b.Name, got)
				}
			}
		}
		return nil
	})
}

// WaitSame waits until every running node has the same revision and digest.
func (c *Cluster) WaitSame(t testing.TB) {
	t.Helper()
	Eventually(t, "every node has the same state", func() error {
		var first ClusterInfo
		for i, n := range c.Running() {
			info, err := n.Cluster()
			if err != nil {
				return err
			}
			if i == 0 {
				first = info
			}
			if info.Revision != first.Revision || info.Digest != first.Digest || info.ID != first.ID {
				return fmt.Errorf("%s: %+v, another node: %+v", n.Name, info, first)
			}
		}
		return nil
	})
}

// HTTPAddresses returns where the nodes take traffic.
func HTTPAddresses(nodes []*Node) []string {
	addresses := make([]string, len(nodes))
	for i, n := range nodes {
		addresses[i] = n.HTTP
	}
	return addresses
}
