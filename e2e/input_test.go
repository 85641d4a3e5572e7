package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"evenkeel/e2e/harness"
)

func TestBadInputGetsAProblemAndChangesNothing(t *testing.T) {
	cluster := harness.NewCluster(t, harness.Options{Nodes: 1})
	node := cluster.Nodes[0]
	node.Write(t, http.MethodPut, "/v1/pools/default/backends/taken", map[string]any{"address": "127.0.0.1:1"})
	before, err := node.Cluster()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		method, path string
		body         any
		header       []string
		status       int
		mentions     []string // what the problem must name
	}{
		"an unknown field": {
			"POST", "/v1/backends", `{"address":"127.0.0.1:2","colour":"red"}`, nil, 400, []string{"colour"}},
		"a field given twice": {
			"POST", "/v1/backends", `{"address":"127.0.0.1:2","address":"127.0.0.1:3"}`, nil, 400, []string{"address"}},
		"a wrong type": {
			"POST", "/v1/backends", `{"address":"127.0.0.1:2","weight":"heavy"}`, nil, 400, []string{"weight"}},
		"no JSON at all": {
			"POST", "/v1/backends", `address=127.0.0.1:2`, nil, 400, nil},
		"an address without a port": {
			"POST", "/v1/backends", `{"address":"127.0.0.1"}`, nil, 400, []string{"/address", "127.0.0.1"}},
		"a weight out of range": {
			"POST", "/v1/backends", `{"address":"127.0.0.1:2","weight":1001}`, nil, 400, []string{"/weight", "1001"}},
		"a name that is no DNS label": {
			"POST", "/v1/backends", `{"address":"127.0.0.1:2","name":"Not A Label"}`, nil, 400, []string{"/name", "Not A Label"}},
		"every fault at once": {
			"POST", "/v1/backends", `{"address":"127.0.0.1","weight":-1,"tier":99,"admin_state":"asleep"}`, nil, 400,
			[]string{"/address", "/weight", "/tier", "/admin_state"}},
		"fields both flat and under spec": {
			"POST", "/v1/backends", `{"address":"127.0.0.1:2","spec":{"weight":2}}`, nil, 400, []string{"spec"}},
		"a second backend of the same pool and address": {
			"POST", "/v1/backends", `{"address":"127.0.0.1:1"}`, nil, 409, []string{"taken"}},
		"a backend of a pool that does not exist": {
			"POST", "/v1/backends", `{"address":"127.0.0.1:2","pool":"nowhere"}`, nil, 400, []string{"nowhere"}},
		"a route to a pool that does not exist": {
			"PUT", "/v1/routes/lost", `{"pools":[{"name":"nowhere"}]}`, nil, 400, []string{"nowhere"}},
		"deleting a pool that a route uses": {
			"DELETE", "/v1/pools/default", nil, nil, 409, []string{"default"}},
		"a duration without a unit": {
			"PUT", "/v1/pools/default", `{"check":{"interval":2}}`, nil, 400, []string{"interval"}},
		"an unknown strategy": {
			"PUT", "/v1/pools/default", `{"strategy":"best"}`, nil, 400, []string{"strategy", "best"}},
		"a body over 1 MiB": {
			"POST", "/v1/backends", `{"address":"127.0.0.1:2","labels":{"a":"` + strings.Repeat("x", 1<<20) + `"}}`, nil, 413, nil},
		"a foreign origin": {
			"POST", "/v1/backends", `{"address":"127.0.0.1:2"}`, []string{"Origin", "https://elsewhere.example"}, 403, nil},
		"a page of another site": {
			"POST", "/v1/backends", `{"address":"127.0.0.1:2"}`, []string{"Sec-Fetch-Site", "cross-site"}, 403, nil},
		"a precondition that does not hold": {
			"PUT", "/v1/pools/default/backends/taken", `{"address":"127.0.0.1:9"}`, []string{"If-Match", `"999999"`}, 412, []string{"current", "127.0.0.1:1"}},
		"creating what exists": {
			"PUT", "/v1/pools/default/backends/taken", `{"address":"127.0.0.1:9"}`, []string{"If-None-Match", "*"}, 412, nil},
		"a thing that does not exist": {
			"GET", "/v1/pools/default/backends/nobody", nil, nil, 404, []string{"nobody"}},
		"a method that the path does not have": {
			"PATCHWORK", "/v1/backends", nil, nil, 405, nil},
		"a path that does not exist": {
			"GET", "/v1/gadgets", nil, nil, 404, nil},
	} {
		t.Run(name, func(t *testing.T) {
			answer, err := node.Call(c.method, c.path, c.body, c.header...)
			if err != nil {
				t.Fatal(err)
			}
			checkProblem(t, answer, c.status)
			for _, word := range c.mentions {
				if !strings.Contains(string(answer.Body), word) {
					t.Errorf("the problem does not name %q: %s", word, answer.Body)
				}
			}
		})
	}
	after, err := node.Cluster()
	if err != nil {
		t.Fatal(err)
	}
	if after.Revision != before.Revision {
		t.Errorf("refused writes moved the revision from %d to %d", before.Revision, after.Revision)
	}
}

func checkProblem(t *testing.T, answer *harness.Answer, status int) {
	t.Helper()
	if answer.Status != status {
		t.Errorf("status %d, want %d: %s", answer.Status, status, answer.Body)
	}
	if got := answer.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type %q", got)
	}
	if answer.Header.Get("X-Evenkeel-Node") == "" {
		t.Error("X-Evenkeel-Node is missing")
	}
	var problem harness.Problem
	if err := json.Unmarshal(answer.Body, &problem); err != nil {
		t.Fatalf("%v in %s", err, answer.Body)
	}
	if problem.Status != answer.Status || problem.Title == "" || problem.Type == "" || problem.Detail == "" {
		t.Errorf("the problem lacks something: %s", answer.Body)
	}
}

func TestARequestWithoutARouteOrBackendGetsAShortPlainAnswer(t *testing.T) {
	cluster := harness.NewCluster(t, harness.Options{Nodes: 1})
	node := cluster.Nodes[0]
	// A new cluster has a route but no backend yet.
	checkPlain(t, node, http.StatusServiceUnavailable)
	node.Write(t, http.MethodDelete, "/v1/routes/default", nil)
	checkPlain(t, node, http.StatusNotFound)
}

func checkPlain(t *testing.T, node *harness.Node, status int) {
	t.Helper()
	harness.Eventually(t, "the answer", func() error {
		answer, err := harness.API{Address: node.HTTP}.Call(http.MethodGet, "/", nil)
		if err != nil {
			return err
		}
		return plainFault(answer, status)
	})
}

func plainFault(answer *harness.Answer, status int) error {
	kind := answer.Header.Get("Content-Type")
	if answer.Status != status || !strings.HasPrefix(kind, "text/plain") ||
		len(answer.Body) > 300 || !strings.Contains(string(answer.Body), "Evenkeel") {
		return fmt.Errorf("%d %s %q", answer.Status, kind, answer.Body)
	}
	return nil
}
