package figures

import (
	"fmt"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

const (
	largeBackends = 100_000
	largePools    = 1_000
)

func BenchmarkLargeRegistry(b *testing.B) {
	for b.Loop() {
		cluster := harness.NewCluster(b, harness.Options{Nodes: 1})
		node := cluster.Nodes[0]
		backend := harness.NewBackend(b, "web1")
		node.Add(b, backend)
		begin := time.Now()
		harness.Fill(b, node, largePools, largeBackends)
		filled := time.Since(begin)

		node.Kill()
		afterKill := startUntilServes(b, node)
		cluster.WaitFormed(b)
		begin = time.Now()
		node.Stop(b)
		stopped := time.Since(begin)
		afterStop := startUntilServes(b, node)
		print(fmt.Sprintf("one node, %d backends in %d pools", largeBackends, largePools),
			row{"start until it serves, after kill -9", "≤ 5 s", seconds(afterKill)},
			row{"start until it serves, after a clean stop", "≤ 5 s", seconds(afterStop)},
			row{"clean stop", "", seconds(stopped)},
			row{"anonymous memory after the start", "", fmt.Sprintf("%.0f MB", anonymousMemory(b, node.PID()))},
			row{"to register them one by one", "", fmt.Sprintf("%s, %.0f/s", seconds(filled), largeBackends/filled.Seconds())})
	}
}

// startUntilServes starts the node and returns how long it took until the
// first request was answered by a backend.
func startUntilServes(b *testing.B, node *harness.Node) time.Duration {
	b.Helper()
	begin := time.Now()
	node.Start(b)
	for {
		if _, err := node.CheckServes(); err == nil {
			return time.Since(begin)
		} else if time.Since(begin) > 2*harness.Patience {
			b.Fatalf("the node does not serve: %v", err)
		}
		pause(pollPause)
	}
}
