package figures

import (
	"fmt"
	"testing"

	"evenkeel/e2e/harness"
)

const memoryBackends = 100

func BenchmarkIdleMemory(b *testing.B) {
	for b.Loop() {
		cluster := harness.NewCluster(b, harness.Options{Nodes: 3})
		backends := harness.NewBackends(b, memoryBackends)
		cluster.Nodes[0].Add(b, backends...)
		cluster.WaitHealth(b, "up", backends...)
		for _, node := range cluster.Nodes {
			node.WaitServes(b)
		}
		pause(2 * idleSpan)
		var rows []row
		for _, node := range cluster.Nodes {
			role, err := node.Role()
			if err != nil {
				b.Fatal(err)
			}
			rows = append(rows, row{node.Name + ", " + role + ": anonymous memory", "≤ 40 MB", fmt.Sprintf("%.1f MB", anonymousMemory(b, node.PID()))})
		}
		print(fmt.Sprintf("idle, %d checked backends", memoryBackends), rows...)
	}
}
