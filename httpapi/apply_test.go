package httpapi_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"evenkeel/cluster"
	"evenkeel/fsm"
)

const shop = `owner: shop
pools:
- name: web
  backends:
  - name: a
    address: h:1
    labels: {rack: r1}
  - name: b
    address: h:2
    weight: 3
routes:
- name: web
  match: {host: shop.example}
  pools: [{name: web}]
`

func TestAManifestIsAppliedAtOneRevision(t *testing.T) {
	c := newClient(t)
	const made = "create pool web, create route web, create backend web/a, create backend web/b"
	tried := c.send("POST", "/v1/apply?dry_run=true", shop).want(200).wantAt(1.0, "revision").wantAt("shop", "owner").wantAt(0.0, "unchanged")
	if tried.changes() != made || c.cluster.State().Revision() != 1 {
		t.Errorf("it would change %s", tried.body)
	}
	if got := c.send("POST", "/v1/apply", shop, "X-Evenkeel-Reason", "open the shop").want(200).wantAt(2.0, "revision"); got.changes() != made {
		t.Errorf("it changed %s", got.body)
	}
	c.send("GET", "/v1/revisions/2", "").wantAt("open the shop", "reason").wantAt(4.0, "count").wantAt("txn", "kind")
	got := c.send("POST", "/v1/apply?prune=true", shop).want(200).wantAt(2.0, "revision").wantAt(4.0, "unchanged")
	if got.changes() != "" || c.cluster.State().Revision() != 2 {
		t.Errorf("once more it changed %s", got.body)
	}
}

func TestWhatIsWrittenOtherwiseMeansTheSame(t *testing.T) {
	asJSON := `{"owner":"shop","pools":[{"name":"web","backends":[{"name":"a","address":"h:1","labels":{"rack":"r1"}},{"name":"b","spec":{"address":"h:2","weight":3}}]}],
		"routes":[{"name":"web","match":{"host":"shop.example"},"pools":[{"name":"web"}]}]}`
	for name, w := range map[string]struct {
		body, path string
		header     []string
	}{
		"YAML by its type":                 {shop, "", []string{"Content-Type", "application/yaml; charset=utf-8"}},
		"YAML as text":                     {shop, "", []string{"Content-Type", "text/yaml"}},
		"YAML as curl sends it":            {shop, "", []string{"Content-Type", "application/x-www-form-urlencoded"}},
		"JSON by its type":                 {asJSON, "", []string{"Content-Type", "application/json"}},
		"JSON without a type":              {asJSON, "", nil},
		"JSON, which is YAML too":          {asJSON, "", []string{"Content-Type", "application/x-yaml"}},
		"with the owner beside it":         {strings.TrimPrefix(shop, "owner: shop\n"), "?owner=shop", nil},
		"with the owner in both":           {shop, "?owner=shop&prune=true", nil},
		"YAML with an end and a byte mark": {"\ufeff---\n" + shop + "...\n", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t)
			c.send("POST", "/v1/apply", shop).want(200)
			if got := c.send("POST", "/v1/apply"+w.path, w.body, w.header...).want(200).wantAt(4.0, "unchanged").wantAt(2.0, "revision"); got.changes() != "" {
				t.Errorf("it is another: %s", got.body)
			}
		})
	}
}

func TestPruningDeletesWhatTheOwnerHasNoMore(t *testing.T) {
	c := newClient(t)
	c.send("POST", "/v1/apply", shop).want(200)
	c.write("/v1/pools/web/backends/mine", `{"address":"h:9"}`)
	c.send("POST", "/v1/apply", "owner: other\npools: [{name: others}]").want(200)
	less := strings.Replace(shop, "  - name: b\n    address: h:2\n    weight: 3\n", "", 1)
	if got := c.send("POST", "/v1/apply", less).want(200); got.changes() != "" {
		t.Errorf("without prune: %s", got.changes())
	}
	if got := c.send("POST", "/v1/apply?prune=true", less).want(200); got.changes() != "delete backend web/b" {
		t.Errorf("with prune: %s", got.changes())
	}
	got := c.send("POST", "/v1/apply?prune=true", "owner: shop\npools: []").wantProblem(409, "in-use")
	if !strings.Contains(got.body, "backend web/mine needs it") {
		t.Errorf("%s", got.body)
	}
	c.send("DELETE", "/v1/pools/web/backends/mine", "").want(204)
	if got := c.send("POST", "/v1/apply?prune=true", "owner: shop\npools: []").want(200); got.changes() != "delete backend web/a, delete route web, delete pool web" {
		t.Errorf("all of it: %s", got.changes())
	}
	c.send("POST", "/v1/apply?prune=true", "pools: [{name: p}]").wantProblem(400, "invalid-object")
}

func TestAFaultyManifestIsRefusedWithLineAndColumn(t *testing.T) {
	c := newClient(t)
	for name, w := range map[string]struct {
		body, pointer, message string
		line, column           float64
	}{
		"a tab":                    {"pools:\n\t- name: p", "", "tab", 2, 1},
		"an unknown field":         {"pools:\n- name: p\n  colour: red", "/pools/0/colour", `"colour" is not a known field`, 3, 3},
		"a key given twice":        {"pools:\n- name: p\n  name: q", "/pools/0/name", "", 3, 3},
		"a value out of its range": {"pools:\n- name: p\n  backends:\n  - {name: b, address: 'h:1', weight: 5000}", "/pools/0/backends/0/weight", "5000", 4, 31},
		"an alias":                 {"pools: &a\n- *a", "/pools/0", "", 2, 3},
		"a pool that is not there": {"backends:\n- name: b\n  pool: none\n  address: h:1", "/backends/0/pool", "pool none does not exist", 3, 3},
		"JSON with a comma":        {"{\n \"pools\": [],\n}", "", "", 3, 1},
		"JSON of another field":    {"{\n \"pols\": []\n}", "/pols", `did you mean "pools"`, 2, 2},
		"two owners":               {"owner: a\n---\nowner: b", "/owner", "", 3, 1},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.send("POST", "/v1/apply", w.body).wantProblem(400, "invalid-object")
			fault := got.at("faults").([]any)[0].(map[string]any)
			if fault["pointer"] != w.pointer || fault["line"] != w.line || fault["column"] != w.column || !strings.Contains(fault["message"].(string), w.message) {
				t.Errorf("fault %v", fault)
			}
		})
	}
	if c.cluster.State().Revision() != 1 {
		t.Error("something was written")
	}
	got := c.send("POST", "/v1/apply", "pools:\n- {name: A}\n- {name: b, colour: red}\nbackends:\n- {name: c, address: h}").wantProblem(400, "invalid-object")
	if len(got.at("faults").([]any)) != 3 {
		t.Errorf("not all faults are told: %s", got.body)
	}
}

func TestARefusalOfTheRegistryHasItsPlaceInTheManifest(t *testing.T) {
	c := newClient(t)
	c.write("/v1/pools/default/backends/a", `{"address":"h:1"}`)
	got := c.send("POST", "/v1/apply", "pools:\n- name: default\n  backends:\n  - name: b\n    address: h:1").wantProblem(409, "duplicate-address")
	fault := got.at("faults").([]any)[0].(map[string]any)
	if fault["line"] != 5.0 || fault["column"] != 5.0 || fault["pointer"] != "/pools/0/backends/0/address" || fault["code"] != "duplicate" {
		t.Errorf("fault %v", fault)
	}
}

func TestRequestsThatAreNoApplyAreRefused(t *testing.T) {
	c := newClient(t)
	for path, text := range map[string]string{
		"?prune=yes":             `prune "yes"`,
		"?owner=":                "owner is empty",
		"?owner=" + long(300):    "cannot be the value of a label",
		"?prune=true&dry_run=no": `dry_run "no"`,
		"?file=x":                `"file" is not known here`,
	} {
		if got := c.send("POST", "/v1/apply"+path, shop).wantProblem(400, "invalid-request"); !strings.Contains(got.body, strings.ReplaceAll(text, `"`, `\"`)) {
			t.Errorf("%s: %s", path, got.body)
		}
	}
	c.send("POST", "/v1/apply", shop, "If-None-Match", "*").wantProblem(400, "invalid-request")
	c.send("POST", "/v1/apply", shop, "Content-Type", "image/png").wantProblem(415, "unsupported-media-type")
	c.send("POST", "/v1/apply", shop, "Content-Type", "multipart/form-data; boundary=x").wantProblem(415, "unsupported-media-type")
	c.send("POST", "/v1/apply", shop, "Content-Encoding", "gzip").wantProblem(415, "unsupported-encoding")
	c.send("POST", "/v1/apply", "").wantProblem(400, "invalid-object")
	c.send("POST", "/v1/apply", strings.Repeat("#", 17<<20)).wantProblem(413, "body-too-large")
	c.send("POST", "/v1/apply?owner=a", shop).wantProblem(400, "invalid-object")
	if c.cluster.State().Revision() != 1 {
		t.Error("something was written")
	}
	c.cluster.readIndex = func() error { return cluster.ErrNoQuorum }
	got := c.send("POST", "/v1/apply", shop).wantProblem(503, "no-quorum").wantHeader("Retry-After", "1")
	if !strings.Contains(got.body, "nothing was changed") {
		t.Errorf("%s", got.body)
	}
}

func long(n int) string { return strings.Repeat("x", n) }

func TestAWriteInBetweenHasAnApplyPlannedAnew(t *testing.T) {
	c := newClient(t)
	c.send("POST", "/v1/apply", shop).want(200)
	more := strings.Replace(shop, "weight: 3", "weight: 4", 1)
	attempts := 0
	c.cluster.propose = func(op fsm.Operation) (fsm.Result, error) {
		if attempts++; attempts == 1 { // somebody has just done the same
			put := weighted("b", 4)
			put.Pool, put.Labels = "web", map[string]string{"evenkeel.owner": "shop"}
			put.Spec = fsm.BackendSpec{Address: "h:2", Weight: 4, AdminState: fsm.AdminReady}
			c.cluster.apply(t, put)
		}
		return c.cluster.perform(fsm.Command{Actor: "test", Op: op}), nil
	}
	if got := c.send("POST", "/v1/apply", more).want(200).wantAt(4.0, "unchanged"); attempts != 1 || got.changes() != "" {
		t.Errorf("%d attempts: %s", attempts, got.body)
	}
}

func TestAnApplyIsMadeOnceUnderItsKey(t *testing.T) {
	c := newClient(t)
	first := c.send("POST", "/v1/apply", shop, "Idempotency-Key", "k").want(200)
	c.send("DELETE", "/v1/routes/web", "").want(204)
	again := c.send("POST", "/v1/apply", shop, "Idempotency-Key", "k").want(200).wantHeader("Idempotency-Replayed", "true").wantAt(first.at("revision"), "revision")
	if again.changes() != first.changes() || c.cluster.State().Route("web") != nil {
		t.Errorf("first %s, then %s", first.changes(), again.changes())
	}
	c.send("POST", "/v1/apply", shop+"listeners: []\n", "Idempotency-Key", "k").wantProblem(422, "key-reused")
}

func TestAnUnconfirmedApplyIsUndone(t *testing.T) {
	c := newClient(t)
	before := registry(t, c.cluster.State())
	c.send("POST", "/v1/apply?confirm_within=30s", shop).want(200)
	c.send("POST", "/v1/apply", strings.Replace(shop, "weight: 3", "weight: 4", 1)).wantProblem(409, "unconfirmed")
	if got := c.send("POST", "/v1/revisions/2/undo", "").want(200).wantAt(3.0, "revision"); len(got.at("changes").([]any)) != 4 {
		t.Errorf("undone: %s", got.changes())
	}
	if diff := cmp.Diff(before, registry(t, c.cluster.State())); diff != "" {
		t.Error("(-before +after):\n" + diff)
	}
}

func TestALimitedTokenAppliesWhatBearsItsLabels(t *testing.T) {
	c := limitedClient(t)
	const mine = "owner: a\npools: [{name: new, labels: {team: a}, backends: [{name: x, address: 'h:1', labels: {team: a}}]}]"
	c.as("viewers-of-a", "POST", "/v1/apply", mine).wantProblem(403, "forbidden")
	c.as("editors-of-a", "POST", "/v1/apply", mine).want(200)
	for name, body := range map[string]string{
		"without the label":      "pools: [{name: q}]",
		"with another":           "pools: [{name: q, labels: {team: b}}]",
		"of others, as it is":    "pools: [{name: pool-b, labels: {team: b}}]",
		"of others, taken over":  "pools: [{name: pool-b, labels: {team: a}}]",
		"with one that is right": "pools: [{name: q, labels: {team: a}}, {name: pool-b, labels: {team: a}}]",
	} {
		for _, query := range []string{"", "?dry_run=true"} {
			got := c.as("editors-of-a", "POST", "/v1/apply"+query, body).wantProblem(403, "forbidden")
			if strings.Contains(got.body, `"spec"`) {
				t.Errorf("%s: %s", name, got.body)
			}
		}
	}
	// Others' objects of the same owner are not pruned.
	c.as("editors", "POST", "/v1/apply", "owner: a\npools: [{name: others, labels: {team: b}}]").want(200)
	got := c.as("editors-of-a", "POST", "/v1/apply?prune=true", "owner: a\npools: [{name: new, labels: {team: a}}]").want(200)
	if got.changes() != "delete backend new/x" || c.cluster.State().Pool("others") == nil {
		t.Errorf("pruned: %s", got.changes())
	}
	c.as("editors", "PUT", "/v1/pools/new/backends/hidden", `{"address":"h:7","labels":{"team":"b"}}`).want(201)
	got = c.as("editors-of-a", "POST", "/v1/apply?prune=true", "owner: a\npools: []").wantProblem(409, "in-use")
	if strings.Contains(got.body, "hidden") {
		t.Errorf("it tells of others' objects: %s", got.body)
	}
}

func TestAnApplyOfMoreThanACommandTakesIsRefused(t *testing.T) {
	c := newClient(t)
	c.checked = false
	var body strings.Builder
	body.WriteString("pools:\n")
	random := rand.New(rand.NewPCG(1, 2)) // what cannot be packed
	for i := range 4000 {
		fmt.Fprintf(&body, "- {name: p%d, labels: {", i)
		for j := range 12 {
			fmt.Fprintf(&body, "l%d: x%016x%016x%016x, ", j, random.Uint64(), random.Uint64(), random.Uint64())
		}
		body.WriteString("}}\n")
	}
	if got := c.send("POST", "/v1/apply?dry_run=true", body.String()).wantProblem(413, "body-too-large"); !strings.Contains(got.body, "when encoded") {
		t.Errorf("%s", got.body)
	}
}
