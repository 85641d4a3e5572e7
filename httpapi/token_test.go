package httpapi_test

import (
	"strings"
	"testing"

	"evenkeel/cluster/secret"
	"evenkeel/fsm"
)

func TestATokenIsToldOnceAndItsHashNever(t *testing.T) {
	c := roleClient(t)
	made := c.as("admins", "POST", "/v1/tokens", `{"name":"ci","role":"editor","expires":"2099-01-01T00:00:00Z"}`).want(201).
		wantHeader("Location", "/v1/tokens/ci").wantAt("ci", "name").wantAt("editor", "spec", "role").wantAt("admins@192.0.2.1", "meta", "actor")
	token, _ := made.at("token").(string)
	if !secret.IsToken(token) {
		t.Fatalf("the token is %q", token)
	}
	hash := c.cluster.State().Token("ci").Spec.Hash
	c.send("POST", "/v1/pools", `{"name":"p"}`, "Authorization", "Bearer "+token).want(201).wantAt("ci@192.0.2.1", "meta", "actor")
	for _, path := range []string{"/v1/tokens", "/v1/tokens/ci"} {
		got := c.as("admins", "GET", path, "").want(200)
		if strings.Contains(got.body, token) || strings.Contains(got.body, hash) || strings.Contains(got.body, `"hash"`) || strings.Contains(got.body, `"token"`) {
			t.Errorf("GET %s shows it: %s", path, got.body)
		}
	}
	if hash == "" || strings.Contains(made.body, hash) {
		t.Errorf("the answer shows the hash: %s", made.body)
	}
}

func TestAPutChangesWhatATokenMayAndNotTheTokenItself(t *testing.T) {
	c := roleClient(t)
	made := c.as("admins", "PUT", "/v1/tokens/ci", `{"role":"editor"}`).want(201)
	token, _ := made.at("token").(string)
	as := func(method, path, body string) answer {
		return c.send(method, path, body, "Authorization", "Bearer "+token)
	}
	as("POST", "/v1/pools", `{"name":"p"}`).want(201)

	read := c.as("admins", "GET", "/v1/tokens/ci", "").want(200)
	changed := c.as("admins", "PUT", "/v1/tokens/ci", strings.Replace(read.body, `"editor"`, `"viewer"`, 1), "If-Match", read.Header.Get("ETag")).want(200)
	if changed.at("token") != nil {
		t.Errorf("the answer has a token: %s", changed.body)
	}
	as("GET", "/v1/pools", "").want(200)
	as("POST", "/v1/pools", `{"name":"q"}`).wantProblem(403, "forbidden")
	c.as("admins", "PUT", "/v1/tokens/ci", `{"role":"viewer","labels":{"team":"a"}}`).want(200).wantAt("a", "spec", "labels", "team")
	if got := as("GET", "/v1/pools", "").want(200).items(); len(got) != 0 {
		t.Errorf("the limited token sees %v", got)
	}

	c.as("admins", "DELETE", "/v1/tokens/ci", "").want(204)
	as("GET", "/v1/pools", "").wantProblem(401, "unauthorized")
	again := c.as("admins", "PUT", "/v1/tokens/ci", `{"role":"viewer"}`).want(201)
	if again.at("token") == token {
		t.Error("the same token was made again")
	}
	as("GET", "/v1/pools", "").wantProblem(401, "unauthorized")
}

// TestARevokedTokenIsNotRevivedByAPutThatBeganBefore revokes the token between
// the look at its hash and the write.
func TestARevokedTokenIsNotRevivedByAPutThatBeganBefore(t *testing.T) {
	c := roleClient(t)
	token, _ := c.as("admins", "PUT", "/v1/tokens/ci", `{"role":"editor"}`).want(201).at("token").(string)
	revoked := false
	c.cluster.propose = func(op fsm.Operation) (fsm.Result, error) {
		if !revoked {
			revoked = true
			c.cluster.perform(fsm.Command{Actor: "other", Op: fsm.Delete{Ref: fsm.Ref{Kind: fsm.KindToken, Name: "ci"}}})
		}
		return c.cluster.perform(fsm.Command{Actor: "admin", Op: op}), nil
	}
	made := c.as("admins", "PUT", "/v1/tokens/ci", `{"role":"viewer"}`).want(201)
	if fresh, _ := made.at("token").(string); !secret.IsToken(fresh) || fresh == token {
		t.Errorf("the token is %q", fresh)
	}
	c.send("GET", "/v1/pools", "", "Authorization", "Bearer "+token).wantProblem(401, "unauthorized")
}

func TestWhatNoTokenCanBe(t *testing.T) {
	c := roleClient(t)
	for name, body := range map[string]string{
		"/role":     `{"name":"ci","role":"root"}`,
		"/name":     `{"name":"admin","role":"viewer"}`,
		"/hash":     `{"name":"ci","role":"viewer","hash":"` + strings.Repeat("a", 64) + `"}`,
		"/expires":  `{"name":"ci","role":"viewer","expires":"tomorrow"}`,
		"/expires ": `{"name":"ci","role":"viewer","expires":"2001-01-01T00:00:00Z"}`,
	} {
		got := c.as("admins", "POST", "/v1/tokens", body).wantProblem(400, "invalid-object")
		if _, named := got.faults()[strings.TrimSpace(name)]; !named {
			t.Errorf("%s: %s", name, got.body)
		}
	}
	c.as("admins", "POST", "/v1/tokens", `{"name":"ci","role":"admin","labels":{"a":"b"}}`).wantProblem(400, "invalid-request")
	c.as("admins", "POST", "/v1/tokens", `{"name":"viewers","role":"admin"}`).wantProblem(409, "exists")
	if n := len(c.as("admins", "GET", "/v1/tokens", "").items()); n != len(fsm.Roles()) {
		t.Errorf("%d tokens are there", n)
	}
}
