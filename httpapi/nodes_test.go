package httpapi_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"evenkeel/cluster"
	"evenkeel/fsm"
	"evenkeel/httpapi"
)

func TestTheClusterIsToldAsThisNodeSeesIt(t *testing.T) {
	c := newClient(t)
	s := c.cluster.State()
	c.send("GET", "/v1/cluster", "").want(200).
		wantAt("c1", "id").wantAt("n1", "leader").wantAt(true, "quorum").wantAt(true, "confirmed").wantAt(7.0, "term").
		wantAt(float64(s.Revision()), "revision").wantAt(float64(s.Version()), "version").
		wantAt(fmt.Sprintf("%016x", s.Digest()), "digest").wantAt(nil, "detached").
		wantAt(float64(fsm.FeatureLevel), "feature_level")
	c.cluster.status = cluster.Status{Detached: "the disk hangs"}
	c.send("GET", "/v1/cluster", "").want(200).wantAt("", "leader").wantAt(false, "quorum").wantAt("the disk hangs", "detached")
}

func TestReadsSayHowOldTheyAre(t *testing.T) {
	c := newClient(t)
	if got := c.send("GET", "/v1/pools", "").want(200).Header.Get("X-Evenkeel-Age"); got != "" {
		t.Errorf("the age of what is not there yet is %q", got)
	}
	age := 1500 * time.Millisecond
	c.cluster.age = &age
	for path, want := range map[string]string{"/v1/pools": "1.500", "/v1/pools/default": "1.500", "/v1/nodes": "1.500", "/v1/pools?consistency=linearizable": "0.000"} {
		c.send("GET", path, "").want(200).wantHeader("X-Evenkeel-Age", want)
	}
	c.send("GET", "/v1/cluster", "").want(200).wantHeader("X-Evenkeel-Age", "1.500").wantAt(1.5, "age_seconds")
}

func TestTheNodesAreListedWithWhatTheyApplied(t *testing.T) {
	c := newClient(t)
	c.cluster.members = func() []cluster.Member {
		return []cluster.Member{
			{Name: "n1", UID: "u1", Role: "leader", State: "alive", ClusterAddr: "10.0.0.1:7071", APIAddr: "10.0.0.1:7070", Version: "1", FeatureLevel: 3},
			{Name: "n2", UID: "u2", Role: "follower", State: "dead"},
			{Name: "n3", UID: "u3", Role: "follower", State: "detached"},
			{Name: "n4", UID: "u4", Role: "follower", State: "alive"},
			{Name: "n5", UID: "u5", Role: "witness", State: "alive", Witness: true},
		}
	}
	c.cluster.reports = map[string]json.RawMessage{
		"u1": json.RawMessage(`{"revision":3,"version":9,"digest":"00000000000000ff"}`),
		"u3": json.RawMessage(`{"revision":2,"version":5,"digest":"00000000000000fe","detached":"the disk hangs"}`),
		"u4": json.RawMessage(`"a newer release"`),
		"u5": json.RawMessage(`{"revision":3,"version":9,"digest":"00000000000000ff"}`),
	}
	items := c.send("GET", "/v1/nodes", "").want(200).items()
	if len(items) != 5 {
		t.Fatalf("%d items, want 5", len(items))
	}
	for i, want := range []map[string]any{
		{"name": "n1", "role": "leader", "state": "alive", "feature_level": 3.0, "witness": nil, "applied_revision": 3.0, "applied_version": 9.0, "digest": "00000000000000ff", "api_addr": "10.0.0.1:7070"},
		{"name": "n2", "state": "dead", "feature_level": nil, "applied_revision": nil},
		{"name": "n3", "state": "detached", "detached": "the disk hangs"},
		{"name": "n4", "applied_revision": nil},
		{"name": "n5", "role": "witness", "witness": true, "applied_revision": 3.0},
	} {
		for member, value := range want {
			if items[i][member] != value {
				t.Errorf("item %d: %s is %v, want %v", i, member, items[i][member], value)
			}
		}
	}
}

func TestTheMembersAreChanged(t *testing.T) {
	for request, c := range map[string]struct {
		change string // that the cluster is asked for
		err    error
		status int
		text   string
	}{
		"DELETE /v1/nodes/n2":                        {change: "remove u2", status: 204},
		"DELETE /v1/nodes/u2":                        {change: "remove u2", status: 204},
		"DELETE /v1/nodes/nobody":                    {status: 204},
		"DELETE /v1/nodes/twice":                     {status: 400, text: "u3 or u4"},
		"DELETE /v1/nodes/u3":                        {change: "remove u3", err: cluster.ErrNoMember, status: 204},
		"DELETE /v1/nodes/n1":                        {change: "remove u1", err: fmt.Errorf("%w: no majority", cluster.ErrUnsafe), status: 409, text: "no majority"},
		"POST /v1/nodes/n2/promote":                  {change: "promote u2", status: 204},
		"POST /v1/nodes/u4/promote":                  {change: "promote u4", err: cluster.ErrNoMember, status: 404},
		"POST /v1/nodes/nobody/promote":              {status: 404, text: "nobody"},
		"POST /v1/cluster/transfer-leader":           {change: "lead ", status: 204},
		"POST /v1/cluster/transfer-leader?to=n2":     {change: "lead u2", status: 204},
		"POST /v1/cluster/transfer-leader?to=nobody": {status: 404, text: "nobody"},
		"POST /v1/cluster/transfer-leader?too=n2":    {status: 400, text: "too"},
		"POST /v1/cluster/transfer-leader?to=u1":     {change: "lead u1", err: cluster.ErrNoQuorum, status: 503},
		"POST /v1/cluster/transfer-leader?to=u3":     {change: "lead u3", err: cluster.ErrOutcomeUnknown, status: 504},
		"POST /v1/cluster/transfer-leader?to=twice":  {status: 400, text: "several"},
	} {
		t.Run(request, func(t *testing.T) {
			client := newClient(t)
			client.cluster.members = func() []cluster.Member {
				return []cluster.Member{{Name: "n1", UID: "u1"}, {Name: "n2", UID: "u2"}, {Name: "twice", UID: "u3"}, {Name: "twice", UID: "u4"}}
			}
			asked := ""
			client.cluster.change = func(kind, uid string) error {
				asked = kind + " " + uid
				return c.err
			}
			method, path, _ := strings.Cut(request, " ")
			got := client.send(method, path, "").want(c.status)
			if asked != c.change || !strings.Contains(got.body, c.text) {
				t.Errorf("it was asked for %q, want %q; the answer is %s", asked, c.change, got.body)
			}
		})
	}
}

// A node that has no leader does not know who is a member.
func TestNobodyIsRemovedByWhoLagsBehind(t *testing.T) {
	c := newClient(t)
	c.cluster.readIndex = func() error { return cluster.ErrNoQuorum }
	c.send("DELETE", "/v1/nodes/nobody", "").want(503)
	c.send("POST", "/v1/nodes/nobody/promote", "").want(503)
	c.send("POST", "/v1/cluster/transfer-leader?to=nobody", "").want(503)
	c.cluster.readIndex = func() error {
		c.cluster.members = func() []cluster.Member { return []cluster.Member{{Name: "late", UID: "u7"}} }
		return nil
	}
	asked := ""
	c.cluster.change = func(kind, uid string) error {
		asked = kind + " " + uid
		return nil
	}
	if c.send("DELETE", "/v1/nodes/late", "").want(204); asked != "remove u7" {
		t.Errorf("it was asked for %q", asked)
	}
}

func TestANodeThatMustBeThere(t *testing.T) {
	c := newClient(t)
	c.send("DELETE", "/v1/nodes/nobody", "", "If-Match", "*").want(412)
	c.send("DELETE", "/v1/nodes/n1", "", "If-Match", "*").want(204)
	c.send("DELETE", "/v1/nodes/n1", "", "If-Match", `"7"`).want(400)
}

func TestANodeReportsItsStateAndListeners(t *testing.T) {
	f := newFakeCluster(t)
	api := httpapi.New(httpapi.Config{Cluster: f, NodeName: "n1", Listeners: func() map[string]httpapi.ListenerStatus {
		return map[string]httpapi.ListenerStatus{"default": {State: "listening", Address: "127.0.0.1:8080"}}
	}})
	text, err := json.Marshal(api.Report())
	if err != nil {
		t.Fatal(err)
	}
	s := f.State()
	want := fmt.Sprintf(`{"revision":%d,"version":%d,"digest":"%016x","listeners":{"default":{"state":"listening","address":"127.0.0.1:8080"}}}`,
		s.Revision(), s.Version(), s.Digest())
	if string(text) != want {
		t.Errorf("report %s, want %s", text, want)
	}
}

func TestReadinessSaysWhyNotAndNeverAsksForAQuorum(t *testing.T) {
	var reasons []string
	c := newClient(t, func(config *httpapi.Config) { config.NotReady = func() []string { return reasons } })
	c.cluster.status = cluster.Status{}
	if got := c.send("GET", "/readyz", "").want(200); got.body != "ready\n" {
		t.Errorf("body %q", got.body)
	}
	reasons = []string{"no listener was tried yet", "no table"}
	c.send("GET", "/readyz", "").wantProblem(503, "not-ready").wantAt("no listener was tried yet; no table", "detail")
	c.send("GET", "/livez?verbose", "").want(200) // probes add what they like
}
