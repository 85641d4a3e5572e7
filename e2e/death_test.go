package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

func TestTheLeaderIsKilledUnderTrafficAndWrites(t *testing.T) {
	cluster := harness.NewCluster(t, harness.Options{Nodes: 3})
	backends := harness.NewBackends(t, 3)
	cluster.Nodes[0].Add(t, backends...)
	for _, node := range cluster.Nodes {
		node.WaitServes(t)
	}
	leader := cluster.Leader(t)
	survivors := cluster.Without(leader)
	load := harness.StartLoad(t, 100, harness.HTTPAddresses(survivors)...)
	writes := harness.StartWrites(t, "write", harness.APIs(survivors)...)
	load.WaitRequests(t, 50, harness.HTTPAddresses(survivors)...)
	writes.WaitAcknowledged(t, 5)

	leader.Kill()
	writes.WaitAcknowledged(t, 10) // through whoever leads now
	if next := cluster.Leader(t); next == leader {
		t.Errorf("the dead node %s is still called the leader", leader.Name)
	}
	load.WaitRequests(t, 50, harness.HTTPAddresses(survivors)...)

	leader.Start(t)
	cluster.WaitFormed(t)
	load.WaitRequests(t, 20, harness.HTTPAddresses(survivors)...)
	writes.Stop()
	load.StopClean(t)
	cluster.WaitSame(t)
	for _, node := range cluster.Nodes {
		writes.CheckKept(t, node.API)
		node.WaitServes(t)
	}
}

func TestAFollowerIsKilledUnderTrafficAndWrites(t *testing.T) {
	cluster := harness.NewCluster(t, harness.Options{Nodes: 3})
	backends := harness.NewBackends(t, 2)
	cluster.Nodes[0].Add(t, backends...)
	for _, node := range cluster.Nodes {
		node.WaitServes(t)
	}
	follower := cluster.Followers(t)[0]
	survivors := cluster.Without(follower)
	load := harness.StartLoad(t, 100, harness.HTTPAddresses(survivors)...)
	writes := harness.StartWrites(t, "write", harness.APIs(survivors)...)
	writes.WaitAcknowledged(t, 5)

	follower.Kill()
	writes.WaitAcknowledged(t, 10)
	load.WaitRequests(t, 50, harness.HTTPAddresses(survivors)...)
	harness.Eventually(t, "the survivors see the death", func() error {
		for _, node := range survivors {
			if state, err := stateOf(node, follower.Name); err != nil || state != "dead" {
				return fmt.Errorf("%s says that %s is %q: %v", node.Name, follower.Name, state, err)
			}
		}
		return nil
	})

	follower.Start(t)
	cluster.WaitFormed(t)
	writes.Stop()
	load.StopClean(t)
	cluster.WaitSame(t)
	for _, node := range cluster.Nodes {
		writes.CheckKept(t, node.API)
		node.WaitServes(t)
	}
}

func TestABackendIsKilledUnderTraffic(t *testing.T) {
	cluster := harness.NewCluster(t, harness.Options{Nodes: 3})
	backends := harness.NewBackends(t, 3)
	node := cluster.Nodes[0]
	node.Write(t, http.MethodPut, "/v1/pools/default",
		map[string]any{"check": map[string]any{"type": "http", "path": "/", "interval": "300ms", "timeout": "250ms", "rise": 2, "fall": 2}})
	node.Add(t, backends...)
	cluster.WaitHealth(t, "up", backends...)
	addresses := harness.HTTPAddresses(cluster.Nodes)
	load := harness.StartLoad(t, 100, addresses...)
	load.WaitRequests(t, 30, addresses...)

	dead := backends[0]
	dead.Kill()
	cluster.WaitHealth(t, "down", dead)
	checkVotes(t, node, dead, cluster)
	// Requests that the backend had in its hands when it died are lost: after
	// bytes were sent, nobody can know whether it acted on them.
	lost := len(load.Failures())
	if lost > 4*len(addresses) {
		t.Errorf("%d requests failed when the backend died, more than can have been in flight: %v", lost, load.Failures())
	}
	before := load.ByName()[dead.Name]
	load.WaitRequests(t, 30, addresses...)
	if got := load.ByName()[dead.Name]; got != before {
		t.Errorf("the dead backend answered %d more requests", got-before)
	}

	dead.Start(t)
	cluster.WaitHealth(t, "up", dead)
	before = load.ByName()[dead.Name]
	load.WaitRequests(t, 30, addresses...)
	if load.ByName()[dead.Name] == before {
		t.Error("the backend that came back gets no traffic")
	}
	load.Stop()
	if failures := load.Failures(); len(failures) > lost {
		t.Errorf("requests failed after the death was agreed: %v", failures[lost:])
	}
}

// checkVotes expects that a majority of the nodes has given its opinion.
func checkVotes(t *testing.T, node *harness.Node, b *harness.Backend, cluster *harness.Cluster) {
	t.Helper()
	objects, err := node.Backends("default")
	if err != nil {
		t.Fatal(err)
	}
	if got := len(objects[b.Name].Status.Votes); got <= len(cluster.Nodes)/2 {
		t.Errorf("backend %s has %d votes: %s", b.Name, got, objects[b.Name].Status.Votes)
	}
}

func TestTwoOfThreeNodesAreKilled(t *testing.T) {
	cluster := harness.NewCluster(t, harness.Options{Nodes: 3})
	backends := harness.NewBackends(t, 2)
	cluster.Nodes[0].Add(t, backends...)
	for _, node := range cluster.Nodes {
		node.WaitServes(t)
	}
	last := cluster.Nodes[2]
	load := harness.StartLoad(t, 100, last.HTTP)
	cluster.Nodes[0].Kill()
	cluster.Nodes[1].Kill()

	harness.Eventually(t, "the last node says that it has no quorum", func() error {
		info, err := last.Cluster()
		if err != nil || info.Quorum || info.Leader != "" {
			return fmt.Errorf("%+v, %v", info, err)
		}
		return nil
	})
	checkWriteRefused(t, last)
	if objects, err := last.Backends("default"); err != nil || len(objects) != 2 {
		t.Errorf("a read without quorum: %v %v", objects, err)
	}
	if err := last.Ready(); err != nil {
		t.Errorf("readiness for traffic depends on the quorum: %v", err)
	}
	load.WaitRequests(t, 50, last.HTTP)

	// The last one restarts alone: it serves what it knew, before any quorum.
	load.StopClean(t)
	last.Kill()
	last.Start(t)
	last.WaitReady(t)
	last.WaitServes(t)

	cluster.Nodes[0].Start(t)
	last.Write(t, http.MethodPut, "/v1/pools/again", map[string]any{})
	cluster.Nodes[1].Start(t)
	cluster.WaitFormed(t)
	cluster.WaitSame(t)
}

// checkWriteRefused expects the answer that a client can act on: not now, come
// back.
func checkWriteRefused(t *testing.T, node *harness.Node) {
	t.Helper()
	begin := time.Now()
	answer, err := node.Call(http.MethodPut, "/v1/pools/refused", map[string]any{})
	if err != nil {
		t.Fatal(err)
	}
	if answer.Status != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
		t.Errorf("a write without quorum: %d %v %s", answer.Status, answer.Header, answer.Body)
	}
	if got := answer.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("a refusal's Content-Type is %q", got)
	}
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("a write without quorum was refused only after %v", took)
	}
}

func stateOf(node *harness.Node, name string) (string, error) {
	members, err := node.Members()
	if err != nil {
		return "", err
	}
	for _, member := range members {
		if member.Name == name {
			return member.State, nil
		}
	}
	return "", fmt.Errorf("%s does not know %s", node.Name, name)
}
