package table

import (
	"fmt"
	"math"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"evenkeel/fsm"
)

// rule is a route as tests write it.
type rule struct {
	name                           string
	listeners                      []string
	host, path, pathPrefix, regexp string
	methods                        []string
	headers, query                 []fsm.ValueMatch
	priority                       int
}

func (r rule) put() fsm.Put {
	return putRoute(r.name, fsm.RouteSpec{
		Listeners: r.listeners, Priority: r.priority,
		Match: fsm.RouteMatch{
			Host: r.host, Path: r.path, PathPrefix: r.pathPrefix, PathRegexp: r.regexp,
			Methods: r.methods, Headers: r.headers, Query: r.query,
		},
		Pools: []fsm.WeightedPool{{Name: "p", Weight: 1}},
	})
}

func withRules(t testing.TB, rules ...rule) *registry {
	r := newRegistry(t)
	r.do(putPool("p"), putListener("web", ":80"), putListener("api", ":81"))
	for _, rule := range rules {
		r.do(rule.put())
	}
	return r
}

func nameOf(r *Route) string {
	if r == nil {
		return ""
	}
	return r.Name
}

func TestRouteRules(t *testing.T) {
	for _, c := range []struct {
		name                 string
		rules                []rule
		listener, host, path string
		want                 string
	}{
		{"a route without conditions takes everything",
			[]rule{{name: "all"}}, "web", "any.example", "/any", "all"},
		{"no route at all answers none", nil, "web", "a.example", "/", ""},
		{"a route of another listener does not match",
			[]rule{{name: "r", listeners: []string{"api"}}}, "web", "a.example", "/", ""},
		{"a route of several listeners matches on each",
			[]rule{{name: "r", listeners: []string{"api", "web"}}}, "web", "a.example", "/", "r"},
		{"a listener's own route takes no precedence over one for all",
			[]rule{{name: "b", listeners: []string{"web"}}, {name: "a"}}, "web", "a.example", "/", "a"},
		{"a listener's own route with the closer match is taken",
			[]rule{{name: "a"}, {name: "b", listeners: []string{"web"}, pathPrefix: "/x"}}, "web", "a.example", "/x", "b"},

		{"an exact host matches in any case, with port and final dot",
			[]rule{{name: "r", host: "www.example.com"}}, "web", "WWW.Example.COM.:8080", "/", "r"},
		{"an exact host does not match a name below it",
			[]rule{{name: "r", host: "example.com"}}, "web", "www.example.com", "/", ""},
		{"an exact host does not match a name that ends alike",
			[]rule{{name: "r", host: "example.com"}}, "web", "badexample.com", "/", ""},
		{"a wildcard matches one level below",
			[]rule{{name: "r", host: "*.example.com"}}, "web", "www.example.com", "/", "r"},
		{"a wildcard matches any level below",
			[]rule{{name: "r", host: "*.example.com"}}, "web", "a.b.c.example.com", "/", "r"},
		{"a wildcard does not match its own domain",
			[]rule{{name: "r", host: "*.example.com"}}, "web", "example.com", "/", ""},
		{"a wildcard does not match an empty label",
			[]rule{{name: "r", host: "*.example.com"}}, "web", ".example.com", "/", ""},
		{"a wildcard does not match a name that ends alike",
			[]rule{{name: "r", host: "*.example.com"}}, "web", "www.badexample.com", "/", ""},
		{"an IPv4 host matches with a port",
			[]rule{{name: "r", host: "10.0.0.1"}}, "web", "10.0.0.1:80", "/", "r"},
		{"an absent host matches only routes for all hosts",
			[]rule{{name: "a", host: "a.example"}, {name: "b"}}, "web", "", "/", "b"},
		{"a host that is longer than a name can be matches only routes for all hosts",
			[]rule{{name: "a", host: "*.example.com"}, {name: "b"}}, "web", strings.Repeat("x.", 128) + "example.com", "/", "b"},

		{"an exact path matches itself",
			[]rule{{name: "r", path: "/a/b"}}, "web", "h", "/a/b", "r"},
		{"an exact path does not match with a final slash",
			[]rule{{name: "r", path: "/a/b"}}, "web", "h", "/a/b/", ""},
		{"an exact path does not match below itself",
			[]rule{{name: "r", path: "/a"}}, "web", "h", "/a/b", ""},
		{"an exact path is told apart by case",
			[]rule{{name: "r", path: "/a"}}, "web", "h", "/A", ""},
		{"a prefix matches itself",
			[]rule{{name: "r", pathPrefix: "/api"}}, "web", "h", "/api", "r"},
		{"a prefix matches below itself",
			[]rule{{name: "r", pathPrefix: "/api"}}, "web", "h", "/api/x/y", "r"},
		{"a prefix matches with a final slash",
			[]rule{{name: "r", pathPrefix: "/api"}}, "web", "h", "/api/", "r"},
		{"a prefix matches whole segments only",
			[]rule{{name: "r", pathPrefix: "/api"}}, "web", "h", "/apix", ""},
		{"a prefix's own final slash makes no difference",
			[]rule{{name: "r", pathPrefix: "/api/"}}, "web", "h", "/api", "r"},
		{"the prefix / matches every path",
			[]rule{{name: "r", pathPrefix: "/"}}, "web", "h", "/x", "r"},
		{"the prefix / does not match the asterisk of OPTIONS",
			[]rule{{name: "r", pathPrefix: "/"}}, "web", "h", "*", ""},
		{"a route without conditions matches the asterisk of OPTIONS",
			[]rule{{name: "r"}}, "web", "h", "*", "r"},
		{"an empty path counts as /",
			[]rule{{name: "r", path: "/"}}, "web", "h", "", "r"},

		{"the exact host goes before a wildcard",
			[]rule{{name: "a", host: "*.example.com"}, {name: "b", host: "www.example.com"}}, "web", "www.example.com", "/", "b"},
		{"the longer wildcard goes before the shorter",
			[]rule{{name: "a", host: "*.com"}, {name: "b", host: "*.example.com"}}, "web", "www.example.com", "/", "b"},
		{"a wildcard goes before no host",
			[]rule{{name: "a"}, {name: "b", host: "*.com"}}, "web", "www.example.com", "/", "b"},
		{"the exact path goes before a prefix",
			[]rule{{name: "a", pathPrefix: "/x"}, {name: "b", path: "/x"}}, "web", "h", "/x", "b"},
		{"the longer prefix goes before the shorter",
			[]rule{{name: "a", pathPrefix: "/x"}, {name: "b", pathPrefix: "/x/y"}}, "web", "h", "/x/y/z", "b"},
		{"a prefix goes before no path",
			[]rule{{name: "a"}, {name: "b", pathPrefix: "/"}}, "web", "h", "/x", "b"},
		{"the host counts before the path",
			[]rule{{name: "a", path: "/x"}, {name: "b", host: "*.example.com"}}, "web", "www.example.com", "/x", "b"},
		{"of equals the first name is taken",
			[]rule{{name: "b", path: "/x"}, {name: "a", path: "/x"}, {name: "c", path: "/x"}}, "web", "h", "/x", "a"},
		{"the exact path goes before a regular expression",
			[]rule{{name: "a", regexp: "/x"}, {name: "b", path: "/x"}}, "web", "h", "/x", "b"},
		{"a regular expression goes before a longer prefix",
			[]rule{{name: "a", pathPrefix: "/x/y"}, {name: "b", regexp: "/x.*"}}, "web", "h", "/x/y", "b"},
		{"a regular expression goes before no path",
			[]rule{{name: "a"}, {name: "b", regexp: "/x"}}, "web", "h", "/x", "b"},
		{"the host counts before a regular expression",
			[]rule{{name: "a", regexp: "/x"}, {name: "b", host: "*.example.com"}}, "web", "www.example.com", "/x", "b"},
		{"of two expressions that match the first name is taken, not the longer",
			[]rule{{name: "b", regexp: "/x/[a-z]+"}, {name: "a", regexp: "/.*"}}, "web", "h", "/x/y", "a"},
		{"an expression that does not match leaves the next to be tried",
			[]rule{{name: "b", regexp: "/x/[a-z]+"}, {name: "a", regexp: "/y.*"}}, "web", "h", "/x/y", "b"},
		{"a priority puts a prefix before an expression",
			[]rule{{name: "b", pathPrefix: "/x", priority: 1}, {name: "a", regexp: "/x"}}, "web", "h", "/x", "b"},
		{"an expression must match the whole path",
			[]rule{{name: "r", regexp: "/x"}}, "web", "h", "/x/y", ""},
		{"an expression must match from the beginning",
			[]rule{{name: "r", regexp: "/y"}}, "web", "h", "/x/y", ""},
		{"each alternative of an expression must match the whole path",
			[]rule{{name: "r", regexp: "/a|/b"}}, "web", "h", "/a/b", ""},
		{"a shorter alternative does not hide a longer one",
			[]rule{{name: "r", regexp: "/a|/ab"}}, "web", "h", "/ab", "r"},
		{"an expression's own flags and anchors hold",
			[]rule{{name: "r", regexp: "(?i)^/A$"}}, "web", "h", "/a", "r"},
		{"lines within a path are not the whole path",
			[]rule{{name: "r", regexp: "(?m)^/a$"}}, "web", "h", "/a\n/b", ""},
		{"a quotation that an expression leaves open ends with it",
			[]rule{{name: "r", regexp: `/a\Q.b`}}, "web", "h", "/a.b", "r"},

		{"the highest priority goes before everything",
			[]rule{{name: "a", host: "www.example.com", path: "/x"}, {name: "b", priority: 1}}, "web", "www.example.com", "/x", "b"},
		{"a negative priority goes after everything",
			[]rule{{name: "a", host: "www.example.com", path: "/x", priority: -1}, {name: "b"}}, "web", "www.example.com", "/x", "b"},
		{"a priority on a shorter prefix goes before a longer one",
			[]rule{{name: "a", pathPrefix: "/x", priority: 5}, {name: "b", pathPrefix: "/x/y"}}, "web", "h", "/x/y", "a"},
		{"a priority does not make a route match",
			[]rule{{name: "a", host: "other.example", priority: 9}, {name: "b"}}, "web", "h", "/x", "b"},
		{"of equal matches the higher priority is taken whatever the name",
			[]rule{{name: "a", path: "/x"}, {name: "b", path: "/x", priority: 2}}, "web", "h", "/x", "b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := withRules(t, c.rules...)
			table := NewBuilder(newAnswers(), Options{}).Update(r.State)
			if got := nameOf(table.Route(&Request{Listener: c.listener, Host: c.host, Path: c.path})); got != c.want {
				t.Fatalf("listener %q, host %q, path %q took route %q, want %q", c.listener, c.host, c.path, got, c.want)
			}
		})
	}
}

// Routes come, change and go, and after each change the table, which is made
// from the one before, answers as the reference does.
func TestRoutesAnswerAsTheReference(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := withRules(t)
		builder := NewBuilder(newAnswers(), Options{})
		table := builder.Update(r.State)
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) { r.tryDo(drawRule(rt).put()) },
			"delete": func(rt *rapid.T) {
				r.tryDo(remove(fsm.KindRoute, "", fmt.Sprintf("r%d", rapid.IntRange(0, 15).Draw(rt, "name"))))
			},
			"": func(rt *rapid.T) {
				table = builder.Update(r.State)
				for range 8 {
					q := drawRequest(rt)
					if got, want := nameOf(table.Route(q)), reference(r.State, q); got != want {
						rt.Fatalf("%+v took route %q, want %q", q, got, want)
					}
				}
			},
		})
	})
}

func FuzzRoute(f *testing.F) {
	r := newRegistry(f)
	seedRoutes(r)
	table := NewBuilder(newAnswers(), Options{}).Update(r.State)
	for _, seed := range []Request{
		{Listener: "web", Host: "www.example.com", Path: "/api/x", Method: "POST"}, {}, {Listener: "web", Host: "[", Path: "*"},
		{Listener: "api", Host: "a.b.example.com:1", Path: "//", Query: "v=1&&v=%31&%zz=;+", Method: "GET"},
		{Listener: "web", Host: ".example.com", Path: "/api"}, {Listener: "web", Host: "\x00", Path: "/\x00"},
		{Listener: "web", Path: "/img/1.png", Query: "v=1", Method: "POST"},
	} {
		f.Add(seed.Listener, seed.Host, seed.Path, seed.Method, seed.Query, "x")
	}
	f.Fuzz(func(t *testing.T, listener, host, path, method, query, field string) {
		q := &Request{
			Listener: listener, Host: host, Path: path, Method: method, Query: query,
			Fields: headers{"X-Test": {field, "x" + field}},
		}
		before := *q
		got := table.Route(q)
		if q.Path != before.Path || q.Host != before.Host {
			t.Fatalf("%+v was changed to %+v", before, *q)
		}
		if _, err := url.ParseQuery(query); err != nil {
			return // only the URL standard says what that is
		}
		normal := *q
		normal.Host = backwards(appendHostKey(nil, host))
		if want := reference(r.State, &normal); nameOf(got) != want {
			t.Fatalf("%+v took route %q, want %q", q, nameOf(got), want)
		}
	})
}

// tryDo applies what the registry may refuse.
func (r *registry) tryDo(op fsm.Operation) {
	r.seq++
	r.State, _ = fsm.Apply(r.State, []fsm.Command{{ID: fsm.CommandID{Origin: "test", Seq: r.seq}, Actor: "tester", Op: op}})
}

func TestDeletedRoutesLeaveNothingBehind(t *testing.T) {
	r := withRules(t)
	builder := NewBuilder(newAnswers(), Options{})
	builder.Update(r.State)
	seedRoutes(r)
	builder.Update(r.State)
	for route := range r.Routes() {
		r.do(remove(fsm.KindRoute, "", route.Name))
	}
	left := builder.Update(r.State).router
	if !left.common.empty() || left.own.Len() != 0 {
		t.Fatal("the router holds entries of routes that are deleted")
	}
}

// seedRoutes puts one route of each kind.
func seedRoutes(r *registry) {
	if r.Pool("p") == nil {
		r.do(putPool("p"), putListener("web", ":80"), putListener("api", ":81"))
	}
	for _, rule := range []rule{
		{name: "all", priority: -5},
		{name: "host", host: "www.example.com"},
		{name: "wild", host: "*.example.com"},
		{name: "wild-api", host: "*.example.com", pathPrefix: "/api"},
		{name: "exact", path: "/"},
		{name: "own", listeners: []string{"api"}, pathPrefix: "/"},
		{name: "own-host", listeners: []string{"api", "web"}, host: "a.b.example.com", path: "/x"},
		{name: "regexp", regexp: "/img/[0-9]+\\.png"},
		{name: "host-regexp", host: "www.example.com", regexp: "(?i)/API(/.*)?"},
		{name: "method", methods: []string{"POST", "PUT"}, pathPrefix: "/api"},
		{name: "header", headers: []fsm.ValueMatch{{Name: "x-test", Value: "xx"}, {Name: "none", Absent: true}}},
		{name: "query", query: []fsm.ValueMatch{{Name: "v", Regexp: "[0-9]"}}},
	} {
		r.do(rule.put())
	}
}

func TestWeightedPoolsShareARoute(t *testing.T) {
	r := newRegistry(t)
	r.do(putPool("a"), putPool("b"), putPool("c"), putRoute("r", fsm.RouteSpec{
		Pools: []fsm.WeightedPool{{Name: "a", Weight: 10}, {Name: "b", Weight: 0}, {Name: "c", Weight: 30}},
	}))
	table := NewBuilder(newAnswers(), Options{}).Update(r.State)
	route := table.Route(&Request{Listener: "web", Host: "h", Path: "/"})
	const draws = 40_000
	got := map[string]int{}
	for range draws {
		got[table.Pool(route).Name]++
	}
	// The standard deviation is 87; five of them do not happen by chance.
	if got["b"] != 0 || got["a"]+got["c"] != draws || math.Abs(float64(got["a"]-draws/4)) > 5*87 {
		t.Fatalf("got %v of %d draws, want a quarter for a, none for b, the rest for c", got, draws)
	}
}

func TestRouteWithoutWeightHasNoPool(t *testing.T) {
	r := newRegistry(t)
	r.do(putPool("a"), putPool("b"), putRoute("r", fsm.RouteSpec{Pools: []fsm.WeightedPool{{Name: "a", Weight: 1}}}))
	route := compileRoute(&fsm.Route{Name: "r", Spec: fsm.RouteSpec{Pools: []fsm.WeightedPool{{Name: "a"}, {Name: "b"}}}}, nil)
	table := NewBuilder(newAnswers(), Options{}).Update(r.State)
	if pool := table.Pool(route); pool != nil {
		t.Fatalf("got pool %q", pool.Name)
	}
}
