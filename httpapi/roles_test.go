package httpapi_test

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/mux"

	"evenkeel/cluster/secret"
	"evenkeel/fsm"
	"evenkeel/httpapi"
)

// roleClient is a client with a token of each role, by its name.
func roleClient(t testing.TB, change ...func(*httpapi.Config)) *client {
	t.Helper()
	c := newClient(t, append([]func(*httpapi.Config){func(config *httpapi.Config) { config.TokenNeeded = true }}, change...)...)
	for _, role := range fsm.Roles() {
		c.addToken(string(role)+"s", fsm.TokenSpec{Role: role})
	}
	return c
}

// addToken registers a token; what its holder sends follows from its name.
func (c *client) addToken(name string, spec fsm.TokenSpec) {
	c.Helper()
	hash := secret.HashToken(tokenOf(name))
	spec.Hash = hex.EncodeToString(hash[:])
	c.cluster.apply(c, fsm.Put{Name: name, Spec: spec})
}

func tokenOf(name string) string { return "ek-" + name }

// as sends a request with the token of that name.
func (c *client) as(name, method, path, body string, header ...string) answer {
	c.Helper()
	return c.send(method, path, body, append([]string{"Authorization", "Bearer " + tokenOf(name)}, header...)...)
}

// eachRoute calls visit with the method and template of every route.
func eachRoute(t testing.TB, visit func(method, path string)) {
	t.Helper()
	api := httpapi.New(httpapi.Config{Cluster: newFakeCluster(t), NodeName: "n1"})
	err := api.Router().Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		path, err := route.GetPathTemplate()
		if err != nil {
			return err
		}
		methods, err := route.GetMethods()
		if err != nil {
			return err
		}
		for _, method := range methods {
			if method != http.MethodHead {
				visit(method, path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheTableSaysOfEveryRouteWhoMayCallIt(t *testing.T) {
	eachRoute(t, func(method, path string) {
		if _, known := httpapi.Needs()[method+" "+path]; !known {
			t.Errorf("%s %s is not in the table of needs.go", method, path)
		}
	})
}

func TestARoleThatDoesNotSufficeIsToldWhichIsNeeded(t *testing.T) {
	c := roleClient(t)
	eachRoute(t, func(method, path string) {
		needed := fsm.Role(httpapi.Needs()[method+" "+path])
		concrete := strings.NewReplacer("{pool}", "default", "{name}", "none", "{node}", "none", "{kind}", "forbidden",
			"{revision}", "1", "{from}", "1", "{to}", "1").Replace(path)
		if path == "/v1/watch" { // without an end, but for this
			concrete += "?index=0&wait=0s"
		}
		for _, role := range fsm.Roles() {
			c.checked = false // a 400 for the body is none of this test's
			got := c.as(string(role)+"s", method, concrete, "")
			c.checked = true
			switch {
			case needed == "" || role.Allows(needed):
				if got.StatusCode == http.StatusUnauthorized || got.StatusCode == http.StatusForbidden {
					t.Errorf("%s %s: a %s gets %d %s", method, path, role, got.StatusCode, got.body)
				}
			default:
				got.wantProblem(403, "forbidden")
				if want := fmt.Sprintf("the role %s is needed, and the token %q has the role %s", needed, role+"s", role); got.at("detail") != want {
					t.Errorf("%s %s: detail %q, want %q", method, path, got.at("detail"), want)
				}
			}
		}
		if got := c.send(method, concrete, ""); (got.StatusCode == http.StatusUnauthorized) != (needed != "") {
			t.Errorf("%s %s: nobody gets %d", method, path, got.StatusCode)
		}
	})
}

func TestOneTokenIsAsGoodAsAnother(t *testing.T) {
	bootstrap := secret.NewToken()
	c := roleClient(t, withToken, func(config *httpapi.Config) {
		config.BootstrapTokens = append(config.BootstrapTokens, secret.HashToken(secret.NewToken()), secret.HashToken(bootstrap))
	})
	for name, token := range map[string]string{"admin": "sesame", "bootstrap": bootstrap, "editors": tokenOf("editors")} {
		c.send("POST", "/v1/pools", `{"name":"`+name+`"}`, "Authorization", "Bearer "+token).want(201).
			wantAt(name+"@192.0.2.1", "meta", "actor")
	}
	open := newClient(t)
	open.send("POST", "/v1/pools", `{"name":"p"}`).want(201).wantAt("anonymous@192.0.2.1", "meta", "actor")
	open.addToken("dashboard", fsm.TokenSpec{Role: fsm.RoleViewer})
	open.as("dashboard", "GET", "/v1/pools", "").want(200)
	open.as("dashboard", "POST", "/v1/pools", `{"name":"q"}`).wantProblem(403, "forbidden")
	open.as("nobody", "GET", "/v1/pools", "").wantProblem(401, "unauthorized")
	open.send("GET", "/v1/pools", "", "Authorization", "").wantProblem(401, "unauthorized")
}

func TestATokenThatHasExpiredOrWasRevokedIsNoToken(t *testing.T) {
	c := roleClient(t)
	past, future := time.Now().Add(-time.Second), time.Now().Add(time.Hour)
	c.addToken("old", fsm.TokenSpec{Role: fsm.RoleAdmin, Expires: &past})
	c.addToken("young", fsm.TokenSpec{Role: fsm.RoleAdmin, Expires: &future})
	c.as("old", "GET", "/v1/pools", "").wantProblem(401, "unauthorized").wantAt("the token has expired", "detail")
	c.as("young", "GET", "/v1/pools", "").want(200)
	c.as("admins", "DELETE", "/v1/tokens/young", "").want(204)
	c.as("young", "GET", "/v1/pools", "").wantProblem(401, "unauthorized")
}

func TestWhoFailsDoesNotHoldUpWhoHasAToken(t *testing.T) {
	c := roleClient(t, withToken)
	slowed := answer{}
	for range 10 {
		slowed = c.as("guess", "GET", "/v1/pools", "")
	}
	slowed.wantProblem(429, "too-many-logins")
	if slowed.Header.Get("Retry-After") == "" {
		t.Error("it is not told for how long")
	}
	c.send("GET", "/v1/pools", "", "Authorization", "Bearer sesame").wantProblem(429, "too-many-logins")
	c.send("GET", "/v1/pools", "", "Authorization", "Bearer sesame", "From-Address", "192.0.2.2:1").want(200)
	c.as("viewers", "GET", "/v1/pools", "").want(200) // nobody guesses those
}

func TestAnOperatorSetsWhatTakesABackendOutAndNothingElse(t *testing.T) {
	c := roleClient(t)
	c.as("editors", "PUT", webPath, `{"address":"h:1","labels":{"a":"b"}}`).want(201)
	for name, c2 := range map[string]struct {
		path, body string
		status     int
	}{
		"a weight":                         {webPath, `{"address":"h:1","labels":{"a":"b"},"weight":5}`, 200},
		"a drain":                          {webPath, `{"address":"h:1","labels":{"a":"b"},"admin_state":"drain","drain_timeout":"1m"}`, 200},
		"nothing":                          {webPath, `{"address":"h:1","labels":{"a":"b"}}`, 200},
		"an address":                       {webPath, `{"address":"h:2","labels":{"a":"b"}}`, 403},
		"a tier":                           {webPath, `{"address":"h:1","labels":{"a":"b"},"tier":1}`, 403},
		"no labels":                        {webPath, `{"address":"h:1"}`, 403},
		"one that is not there":            {webPath + "x", `{"address":"h:1","labels":{"a":"b"}}`, 403},
		"one of a pool that is not there":  {"/v1/pools/none/backends/web1", `{"address":"h:1"}`, 403},
		"what is faulty is told as faulty": {webPath, `{"address":"h:1","weight":5000}`, 400},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.as("operators", "PUT", c2.path, c2.body).want(c2.status)
			if c2.status == 403 {
				got.wantProblem(403, "forbidden").wantAt(`the role editor is needed, and the token "operators" has the role operator: `+
					`an operator sets the weight, admin_state and drain_timeout of a backend that is there, and changes nothing else`, "detail")
			}
		})
	}
	c.as("operators", "PUT", webPath+"/override", `{"health":"down"}`).want(200)
	c.as("operators", "DELETE", webPath+"/override", "").want(204)
	c.as("operators", "PUT", webPath, `{"address":"h:1","labels":{"a":"b"},"weight":7}`, "If-Match", `"1"`).wantProblem(412, "precondition-failed")
	c.as("operators", "DELETE", webPath, "").wantProblem(403, "forbidden")
}

// TestAnOperatorDoesNotUndoWhatAnEditorDoesMeanwhile has an editor change the
// address between the operator's look and its write.
func TestAnOperatorDoesNotUndoWhatAnEditorDoesMeanwhile(t *testing.T) {
	c := roleClient(t)
	c.as("editors", "PUT", webPath, `{"address":"h:1"}`).want(201)
	moved := false
	c.cluster.propose = func(op fsm.Operation) (fsm.Result, error) {
		if !moved {
			moved = true
			spec := op.(fsm.Put).Spec.(fsm.BackendSpec)
			spec.Address, spec.Weight = "h:2", 1
			c.cluster.perform(fsm.Command{Actor: "editor", Op: fsm.Put{Pool: "default", Name: "web1", Spec: spec}})
		}
		return c.cluster.perform(fsm.Command{Actor: "operator", Op: op}), nil
	}
	c.as("operators", "PUT", webPath, `{"address":"h:1","weight":9}`).wantProblem(403, "forbidden")
	if b := c.cluster.State().Backend("default", "web1"); b.Spec.Address != "h:2" {
		t.Errorf("the address is %s", b.Spec.Address)
	}
}
