package e2e

import (
	"testing"

	"evenkeel/e2e/harness"
)

// The harness fails a scenario whose nodes report a race, in their log and
// with the exit code of a clean stop.
func TestTheCoreStoryWithTheRaceDetectorAndTheSafeProfile(t *testing.T) {
	cluster := harness.NewCluster(t, harness.Options{Nodes: 3, Race: true, Extra: []string{"--profile", "safe"}})
	backends := harness.NewBackends(t, 2)
	cluster.Followers(t)[0].Add(t, backends...)
	cluster.WaitHealth(t, "up", backends...)
	addresses := harness.HTTPAddresses(cluster.Nodes)
	load := harness.StartLoad(t, 60, addresses...)
	writes := harness.StartWrites(t, "calm", harness.APIs(cluster.Nodes)...)
	load.WaitRequests(t, 10, addresses...)
	writes.WaitAcknowledged(t, 10)
	writes.Stop()
	load.StopClean(t)

	leader := cluster.Leader(t)
	survivors := cluster.Without(leader)
	load = harness.StartLoad(t, 60, harness.HTTPAddresses(survivors)...)
	writes = harness.StartWrites(t, "kill", harness.APIs(survivors)...)
	load.WaitRequests(t, 5, harness.HTTPAddresses(survivors)...)
	leader.Kill()
	writes.WaitAcknowledged(t, 10)
	backends[0].Kill()
	cluster.WaitHealth(t, "down", backends[0])
	writes.Stop()
	load.Stop()
	leader.Start(t)
	cluster.WaitFormed(t)
	cluster.WaitSame(t)
	for _, node := range cluster.Nodes {
		writes.CheckKept(t, node.API)
		node.WaitServes(t)
	}
	for _, node := range cluster.Nodes {
		node.Stop(t)
	}
}
