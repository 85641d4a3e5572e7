package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"evenkeel/e2e/harness"
)

func TestABackendPostedToAFollowerIsReadAndUsedOnEveryNode(t *testing.T) {
	cluster := harness.NewCluster(t, harness.Options{Nodes: 3})
	backend := harness.NewBackend(t, "web1")
	follower := cluster.Followers(t)[0]

	answer, err := follower.Call(http.MethodPost, "/v1/backends", map[string]any{"name": "web1", "address": backend.Address},
		"Content-Type", "application/x-www-form-urlencoded") // which is what curl -d sends
	if err != nil {
		t.Fatal(err)
	}
	if answer.Status != http.StatusCreated {
		t.Fatalf("POST /v1/backends: %d %s", answer.Status, answer.Body)
	}
	checkCreated(t, follower, answer)

	var own harness.Object // a client reads its own write where it wrote it
	if err := follower.Get("/v1/pools/default/backends/web1", &own); err != nil {
		t.Error(err)
	}
	for _, node := range cluster.Nodes {
		harness.Eventually(t, node.Name+" has the backend", func() error {
			var object harness.Object
			if err := node.Get("/v1/pools/default/backends/web1", &object); err != nil {
				return err
			}
			if object.Spec["address"] != backend.Address || object.Meta.UID != own.Meta.UID {
				return fmt.Errorf("%+v", object)
			}
			return nil
		})
		node.WaitServes(t)
	}
	cluster.WaitHealth(t, "up", backend)
	cluster.WaitSame(t)
	checkLinearizableReads(t, cluster)
	checkProxiedAnswers(t, cluster.Nodes[0], backend)
}

func checkCreated(t *testing.T, node *harness.Node, answer *harness.Answer) {
	t.Helper()
	if got := answer.Header.Get("Location"); got != "/v1/pools/default/backends/web1" {
		t.Errorf("Location: %q", got)
	}
	if got := answer.Header.Get("X-Evenkeel-Node"); got != node.Name {
		t.Errorf("X-Evenkeel-Node: %q, want %q", got, node.Name)
	}
	if answer.Header.Get("X-Evenkeel-Revision") == "" {
		t.Error("X-Evenkeel-Revision is missing")
	}
	var object harness.Object
	if err := json.Unmarshal(answer.Body, &object); err != nil {
		t.Fatalf("%v in %s", err, answer.Body)
	}
	if object.Name != "web1" || object.Meta.UID == "" || object.Meta.Revision == 0 {
		t.Errorf("the answer's object is %s", answer.Body)
	}
}

// checkLinearizableReads writes through one node and reads through another at
// once: a linearizable read may not miss the write.
func checkLinearizableReads(t *testing.T, cluster *harness.Cluster) {
	t.Helper()
	for round := range 10 {
		writer := cluster.Nodes[round%len(cluster.Nodes)]
		reader := cluster.Nodes[(round+1)%len(cluster.Nodes)]
		path := fmt.Sprintf("/v1/pools/round-%d", round)
		writer.Write(t, http.MethodPut, path, map[string]any{})
		harness.Eventually(t, "a linearizable read", func() error {
			answer, err := reader.Call(http.MethodGet, path+"?consistency=linearizable", nil)
			if err != nil {
				return err
			}
			switch answer.Status {
			case http.StatusOK:
				return nil
			case http.StatusNotFound:
				t.Fatalf("%s does not know the pool that %s had accepted before", reader.Name, writer.Name)
			}
			return fmt.Errorf("%d %s", answer.Status, answer.Body)
		})
	}
}

// checkProxiedAnswers looks at what crosses a node: the request as the backend
// got it and the answer as the client got it.
func checkProxiedAnswers(t *testing.T, node *harness.Node, backend *harness.Backend) {
	t.Helper()
	through := harness.API{Address: node.HTTP}
	answer, err := through.Call(http.MethodPost, "/echo", "some body", "X-Forwarded-For", "203.0.113.9")
	if err != nil {
		t.Fatal(err)
	}
	var echo harness.Echo
	if err := json.Unmarshal(answer.Body, &echo); err != nil {
		t.Fatalf("%v in %d %s", err, answer.Status, answer.Body)
	}
	if echo.Backend != backend.Name || echo.Body != "some body" || echo.Method != http.MethodPost || echo.Host != node.HTTP {
		t.Errorf("the backend got %+v", echo)
	}
	// The client is not a trusted proxy, so what it claims is replaced.
	if got := echo.Header.Get("X-Forwarded-For"); got != "127.0.0.1" {
		t.Errorf("X-Forwarded-For: %q", got)
	}
	for _, name := range []string{"X-Evenkeel-Node", "X-Evenkeel-Revision"} {
		if got := answer.Header.Get(name); got != "" {
			t.Errorf("a proxied answer has %s: %q", name, got)
		}
	}
}
