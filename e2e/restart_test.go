package e2e

import (
	"net/http"
	"testing"

	"evenkeel/e2e/harness"
	"evenkeel/internal/freeport"
)

func TestEachNodeIsRestartedInTurnAndNoRequestFails(t *testing.T) {
	cluster := harness.NewCluster(t, harness.Options{Nodes: 3})
	backends := harness.NewBackends(t, 3)
	cluster.Nodes[0].Add(t, backends...)
	for _, node := range cluster.Nodes {
		node.WaitServes(t)
	}
	addresses := harness.HTTPAddresses(cluster.Nodes)
	load := harness.StartLoad(t, 150, addresses...)
	for _, node := range cluster.Nodes {
		load.WaitRequests(t, 20, addresses...)
		writes := harness.StartWrites(t, "while-"+node.Name, harness.APIs(cluster.Without(node))...)
		writes.WaitAcknowledged(t, 5)
		load.MayRefuse(node.HTTP, true) // from now on nobody may be listening
		node.Stop(t)
		node.Start(t)
		node.WaitServes(t)
		load.MayRefuse(node.HTTP, false)
		cluster.WaitFormed(t)
		writes.StopClean(t) // a leader that stops hands over, so writes do not even wait
	}
	load.WaitRequests(t, 20, addresses...)
	load.StopClean(t)
	cluster.WaitSame(t)
}

func TestARestartedNodeComesBackUnderAnotherAddress(t *testing.T) {
	cluster := harness.NewCluster(t, harness.Options{Nodes: 3})
	backend := harness.NewBackend(t, "web1")
	cluster.Nodes[0].Add(t, backend)
	moved := cluster.Followers(t)[0]
	moved.Stop(t)
	cluster.Without(moved)[0].Write(t, http.MethodPut, "/v1/pools/meanwhile", map[string]any{})

	moved.ClusterAddr = freeport.Address(t, "127.0.0.2")
	moved.Start(t)
	cluster.WaitFormed(t)
	cluster.WaitSame(t)
	// It takes part again: its votes are needed once another node is dead.
	other := cluster.Without(moved)[0]
	other.Kill()
	moved.Write(t, http.MethodPut, "/v1/pools/moved", map[string]any{})
	moved.WaitServes(t)

	// The dead one too finds the moved one when it comes back.
	other.Start(t)
	cluster.WaitFormed(t)
	cluster.WaitSame(t)
}

func TestTheWholeClusterRestarts(t *testing.T) {
	cluster := harness.NewCluster(t, harness.Options{Nodes: 3})
	backend := harness.NewBackend(t, "web1")
	cluster.Nodes[0].Add(t, backend)
	// A node keeps an image of its state about once a second; what is older
	// than that it serves alone, before it has seen anybody.
	cluster.WaitHealth(t, "up", backend)
	before, err := cluster.Nodes[0].Cluster()
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range cluster.Nodes {
		node.Kill()
	}
	for _, node := range cluster.Nodes {
		node.Start(t)
		node.WaitServes(t) // the first one alone
	}
	cluster.WaitFormed(t)
	after, err := cluster.Nodes[0].Cluster()
	if err != nil {
		t.Fatal(err)
	}
	if after.ID != before.ID || after.Revision < before.Revision {
		t.Errorf("the cluster was %+v and came back as %+v", before, after)
	}
	cluster.WaitSame(t)
}
