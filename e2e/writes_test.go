package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"evenkeel/e2e/harness"
)

// settled sends a write under a key until its outcome is known.
func settled(t *testing.T, api harness.API, method, path string, body any, header ...string) *harness.Answer {
	t.Helper()
	var got *harness.Answer
	harness.Eventually(t, method+" "+path, func() error {
		answer, err := api.Call(method, path, body, header...)
		if err != nil {
			return err
		}
		if answer.Status == http.StatusServiceUnavailable || answer.Status == http.StatusGatewayTimeout {
			return fmt.Errorf("%d %s", answer.Status, answer.Body)
		}
		got = answer
		return nil
	})
	return got
}

func TestOfTwoClientsThatWriteAtTheSameRevisionOneWinsEachTime(t *testing.T) {
	const rounds = 1000
	cluster := harness.NewCluster(t, harness.Options{Nodes: 3})
	const path = "/v1/pools/default/backends/web1"
	// No write is of what is there already: one that changes nothing moves no revision.
	tag := cluster.Nodes[0].Write(t, http.MethodPut, path, `{"address":"127.0.0.1:9","weight":0}`).Header.Get("ETag")
	for round := range rounds {
		answers := make([]*harness.Answer, 2)
		var clients sync.WaitGroup
		for i := range answers {
			node := cluster.Nodes[(round+i)%len(cluster.Nodes)]
			clients.Go(func() {
				answers[i] = settled(t, node.API, http.MethodPut, path, fmt.Sprintf(`{"address":"127.0.0.1:9","weight":%d}`, 1+(2*round+i)%1000),
					"If-Match", tag, "Idempotency-Key", fmt.Sprintf("race-%d-%d", round, i))
			})
		}
		clients.Wait()
		won := 0
		for i, answer := range answers {
			switch answer.Status {
			case http.StatusOK:
				won, tag = won+1, answer.Header.Get("ETag")
			case http.StatusPreconditionFailed:
				if !strings.Contains(string(answer.Body), `"current":{`) {
					t.Fatalf("round %d: the loser is not shown what is there: %s", round, answer.Body)
				}
			default:
				t.Fatalf("round %d, client %d: %d %s", round, i, answer.Status, answer.Body)
			}
		}
		if won != 1 {
			t.Fatalf("round %d: %d of 2 writes were made", round, won)
		}
	}
}

func TestAWriteThatWaitsForAllIsServedByAllAndNamesTheNodeThatHangs(t *testing.T) {
	cluster := harness.NewCluster(t, harness.Options{Nodes: 3})
	for n := range 30 {
		host := fmt.Sprintf("h%d.example", n)
		route := fmt.Sprintf(`{"listeners":["default"],"match":{"host":%q},"respond":{"status":299}}`, host)
		put := settled(t, cluster.Nodes[n%3].API, http.MethodPut, fmt.Sprintf("/v1/routes/r%d?wait=all", n), route)
		if put.Status != http.StatusCreated || put.Header.Get("X-Evenkeel-Wait") != "all" {
			t.Fatalf("the write was answered %d, %v: %s", put.Status, put.Header, put.Body)
		}
		for _, node := range cluster.Nodes {
			if status := statusOf(t, node.HTTP, host); status != 299 {
				t.Fatalf("%s answered %d to what it is said to serve", node.Name, status)
			}
		}
	}

	hung := cluster.Followers(t)[0]
	others := cluster.Without(hung)
	hung.Pause(t)
	put := settled(t, others[0].API, http.MethodPut, "/v1/pools/p?wait=all&timeout=1s", `{}`)
	if put.Status/100 != 2 || put.Header.Get("X-Evenkeel-Lagging") != hung.Name {
		t.Errorf("with %s paused the write was answered %d, %v", hung.Name, put.Status, put.Header)
	}
	harness.Eventually(t, "a dead node is not waited for", func() error {
		put := settled(t, others[1].API, http.MethodPut, "/v1/pools/p?wait=all&timeout=1s", `{}`)
		if put.Header.Get("X-Evenkeel-Wait") != "all" || put.Header.Get("X-Evenkeel-Lagging") != "" {
			return fmt.Errorf("the wait ended %v", put.Header)
		}
		return nil
	})
	hung.Resume(t)
	cluster.WaitSame(t)
}

// statusOf sends a request for a host to a node.
func statusOf(t *testing.T, address, host string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode
}
