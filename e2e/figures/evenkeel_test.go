package figures

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"evenkeel/e2e/harness"
)

// evenkeelServer is a node as a member of a group.
type evenkeelServer struct {
	*harness.Node
	b *testing.B
}

func (s evenkeelServer) Restart() { s.Start(s.b) }

func (s evenkeelServer) Write(_ context.Context, key string) error {
	answer, err := s.Call(http.MethodPost, "/v1/pools", map[string]any{"name": key})
	if err != nil {
		return err
	}
	if answer.Status != http.StatusCreated {
		return fmt.Errorf("%d %s", answer.Status, answer.Body)
	}
	return nil
}

func (s evenkeelServer) Keys() (map[string]bool, error) {
	var list struct{ Items []struct{ Name string } }
	if err := s.Get("/v1/pools", &list); err != nil {
		return nil, err
	}
	keys := make(map[string]bool, len(list.Items))
	for _, item := range list.Items {
		keys[item.Name] = true
	}
	return keys, nil
}

// killEvenkeel runs the kills on a cluster with default settings that also
// carries traffic.
func killEvenkeel(b *testing.B) (own result, failures int, requests int64) {
	b.Helper()
	cluster := harness.NewCluster(b, harness.Options{Nodes: 3})
	backends := harness.NewBackends(b, 3)
	cluster.Nodes[0].Add(b, backends...)
	for _, node := range cluster.Nodes {
		node.WaitServes(b)
	}
	g := &group{
		name: "evenkeel",
		settled: func() {
			cluster.WaitFormed(b)
			cluster.WaitSame(b)
		},
		leader: func() int {
			leader := cluster.Leader(b)
			for i, node := range cluster.Nodes {
				if node == leader {
					return i
				}
			}
			return -1
		},
	}
	for _, node := range cluster.Nodes {
		g.servers = append(g.servers, evenkeelServer{node, b})
	}
	g.around = func(survivors []int) func() {
		var addresses []string
		for _, i := range survivors {
			addresses = append(addresses, cluster.Nodes[i].HTTP)
		}
		load := harness.StartLoad(b, dataPerSecond, addresses...)
		load.WaitRequests(b, dataPerSecond/4, addresses...)
		return func() {
			load.WaitRequests(b, dataPerSecond/4, addresses...)
			load.Stop()
			requests += load.Answered()
			if failed := load.Failures(); len(failed) > 0 {
				failures += len(failed)
				b.Logf("failed requests:\n%s", strings.Join(failed, "\n"))
			}
		}
	}
	return kill(b, g), failures, requests
}
