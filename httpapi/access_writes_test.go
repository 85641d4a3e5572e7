package httpapi_test

import (
	"strings"
	"testing"
)

// Whatever way a write comes, it is of who sends it.

func TestAnOperatorPatchesWhatTakesABackendOutAndNothingElse(t *testing.T) {
	c := roleClient(t)
	c.as("editors", "PUT", webPath, `{"address":"h:1","labels":{"a":"b"}}`).want(201)
	c.as("operators", "PATCH", webPath, `{"weight":5}`).want(200).wantAt(float64(5), "spec", "weight")
	c.as("operators", "PATCH", webPath, `{"admin_state":"drain","drain_timeout":"1m"}`).want(200)
	for _, body := range []string{`{"address":"h:2"}`, `{"labels":{"a":null}}`, `{"weight":1,"tier":1}`} {
		for _, query := range []string{"", "?dry_run=true"} {
			c.as("operators", "PATCH", webPath+query, body).wantProblem(403, "forbidden")
		}
	}
	c.as("operators", "PATCH", webPath+"?dry_run=true", `{"weight":9}`).want(200)
	c.as("operators", "PATCH", "/v1/pools/default", `{"slow_start":"1s"}`).wantProblem(403, "forbidden")
	c.as("operators", "POST", "/v1/txn", `{"operations":[{"op":"patch","kind":"backend","name":"web1","spec":{"weight":1}}]}`).wantProblem(403, "forbidden")
	if b := c.cluster.State().Backend("default", "web1"); b.Spec.Weight != 5 || b.Spec.Address != "h:1" || b.Labels["a"] != "b" {
		t.Errorf("the backend is %+v", b.Spec)
	}
}

func TestALimitedTokenIsLimitedHoweverItWrites(t *testing.T) {
	c := limitedClient(t)
	const mine, theirs, nobodys = "/v1/pools/default/backends/web-a", "/v1/pools/default/backends/web-b", "/v1/pools/default/backends/none"
	before := c.cluster.State().Digest()
	for _, query := range []string{"", "?dry_run=true"} {
		sameAnswer(t, c, "editors-of-a", "PATCH", theirs+query, nobodys+query, `{"weight":5}`, 404)
		sameAnswer(t, c, "operators-of-a", "PATCH", theirs+query, nobodys+query, `{"weight":5}`, 404)
		sameAnswer(t, c, "editors-of-a", "PATCH", theirs+query, nobodys+query, `{"weight":5}`, 412, "If-Match", `"3"`)
		sameAnswer(t, c, "editors-of-a", "DELETE", theirs+query, nobodys+query, "", 404)
		sameAnswer(t, c, "editors-of-a", "PUT", theirs+query, nobodys+query, `{"address":"x:9","labels":{"team":"a"}}`, 412, "If-Match", "*")
		c.as("editors-of-a", "PATCH", mine+query, `{"labels":{"team":"b"}}`).wantProblem(403, "forbidden")
		c.as("editors-of-a", "PUT", theirs+query, `{"address":"x:9","labels":{"team":"a"}}`).wantProblem(403, "forbidden")
		for _, operation := range []string{
			`{"op":"put","kind":"backend","name":"web-b","labels":{"team":"a"},"spec":{"address":"x:9"}}`,
			`{"op":"put","kind":"backend","name":"new","spec":{"address":"x:9"}}`,
		} {
			body := `{"operations":[{"op":"put","kind":"pool","name":"new","labels":{"team":"a"},"spec":{}},` + operation + `]}`
			got := c.as("editors-of-a", "POST", "/v1/txn"+query, body).wantProblem(403, "forbidden")
			if strings.Contains(got.body, "b:1") {
				t.Errorf("%s tells of what is not seen: %s", operation, got.body)
			}
		}
	}
	if c.cluster.State().Digest() != before {
		t.Error("a refused write changed the registry")
	}
	c.as("editors-of-a", "PATCH", mine, `{"weight":5}`).want(200)
	c.as("editors-of-a", "POST", "/v1/txn", `{"operations":[{"op":"patch","kind":"backend","name":"web-a","spec":{"weight":6}}]}`).want(200)
}

func TestATokenIsWrittenByAllThatWritesOneObject(t *testing.T) {
	c := roleClient(t)
	dry := c.as("admins", "POST", "/v1/tokens?dry_run=true", `{"name":"ci","role":"editor"}`).want(200)
	if strings.Contains(dry.body, "hash") || strings.Contains(dry.body, "ek-") || c.cluster.State().Token("ci") != nil {
		t.Errorf("a dry run says %s", dry.body)
	}
	c.as("admins", "POST", "/v1/tokens", `{"name":"ci","role":"editor"}`, "Idempotency-Key", "k1").wantProblem(400, "invalid-request")
	made := c.as("admins", "POST", "/v1/tokens", `{"name":"ci","role":"editor"}`).want(201)
	token, _ := made.at("token").(string)
	patched := c.as("admins", "PATCH", "/v1/tokens/ci", `{"role":"viewer"}`, "Idempotency-Key", "k2").want(200).wantAt("viewer", "spec", "role")
	if patched.at("token") != nil || strings.Contains(patched.body, "hash") {
		t.Errorf("the answer tells %s", patched.body)
	}
	c.as("admins", "PATCH", "/v1/tokens/ci", `{"role":"viewer"}`, "Idempotency-Key", "k2").want(200)
	as := func(method, path, body string) answer {
		return c.send(method, path, body, "Authorization", "Bearer "+token)
	}
	as("GET", "/v1/pools", "").want(200)
	as("POST", "/v1/pools", `{"name":"q"}`).wantProblem(403, "forbidden")
	c.as("admins", "POST", "/v1/txn", `{"operations":[{"op":"put","kind":"token","name":"x","spec":{"role":"admin"}}]}`).want(400)
	c.as("admins", "PATCH", "/v1/tokens/none", `{"role":"viewer"}`).wantProblem(404, "not-found")
}
