package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"evenkeel/cluster"
	"evenkeel/fsm"
	"evenkeel/httpapi"
)

// uidOf is the UID of the n-th node of a test.
func uidOf(n int) string { return fmt.Sprintf("%d%s", n, fakeUID[1:]) }

// withNodes makes a cluster of that many nodes, the first three of which observe.
// Their answers about health are those of local; a node without one does not
// answer in time.
func (c *client) withNodes(n int, local map[int]httpapi.LocalHealth) {
	var members []cluster.Member
	for i := 1; i <= n; i++ {
		name := fmt.Sprintf("n%d", i)
		if i <= fsm.DefaultObservers {
			c.cluster.apply(c, fsm.SetNode{Node: fsm.Node{UID: uidOf(i), Name: name, State: fsm.NodeAlive, FeatureLevel: fsm.FeatureLevel}})
		}
		members = append(members, cluster.Member{Name: name, UID: uidOf(i), State: cluster.StateAlive})
	}
	c.cluster.members = func() []cluster.Member { return members }
	c.cluster.ask = func(ctx context.Context, uid string, request []byte) ([]byte, error) {
		for i, answer := range local {
			if uid == uidOf(i) {
				api := httpapi.New(httpapi.Config{Cluster: c.cluster, Health: func() httpapi.LocalHealth { return answer }})
				return api.AnswerHealth(ctx, fakeUID, request)
			}
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}
}

func (c *client) uidOfBackend(pool, name string) string {
	return c.cluster.State().Backend(pool, name).Meta.UID
}

// vote casts the votes of the nodes about a backend, "" for none.
func (c *client) vote(pool, name string, votes ...fsm.Health) {
	c.Helper()
	s := c.cluster.State()
	b := s.Backend(pool, name)
	for i, health := range votes {
		if health != "" {
			c.cluster.apply(c, fsm.CastVotes{Observer: uidOf(i + 1), Votes: []fsm.BackendVote{{
				Pool: pool, Name: name, UID: b.Meta.UID, Generation: s.CheckGeneration(b), Health: health, Reason: "probe says " + string(health),
			}}})
		}
	}
}

// usesOf returns what each node does with a backend, by the node's name.
func (a answer) usesOf() map[string]string {
	a.Helper()
	uses := map[string]string{}
	for _, node := range a.at("nodes").([]any) {
		n := node.(map[string]any)
		uses[n["node"].(string)] = n["use"].(string)
	}
	return uses
}

func TestTheHealthOfABackendIsToldForEveryNode(t *testing.T) {
	c := newClient(t)
	c.send("PUT", "/v1/pools/default/backends/web1", `{"address":"h:1"}`).want(201)
	c.send("PUT", "/v1/pools/default/backends/web2", `{"address":"h:2"}`).want(201)
	age := 0.25
	uid := c.uidOfBackend("default", "web1")
	c.withNodes(4, map[int]httpapi.LocalHealth{
		1: {Opinions: []httpapi.Opinion{{Pool: "default", Name: "web1", UID: uid, Health: "up", Run: 7, AgeSeconds: &age, LatencySeconds: 0.003}}},
		2: {Vetoes: []httpapi.Veto{{UID: uid, Health: "down", Reason: "connection refused", AgeSeconds: 12}}, CutOff: true},
		3: {Ejections: []httpapi.Ejection{{Pool: "default", Name: "web1", UID: uid, Reason: "connect", AgeSeconds: 1, LeftSeconds: 4}}},
	})
	c.vote("default", "web1", "up", "up", "down")
	begun := time.Now()
	got := c.send("GET", "/v1/pools/default/backends/web1/health", "").want(200).
		wantAt("web1", "name").wantAt(true, "checked").wantAt("ready", "admin_state")
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("a node that does not answer held it up for %s", took)
	}
	want := map[string]string{"n1": "used", "n2": "veto", "n3": "ejected", "n4": "no_answer"}
	for node, use := range got.usesOf() {
		if use != want[node] {
			t.Errorf("node %s: %s, want %s", node, use, want[node])
		}
	}
	for _, text := range []string{`"reason":"connection refused"`, `"left_seconds":4`, `"cut_off":true`, "n4", "did not answer within 1s", `"latency_seconds":0.003`, `"run":7`, "probe says down"} {
		if !strings.Contains(got.body, text) {
			t.Errorf("no %s in %s", text, got.body)
		}
	}
	pool := c.send("GET", "/v1/pools/default/health", "").want(200).wantAt("degraded", "state").wantAt(2.0, "backends").wantAt(1.0, "avoided")
	if items := pool.items(); items[0]["name"] != "web1" || items[1]["name"] != "web2" {
		t.Errorf("the one in trouble is not first: %v", items)
	}
	// What a node says of itself goes before what follows from the rest.
	c.withNodes(2, map[int]httpapi.LocalHealth{1: {
		Vetoes: []httpapi.Veto{{UID: uid, Health: "down"}},
		UsesOf: func(pool, of string) []httpapi.Use { return []httpapi.Use{{UID: uid, Use: "zone"}} },
	}})
	if uses := c.send("GET", "/v1/pools/default/backends/web1/health", "").want(200).usesOf(); uses["n1"] != "zone" {
		t.Errorf("the nodes do %v", uses)
	}
	c.withNodes(4, map[int]httpapi.LocalHealth{2: {Vetoes: []httpapi.Veto{{UID: uid, Health: "down"}}}})
	all := c.send("GET", "/v1/health", "").want(200)
	if items := all.items(); items[0]["pool"] != "default" || items[0]["avoided"] != 1.0 {
		t.Errorf("the pools are %v", items)
	}
}

func TestTheHealthOfWhatIsNotThere(t *testing.T) {
	c := newClient(t)
	c.send("GET", "/v1/pools/ghost/health", "").wantProblem(404, "not-found")
	c.send("GET", "/v1/pools/default/backends/ghost/health", "").wantProblem(404, "not-found")
	c.send("GET", "/v1/health?pool=x", "").wantProblem(400, "invalid-request")
	c.cluster.ask = func(context.Context, string, []byte) ([]byte, error) { return nil, errors.New("broken\nline") }
	c.send("GET", "/v1/pools/default/health", "").want(200).wantAt("empty", "state")
}

func TestHealthIsToldWithoutAQuorumByNodesOfOlderBuildsAndOfTheDead(t *testing.T) {
	c := newClient(t)
	age := 3 * time.Second
	c.cluster.age, c.cluster.status = &age, cluster.Status{}
	c.cluster.members = func() []cluster.Member {
		return []cluster.Member{
			{Name: "n1", UID: uidOf(1), State: cluster.StateAlive}, {Name: "n2", UID: uidOf(2), State: cluster.StateDead},
			{Name: "n3", UID: uidOf(3), State: cluster.StateLeft}, {Name: "n4", UID: uidOf(4), State: cluster.StateAlive, Witness: true},
		}
	}
	got := c.send("GET", "/v1/health", "").want(200).wantHeader("X-Evenkeel-Age", "3.000")
	nodes := got.at("nodes").([]any)
	if len(nodes) != 2 {
		t.Fatalf("asked were %v", nodes)
	}
	for i, text := range []string{"older build", "dead"} {
		if node := nodes[i].(map[string]any); node["answered"] != false || !strings.Contains(node["error"].(string), text) {
			t.Errorf("node %d: %v, want %s", i, node, text)
		}
	}
}

func TestANodeAnswersAboutWhatItIsAskedFor(t *testing.T) {
	f := newFakeCluster(t)
	local := httpapi.LocalHealth{Ejections: []httpapi.Ejection{{Pool: "p", UID: "u1"}, {Pool: "q", UID: "u2"}}}
	for range 7000 {
		local.Opinions = append(local.Opinions, httpapi.Opinion{Pool: "p", UID: "u1"}, httpapi.Opinion{Pool: "q", UID: "u2"})
	}
	api := httpapi.New(httpapi.Config{Cluster: f, Health: func() httpapi.LocalHealth { return local }})
	for question, want := range map[string][3]int{ // opinions, ejections, left off
		`{}`:                          {0, 2, 0},
		`{"pool":"p"}`:                {5000, 1, 2000},
		`{"pool":"p","backend":"u2"}`: {0, 1, 0},
		`{"pool":"ghost","later":1}`:  {0, 0, 0},
	} {
		text, err := api.AnswerHealth(t.Context(), "n2", []byte(question))
		var got httpapi.LocalHealth
		if err == nil {
			err = json.Unmarshal(text, &got)
		}
		if counts := [3]int{len(got.Opinions), len(got.Ejections), got.LeftOff}; err != nil || counts != want {
			t.Errorf("%s: %v, %v; want %v", question, counts, err, want)
		}
	}
	if _, err := api.AnswerHealth(t.Context(), "n2", []byte(`{`)); err == nil {
		t.Error("half a question is answered")
	}
}

func TestAnOverrideIsSetAndTakenBack(t *testing.T) {
	c := newClient(t)
	etag := c.send("PUT", webPath, `{"address":"h:1"}`).want(201).Header.Get("ETag")
	c.send("PUT", webPath+"/override", `{"health":"down","for":"10m","reason":"disk swap"}`, "If-Match", etag).want(200).
		wantHeader("ETag", etag).wantAt("down", "status", "effective").wantAt("unknown", "status", "health").
		wantAt("10m0s", "status", "override", "for").wantAt("disk swap", "status", "override", "reason")
	c.withNodes(1, map[int]httpapi.LocalHealth{1: {}})
	if uses := c.send("GET", webPath+"/health", "").want(200).wantAt("down", "effective").usesOf(); uses["n1"] != "override" {
		t.Errorf("it is %v", uses)
	}
	c.send("PUT", webPath+"/override", `{"health":"up"}`).want(200).wantAt("up", "status", "effective")
	for range 2 {
		c.send("DELETE", webPath+"/override", "").want(204)
	}
	c.send("GET", webPath, "").want(200).wantAt(nil, "status", "override")
	c.send("DELETE", webPath+"/override", "", "If-Match", `"1"`).wantProblem(412, "precondition-failed")
	c.send("PUT", webPath+"/override", `{"health":"up"}`, "If-Match", `"1"`).wantProblem(412, "precondition-failed")
	c.send("PUT", webPath+"/override", `{"health":"up"}`, "If-None-Match", `*`).wantProblem(400, "invalid-request")
	c.send("PUT", "/v1/pools/default/backends/ghost/override", `{"health":"up"}`).wantProblem(404, "not-found")
	c.send("DELETE", "/v1/pools/default/backends/ghost/override", "").wantProblem(404, "not-found")
}

func TestAnOverrideIsRefusedBelowItsFeatureLevel(t *testing.T) {
	c := newClient(t)
	state, results := fsm.Apply(fsm.New(), []fsm.Command{{
		ID: fsm.CommandID{Origin: fakeUID, Seq: 1}, Op: fsm.Init{ClusterID: "old", FeatureLevel: 3, Objects: fsm.DefaultObjects()},
	}})
	if results[0].Err != nil {
		t.Fatal(results[0].Err)
	}
	c.cluster.state = state
	c.send("PUT", webPath, `{"address":"h:1"}`).want(201)
	got := c.send("PUT", webPath+"/override", `{"health":"down"}`).wantProblem(400, "invalid-object")
	if !strings.Contains(got.body, "needs feature level 4, and the cluster is at level 3") {
		t.Error(got.body)
	}
}

func TestADrainSaysWhomItWaitsFor(t *testing.T) {
	c := newClient(t)
	c.withNodes(2, map[int]httpapi.LocalHealth{1: {}, 2: {}})
	c.send("PUT", webPath, `{"address":"h:1","admin_state":"drain"}`).want(201).wantAt("draining", "status", "drain", "state")
	b := c.cluster.State().Backend("default", "web1")
	report := func(node int) {
		c.cluster.apply(t, fsm.ReportIdle{Node: uidOf(node), Backends: []fsm.IdleBackend{{Pool: "default", Name: "web1", UID: b.Meta.UID, Epoch: b.Status.Drain.Epoch}}})
	}
	report(1)
	got := c.send("GET", webPath, "").want(200)
	if !strings.Contains(got.body, `"idle":["n1"],"waiting":["n2"]`) {
		t.Error(got.body)
	}
	report(2)
	c.send("GET", webPath, "").want(200).wantAt("drained", "status", "drain", "state")
}

// A read of health waits for its turn, so that many at once do not take the node's
// memory and every other node's places for questions.
func TestReadsOfHealthAreMadeFourAtATime(t *testing.T) {
	c := newClient(t)
	asked, release := make(chan struct{}), make(chan struct{})
	c.cluster.ask = func(context.Context, string, []byte) ([]byte, error) {
		asked <- struct{}{}
		<-release
		return []byte(`{}`), nil
	}
	read := func(ctx context.Context, path string) int {
		recorder := httptest.NewRecorder()
		c.handler.ServeHTTP(recorder, httptest.NewRequestWithContext(ctx, "GET", "http://localhost:7070"+path, nil))
		return recorder.Code
	}
	statuses := make(chan int)
	for range 4 {
		go func() { statuses <- read(t.Context(), "/v1/health") }()
		<-asked
	}
	ended, end := context.WithCancel(t.Context())
	end()
	go func() { // were it not to wait for its turn, it would ask
		for range asked {
		}
	}()
	for _, path := range []string{"/v1/health", "/v1/pools/default/health"} {
		go func() { statuses <- read(ended, path) }()
		select {
		case status := <-statuses:
			if status != 503 {
				t.Errorf("%s beside four others: status %d", path, status)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s beside four others does not end with its context", path)
		}
	}
	close(release)
	for range 4 {
		if status := <-statuses; status != 200 {
			t.Errorf("status %d", status)
		}
	}
	if status := read(t.Context(), "/v1/health"); status != 200 {
		t.Errorf("after the others: status %d", status)
	}
	close(asked)
}
