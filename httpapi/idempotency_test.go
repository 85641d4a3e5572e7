package httpapi_test

import (
	"testing"

	"evenkeel/fsm"
)

func TestARequestThatComesAgainUnderItsKeyIsAnsweredAsTheFirstWas(t *testing.T) {
	for name, c := range map[string]struct {
		method, path, body string
		status             int
	}{
		"a put that creates":    {"PUT", "/v1/pools/p", `{}`, 201},
		"a put that replaces":   {"PUT", webBackend, `{"address":"h:1","weight":2}`, 200},
		"a post with a name":    {"POST", "/v1/pools", `{"name":"p"}`, 201},
		"a post without a name": {"POST", "/v1/pools", `{}`, 201},
		"a post of a backend":   {"POST", "/v1/backends", `{"address":"h:2"}`, 201},
		"a patch":               {"PATCH", webBackend, `{"weight":2}`, 200},
		"a deletion":            {"DELETE", webBackend, "", 204},
		"an override":           {"PUT", webBackend + "/override", `{"health":"down"}`, 200},
	} {
		t.Run(name, func(t *testing.T) {
			api := newClient(t)
			api.send("PUT", webBackend, `{"address":"h:1"}`).want(201)
			first := api.send(c.method, c.path, c.body, "Idempotency-Key", "k1").want(c.status).wantHeader("Idempotency-Replayed", "")
			before := api.cluster.State().Revision()
			again := api.send(c.method, c.path, c.body, "Idempotency-Key", "k1").want(c.status).wantHeader("Idempotency-Replayed", "true")
			again.wantHeader("Location", first.Header.Get("Location")).wantHeader("ETag", first.Header.Get("ETag"))
			if again.body != first.body {
				t.Errorf("the second answer is %s, the first was %s", again.body, first.body)
			}
			if api.cluster.State().Revision() != before {
				t.Error("the second request made a revision")
			}
		})
	}
}

func TestAKeyIsOfOneRequest(t *testing.T) {
	api := newClient(t)
	api.send("PUT", webBackend, `{"address":"h:1"}`, "Idempotency-Key", "k1").want(201)
	for name, c := range map[string]struct{ method, path, body, header, value string }{
		"another body":      {"PUT", webBackend, `{"address":"h:2"}`, "Accept", "x"},
		"another path":      {"PUT", "/v1/pools/default/backends/web2", `{"address":"h:1"}`, "Accept", "x"},
		"another method":    {"PATCH", webBackend, `{"address":"h:1"}`, "Accept", "x"},
		"another condition": {"PUT", webBackend, `{"address":"h:1"}`, "If-Match", "*"},
		"another reason":    {"PUT", webBackend, `{"address":"h:1"}`, "X-Evenkeel-Reason", "x"},
		"another query":     {"PUT", webBackend + "?confirm_within=5s", `{"address":"h:1"}`, "Accept", "x"},
	} {
		t.Run(name, func(t *testing.T) {
			api.send(c.method, c.path, c.body, "Idempotency-Key", "k1", c.header, c.value).wantProblem(422, "key-reused")
		})
	}
	api.send("PUT", webBackend+"?wait=local", `{"address":"h:1"}`, "Idempotency-Key", `"k1"`).want(201).wantHeader("Idempotency-Replayed", "true")
	api.send("PUT", webBackend+"?dry_run=true", `{"address":"h:2"}`, "Idempotency-Key", "k1").wantProblem(422, "key-reused")
	api.send("PUT", webBackend+"?dry_run=true", `{"address":"h:1"}`, "Idempotency-Key", "k1").want(200).wantAt(1.0, "unchanged")
}

func TestWhatWasRefusedDoesNotUseItsKeyUp(t *testing.T) {
	api := newClient(t)
	api.send("PUT", "/v1/pools/p/backends/b", `{"address":"h:1"}`, "Idempotency-Key", "k1").wantProblem(404, "not-found")
	api.send("PUT", "/v1/pools/p", `{}`).want(201)
	api.send("PUT", "/v1/pools/p/backends/b", `{"address":"h:1"}`, "Idempotency-Key", "k1").want(201)
}

func TestARepeatShowsTheObjectAsItIsNow(t *testing.T) {
	api := newClient(t)
	api.send("PUT", webBackend, `{"address":"h:1"}`, "Idempotency-Key", "k1").want(201)
	api.send("PATCH", webBackend, `{"weight":7}`, "Idempotency-Key", "k2").want(200)
	api.send("PUT", webBackend, `{"address":"h:1"}`, "Idempotency-Key", "k1").want(201).wantAt(7.0, "spec", "weight")
	api.send("DELETE", webBackend, "").want(204)
	api.send("PUT", webBackend, `{"address":"h:1"}`, "Idempotency-Key", "k1").wantProblem(404, "not-found").wantHeader("Idempotency-Replayed", "true")
	api.send("PATCH", webBackend, `{"weight":7}`, "Idempotency-Key", "k2").wantProblem(404, "not-found")
	if api.cluster.State().Backend("default", "web1") != nil {
		t.Error("the repeat brought the backend back")
	}
}

func TestAKeyIsItsActorsOwnWhereverThatCallsFrom(t *testing.T) {
	api := roleClient(t)
	api.as("editors", "PUT", "/v1/pools/p", `{}`, "Idempotency-Key", "k1", "From-Address", "192.0.2.7:1").want(201)
	api.as("editors", "PUT", "/v1/pools/p", `{}`, "Idempotency-Key", "k1", "From-Address", "192.0.2.8:1").want(201).wantHeader("Idempotency-Replayed", "true")
	api.as("admins", "PUT", "/v1/pools/q", `{}`, "Idempotency-Key", "k1").want(201).wantHeader("Idempotency-Replayed", "")
}

func TestARepeatShowsNothingThatItsSenderDoesNotSee(t *testing.T) {
	api := roleClient(t)
	api.addToken("team", fsm.TokenSpec{Role: fsm.RoleEditor, Labels: map[string]string{"team": "a"}})
	api.as("team", "PUT", "/v1/pools/p", `{"labels":{"team":"a"}}`, "Idempotency-Key", "k1").want(201)
	api.as("editors", "PUT", "/v1/pools/p", `{"labels":{"team":"b"}}`).want(200)
	api.as("team", "PUT", "/v1/pools/p", `{"labels":{"team":"a"}}`, "Idempotency-Key", "k1").wantProblem(404, "not-found")
}
