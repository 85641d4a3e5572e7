//go:build linux

package health

import (
	"fmt"
	"math"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

const (
	// observers is how many nodes probe a backend by default.
	observers = 3
	// probeInterval and probeIntervals are for how long probes are counted.
	probeInterval  = time.Second
	probeIntervals = 20
)

// TestProbesDoNotGrowWithTheCluster counts what a backend gets from 3, 5 and 9
// nodes.
func TestProbesDoNotGrowWithTheCluster(t *testing.T) {
	onlyInCampaign(t)
	cluster := harness.NewCluster(t, harness.Options{Nodes: 3})
	backends := harness.NewBackends(t, 8)
	put(t, cluster.Nodes[0], "/v1/pools/default", object{"check": object{"type": "http", "interval": probeInterval.String(), "timeout": "500ms"}})
	cluster.Nodes[0].Add(t, backends...)
	cluster.WaitHealth(t, "up", backends...)
	for _, size := range []int{3, 5, 9} {
		for len(cluster.Nodes) < size {
			n := cluster.Outsider(t, fmt.Sprintf("n%d", len(cluster.Nodes)+1), cluster.Secret)
			n.Start(t)
			cluster.Nodes = append(cluster.Nodes, n)
		}
		cluster.WaitFormed(t)
		pause(3 * probeInterval) // the plan follows the nodes that the state holds as alive
		least, most := countProbes(backends)
		judge(t, math.Abs(least-observers) <= 0.1*observers && math.Abs(most-observers) <= 0.1*observers,
			row{fmt.Sprintf("probes per interval and backend, %d nodes", size), fmt.Sprintf("%d ± 10 %%", observers), fmt.Sprintf("%.2f to %.2f", least, most)})
	}
}

// countProbes returns how many the backend with the fewest and that with the
// most got per interval.
func countProbes(backends []*harness.Backend) (least, most float64) {
	before := make([]int64, len(backends))
	for i, s := range backends {
		before[i] = s.Hits()
	}
	begun := time.Now()
	pause(probeIntervals * probeInterval)
	intervals := float64(time.Since(begun)) / float64(probeInterval)
	least = math.Inf(1)
	for i, s := range backends {
		got := float64(s.Hits()-before[i]) / intervals
		least, most = min(least, got), max(most, got)
	}
	return least, most
}
