package httpapi_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"evenkeel/fsm"
)

// pageOf asks for one page and returns what follows.
func (c *client) pageOf(path string, items *[]map[string]any) (next string, revision float64) {
	got := c.send("GET", path, "").want(200)
	for _, o := range got.items() {
		delete(o, "status")
		*items = append(*items, o)
	}
	next, _ = got.at("next").(string)
	return next, got.at("revision").(float64)
}

// TestPagesAreOfOneRevisionWhateverIsWritten: together they are the list as it was
// when the first of them was read.
func TestPagesAreOfOneRevisionWhateverIsWritten(t *testing.T) {
	for seed := range uint64(15) {
		random := rand.New(rand.NewPCG(seed, 9))
		c := newClient(t)
		write := func(count int) {
			for range count {
				c.cluster.perform(fsm.Command{Actor: "test", Op: drawWrite(random)})
			}
		}
		write(60)
		for _, path := range []string{"/v1/backends", "/v1/pools", "/v1/pools/default/backends", "/v1/backends?pool=p1", "/v1/backends?label=app%3Da", "/v1/routes"} {
			separator := "?"
			if strings.Contains(path, "?") {
				separator = "&"
			}
			var want, got []map[string]any
			_, revision := c.pageOf(path, &want)
			page := path + separator + fmt.Sprint("limit=", 1+random.IntN(4))
			for next := ""; ; write(1 + random.IntN(12)) {
				asked := page
				if next != "" {
					asked += "&page=" + next
				}
				var of float64
				if next, of = c.pageOf(asked, &got); of != revision {
					t.Fatalf("%s is of revision %v, want %v", asked, of, revision)
				}
				if next == "" {
					break
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("seed %d: %s (-list +pages):\n%s", seed, path, diff)
			}
			if answer := c.send("GET", page, ""); fmt.Sprint(answer.at("revision")) != answer.Header.Get("X-Evenkeel-Revision") {
				t.Errorf("header and revision of %s differ", page)
			}
		}
	}
}

func TestTheStatusOfAnOldPageIsOfNow(t *testing.T) {
	c := newClient(t)
	c.cluster.putBackend(t, "default", "a", 1, nil)
	c.cluster.putBackend(t, "default", "b", 1, nil)
	next := c.send("GET", "/v1/backends?limit=1", "").want(200).at("next").(string)
	c.cluster.putBackend(t, "default", "b", 2, nil)
	c.cluster.apply(t, fsm.SetOverride{Pool: "default", Name: "b", Health: fsm.HealthDown})
	got := c.send("GET", "/v1/backends?page="+next, "").want(200).wantHeader("X-Evenkeel-Revision", "3").items()
	spec, status := got[0]["spec"].(map[string]any), got[0]["status"].(map[string]any)
	if len(got) != 1 || spec["weight"] != 1.0 || status["effective"] != "down" {
		t.Errorf("the page has %v", got)
	}
}

func TestAPageThatIsNoneOrOfAnotherListIsRefused(t *testing.T) {
	c := newClient(t)
	c.cluster.putBackend(t, "default", "a", 1, nil)
	c.cluster.putBackend(t, "default", "b", 1, nil)
	next := c.send("GET", "/v1/backends?limit=1", "").want(200).at("next").(string)
	for _, path := range []string{
		"/v1/pools?page=" + next, "/v1/backends?pool=default&page=" + next, "/v1/backends?label=a&page=" + next,
		"/v1/backends?page=" + next + "A", "/v1/backends?page=", "/v1/backends?page=e30", "/v1/backends?page=%00", "/v1/backends?page=" + strings.Repeat("A", 2000),
		"/v1/backends?limit=0", "/v1/backends?limit=10001", "/v1/backends?limit=x", "/v1/backends?limit=",
	} {
		c.send("GET", path, "").wantProblem(400, "invalid-request")
	}
	got := c.send("GET", "/v1/backends?limit=x&page=y&label=%3D&fields=nam,,spec.weigt", "").wantProblem(400, "invalid-request").at("detail").(string)
	for _, part := range []string{`limit "x"`, `page "y"`, "label", `did you mean "name"?`, "a path is empty", `did you mean "spec.weight"?`} {
		if !strings.Contains(got, part) {
			t.Errorf("%q lacks %q", got, part)
		}
	}
}

func TestAPageOfWhatIsForgottenOrNotYetThereIsRefused(t *testing.T) {
	c := newClient(t)
	c.cluster.putBackend(t, "default", "a", 1, nil)
	c.cluster.putBackend(t, "default", "b", 1, nil)
	next := c.send("GET", "/v1/backends?limit=1", "").want(200).at("next").(string)
	synctest.Test(t, func(t *testing.T) {
		other := newClient(t)
		other.send("GET", "/v1/backends?page="+next, "").wantProblem(503, "not-yet")
	})
	forgetFirst(t, c.cluster)
	c.send("GET", "/v1/backends?page="+next, "").wantProblem(410, "compacted")
}

func TestAReadWaitsForTheRevisionThatItAsksFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t)
		c.send("GET", "/v1/pools?min_index=1", "").want(200)
		for path, wait := range map[string]time.Duration{
			"/v1/pools?min_index=2":                     5 * time.Second,
			"/v1/pools/default?min_index=2&timeout=1m":  time.Minute,
			"/v1/cluster?min_index=2&timeout=0s":        0,
			"/v1/health?min_index=2&timeout=2500ms":     2500 * time.Millisecond,
			"/v1/routes/default?min_index=9&timeout=1s": time.Second,
		} {
			begin := time.Now()
			c.send("GET", path, "").wantProblem(503, "not-yet").wantHeader("Retry-After", "1")
			if took := time.Since(begin); took != wait {
				t.Errorf("%s took %s", path, took)
			}
		}
		go func() {
			time.Sleep(40 * time.Second) // synctest's own clock
			c.cluster.putBackend(t, "default", "a", 1, nil)
		}()
		begin := time.Now()
		c.send("GET", "/v1/pools/default/backends/a?min_index=2&timeout=50s", "").want(200).wantHeader("X-Evenkeel-Revision", "2")
		if took := time.Since(begin); took != 40*time.Second {
			t.Errorf("it took %s", took)
		}
	})
	c := newClient(t)
	for query, part := range map[string]string{
		"min_index=x": `min_index "x"`, "min_index=-1": `min_index "-1"`, "min_index=1&timeout=61s": `timeout "61s"`,
		"timeout=1s": "min_index, which is not given", "min_index=1&timeout=1": `timeout "1"`, "min_index=1&timeout=-1s": `timeout "-1s"`,
	} {
		if got := c.send("GET", "/v1/pools?"+query, "").wantProblem(400, "invalid-request").at("detail").(string); !strings.Contains(got, part) {
			t.Errorf("%s: %q lacks %q", query, got, part)
		}
	}
}

func TestAllThatIsWrongWithTheQueryOfAReadIsTold(t *testing.T) {
	c := newClient(t)
	for path, parts := range map[string][]string{
		"/v1/pools?limit=0&label==&min_index=x&timeout=y&consistency=z&fields=a": {"limit", "label", "min_index", "timeout", "consistency", "fields"},
		"/v1/pools/default?fields=a&min_index=x&consistency=z":                   {"fields", "min_index", "consistency"},
		"/v1/cluster?min_index=x&consistency=z":                                  {"min_index", "consistency"},
	} {
		detail := c.send("GET", path, "").wantProblem(400, "invalid-request").at("detail").(string)
		for _, part := range parts {
			if !strings.Contains(detail, part+" \"") {
				t.Errorf("%s: %q lacks %q", path, detail, part)
			}
		}
	}
}

func TestLabelsSelectObjects(t *testing.T) {
	c := newClient(t)
	for name, labels := range map[string]map[string]string{
		"a": nil, "b": {"app": "web"}, "c": {"app": "web", "tier": "1"}, "d": {"app": "mail", "evenkeel.owner": "x"}, "e": {"app": "", "odd key": "a,b (c)"},
	} {
		c.cluster.putBackend(t, "default", name, 1, labels)
	}
	for selector, want := range map[string]string{
		"app=web": "bc", "app==web": "bc", " app = web ": "bc", "app!=web": "ade", "app": "bcde", "!app": "a", "app,!tier": "bde",
		"app in (web,mail)": "bcd", "app in(web)": "bc", "app notin (web, mail)": "ae", "app=": "e", "app=web,tier=1": "c",
		"evenkeel.owner=x": "d", `"odd key"="a,b (c)"`: "e", `"odd key" in ("a,b (c)", x)`: "e", "app in (,x)": "e", "none": "", "in": "", "notin=x": "",
	} {
		var got strings.Builder
		for _, o := range c.send("GET", "/v1/backends?label="+url.QueryEscape(selector), "").want(200).items() {
			got.WriteString(o["name"].(string))
		}
		if got.String() != want {
			t.Errorf("%s selects %q, want %q", selector, got.String(), want)
		}
	}
}

func TestTheFaultOfASelectorNamesItsPlace(t *testing.T) {
	c := newClient(t)
	for selector, part := range map[string]string{
		"":                               "at byte 1: the key of a label is missing",
		"a=b,":                           "at byte 5: the key",
		"a=b,,c":                         "at byte 5: the key",
		"a=b c":                          `at byte 5: "c" where a comma`,
		"a like b":                       `at byte 3: "like" after the key "a" is no operator`,
		"a in b":                         "at byte 6: the values of a set stand in brackets",
		"a in (b":                        "at byte 8: a set needs",
		"a in (b c)":                     "at byte 9: a set needs",
		"!a=b":                           `at byte 3: "=b" where a comma`,
		"!":                              "at byte 2: the key",
		"a=b)":                           `at byte 4: ")"`,
		"a=(b)":                          `at byte 3: "(b)"`,
		"a" + strings.Repeat(",a", 80):   "more than 64 requirements",
		"a=" + strings.Repeat("x", 5000): "has 5002 bytes",
	} {
		got := c.send("GET", "/v1/backends?label="+url.QueryEscape(selector), "").wantProblem(400, "invalid-request").at("detail").(string)
		if !strings.Contains(got, part) {
			t.Errorf("%q: %q lacks %q", selector, got, part)
		}
	}
}

func TestFieldsCutObjects(t *testing.T) {
	c := newClient(t)
	c.checked = false // such an answer lacks what the schema requires
	c.cluster.putBackend(t, "default", "a", 3, map[string]string{"x.y": "1", "z": "2"})
	for fields, want := range map[string]string{
		"name":                        `{"name":"a"}`,
		"spec.weight,name":            `{"spec":{"weight":3},"name":"a"}`,
		"name, spec.zone":             `{"name":"a","spec":{}}`,
		"labels.x.y":                  `{"labels":{"x.y":"1"}}`,
		"labels.none,pool":            `{"labels":{},"pool":"default"}`,
		"labels,labels.z":             `{"labels":{"x.y":"1","z":"2"}}`,
		"labels.z,labels":             `{"labels":{"x.y":"1","z":"2"}}`,
		"status.health,status.votes":  `{"status":{"health":"unknown","votes":[]}}`,
		"status.votes.node,name,name": `{"status":{"votes":[]},"name":"a"}`,
		"meta.revision,spec.address":  `{"meta":{"revision":2},"spec":{"address":"a.default:1"}}`,
		"status.override.reason":      `{"status":{}}`,
	} {
		query := "?fields=" + url.QueryEscape(fields)
		if got := strings.TrimSpace(c.send("GET", "/v1/pools/default/backends/a"+query, "").want(200).body); got != want {
			t.Errorf("%s: %s, want %s", fields, got, want)
		}
		var list struct{ Items []json.RawMessage }
		if err := json.Unmarshal([]byte(c.send("GET", "/v1/backends"+query, "").want(200).body), &list); err != nil {
			t.Fatal(err)
		}
		if len(list.Items) != 1 || string(list.Items[0]) != want {
			t.Errorf("%s: the list has %s", fields, list.Items)
		}
	}
	c.send("GET", "/v1/listeners?fields=status.nodes.n1.state,spec.limits", "").want(200)
	c.send("GET", "/v1/routes?fields=spec.match,spec.pools.name", "").want(200)
}

func TestTheFaultOfAFieldSaysWhatIsThere(t *testing.T) {
	c := newClient(t)
	for fields, part := range map[string]string{
		"":                          "a path is empty",
		"nmae":                      `did you mean "name"?`,
		"spec.adress":               `did you mean "spec.address"?`,
		"spec.nothing":              `"spec" has address, weight`,
		"nothing":                   "an object has pool, name, labels, spec, status, meta",
		"name.x":                    `"name" has no fields of its own`,
		"spec.":                     "it ends with a dot",
		".spec":                     "there is no such field",
		"spec..weight":              `"spec" has address`,
		"status.votes.nood":         `did you mean "status.votes.node"?`,
		strings.Repeat("name,", 70): "71 paths",
		strings.Repeat("x", 5000):   "5000 bytes",
	} {
		got := c.send("GET", "/v1/backends?fields="+url.QueryEscape(fields), "").wantProblem(400, "invalid-request").at("detail").(string)
		if !strings.Contains(got, part) {
			t.Errorf("%q: %q lacks %q", fields, got, part)
		}
	}
}

// FuzzReadQuery has every parameter of a list taken or refused, and no more.
func FuzzReadQuery(f *testing.F) {
	c := newClient(f)
	c.checked = false
	c.cluster.putBackend(f, "default", "a", 1, map[string]string{"x": "y"})
	c.cluster.putBackend(f, "default", "b", 1, nil)
	next := c.send("GET", "/v1/backends?limit=1", "").at("next").(string)
	f.Add(`x in ("y",z),!w`, "name,labels.x", "1", next)
	f.Add("a==b", "status.votes.node", "10", "e30")
	f.Add(`"\q`, "spec..", "-", "")
	f.Fuzz(func(t *testing.T, label, fields, limit, page string) {
		query := url.Values{"label": {label}, "fields": {fields}, "limit": {limit}}
		if page != "" {
			query.Set("page", page)
		}
		own := *c
		own.TB = t
		got := own.send("GET", "/v1/backends?"+query.Encode(), "")
		if got.StatusCode != 200 {
			if got.StatusCode != 400 && got.StatusCode != 410 {
				t.Errorf("status %d: %s", got.StatusCode, got.body)
			}
			return
		}
		if !json.Valid([]byte(got.body)) {
			t.Errorf("body %q", got.body)
		}
	})
}
