package httpapi_test

import (
	"strings"
	"testing"

	"evenkeel/fsm"
)

const webBackend = "/v1/pools/default/backends/web1"

func TestHowAWriteIsWantedIsReadWithAllFaultsAtOnce(t *testing.T) {
	api := newClient(t)
	got := api.send("PUT", "/v1/pools/p?dry_run=yes&wait=some&timeout=1h&confirm_within=soon&reason=a", `{}`,
		"If-Match", "17", "Idempotency-Key", "a b", "X-Evenkeel-Reason", "b").wantProblem(400, "invalid-request")
	detail, _ := got.at("detail").(string)
	for _, part := range []string{`dry_run "yes"`, `wait "some"`, "timeout 1h0m0s", `confirm_within "soon"`, `If-Match "17"`, `Idempotency-Key "a b"`, "reason is given 2 times"} {
		if !strings.Contains(detail, part) {
			t.Errorf("the detail does not name %s: %s", part, detail)
		}
	}
}

func TestWhatAWriteCannotMeanIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ query, header, value string }{
		"a wait for what is only tried":       {"?dry_run=true&wait=all", "", ""},
		"a timeout of no wait":                {"?timeout=1s", "", ""},
		"a timeout of nothing":                {"?wait=all&timeout=0s", "", ""},
		"a timeout without a unit":            {"?wait=all&timeout=5", "", ""},
		"an empty wait":                       {"?wait=", "", ""},
		"a dry run without a value":           {"?dry_run", "", ""},
		"a confirmation within no time":       {"?confirm_within=10ms", "", ""},
		"a confirmation within two days":      {"?confirm_within=48h", "", ""},
		"an empty key":                        {"", "Idempotency-Key", ""},
		"a key of 129 characters":             {"", "Idempotency-Key", strings.Repeat("k", 129)},
		"a key that is not ASCII":             {"", "Idempotency-Key", "schlüssel"},
		"a reason of 257 bytes":               {"", "X-Evenkeel-Reason", strings.Repeat("r", 257)},
		"a reason of two lines":               {"?reason=a%0Ab", "", ""},
		"a reason that is not UTF-8":          {"", "X-Evenkeel-Reason", "\xff"},
		"a reason twice that is not the same": {"?reason=a", "X-Evenkeel-Reason", "b"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newClient(t)
			var header []string
			if c.header != "" {
				header = []string{c.header, c.value}
			}
			before := api.cluster.State()
			for method, path := range map[string]string{"PUT": "/v1/pools/p", "POST": "/v1/pools", "DELETE": "/v1/pools/p"} {
				api.send(method, path+c.query, `{"name":"p"}`, header...).wantProblem(400, "invalid-request")
			}
			if api.cluster.State() != before {
				t.Error("a refused request came to the registry")
			}
		})
	}
}

func TestAnOverrideCannotWaitForItsConfirmation(t *testing.T) {
	newClient(t).send("PUT", webBackend+"/override?confirm_within=10s", `{"health":"down"}`).wantProblem(400, "invalid-request")
}

func TestTheReasonOfAWriteIsInTheJournal(t *testing.T) {
	api := newClient(t)
	api.send("PUT", "/v1/pools/p?reason=by+query", `{}`).want(201)
	api.send("DELETE", "/v1/pools/p", "", "X-Evenkeel-Reason", "by header").want(204)
	s := api.cluster.State()
	for revision, want := range map[uint64]string{s.Revision() - 1: "by query", s.Revision(): "by header"} {
		if got := s.RevisionAt(revision); got == nil || got.Reason != want || got.Actor == "" {
			t.Errorf("revision %d is %+v, want the reason %q", revision, got, want)
		}
	}
}

func TestAWriteThatWaitsForItsConfirmationIsPending(t *testing.T) {
	api := newClient(t)
	api.send("PUT", "/v1/pools/p?confirm_within=1m", `{}`).want(201)
	if pending := api.cluster.State().Pending(); len(pending) != 1 || pending[0].Within.String() != "1m0s" {
		t.Fatalf("pending are %v", pending)
	}
	api.send("PUT", "/v1/pools/p", `{"labels":{"a":"b"}}`).wantProblem(409, "unconfirmed")
	api.send("DELETE", "/v1/pools/p", "").wantProblem(409, "unconfirmed")
}

func TestAClusterOfAnOlderLevelSaysSoOfWhatItCannotKeep(t *testing.T) {
	api := newClient(t)
	api.cluster.state = fsm.New()
	api.cluster.apply(t, fsm.Init{ClusterID: "c1", FeatureLevel: 4, Objects: fsm.DefaultObjects()})
	for what, c := range map[string]struct{ query, header string }{
		"Idempotency-Key needs feature level 5": {"", "Idempotency-Key"},
		"the reason needs feature level 5":      {"", "X-Evenkeel-Reason"},
		"confirm_within needs feature level 5":  {"?confirm_within=10s", "Accept"},
	} {
		got := api.send("PUT", "/v1/pools/p"+c.query, `{}`, c.header, "x").wantProblem(400, "invalid-request")
		if detail, _ := got.at("detail").(string); !strings.Contains(detail, what) {
			t.Errorf("the detail is %q, want %q", detail, what)
		}
	}
	api.send("PUT", "/v1/pools/p", `{}`).want(201)
}

func TestAWriteThatIsTriedChangesNothingAndTellsWhatItWould(t *testing.T) {
	api := newClient(t)
	api.send("PUT", webBackend, `{"address":"h:1"}`).want(201)
	before := api.cluster.State()
	for name, c := range map[string]struct{ method, path, body, action string }{
		"a put that creates":             {"PUT", "/v1/pools/p", `{}`, "create"},
		"a put that replaces":            {"PUT", webBackend, `{"address":"h:1","weight":7}`, "update"},
		"a put that changes nothing":     {"PUT", webBackend, `{"address":"h:1"}`, ""},
		"a post":                         {"POST", "/v1/backends", `{"address":"h:2"}`, "create"},
		"a deletion":                     {"DELETE", webBackend, "", "delete"},
		"a deletion of what is not":      {"DELETE", "/v1/pools/p", "", ""},
		"an override":                    {"PUT", webBackend + "/override", `{"health":"down"}`, "update"},
		"an override that is taken back": {"DELETE", webBackend + "/override", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := api.send(c.method, c.path+"?dry_run=true", c.body).want(200)
			changes, _ := got.at("changes").([]any)
			if (len(changes) == 1) != (c.action != "") {
				t.Fatalf("the changes are %v", changes)
			}
			if len(changes) == 1 && changes[0].(map[string]any)["action"] != c.action {
				t.Errorf("the changes are %v, want %s", changes, c.action)
			}
			if api.cluster.State() != before {
				t.Error("the state is another")
			}
		})
	}
	got := api.send("PUT", webBackend+"?dry_run=true", `{"address":"h:1","weight":7}`).want(200)
	if !strings.Contains(got.body, `"fields":[{"pointer":"/spec/weight","before":1,"after":7}]`) {
		t.Errorf("the fields are not told: %s", got.body)
	}
}

func TestAWriteThatIsTriedIsRefusedAsItWouldBe(t *testing.T) {
	api := newClient(t)
	api.send("PUT", webBackend, `{"address":"h:1"}`).want(201)
	for name, c := range map[string]struct {
		method, path, body, header, value string
		status                            int
		kind                              string
	}{
		"a faulty object":      {"PUT", webBackend, `{"address":"h"}`, "", "", 400, "invalid-object"},
		"a missing pool":       {"PUT", "/v1/pools/none/backends/b", `{"address":"h:1"}`, "", "", 404, "not-found"},
		"an address twice":     {"POST", "/v1/backends", `{"name":"web2","address":"h:1"}`, "", "", 409, "duplicate-address"},
		"a stale revision":     {"PUT", webBackend, `{"address":"h:1","weight":2}`, "If-Match", `"1"`, 412, "precondition-failed"},
		"a name that is taken": {"POST", "/v1/backends", `{"name":"web1","address":"h:2"}`, "", "", 409, "exists"},
		"a pool in use":        {"DELETE", "/v1/pools/default", "", "", "", 409, "in-use"},
	} {
		t.Run(name, func(t *testing.T) {
			var header []string
			if c.header != "" {
				header = []string{c.header, c.value}
			}
			api.send(c.method, c.path+"?dry_run=true", c.body, header...).wantProblem(c.status, c.kind)
		})
	}
}
