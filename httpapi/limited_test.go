package httpapi_test

import (
	"strings"
	"testing"

	"evenkeel/fsm"
)

// limitedClient has two teams with a backend, pool and route each, and tokens
// that are limited to one of them.
func limitedClient(t testing.TB) *client {
	t.Helper()
	c := roleClient(t)
	for _, team := range []string{"a", "b"} {
		labels := `"labels":{"team":"` + team + `"}`
		c.as("editors", "PUT", "/v1/pools/pool-"+team, `{`+labels+`}`).want(201)
		c.as("editors", "PUT", "/v1/pools/default/backends/web-"+team, `{"address":"`+team+`:1",`+labels+`}`).want(201)
		c.as("editors", "PUT", "/v1/pools/pool-"+team+"/backends/own", `{"address":"own:1",`+labels+`}`).want(201)
	}
	for _, role := range []fsm.Role{fsm.RoleViewer, fsm.RoleOperator, fsm.RoleEditor} {
		c.addToken(string(role)+"s-of-a", fsm.TokenSpec{Role: role, Labels: map[string]string{"team": "a"}})
	}
	return c
}

func TestALimitedTokenSeesWhatBearsItsLabels(t *testing.T) {
	c := limitedClient(t)
	for path, want := range map[string]string{
		"/v1/pools":                   "pool-a",
		"/v1/backends":                "web-a own",
		"/v1/pools/default/backends":  "web-a",
		"/v1/pools/pool-a/backends":   "own",
		"/v1/backends?pool=pool-b":    "",
		"/v1/routes":                  "",
		"/v1/listeners":               "",
		"/v1/pools/default/backends?": "web-a",
	} {
		var names []string
		for _, item := range c.as("viewers-of-a", "GET", path, "").want(200).items() {
			names = append(names, item["name"].(string))
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("GET %s lists %q, want %q", path, got, want)
		}
	}
	for _, pair := range [][2]string{
		{"/v1/pools/pool-b", "/v1/pools/none"},
		{"/v1/pools/pool-b/backends", "/v1/pools/none/backends"},
		{"/v1/pools/pool-b/backends/own", "/v1/pools/none/backends/own"},
		{"/v1/pools/default/backends/web-b", "/v1/pools/default/backends/none"},
		{"/v1/pools/pool-b/health", "/v1/pools/none/health"},
		{"/v1/pools/default/backends/web-b/health", "/v1/pools/default/backends/none/health"},
	} {
		sameAnswer(t, c, "viewers-of-a", "GET", pair[0], pair[1], "", 404)
	}
	if got := c.as("viewers-of-a", "GET", "/v1/health", "").want(200).items(); len(got) != 1 || got[0]["pool"] != "pool-a" {
		t.Errorf("health is %v", got)
	}
	// The pool is everybody's here, its backends are not.
	c.as("editors", "PUT", "/v1/pools/default", `{"labels":{"team":"a"}}`).want(200)
	if got := c.as("viewers-of-a", "GET", "/v1/pools/default/health", "").want(200).wantAt(1.0, "backends").items(); len(got) != 1 {
		t.Errorf("health of the pool is %v", got)
	}
	c.as("viewers-of-a", "GET", "/v1/cluster", "").want(200)
	for _, path := range []string{"/metrics", "/v1/tokens", "/v1/snapshot", "/v1/nodes"} {
		c.as("viewers-of-a", "GET", path, "").wantProblem(403, "forbidden")
	}
}

// sameAnswer asks for what another has and for what nobody has, between which the
// answers make no difference but for the name.
func sameAnswer(t testing.TB, c *client, token, method, others, nobodys, body string, status int, header ...string) {
	t.Helper()
	one := c.as(token, method, others, body, header...).want(status)
	two := c.as(token, method, nobodys, body, header...).want(status)
	strip := strings.NewReplacer("web-b", "X", "none", "X", "pool-b", "X", "/own", "")
	if a, b := strip.Replace(one.body), strip.Replace(two.body); a != b {
		t.Errorf("%s %s is told apart from one that does not exist:\n%s%s", method, others, a, b)
	}
	if one.Header.Get("ETag") != two.Header.Get("ETag") {
		t.Errorf("%s %s has the ETag %q", method, others, one.Header.Get("ETag"))
	}
}

func TestALimitedTokenWritesWhatBearsItsLabels(t *testing.T) {
	c := limitedClient(t)
	const mine, theirs, nobodys = "/v1/pools/default/backends/web-a", "/v1/pools/default/backends/web-b", "/v1/pools/default/backends/none"
	before := c.cluster.State().Digest()
	c.as("editors-of-a", "PUT", mine, `{"address":"a:1"}`).wantProblem(403, "forbidden").
		wantAt(`backend default/web-a has to bear the labels team=a, to which the token "editors-of-a" is limited`, "detail")
	const body = `{"address":"x:9","labels":{"team":"a"}}`
	c.as("editors-of-a", "PUT", theirs, body).wantProblem(403, "forbidden")
	sameAnswer(t, c, "editors-of-a", "PUT", theirs, nobodys, body, 412, "If-Match", `"3"`)
	sameAnswer(t, c, "editors-of-a", "PUT", theirs, nobodys, body, 412, "If-Match", "*")
	sameAnswer(t, c, "editors-of-a", "PUT", theirs, nobodys, `{"address":"x:9"}`, 403)
	sameAnswer(t, c, "editors-of-a", "DELETE", theirs, nobodys, "", 404)
	sameAnswer(t, c, "operators-of-a", "PUT", theirs, nobodys, body, 403)
	sameAnswer(t, c, "operators-of-a", "PUT", theirs+"/override", nobodys+"/override", `{"health":"down"}`, 404)
	sameAnswer(t, c, "operators-of-a", "DELETE", theirs+"/override", nobodys+"/override", "", 404)
	sameAnswer(t, c, "operators-of-a", "PUT", theirs+"/heartbeat", nobodys+"/heartbeat", "", 404)
	c.as("editors-of-a", "PUT", theirs, body, "If-None-Match", "*").wantProblem(409, "exists")
	taken := c.as("editors-of-a", "PUT", mine, `{"address":"b:1","labels":{"team":"a"}}`).wantProblem(409, "duplicate-address")
	if strings.Contains(taken.body, "web-b") || taken.Header.Get("Location") != "" {
		t.Errorf("who has the address is told: %s", taken.body)
	}
	if c.cluster.State().Digest() != before {
		t.Error("a refused write changed the registry")
	}

	c.as("operators-of-a", "PUT", mine, `{"address":"a:1","labels":{"team":"a"},"weight":3}`).want(200)
	c.as("operators-of-a", "PUT", mine+"/override", `{"health":"down"}`).want(200)
	c.as("editors-of-a", "PUT", mine, `{"address":"a:2","labels":{"team":"a","more":"1"}}`).want(200)
	c.as("editors-of-a", "POST", "/v1/backends", `{"name":"new","address":"new:1","labels":{"team":"a"}}`).want(201)
	c.as("editors-of-a", "POST", "/v1/backends", `{"name":"web-b","address":"new:2","labels":{"team":"a"}}`).wantProblem(409, "exists")
	c.as("editors-of-a", "DELETE", mine, "").want(204)
	c.as("editors-of-a", "DELETE", "/v1/pools/pool-a", "").wantProblem(409, "in-use")
}
