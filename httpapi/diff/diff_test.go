package diff_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"evenkeel/fsm"
	"evenkeel/httpapi/diff"
)

func backend(change func(*fsm.Backend)) *fsm.Backend {
	b := &fsm.Backend{Pool: "web", Name: "a", Labels: map[string]string{"rack": "1"}, Meta: fsm.Meta{Revision: 7}}
	b.Spec.SetDefaults()
	b.Spec.Address = "10.0.0.1:80"
	b.Status.Health = fsm.HealthUp
	if change != nil {
		change(b)
	}
	return b
}

func route(change func(*fsm.RouteSpec)) *fsm.Route {
	r := &fsm.Route{Name: "r", Spec: fsm.RouteSpec{Pools: []fsm.WeightedPool{{Name: "a", Weight: 1}, {Name: "b", Weight: 1}}}}
	change(&r.Spec)
	return r
}

func pool(change func(*fsm.PoolSpec)) *fsm.Pool {
	p := &fsm.Pool{Name: "web"}
	p.Spec.SetDefaults()
	change(&p.Spec)
	return p
}

func TestAnUpdateIsToldByField(t *testing.T) {
	check := func(c *fsm.Check) func(*fsm.PoolSpec) { return func(s *fsm.PoolSpec) { s.Check = c } }
	for name, c := range map[string]struct {
		before, after fsm.AnyObject
		want          string
	}{
		"a number": {
			backend(nil), backend(func(b *fsm.Backend) { b.Spec.Weight = 2 }),
			`[{"pointer":"/spec/weight","before":1,"after":2}]`,
		},
		"a field that was absent has no before": {
			backend(nil), backend(func(b *fsm.Backend) { b.Spec.Zone = "z" }),
			`[{"pointer":"/spec/zone","after":"z"}]`,
		},
		"a field that goes has no after": {
			backend(func(b *fsm.Backend) { b.Spec.DrainTimeout = fsm.Duration(time.Minute) }), backend(nil),
			`[{"pointer":"/spec/drain_timeout","before":"1m0s"}]`,
		},
		"labels, whose names are escaped, come before the spec": {
			backend(nil), backend(func(b *fsm.Backend) { b.Labels, b.Spec.Tier = map[string]string{"a/b~": "<x>"}, 1 }),
			`[{"pointer":"/labels/rack","before":"1"},{"pointer":"/labels/a~1b~0","after":"<x>"},{"pointer":"/spec/tier","before":0,"after":1}]`,
		},
		"an item of a list of the same length is told alone": {
			route(func(*fsm.RouteSpec) {}), route(func(r *fsm.RouteSpec) { r.Pools[1].Weight = 3 }),
			`[{"pointer":"/spec/pools/1/weight","before":1,"after":3}]`,
		},
		"a list that grew is told whole": {
			route(func(*fsm.RouteSpec) {}), route(func(r *fsm.RouteSpec) { r.Pools = r.Pools[:1] }),
			`[{"pointer":"/spec/pools","before":[{"name":"a","weight":1},{"name":"b","weight":1}],"after":[{"name":"a","weight":1}]}]`,
		},
		"an object that comes is told whole": {
			pool(check(nil)), pool(check(&fsm.Check{Type: "tcp"})),
			`[{"pointer":"/spec/check","after":{"type":"tcp","interval":"0s","timeout":"0s","rise":0,"fall":0}}]`,
		},
		"within an object by field": {
			pool(check(&fsm.Check{Type: "tcp"})), pool(check(&fsm.Check{Type: "tcp", Rise: 2})),
			`[{"pointer":"/spec/check/rise","before":0,"after":2}]`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			change, changed := diff.Of(c.before, c.after)
			if !changed || change.Action != diff.Update {
				t.Fatalf("changed %t, action %q", changed, change.Action)
			}
			if d := cmp.Diff(decoded(t, []byte(c.want)), decoded(t, marshal(t, change.Fields))); d != "" {
				t.Error("fields (-want +got):\n" + d)
			}
		})
	}
}

func TestAnObjectThatComesOrGoesIsShownWithoutStatus(t *testing.T) {
	const shown = `{"pool":"web","name":"a","labels":{"rack":"1"},"spec":{"address":"10.0.0.1:80","weight":1,"tier":0,"admin_state":"ready"}`
	created, _ := diff.Of(nil, backend(func(b *fsm.Backend) { b.Meta = fsm.Meta{} }))
	if d := cmp.Diff(decoded(t, []byte(`{"kind":"backend","pool":"web","name":"a","action":"create","after":`+shown+`}}`)), decoded(t, marshal(t, created))); d != "" {
		t.Error("created (-want +got):\n" + d)
	}
	deleted, _ := diff.Of(backend(nil), nil)
	const meta = `,"meta":{"uid":"","revision":7,"created":"0001-01-01T00:00:00Z","modified":"0001-01-01T00:00:00Z","actor":""}}`
	if d := cmp.Diff(decoded(t, []byte(`{"kind":"backend","pool":"web","name":"a","action":"delete","before":`+shown+meta+`}`)), decoded(t, marshal(t, deleted))); d != "" {
		t.Error("deleted (-want +got):\n" + d)
	}
}

func TestTheHashOfATokenIsNeverTold(t *testing.T) {
	token := func(hash string) *fsm.Token {
		return &fsm.Token{Name: "t", Spec: fsm.TokenSpec{Role: "viewer", Hash: hash}}
	}
	for _, pair := range [][2]fsm.AnyObject{{nil, token("abcd")}, {token("abcd"), token("ef01")}, {token("ef01"), nil}} {
		change, changed := diff.Of(pair[0], pair[1])
		if text := string(marshal(t, change)); !changed || strings.Contains(text, "abcd") || strings.Contains(text, "ef01") {
			t.Errorf("changed %t: %s", changed, text)
		}
	}
}

func TestWhatTheRegistryTakesForTheSameIsNoChange(t *testing.T) {
	for name, pair := range map[string][2]fsm.AnyObject{
		"nothing and nothing":         {nil, nil},
		"another status and revision": {backend(nil), backend(func(b *fsm.Backend) { b.Status.Health, b.Meta.Revision = fsm.HealthDown, 9 })},
		"no list and an empty one":    {pool(checked(nil)), pool(checked([]fsm.CheckField{}))},
		"no labels and empty ones":    {&fsm.Route{Name: "r"}, &fsm.Route{Name: "r", Labels: map[string]string{}}},
	} {
		if change, changed := diff.Of(pair[0], pair[1]); changed {
			t.Errorf("%s: %s", name, marshal(t, change))
		}
	}
}

func checked(fields []fsm.CheckField) func(*fsm.PoolSpec) {
	return func(s *fsm.PoolSpec) { s.Check = &fsm.Check{Type: "http", Fields: fields} }
}

func TestTheWholeIsCounted(t *testing.T) {
	heavier := backend(func(b *fsm.Backend) { b.Spec.Weight = 2 })
	document := diff.Compare(7, []fsm.AnyObject{nil, backend(nil), backend(nil), backend(nil)}, []fsm.AnyObject{backend(nil), heavier, nil, backend(nil)})
	actions := []diff.Action{}
	for _, c := range document.Changes {
		actions = append(actions, c.Action)
	}
	if want := []diff.Action{diff.Create, diff.Update, diff.Delete}; !slices.Equal(actions, want) || document.Unchanged != 1 {
		t.Errorf("%v and %d unchanged", actions, document.Unchanged)
	}
	if got, want := document.Summary(), "1 created, 1 updated, 1 deleted, 1 unchanged"; got != want {
		t.Errorf("summary %q, want %q", got, want)
	}
	if got := (diff.Document{}).Summary(); got != "nothing to change" {
		t.Errorf("summary of nothing: %q", got)
	}
}

func TestAPutIsShownAsTheObjectThatItLeaves(t *testing.T) {
	for _, spec := range []fsm.Spec{fsm.ListenerSpec{}, fsm.RouteSpec{}, fsm.PoolSpec{}, fsm.BackendSpec{}, fsm.TokenSpec{}} {
		put := fsm.Put{Name: "x", Spec: spec}
		if spec.Kind() == fsm.KindBackend {
			put.Pool = "p"
		}
		if object := diff.Planned(put); object == nil || object.Ref() != put.Ref() {
			t.Errorf("%s: %v", put.Ref(), object)
		}
	}
}

func marshal(t testing.TB, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func decoded(t testing.TB, text []byte) any {
	t.Helper()
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatalf("%s: %s", err, text)
	}
	return value
}
