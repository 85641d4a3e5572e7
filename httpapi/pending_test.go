package httpapi_test

import (
	"fmt"
	"strings"
	"testing"

	"evenkeel/cluster"
)

func TestAnUnconfirmedRevisionIsListedAndKept(t *testing.T) {
	c := newClient(t)
	c.send("GET", "/v1/pending", "").want(200).wantAt(1.0, "revision")
	c.write("/v1/pools/web", `{}`)
	n := c.write("/v1/pools/web/backends/a?confirm_within=60s&reason=try", `{"address":"h:1"}`)
	if n == 1 {
		t.Fatal("nothing was written")
	}
	list := c.send("GET", "/v1/pending", "").want(200).items()
	if len(list) != 1 || list[0]["within"] != "1m0s" || list[0]["reason"] != "try" || list[0]["revision"] != float64(n) || list[0]["count"] != 1.0 {
		t.Fatalf("pending: %v", list)
	}
	c.send("GET", fmt.Sprintf("/v1/revisions/%d", n), "").wantAt(true, "unconfirmed")
	c.send("PUT", "/v1/pools/web/backends/a", `{"address":"h:2"}`).wantProblem(409, "unconfirmed")
	c.send("POST", "/v1/rollback", `{"to":1}`).wantProblem(409, "unconfirmed")
	path := fmt.Sprintf("/v1/revisions/%d/confirm", n)
	c.send("POST", path+"?dry_run=true", "").want(200).wantAt(float64(n), "revision")
	if len(c.cluster.State().Pending()) != 1 {
		t.Fatal("it was confirmed by a dry run")
	}
	if got := c.send("POST", path, "").want(200).wantAt(float64(n), "revision"); got.changes() != "" {
		t.Errorf("a confirmation changes: %s", got.body)
	}
	if got := c.send("POST", path, "").wantProblem(404, "not-found"); !strings.Contains(got.body, "was confirmed already") {
		t.Errorf("it is confirmed again: %s", got.body)
	}
	c.send("GET", fmt.Sprintf("/v1/revisions/%d", n), "").wantAt(nil, "unconfirmed")
	if list := c.send("GET", "/v1/pending", "").items(); len(list) != 0 {
		t.Errorf("pending: %v", list)
	}
}

func TestAnUnconfirmedRevisionIsUndoneAtOnce(t *testing.T) {
	c := newClient(t)
	c.write("/v1/pools/web", `{}`)
	c.write("/v1/pools/web/backends/a", `{"address":"h:1"}`)
	n := c.write("/v1/pools/web/backends/a?confirm_within=60s", `{"address":"h:1","weight":9}`)
	path := fmt.Sprintf("/v1/revisions/%d/undo", n)
	const changes = "update backend web/a /spec/weight 9 1"
	if got := c.send("POST", path+"?dry_run=true", "").want(200); got.changes() != changes {
		t.Errorf("it would change: %s", got.body)
	}
	if got := c.send("POST", path, "", "X-Evenkeel-Reason", "too heavy").want(200).wantAt(float64(n+1), "revision"); got.changes() != changes {
		t.Errorf("it changed: %s", got.body)
	}
	c.send("GET", fmt.Sprintf("/v1/revisions/%d", n+1), "").wantAt("undo", "kind").wantAt(float64(n), "undoes").wantAt("too heavy", "reason")
	for _, verb := range []string{"undo", "confirm"} {
		got := c.send("POST", fmt.Sprintf("/v1/revisions/%d/%s", n, verb), "").wantProblem(404, "not-found")
		if !strings.Contains(got.body, fmt.Sprintf("revision %d has undone it", n+1)) {
			t.Errorf("%s: %s", verb, got.body)
		}
	}
}

func TestWhatDoesNotWaitIsNotDecided(t *testing.T) {
	c := newClient(t)
	for _, verb := range []string{"undo", "confirm"} {
		c.send("POST", "/v1/revisions/1/"+verb, "").wantProblem(404, "not-found")
		c.send("POST", "/v1/revisions/2/"+verb, "").wantProblem(404, "not-found")
		c.send("POST", "/v1/revisions/0/"+verb, "").wantProblem(400, "invalid-request")
		c.send("POST", "/v1/revisions/1/"+verb+"?confirm_within=1m", "").wantProblem(400, "invalid-request")
		c.send("POST", "/v1/revisions/1/"+verb, "", "If-Match", "*").wantProblem(400, "invalid-request")
	}
	c.cluster.readIndex = func() error { return cluster.ErrNoQuorum }
	c.send("POST", "/v1/revisions/1/confirm", "").wantProblem(503, "no-quorum")
}

func TestADecisionThatIsRepeatedUnderItsKeySaysSo(t *testing.T) {
	for _, verb := range []string{"confirm", "undo"} {
		c := newClient(t)
		n := c.write("/v1/pools/web?confirm_within=60s", `{}`)
		path := fmt.Sprintf("/v1/revisions/%d/%s", n, verb)
		first := c.send("POST", path, "", "Idempotency-Key", "k").want(200).wantHeader("Idempotency-Replayed", "")
		again := c.send("POST", path, "", "Idempotency-Key", "k").want(200).wantHeader("Idempotency-Replayed", "true")
		if first.body != again.body {
			t.Errorf("%s: the answers differ:\n%s%s", verb, first.body, again.body)
		}
	}
}
