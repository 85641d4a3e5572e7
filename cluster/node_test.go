package cluster

import "testing"

func TestOneNodeFormsAClusterAlone(t *testing.T) {
	c := newTestCluster(t)
	n := c.form(1)[0]
	if n.State().Listener("default") == nil {
		t.Error("a new cluster has no default listener")
	}
	c.put(n, backend("web"))
	if n.State().Backend("default", "web") == nil {
		t.Error("the proposer does not see its own write")
	}
}

func TestThreeNodesFormOneCluster(t *testing.T) {
	c := newTestCluster(t)
	nodes := c.form(3)
	for _, n := range nodes[1:] {
		if n.Status().ID != nodes[0].Status().ID {
			t.Errorf("node %s is in cluster %q, %s in %q", n.Name(), n.Status().ID, nodes[0].Name(), nodes[0].Status().ID)
		}
	}
	f := c.follower()
	c.put(f, backend("web"))
	if f.State().Backend("default", "web") == nil {
		t.Error("the proposer does not see its own write")
	}
	for _, n := range nodes {
		c.has(n, "web")
	}
}
