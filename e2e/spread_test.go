package e2e

import (
	"errors"
	"net/http"
	"testing"

	"evenkeel/e2e/harness"
)

func TestTrafficThroughEachNodeSpreadsAsTheStrategySays(t *testing.T) {
	cluster := harness.NewCluster(t, harness.Options{Nodes: 3})
	backends := harness.NewBackends(t, 3)
	writer := cluster.Followers(t)[0]
	for i, b := range backends {
		writer.Write(t, http.MethodPut, "/v1/pools/default/backends/"+b.Name, map[string]any{"address": b.Address, "weight": i + 1})
	}
	// A change of health rebuilds the table and may begin a new turn, so the
	// counting begins when every verdict is in.
	cluster.WaitHealth(t, "up", backends...)

	for _, c := range []struct {
		strategy string
		requests int
		// low and high bound the answers of b1, b2 and b3, whose weights are
		// 1, 2 and 3.
		low, high [3]int
	}{
		{"round_robin", 60, [3]int{20, 20, 20}, [3]int{20, 20, 20}},
		{"weighted_round_robin", 60, [3]int{10, 20, 30}, [3]int{10, 20, 30}},
		// Six standard deviations of the binomial distribution.
		{"random", 600, [3]int{45, 131, 226}, [3]int{155, 269, 374}},
		// One client at a time leaves no connection to compare: all it must
		// do is answer.
		{"least_connections", 60, [3]int{0, 0, 0}, [3]int{60, 60, 60}},
		{"power_of_two_choices", 60, [3]int{0, 0, 0}, [3]int{60, 60, 60}},
	} {
		t.Run(c.strategy, func(t *testing.T) {
			writer.Write(t, http.MethodPut, "/v1/pools/default", map[string]any{"strategy": c.strategy, "check": map[string]any{}})
			cluster.WaitSame(t)
			for _, node := range cluster.Nodes {
				counts := ask(t, node, c.requests)
				for i, b := range backends {
					// One answer of tolerance: the table may follow the state
					// by a moment.
					if got := counts[b.Name]; got < c.low[i]-1 || got > c.high[i]+1 {
						t.Errorf("%s: %s answered %d of %d requests, want %d to %d", node.Name, b.Name, got, c.requests, c.low[i], c.high[i])
					}
				}
			}
		})
	}
	t.Run("least_connections avoids a busy backend", func(t *testing.T) {
		checkBusyBackendAvoided(t, cluster, backends)
	})
}

// ask sends requests one after the other and counts the answers by backend.
func ask(t *testing.T, node *harness.Node, requests int) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	client := harness.Keepalive{Address: node.HTTP}
	defer client.Close()
	for range requests {
		reply, err := client.Get("/")
		if err != nil || reply.Status != http.StatusOK {
			t.Fatalf("%s: GET /: %v %+v", node.Name, err, reply)
		}
		counts[reply.Body]++
	}
	return counts
}

func checkBusyBackendAvoided(t *testing.T, cluster *harness.Cluster, backends []*harness.Backend) {
	node := cluster.Nodes[0]
	for _, b := range backends {
		node.Write(t, http.MethodPut, "/v1/pools/default/backends/"+b.Name, map[string]any{"address": b.Address})
	}
	node.Write(t, http.MethodPut, "/v1/pools/default", map[string]any{"strategy": "least_connections", "check": map[string]any{}})
	cluster.WaitSame(t)
	hold := harness.Hold(t, node.HTTP)
	var busy *harness.Backend
	harness.Eventually(t, "a backend holds the request", func() error {
		for _, b := range backends {
			if b.Held() > 0 {
				busy = b
				return nil
			}
		}
		return errors.New("none does")
	})
	if got := ask(t, node, 30)[busy.Name]; got != 0 {
		t.Errorf("%s answered %d of 30 requests although it had one in flight and the others none", busy.Name, got)
	}
	hold.Close()
}
