package figures

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

const (
	propagations = 300
	// pollPause is the resolution of the figure: the pause between two
	// requests by which a node is asked whether it routes already.
	pollPause = 500 * time.Microsecond
	idleSpan  = 10 * time.Second
)

func BenchmarkPropagation(b *testing.B) {
	for b.Loop() {
		cluster := harness.NewCluster(b, harness.Options{Nodes: 3})
		backend := harness.NewBackend(b, "web1")
		follower := cluster.Followers(b)[0]
		// A route of its own to a pool without a check, so that nothing but
		// the registration decides when a node routes to the backend.
		follower.Write(b, http.MethodPut, "/v1/pools/probed", map[string]any{})
		follower.Write(b, http.MethodPut, "/v1/routes/probed",
			map[string]any{"match": map[string]any{"path": "/probed"}, "pools": []any{map[string]any{"name": "probed"}}})
		var spans []time.Duration
		for range propagations {
			spans = append(spans, propagate(b, cluster, follower, backend))
		}
		syncs := appendTwice(b, filepath.Dir(follower.Dir))
		beyond := quantile(spans, 0.99) - quantile(syncs, 0.99)
		rows := []row{
			{"POST until every node routes, p50", "", millis(quantile(spans, 0.5))},
			{"POST until every node routes, p99", "", millis(quantile(spans, 0.99))},
			{"two synced appends on this disk, p50", "", millis(quantile(syncs, 0.5))},
			{"two synced appends on this disk, p99", "", millis(quantile(syncs, 0.99))},
			{"p99 beyond the two appends", "≤ 25 ms", millis(beyond)},
		}
		for _, node := range cluster.Nodes {
			role, err := node.Role()
			if err != nil {
				b.Fatal(err)
			}
			rows = append(rows, row{"idle CPU of " + node.Name + ", " + role, "", fmt.Sprintf("%.1f %% of a core", 100*idleCPU(b, node))})
		}
		print(fmt.Sprintf("a backend posted on a follower, %d times", propagations), rows...)
	}
}

// propagate posts the backend, waits until each node answers from it, and
// removes it again. It returns how long the slowest node took.
func propagate(b *testing.B, cluster *harness.Cluster, follower *harness.Node, backend *harness.Backend) time.Duration {
	b.Helper()
	routed := make([]time.Time, len(cluster.Nodes))
	var pollers sync.WaitGroup
	begin := time.Now()
	for i, node := range cluster.Nodes {
		pollers.Go(func() { routed[i] = pollUntil(node.HTTP, http.StatusOK) })
	}
	answer, err := follower.Call(http.MethodPost, "/v1/backends", map[string]any{"pool": "probed", "name": "web1", "address": backend.Address})
	if err != nil || answer.Status != http.StatusCreated {
		b.Fatalf("POST /v1/backends: %v %+v", err, answer)
	}
	pollers.Wait()
	var slowest time.Duration
	for i, at := range routed {
		if at.IsZero() {
			b.Fatalf("%s does not route to the backend", cluster.Nodes[i].Name)
		}
		slowest = max(slowest, at.Sub(begin))
	}
	follower.Write(b, http.MethodDelete, "/v1/pools/probed/backends/web1", nil)
	for _, node := range cluster.Nodes {
		if pollUntil(node.HTTP, http.StatusServiceUnavailable).IsZero() {
			b.Fatalf("%s still routes to a backend that was removed", node.Name)
		}
	}
	return slowest
}

// pollUntil asks for the route until the answer has that status, and returns
// when it had; never: the zero time.
func pollUntil(address string, status int) time.Time {
	client := harness.Keepalive{Address: address}
	defer client.Close()
	for deadline := time.Now().Add(harness.Patience); time.Now().Before(deadline); pause(pollPause) {
		if reply, err := client.Get("/probed"); err == nil && reply.Status == status {
			return time.Now()
		}
	}
	return time.Time{}
}

// appendTwice measures what the disk takes for what a write costs it at least:
// the leader's log and a follower's.
func appendTwice(b *testing.B, dir string) []time.Duration {
	b.Helper()
	file, err := os.Create(filepath.Join(dir, "appends"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	var spans []time.Duration
	entry := make([]byte, 512)
	for range propagations {
		begin := time.Now()
		for range 2 {
			if _, err := file.Write(entry); err != nil {
				b.Fatal(err)
			}
			if err := file.Sync(); err != nil {
				b.Fatal(err)
			}
		}
		spans = append(spans, time.Since(begin))
	}
	return spans
}
