package httpapi_test

import (
	"testing"

	"evenkeel/fsm"
)

// TestWhatComesIntoBeingHasItsDefaults writes objects that mention a part and
// not all of its fields, or the part alone.
func TestWhatComesIntoBeingHasItsDefaults(t *testing.T) {
	c := newClient(t)
	c.send("PUT", "/v1/pools/p", `{"strategy":"ring_hash","hash":{"balance_factor":150},"sticky":{},"retries":{"attempts":3},"limits":null,"timeouts":{}}`).want(201).
		wantAt("source", "spec", "hash", "on").
		wantAt("evenkeel", "spec", "sticky", "cookie").wantAt(true, "spec", "sticky", "http_only").
		wantAt(3.0, "spec", "retries", "attempts").wantAt(20.0, "spec", "retries", "budget_percent").wantAt(10.0, "spec", "retries", "budget_min").
		wantAt(nil, "spec", "limits")
	c.send("PUT", "/v1/listeners/l", `{"address":":81","forwarding":{"via":true}}`).want(201).
		wantAt(true, "spec", "forwarding", "x_forwarded").wantAt(true, "spec", "forwarding", "forwarded").wantAt(true, "spec", "forwarding", "via")
	c.send("PUT", "/v1/routes/r1", `{"pools":[{"name":"p"}],"mirror":{"pool":"p"},"match":{"path_prefix":"/x"},"rewrite":{"prefix":""},"error_pages":[{"status":503,"body":"later"}]}`).want(201).
		wantAt(100.0, "spec", "mirror", "percent").wantAt("", "spec", "rewrite", "prefix")
	c.send("PUT", "/v1/routes/r2", `{"redirect":{"scheme":"https"}}`).want(201).wantAt(308.0, "spec", "redirect", "status")
	c.send("PUT", "/v1/routes/r3", `{"respond":{"body":"hi"}}`).want(201).
		wantAt(200.0, "spec", "respond", "status").wantAt("text/plain; charset=utf-8", "spec", "respond", "content_type")
	for _, path := range []string{"/v1/pools/p", "/v1/listeners/l", "/v1/routes/r1", "/v1/routes/r2", "/v1/routes/r3"} {
		read := c.send("GET", path, "").want(200)
		c.send("PUT", path, read.body).want(200).wantHeader("ETag", read.Header.Get("ETag"))
	}
	c.send("DELETE", "/v1/pools/p", "").wantProblem(409, "in-use")
}

func TestAFieldBeyondTheClustersLevelIsRefusedByName(t *testing.T) {
	c := newClient(t)
	state, results := fsm.Apply(fsm.New(), []fsm.Command{{
		ID: fsm.CommandID{Origin: fakeUID, Seq: 1}, Op: fsm.Init{ClusterID: "old", FeatureLevel: 1, Objects: fsm.DefaultObjects()},
	}})
	if results[0].Err != nil {
		t.Fatal(results[0].Err)
	}
	c.cluster.state = state
	faults := c.send("PUT", "/v1/pools/default", `{"strategy":"maglev","limits":{}}`).wantProblem(400, "invalid-object").faults()
	if len(faults) != 2 || faults["/strategy"] == "" ||
		faults["/limits"] != "needs feature level 2, and the cluster is at level 1: run the newer build on all nodes first" {
		t.Errorf("faults %v", faults)
	}
	c.send("PUT", "/v1/pools/default", `{"strategy":"random"}`).want(200)
}
