package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"evenkeel/cluster"
	"evenkeel/fsm"
	"evenkeel/httpapi"
)

func TestABackendIsMadeOfJustAnAddress(t *testing.T) {
	c := newClient(t)
	made := c.send("POST", "/v1/backends", `{"address":"10.0.0.5:9000"}`).want(201)
	made.wantHeader("Location", "/v1/pools/default/backends/10-0-0-5-9000").
		wantHeader("Content-Type", "application/json").
		wantHeader("X-Evenkeel-Node", "n1").
		wantAt("default", "pool").wantAt("10-0-0-5-9000", "name").
		wantAt("10.0.0.5:9000", "spec", "address").wantAt(1.0, "spec", "weight").
		wantAt("ready", "spec", "admin_state").wantAt("unknown", "status", "health").
		wantAt("anonymous@192.0.2.1", "meta", "actor")
	revision := c.cluster.State().Revision()
	made.wantHeader("ETag", fmt.Sprintf(`"%d"`, revision)).wantHeader("X-Evenkeel-Revision", fmt.Sprint(revision))
	got := c.send("GET", made.Header.Get("Location"), "").want(200)
	if got.body != made.body {
		t.Errorf("the object reads as %s, was made as %s", got.body, made.body)
	}
}

func TestEveryKindIsWrittenAndReadTheSameWay(t *testing.T) {
	for name, k := range map[string]struct {
		collection, flat, nested string
		member                   []string
		want                     any
	}{
		"listeners": {"/v1/listeners", `{"address":":9090"}`, `{"spec":{"address":":9091"}}`, []string{"spec", "address"}, ":9091"},
		"routes": {
			"/v1/routes", `{"pools":[{"name":"default"}],"priority":3}`,
			`{"spec":{"pools":[{"name":"default"}],"priority":7,"match":{"path_prefix":"/x"}}}`, []string{"spec", "priority"}, 7.0,
		},
		"pools": {"/v1/pools", `{"strategy":"random"}`, `{"spec":{"strategy":"round_robin","check":{"type":"http"}}}`, []string{"spec", "strategy"}, "round_robin"},
		"backends of a pool": {
			"/v1/pools/default/backends", `{"address":"h.example:1","weight":0}`, `{"spec":{"address":"h.example:2","weight":9}}`,
			[]string{"spec", "weight"}, 9.0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t)
			path := k.collection + "/x1"
			c.send("GET", path, "").wantProblem(404, "not-found")
			c.send("PUT", path, k.flat).want(201).wantHeader("Location", path)
			replaced := c.send("PUT", path, k.nested).want(200).wantAt(k.want, k.member...)
			c.send("GET", path, "").want(200).wantAt(k.want, k.member...).wantHeader("ETag", replaced.Header.Get("ETag"))
			c.send("PUT", path, k.nested).want(200).wantHeader("ETag", replaced.Header.Get("ETag"))

			// What was read can be sent back as it is.
			read := c.send("GET", path, "")
			c.send("PUT", path, read.body).want(200).wantHeader("ETag", replaced.Header.Get("ETag"))

			made := c.send("POST", k.collection, strings.Replace(k.flat, "example:1", "example:3", 1)).want(201)
			if location := made.Header.Get("Location"); !strings.HasPrefix(location, k.collection+"/") {
				t.Errorf("Location %q is not in %s", location, k.collection)
			}
			list := c.send("GET", k.collection, "").want(200).wantAt(float64(c.cluster.State().Revision()), "revision")
			found := 0
			for _, item := range list.items() {
				if item["name"] == "x1" || item["name"] == made.at("name") {
					found++
				}
			}
			if found != 2 {
				t.Errorf("the list has %d of 2 objects: %s", found, list.body)
			}
			c.send("DELETE", path, "").want(204)
			c.send("DELETE", path, "").want(204)
			c.send("GET", path, "").want(404)
		})
	}
}

func TestHeadIsAnsweredLikeGetWithoutABody(t *testing.T) {
	c := newClient(t)
	got := c.send("HEAD", "/v1/pools/default", "").want(200)
	if got.Header.Get("ETag") == "" {
		t.Error("no ETag")
	}
}

func TestAPutGivesMissingFieldsTheirDefaults(t *testing.T) {
	c := newClient(t)
	path := "/v1/pools/default/backends/web1"
	c.send("PUT", path, `{"address":"h:1","weight":7,"zone":"a","labels":{"k":"v"}}`).want(201)
	c.send("PUT", path, `{"address":"h:1"}`).want(200).wantAt(1.0, "spec", "weight").wantAt(nil, "spec", "zone").wantAt(nil, "labels", "k")
	c.send("PUT", "/v1/pools/p", `{"check":{"type":"http","fall":9}}`).want(201).
		wantAt("2s", "spec", "check", "interval").wantAt(9.0, "spec", "check", "fall").wantAt("weighted_round_robin", "spec", "strategy")
}

func TestASecondBackendOfTheSameAddressIsAConflictThatLocatesTheFirst(t *testing.T) {
	c := newClient(t)
	first := c.send("POST", "/v1/backends", `{"address":"10.0.0.5:9000"}`).want(201)
	c.send("POST", "/v1/backends", `{"address":"10.0.0.5:9000"}`).
		wantProblem(409, "duplicate-address").wantHeader("Location", first.Header.Get("Location"))
	c.send("PUT", "/v1/pools/default/backends/other", `{"spec":{"address":"10.0.0.5:9000"}}`).
		wantProblem(409, "duplicate-address").wantHeader("Location", first.Header.Get("Location"))
	c.send("PUT", "/v1/pools/p2", `{}`).want(201)
	c.send("POST", "/v1/backends", `{"address":"10.0.0.5:9000","pool":"p2"}`).want(201).
		wantHeader("Location", "/v1/pools/p2/backends/10-0-0-5-9000")
}

func TestATakenNameIsAConflictThatLocatesItsHolder(t *testing.T) {
	c := newClient(t)
	c.send("POST", "/v1/backends", `{"address":"h:1","name":"web1"}`).want(201)
	c.send("POST", "/v1/backends", `{"address":"h:2","name":"web1"}`).
		wantProblem(409, "exists").wantHeader("Location", "/v1/pools/default/backends/web1")
	c.send("POST", "/v1/pools", `{"name":"default"}`).wantProblem(409, "exists").wantHeader("Location", "/v1/pools/default")
}

func TestAMadeUpNameThatIsTakenGetsATail(t *testing.T) {
	c := newClient(t)
	c.send("PUT", "/v1/pools/default/backends/10-0-0-5-9000", `{"address":"10.0.0.6:9000"}`).want(201)
	made := c.send("POST", "/v1/backends", `{"address":"10.0.0.5:9000"}`).want(201)
	name, _ := made.at("name").(string)
	if !strings.HasPrefix(name, "10-0-0-5-9000-") {
		t.Errorf("name %q, want 10-0-0-5-9000-…", name)
	}
}

func TestTheNameIsDrawnAgainWhenAnotherNodeTookItMeanwhile(t *testing.T) {
	c := newClient(t)
	var names []string
	c.cluster.propose = func(op fsm.Operation) (fsm.Result, error) {
		names = append(names, op.(fsm.Put).Name)
		if len(names) == 1 {
			c.cluster.perform(fsm.Command{Actor: "other", Op: fsm.Put{Pool: "default", Name: op.(fsm.Put).Name, Spec: fsm.BackendSpec{Address: "h:9", AdminState: fsm.AdminReady}}})
		}
		return c.cluster.perform(fsm.Command{Actor: "me", Op: op}), nil
	}
	c.send("POST", "/v1/backends", `{"address":"10.0.0.5:9000"}`).want(201)
	if len(names) != 2 || names[0] == names[1] {
		t.Errorf("names %q, want two different", names)
	}
}

func TestTheListOfBackendsIsFilteredByPool(t *testing.T) {
	c := newClient(t)
	c.send("PUT", "/v1/pools/p2", `{}`).want(201)
	c.send("POST", "/v1/backends", `{"address":"h:1"}`).want(201)
	c.send("POST", "/v1/backends", `{"address":"h:2","pool":"p2"}`).want(201)
	for path, want := range map[string]int{
		"/v1/backends": 2, "/v1/backends?pool=p2": 1, "/v1/backends?pool=none": 0, "/v1/pools/default/backends": 1,
	} {
		if got := len(c.send("GET", path, "").want(200).items()); got != want {
			t.Errorf("%s has %d items, want %d", path, got, want)
		}
	}
	c.send("GET", "/v1/pools/none/backends", "").wantProblem(404, "not-found")
}

func TestAnEmptyListIsAList(t *testing.T) {
	c := newClient(t)
	if items := c.send("GET", "/v1/backends", "").want(200).items(); len(items) != 0 {
		t.Errorf("items %v", items)
	}
}

func TestVotesNameTheNodeThatVoted(t *testing.T) {
	c := newClient(t)
	c.send("POST", "/v1/backends", `{"address":"h:1","name":"web1"}`).want(201)
	backend := c.cluster.State().Backend("default", "web1")
	c.cluster.apply(t, fsm.CastVotes{Observer: fakeUID, Votes: []fsm.BackendVote{{
		Pool: "default", Name: "web1", UID: backend.Meta.UID, Generation: c.cluster.State().CheckGeneration(backend),
		Health: fsm.HealthDown, Reason: "connection refused",
	}}})
	got := c.send("GET", "/v1/pools/default/backends/web1", "").want(200).wantAt("down", "status", "health")
	votes, _ := got.at("status", "votes").([]any)
	if len(votes) != 1 {
		t.Fatalf("votes %v, want one", votes)
	}
	vote, _ := votes[0].(map[string]any)
	if vote["node"] != "n1" || vote["observer"] != fakeUID || vote["reason"] != "connection refused" {
		t.Errorf("vote %v", vote)
	}
}

func TestAListenersStatusSaysHowItFaresOnEachNode(t *testing.T) {
	c := newClient(t)
	c.cluster.members = func() []cluster.Member {
		return []cluster.Member{
			{Name: "n1", UID: "u1", State: "alive"}, {Name: "n2", UID: "u2", State: "alive"},
			{Name: "n3", UID: "u3", State: "dead"}, {Name: "n4", UID: "u4", State: "left"}, {Name: "n5", UID: "u5", State: "alive"},
			{Name: "n6", UID: "u6", State: "alive", Witness: true},
		}
	}
	c.cluster.reports = map[string]json.RawMessage{
		"u1": json.RawMessage(`{"revision":1,"listeners":{"default":{"state":"listening","address":"127.0.0.1:8080"}}}`),
		"u2": json.RawMessage(`{"revision":1,"listeners":{"default":{"state":"failed","address":":8080","error":"address already in use"}}}`),
		"u5": json.RawMessage(`{"revision":0}`),
		"u6": json.RawMessage(`{"revision":1}`),
	}
	single := c.send("GET", "/v1/listeners/default", "").want(200)
	for node, state := range map[string]string{"n1": "listening", "n2": "failed", "n3": "unknown", "n5": "unknown"} {
		single.wantAt(state, "status", "nodes", node, "state")
	}
	single.wantAt("address already in use", "status", "nodes", "n2", "error").wantAt(nil, "status", "nodes", "n4")
	items := c.send("GET", "/v1/listeners", "").want(200).items()
	if nodes := items[0]["status"].(map[string]any)["nodes"].(map[string]any); len(nodes) != 4 {
		t.Errorf("the list has %v", nodes)
	}
}

func TestALinearizableReadWaitsForTheReadIndex(t *testing.T) {
	c := newClient(t)
	asked := 0
	c.cluster.readIndex = func() error { asked++; return nil }
	for _, path := range []string{"/v1/pools/default", "/v1/pools", "/v1/backends", "/v1/cluster", "/v1/nodes"} {
		c.send("GET", path+"?consistency=linearizable", "").want(200)
		c.send("GET", path+"?consistency=local", "").want(200)
	}
	if asked != 5 {
		t.Errorf("the read index was asked for %d times, want 5", asked)
	}
	c.cluster.readIndex = func() error { return fmt.Errorf("verify: %w", cluster.ErrNoQuorum) }
	c.send("GET", "/v1/pools?consistency=linearizable", "").wantProblem(503, "no-quorum").wantHeader("Retry-After", "1")
	c.send("GET", "/v1/pools", "").want(200)
}

func TestJSONIsTakenWhateverTheContentType(t *testing.T) {
	c := newClient(t)
	for i, contentType := range []string{"application/x-www-form-urlencoded", "text/plain", "application/json; charset=utf-8", "nonsense"} {
		c.send("POST", "/v1/backends", fmt.Sprintf(`{"address":"h:%d"}`, i+1), "Content-Type", contentType).want(http.StatusCreated)
	}
}

func TestTheActorIsWhoHoldsTheToken(t *testing.T) {
	c := newClient(t, func(config *httpapi.Config) { config.AdminToken = "sesame" })
	c.send("POST", "/v1/backends", `{"address":"h:1"}`, "Authorization", "Bearer sesame").want(201)
	if got := c.cluster.lastActor(); got != "admin@192.0.2.1" {
		t.Errorf("actor %q", got)
	}
}
