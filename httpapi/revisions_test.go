package httpapi_test

import (
	"fmt"
	"strings"
	"testing"

	"evenkeel/fsm"
)

// write sends a PUT and returns the revision that it made.
func (c *client) write(path, body string, header ...string) uint64 {
	c.Helper()
	got := c.send("PUT", path, body, header...)
	if got.StatusCode != 200 && got.StatusCode != 201 {
		c.Fatalf("PUT %s: %d %s", path, got.StatusCode, got.body)
	}
	return c.cluster.State().Revision()
}

// ids returns the members of that name of all items.
func (a answer) all(member string) string {
	a.Helper()
	var values []string
	for _, item := range a.items() {
		values = append(values, fmt.Sprint(item[member]))
	}
	return strings.Join(values, " ")
}

func TestTheHistoryIsListedFromTheNewestOn(t *testing.T) {
	c := newClient(t)
	c.write("/v1/pools/web", `{}`, "X-Evenkeel-Reason", "a shop") // 2
	c.write("/v1/pools/web/backends/a", `{"address":"h:1"}`)      // 3
	c.write("/v1/pools/web/backends/a", `{"address":"h:1","weight":2}`)
	c.write("/v1/pools/web/backends/b", `{"address":"h:2"}`)
	c.send("DELETE", "/v1/pools/web/backends/a", "").want(204)
	for name, w := range map[string]struct{ query, revisions, next string }{
		"all":                         {"", "6 5 4 3 2 1", "<nil>"},
		"a page":                      {"?limit=2", "6 5", "5"},
		"the next page":               {"?limit=2&before=5", "4 3", "3"},
		"the last page":               {"?limit=2&before=3", "2 1", "<nil>"},
		"after one":                   {"?after=4", "6 5", "<nil>"},
		"a page after one":            {"?after=3&limit=2", "6 5", "5"},
		"of one object":               {"?kind=backend&pool=web&name=a", "6 4 3", "<nil>"},
		"of a kind":                   {"?kind=pool", "2 1", "<nil>"},
		"of who has no address":       {"?actor=anonymous", "6 5 4 3 2", "<nil>"},
		"of who calls from there":     {"?actor=anonymous@192.0.2.1&limit=1", "6", "6"},
		"of somebody else":            {"?actor=anon", "", "<nil>"},
		"before the beginning":        {"?before=1", "", "<nil>"},
		"before what is yet to come":  {"?before=900&limit=1", "6", "6"},
		"after what is yet to come":   {"?after=900", "", "<nil>"},
		"what is committed by now":    {"?consistency=linearizable&limit=1", "6", "6"},
		"of one that never was there": {"?name=nobody", "", "<nil>"},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.send("GET", "/v1/revisions"+w.query, "").want(200)
			if got.all("revision") != w.revisions || fmt.Sprint(got.at("next")) != w.next {
				t.Errorf("revisions %s, next %v", got.all("revision"), got.at("next"))
			}
			got.wantAt(float64(6), "revision").wantAt(float64(0), "oldest")
		})
	}
	newest := c.send("GET", "/v1/revisions?limit=1", "").items()[0]
	if newest["kind"] != "delete" || newest["count"] != 1.0 || fmt.Sprint(newest["objects"]) != "[map[action:delete kind:backend name:a pool:web]]" {
		t.Errorf("the newest is %v", newest)
	}
	if got := c.send("GET", "/v1/revisions/2", "").wantAt("a shop", "reason").wantAt("anonymous@192.0.2.1", "actor"); got.at("time") == "" {
		t.Errorf("it has no time: %s", got.body)
	}
}

func TestFaultyQueriesOfTheHistoryAreRefused(t *testing.T) {
	c := newClient(t)
	for query, text := range map[string]string{
		"limit=0":                     `limit "0" is not a number from 1 to 500`,
		"limit=501":                   `limit "501"`,
		"limit=":                      `limit ""`,
		"before=x&after=-1":           `before "x" is not a number`,
		"after=-1":                    `after "-1" is not a number from 0`,
		"kind=node":                   `kind "node" is not one of listener`,
		"name=":                       `name is empty`,
		"since=1":                     `"since" is not known here`,
		"before=18446744073709551615": "before",
	} {
		if got := c.send("GET", "/v1/revisions?"+query, "").wantProblem(400, "invalid-request"); !strings.Contains(got.body, strings.ReplaceAll(text, `"`, `\"`)) {
			t.Errorf("%s: %s", query, got.body)
		}
	}
	for _, path := range []string{"/v1/revisions/x", "/v1/revisions/0", "/v1/revisions/-1", "/v1/revisions/99999999999999999999", "/v1/revisions/1/diff/now", "/v1/revisions/0/diff/1"} {
		c.send("GET", path, "").wantProblem(400, "invalid-request")
	}
	for _, path := range []string{"/v1/revisions/2", "/v1/revisions/1/diff/2", "/v1/revisions/2/diff/current", "/v1/revisions/9223372036854775807"} {
		c.send("GET", path, "").wantProblem(404, "not-found")
	}
}

func TestTwoRevisionsAreCompared(t *testing.T) {
	c := newClient(t)
	first := c.write("/v1/pools/web", `{}`)
	c.write("/v1/pools/web/backends/a", `{"address":"h:1"}`)
	c.write("/v1/pools/web/backends/b", `{"address":"h:2"}`)
	c.write("/v1/pools/web/backends/a", `{"address":"h:1","weight":7}`)
	last := c.write("/v1/pools/web/backends/b", `{"address":"h:2","weight":1}`) // as it is
	for name, w := range map[string]struct{ path, want string }{
		"forth":         {fmt.Sprintf("/v1/revisions/%d/diff/%d", first, last), "create backend web/a, create backend web/b"},
		"to the newest": {fmt.Sprintf("/v1/revisions/%d/diff/current", first+1), "update backend web/a /spec/weight 1 7, create backend web/b"},
		"back":          {fmt.Sprintf("/v1/revisions/%d/diff/%d", last, first+1), "update backend web/a /spec/weight 7 1, delete backend web/b"},
		"with itself":   {fmt.Sprintf("/v1/revisions/%d/diff/%d", last, last), ""},
		"one of them":   {fmt.Sprintf("/v1/revisions/%d", last), "update backend web/a /spec/weight 1 7"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.send("GET", w.path, "").want(200).changes(); got != w.want {
				t.Errorf("%s, want %s", got, w.want)
			}
		})
	}
	c.send("GET", fmt.Sprintf("/v1/revisions/%d/diff/current", first), "").wantAt(float64(first), "from").wantAt(float64(last), "revision")
}

// changes sums up the changes of a body.
func (a answer) changes() string {
	a.Helper()
	list, ok := a.at("changes").([]any)
	if !ok {
		a.Fatalf("there are no changes: %s", a.body)
	}
	var texts []string
	for _, one := range list {
		change := one.(map[string]any)
		name := change["name"].(string)
		if pool, has := change["pool"].(string); has {
			name = pool + "/" + name
		}
		text := fmt.Sprint(change["action"], " ", change["kind"], " ", name)
		fields, _ := change["fields"].([]any)
		for _, field := range fields {
			f := field.(map[string]any)
			text += fmt.Sprint(" ", f["pointer"], " ", f["before"], " ", f["after"])
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}

func TestWhatIsForgottenIsGone(t *testing.T) {
	c := newClient(t)
	for i := range 4200 { // the journal holds 4,096
		c.cluster.apply(t, weighted("a", i%2+1))
	}
	oldest := c.cluster.State().OldestRevision()
	list := c.send("GET", "/v1/revisions?limit=500", "").want(200).wantAt(float64(oldest), "oldest")
	pages := 0
	for next := list.at("next"); next != nil; pages++ {
		list = c.send("GET", fmt.Sprintf("/v1/revisions?limit=500&before=%.0f", next), "").want(200)
		next = list.at("next")
	}
	items := list.items()
	if last := items[len(items)-1]["revision"]; last != float64(oldest+1) || pages != 8 {
		t.Errorf("after %d pages the last one is %v, and the oldest %d", pages, last, oldest)
	}
	named := fmt.Sprintf("known from revision %d on", oldest)
	for _, path := range []string{
		fmt.Sprintf("/v1/revisions/%d", oldest), "/v1/revisions/1",
		fmt.Sprintf("/v1/revisions/%d/diff/current", oldest-1), fmt.Sprintf("/v1/revisions/%d/diff/%d", oldest+5, oldest-1),
	} {
		if got := c.send("GET", path, "").wantProblem(410, "compacted"); !strings.Contains(got.body, named) {
			t.Errorf("%s: %s", path, got.body)
		}
	}
	c.send("GET", fmt.Sprintf("/v1/revisions/%d/diff/current", oldest), "").want(200)
	c.send("POST", "/v1/rollback", `{"to":1}`).wantProblem(410, "compacted")
}

func weighted(name string, weight int) fsm.Put {
	spec := fsm.BackendSpec{}
	spec.SetDefaults()
	spec.Address, spec.Weight = name+".example:1", weight
	return fsm.Put{Pool: "default", Name: name, Spec: spec}
}

func TestTheHashOfATokenIsInNoHistory(t *testing.T) {
	c := newClient(t)
	const hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	token := func(role fsm.Role) fsm.Put {
		return fsm.Put{Name: "ci", Spec: fsm.TokenSpec{Role: role, Hash: hash}}
	}
	c.cluster.apply(t, token(fsm.RoleEditor))
	c.cluster.apply(t, token(fsm.RoleViewer))
	c.cluster.apply(t, fsm.Delete{Ref: fsm.Ref{Kind: fsm.KindToken, Name: "ci"}})
	for _, path := range []string{"/v1/revisions", "/v1/revisions/2", "/v1/revisions/3", "/v1/revisions/4", "/v1/revisions/1/diff/3", "/v1/revisions/3/diff/1"} {
		if got := c.send("GET", path, "").want(200); strings.Contains(got.body, hash[:16]) || !strings.Contains(got.body, `"ci"`) {
			t.Errorf("%s: %s", path, got.body)
		}
	}
}

// A restored snapshot can change every object at once: the answer tells the first
// with all that changed, then their names alone.
func TestAnAnswerAboutManyChangesIsBounded(t *testing.T) {
	c := newClient(t)
	before := c.cluster.State().Revision()
	for part := range 2 {
		var steps []fsm.Step
		for i := range 15_000 {
			put := weighted(fmt.Sprintf("b%d", part*15_000+i), 1)
			steps = append(steps, fsm.Step{Put: &put})
		}
		c.cluster.apply(t, fsm.Txn{Steps: steps})
	}
	c.checked = false // the body is large
	got := c.send("GET", fmt.Sprintf("/v1/revisions/%d/diff/current", before), "").want(200)
	list := got.at("changes").([]any)
	if len(list) != 20_000 || len(got.body) > 8<<20 {
		t.Errorf("%d changes in %d bytes", len(list), len(got.body))
	}
	got.wantAt(10_000.0, "left_off").wantAt(19_000.0, "brief")
	first, last := list[999].(map[string]any), list[1000].(map[string]any)
	if first["after"] == nil || last["after"] != nil || last["action"] != "create" {
		t.Errorf("the last with its object is %v, and the next %v", first, last)
	}
}

func TestLargeObjectsAreToldWithinTheBound(t *testing.T) {
	c := newClient(t)
	labels := map[string]string{}
	for i := range 32 {
		labels[fmt.Sprintf("%060d", i)] = strings.Repeat("x", 63)
	}
	var steps []fsm.Step
	for i := range 2000 {
		put := weighted(fmt.Sprintf("b%d", i), 1)
		put.Labels = labels
		steps = append(steps, fsm.Step{Put: &put})
	}
	c.cluster.apply(t, fsm.Txn{Steps: steps})
	c.checked = false
	got := c.send("GET", "/v1/revisions/2", "").want(200)
	if len(got.body) > 5<<20 || got.at("brief") == nil || got.at("left_off") != nil || got.at("count") != 2000.0 {
		t.Errorf("%d bytes, %v brief, %v left off", len(got.body), got.at("brief"), got.at("left_off"))
	}
}
