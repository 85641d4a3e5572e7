package httpapi_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"evenkeel/fsm"
)

func TestAnExportIsAManifest(t *testing.T) {
	c := newClient(t)
	c.send("POST", "/v1/apply", shop).want(200)
	for name, w := range map[string]struct {
		query, accept, contentType string
		has, lacks                 string
	}{
		"all in YAML":             {"", "", "application/yaml", "address: h:1", `"address"`},
		"all in JSON":             {"?format=json", "", "application/json", `"address": "h:1"`, ""},
		"JSON for who accepts it": {"", "application/json", "application/json", `"address": "h:1"`, ""},
		"of an owner":             {"?owner=shop", "", "application/yaml", "shop.example", "listeners:"},
		"of nobody":               {"?owner=nobody", "", "application/yaml", "{}", "name"},
		"of a kind":               {"?kind=route", "", "application/yaml", "shop.example", "h:1"},
		"of two kinds":            {"?kind=backend,listener", "", "application/yaml", "h:1", "shop.example"},
		"of labels":               {"?label=rack=r1", "", "application/yaml", "h:1", "h:2"},
		"linearizable":            {"?consistency=linearizable", "", "application/yaml", "h:1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.send("GET", "/v1/export"+w.query, "", "Accept", w.accept).want(200).wantHeader("Content-Type", w.contentType).wantHeader("X-Evenkeel-Revision", "2")
			if !strings.Contains(got.body, w.has) || w.lacks != "" && strings.Contains(got.body, w.lacks) {
				t.Errorf("%s", got.body)
			}
		})
	}
	for _, query := range []string{"format=xml", "kind=token", "kind=", "kind=pool,", "owner=", "label=", "label=!", "name=a"} {
		c.send("GET", "/v1/export?"+query, "").wantProblem(400, "invalid-request")
	}
}

func TestAnExportHoldsNoTokenAndNothingUnseen(t *testing.T) {
	c := limitedClient(t)
	if got := c.as("admins", "GET", "/v1/export", "").want(200); strings.Contains(got.body, "token") || strings.Contains(got.body, "hash") || !strings.Contains(got.body, "web-b") {
		t.Errorf("%s", got.body)
	}
	got := c.as("viewers-of-a", "GET", "/v1/export", "").want(200)
	if strings.Contains(got.body, "web-b") || strings.Contains(got.body, "pool-b") || !strings.Contains(got.body, "web-a") || strings.Contains(got.body, "listeners") {
		t.Errorf("%s", got.body)
	}
	if got := c.as("editors-of-a", "POST", "/v1/apply", got.body).want(200); got.changes() != "" {
		t.Errorf("to apply it changes %s", got.changes())
	}
}

func TestAnExportThatNobodyCouldApplyIsRefused(t *testing.T) {
	c := newClient(t)
	for part := range 2 {
		var steps []fsm.Step
		for i := range 10_001 {
			put := weighted(fmt.Sprintf("b%d", part*10_001+i), 1)
			steps = append(steps, fsm.Step{Put: &put})
		}
		c.cluster.apply(t, fsm.Txn{Steps: steps})
	}
	if got := c.send("GET", "/v1/export", "").wantProblem(400, "invalid-request"); !strings.Contains(got.body, "20000 objects") {
		t.Errorf("%s", got.body)
	}
	c.send("GET", "/v1/export?kind=pool", "").want(200)
}

// Whatever is in the registry, to apply an export of it changes nothing, and to
// apply it to another registry makes that one the same.
func TestToApplyAnExportChangesNothing(t *testing.T) {
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		c := newClient(outer)
		c.checked = false
		text := rapid.StringMatching(`[a-zA-Z0-9:#&*!|>'"%@ ~{}\[\],.-]{0,12}`)
		label := func() string {
			return fmt.Sprintf(`"labels":{"team":%q,"n":%q}`, rapid.StringMatching(`[a-z0-9]{1,5}|true|null|~|0x1f|1e3|[0-9]{3}|yes|\.5`).Draw(t, "label"), text.Draw(t, "text"))
		}
		for i := range rapid.IntRange(0, 4).Draw(t, "pools") {
			strategy := rapid.SampledFrom([]string{"random", "least_connections", "maglev", "weighted_round_robin"}).Draw(t, "strategy")
			c.send("PUT", fmt.Sprintf("/v1/pools/p%d", i), fmt.Sprintf(`{%s,"strategy":%q,"check":{"type":"http","path":%q,"headers":{"A":%q}},"retries":{"attempts":%d}}`,
				label(), strategy, "/"+text.Draw(t, "path"), text.Draw(t, "header"), rapid.IntRange(1, 5).Draw(t, "attempts")))
			for j := range rapid.IntRange(0, 3).Draw(t, "backends") {
				c.send("PUT", fmt.Sprintf("/v1/pools/p%d/backends/%d", i, j), fmt.Sprintf(`{"address":"h:%d","weight":%d,"zone":%q,%s}`,
					j+1, rapid.IntRange(0, 9).Draw(t, "weight"), rapid.SampledFrom([]string{"", "no", "1", "null"}).Draw(t, "zone"), label()))
			}
			c.send("PUT", fmt.Sprintf("/v1/routes/r%d", i), fmt.Sprintf(`{"pools":[{"name":"p%d"}],"match":{"host":"h%d.example","path":{"prefix":%q}},"priority":%d}`,
				i, i, "/"+text.Draw(t, "prefix"), rapid.IntRange(-3, 3).Draw(t, "priority")))
		}
		format := rapid.SampledFrom([]string{"yaml", "json"}).Draw(t, "format")
		file := c.send("GET", "/v1/export?format="+format, "")
		before := c.cluster.State().Revision()
		if got := c.send("POST", "/v1/apply", file.body); got.StatusCode != 200 || c.cluster.State().Revision() != before {
			t.Fatalf("%d %s\n%s", got.StatusCode, got.body, file.body)
		}
		other := newClient(outer)
		other.checked = false
		if got := other.send("POST", "/v1/apply", file.body); got.StatusCode != 200 {
			t.Fatalf("%d %s\n%s", got.StatusCode, got.body, file.body)
		}
		if diff := cmp.Diff(registry(outer, c.cluster.State()), registry(outer, other.cluster.State())); diff != "" {
			t.Fatalf("(-exported +applied):\n%s%s", diff, file.body)
		}
	})
}
