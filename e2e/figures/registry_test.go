package figures

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

const (
	largeBackends = 100_000
	largePools    = 1_000
	largeWriters  = 128
)

func BenchmarkLargeRegistry(b *testing.B) {
	for b.Loop() {
		cluster := harness.NewCluster(b, harness.Options{Nodes: 1})
		node := cluster.Nodes[0]
		backend := harness.NewBackend(b, "web1")
		node.Add(b, backend)
		begin := time.Now()
		fill(b, node)
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

// fill registers the backends over as many connections as are worth a common
// log entry.
func fill(b *testing.B, node *harness.Node) {
	b.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: largeWriters}
	defer transport.CloseIdleConnections()
	for pool := range largePools {
		node.Write(b, http.MethodPut, fmt.Sprintf("/v1/pools/pool-%d", pool), map[string]any{})
	}
	var next, failed atomic.Int64
	var writers sync.WaitGroup
	client := &http.Client{Transport: transport, Timeout: harness.Patience}
	for range largeWriters {
		writers.Go(func() {
			for n := next.Add(1) - 1; n < largeBackends; n = next.Add(1) - 1 {
				if err := putBackend(client, node.Address, int(n)); err != nil {
					failed.Add(1)
					b.Errorf("backend %d: %v", n, err)
					return
				}
			}
		})
	}
	writers.Wait()
	if failed.Load() > 0 {
		b.FailNow()
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

func putBackend(client *http.Client, api string, n int) error {
	pool := n % largePools
	path := fmt.Sprintf("http://%s/v1/pools/pool-%d/backends/backend-%d", api, pool, n)
	body := fmt.Sprintf(`{"address":"10.%d.%d.%d:80"}`, n>>16, n>>8&255, n&255)
	request, err := http.NewRequest(http.MethodPut, path, strings.NewReader(body))
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body) // to the end, so that the connection is used again
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusCreated && response.StatusCode != http.StatusOK {
		return fmt.Errorf("%d %s", response.StatusCode, answer)
	}
	return nil
}
