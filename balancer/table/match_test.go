package table

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"evenkeel/fsm"
)

// Each rule stands before one without conditions, which takes what it does not.
func TestRouteConditions(t *testing.T) {
	is := func(m ...fsm.ValueMatch) []fsm.ValueMatch { return m }
	for _, c := range []struct {
		name  string
		rule  rule
		q     Request
		match bool
	}{
		{"a method matches", rule{methods: []string{"PUT", "GET"}}, Request{Method: "GET"}, true},
		{"another method does not", rule{methods: []string{"PUT", "GET"}}, Request{Method: "POST"}, false},
		{"methods are told apart by case", rule{methods: []string{"GET"}}, Request{Method: "get"}, false},

		{"a field of the name is enough", rule{headers: is(fsm.ValueMatch{Name: "x-a"})}, Request{Fields: headers{"X-A": {""}}}, true},
		{"a field of another name is not", rule{headers: is(fsm.ValueMatch{Name: "x-a"})}, Request{Fields: headers{"X-B": {"1"}}}, false},
		{"there may be no fields at all", rule{headers: is(fsm.ValueMatch{Name: "x-a"})}, Request{}, false},
		{"a field's value must be equal", rule{headers: is(fsm.ValueMatch{Name: "x-a", Value: "1"})}, Request{Fields: headers{"X-A": {"12"}}}, false},
		{"any field of the name may have the value", rule{headers: is(fsm.ValueMatch{Name: "X-A", Value: "1"})}, Request{Fields: headers{"X-A": {"2", "1"}}}, true},
		{"an element of a list is not the value", rule{headers: is(fsm.ValueMatch{Name: "X-A", Value: "1"})}, Request{Fields: headers{"X-A": {"2, 1"}}}, false},
		{"an expression must match the whole value", rule{headers: is(fsm.ValueMatch{Name: "X-A", Regexp: "a+"})}, Request{Fields: headers{"X-A": {"aab"}}}, false},
		{"an expression may match any value", rule{headers: is(fsm.ValueMatch{Name: "X-A", Regexp: "a+"})}, Request{Fields: headers{"X-A": {"aab", "aaa"}}}, true},
		{"an absent field is not there", rule{headers: is(fsm.ValueMatch{Name: "X-A", Absent: true})}, Request{Fields: headers{"X-B": {"1"}}}, true},
		{"an absent field must not be there, not even empty", rule{headers: is(fsm.ValueMatch{Name: "X-A", Absent: true})}, Request{Fields: headers{"X-A": {""}}}, false},
		{"an absent value may be another", rule{headers: is(fsm.ValueMatch{Name: "X-A", Value: "1", Absent: true})}, Request{Fields: headers{"X-A": {"2"}}}, true},
		{"an absent value must not be among others", rule{headers: is(fsm.ValueMatch{Name: "X-A", Value: "1", Absent: true})}, Request{Fields: headers{"X-A": {"2", "1"}}}, false},
		{"an absent expression must match no value", rule{headers: is(fsm.ValueMatch{Name: "X-A", Regexp: "[0-9]", Absent: true})}, Request{Fields: headers{"X-A": {"x", "1"}}}, false},
		{"all fields must match", rule{headers: is(fsm.ValueMatch{Name: "X-A"}, fsm.ValueMatch{Name: "X-B"})}, Request{Fields: headers{"X-A": {"1"}}}, false},

		{"a parameter of the name is enough", rule{query: is(fsm.ValueMatch{Name: "a"})}, Request{Query: "b=1&a"}, true},
		{"a parameter's name is told apart by case", rule{query: is(fsm.ValueMatch{Name: "a"})}, Request{Query: "A=1"}, false},
		{"a parameter's value must be equal", rule{query: is(fsm.ValueMatch{Name: "a", Value: "1"})}, Request{Query: "a=12&b=1"}, false},
		{"any parameter of the name may have the value", rule{query: is(fsm.ValueMatch{Name: "a", Value: "1"})}, Request{Query: "a=2&a=1"}, true},
		{"a parameter is decoded", rule{query: is(fsm.ValueMatch{Name: "a b", Value: "é&="})}, Request{Query: "a+b=%c3%A9%26="}, true},
		{"a decoded value may match an expression", rule{query: is(fsm.ValueMatch{Name: "a", Regexp: "x y+"})}, Request{Query: "%61=x%20y%79"}, true},
		{"an expression must match a decoded value as a whole", rule{query: is(fsm.ValueMatch{Name: "a", Regexp: "x y"})}, Request{Query: "a=x+yz"}, false},
		{"a percent sign that begins no escape is one", rule{query: is(fsm.ValueMatch{Name: "a", Value: "5%"})}, Request{Query: "a=5%"}, true},
		{"a semicolon separates nothing", rule{query: is(fsm.ValueMatch{Name: "a", Value: "1;b=2"})}, Request{Query: "a=1;b=2"}, true},
		{"between two ampersands there is no parameter", rule{query: is(fsm.ValueMatch{Name: "a", Absent: true})}, Request{Query: "&&b&"}, true},
		{"an absent parameter is not there", rule{query: is(fsm.ValueMatch{Name: "a", Absent: true})}, Request{Query: ""}, true},
		{"an absent parameter must not be there", rule{query: is(fsm.ValueMatch{Name: "a", Absent: true})}, Request{Query: "%61"}, false},

		{"conditions of all kinds must hold", rule{methods: []string{"GET"}, headers: is(fsm.ValueMatch{Name: "X-A"}), query: is(fsm.ValueMatch{Name: "a"})},
			Request{Method: "GET", Fields: headers{"X-A": {"1"}}, Query: "a"}, true},
		{"one condition that does not hold is enough", rule{methods: []string{"GET"}, headers: is(fsm.ValueMatch{Name: "X-A"}), query: is(fsm.ValueMatch{Name: "a"})},
			Request{Method: "POST", Fields: headers{"X-A": {"1"}}, Query: "a"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.rule.name = "z"
			table := NewBuilder(newAnswers(), Options{}).Update(withRules(t, c.rule, rule{name: "a"}).State)
			want := map[bool]string{true: "z", false: "a"}[c.match]
			if got := nameOf(table.Route(&c.q)); got != want {
				t.Fatalf("%+v took route %q, want %q", c.q, got, want)
			}
		})
	}
}

func TestConditionsInTheOrderOfRoutes(t *testing.T) {
	get, a, b := []string{"GET"}, fsm.ValueMatch{Name: "a"}, fsm.ValueMatch{Name: "b"}
	all := Request{Listener: "web", Host: "www.example.com", Path: "/x/y", Method: "GET", Query: "a&b", Fields: headers{"A": {""}, "B": {""}}}
	for _, c := range []struct {
		name  string
		rules []rule
		want  string
	}{
		{"more conditions go before fewer", []rule{{name: "a", methods: get}, {name: "b", methods: get, query: []fsm.ValueMatch{a}}}, "b"},
		{"several methods are one condition", []rule{{name: "a", query: []fsm.ValueMatch{a}}, {name: "b", methods: []string{"GET", "PUT", "POST"}}}, "a"},
		{"each field is a condition", []rule{{name: "a", methods: get}, {name: "b", headers: []fsm.ValueMatch{a, b}}}, "b"},
		{"each parameter is a condition", []rule{{name: "a", headers: []fsm.ValueMatch{a}}, {name: "b", query: []fsm.ValueMatch{a, b}}}, "b"},
		{"of as many conditions the first name is taken", []rule{{name: "b", methods: get}, {name: "a", query: []fsm.ValueMatch{a}}}, "a"},
		{"the path counts before conditions", []rule{{name: "a", pathPrefix: "/x", methods: get, query: []fsm.ValueMatch{a, b}}, {name: "b", pathPrefix: "/x/y"}}, "b"},
		{"the host counts before conditions", []rule{{name: "a", methods: get}, {name: "b", host: "*.example.com"}}, "b"},
		{"a priority counts before conditions", []rule{{name: "a", methods: get}, {name: "b", priority: 1}}, "b"},
		{"what does not hold leaves a shorter prefix", []rule{{name: "a", pathPrefix: "/x"}, {name: "b", pathPrefix: "/x/y", methods: []string{"PUT"}}}, "a"},
		{"what does not hold leaves a prefix to an exact path", []rule{{name: "a", pathPrefix: "/x/y"}, {name: "b", path: "/x/y", methods: []string{"PUT"}}}, "a"},
		{"what does not hold leaves a wildcard to an exact host", []rule{{name: "a", host: "*.example.com"}, {name: "b", host: "www.example.com", methods: []string{"PUT"}}}, "a"},
		{"what does not hold leaves an expression to an exact path", []rule{{name: "a", regexp: "/x/."}, {name: "b", path: "/x/y", methods: []string{"PUT"}}}, "a"},
		{"what does not hold leaves a prefix to an expression", []rule{{name: "a", pathPrefix: "/x"}, {name: "b", regexp: "/x/.", methods: []string{"PUT"}}}, "a"},
		{"of expressions the one with more conditions is taken", []rule{{name: "a", regexp: "/x/."}, {name: "b", regexp: ".*", methods: get}}, "b"},
		{"nothing may be left", []rule{{name: "a", methods: []string{"PUT"}}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := NewBuilder(newAnswers(), Options{}).Update(withRules(t, c.rules...).State)
			if got := nameOf(table.Route(&all)); got != c.want {
				t.Fatalf("took route %q, want %q", got, c.want)
			}
		})
	}
}

// A registry that this build decoded holds no such route, unless the syntax of
// expressions changed between two builds.
func TestRouteWithAnUnreadableExpressionTakesNothing(t *testing.T) {
	const broken = `(`
	for name, spec := range map[string]fsm.RouteSpec{
		"path":               {Match: fsm.RouteMatch{PathRegexp: broken}},
		"absent field":       {Match: fsm.RouteMatch{Headers: []fsm.ValueMatch{{Name: "a", Regexp: broken, Absent: true}}}},
		"absent parameter":   {Match: fsm.RouteMatch{Query: []fsm.ValueMatch{{Name: "a", Regexp: broken, Absent: true}}}},
		"rewrite":            {Rewrite: &fsm.Rewrite{Regexp: broken}},
		"readable (control)": {Match: fsm.RouteMatch{PathRegexp: "/"}},
	} {
		route := compileRoute(&fsm.Route{Name: "r", Spec: spec}, nil)
		if got, want := route.accepts(&Request{Path: "/"}), strings.HasPrefix(name, "readable"); got != want {
			t.Errorf("%s: takes a request: %v, want %v", name, got, want)
		}
	}
}

// Of queries that net/url reads, both read the same.
func TestQueryIsReadAsNetURLReadsIt(t *testing.T) {
	piece := rapid.SampledFrom([]string{"a", "b", "=", "&", "%61", "%3d", "%26", "+", "%2B", "%20", "%", "%4", "%zz", ";", "é"})
	rapid.Check(t, func(t *rapid.T) {
		query := strings.Join(rapid.SliceOfN(piece, 0, 12).Draw(t, "query"), "")
		parsed, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		name := rapid.SampledFrom([]string{"a", "ab", "b", "a=", "a b", "é", "&"}).Draw(t, "name")
		value := rapid.SampledFrom([]string{"a", "b", "=", "&", " a", "é", "+"}).Draw(t, "value")
		values, there := parsed[name]
		presence := valueMatch{name: name}
		if got := presence.inQuery(query); got != there {
			t.Errorf("%q holds %q: %v, want %v", query, name, got, there)
		}
		equal := valueMatch{name: name, value: value}
		if got, want := equal.inQuery(query), slices.Contains(values, value); got != want {
			t.Errorf("%q holds %q with %q: %v, want %v", query, name, value, got, want)
		}
		pattern, err := compileWhole(`\Q` + value)
		if err != nil {
			t.Fatal(err)
		}
		matching := valueMatch{name: name, pattern: pattern}
		if got, want := matching.inQuery(query), slices.Contains(values, value); got != want {
			t.Errorf("%q holds %q with what matches %q: %v, want %v", query, name, pattern, got, want)
		}
	})
}

func TestConditionsAllocateNothing(t *testing.T) {
	r := withRules(t, rule{name: "a"}, rule{name: "b", regexp: "/a[a-z-]*/.*"},
		rule{
			name: "c", pathPrefix: "/a-path-that-is-longer-than-what-a-conversion-keeps-on-the-stack", methods: []string{"GET"},
			headers: []fsm.ValueMatch{{Name: "X-A", Value: "1"}, {Name: "X-B", Regexp: "[a-z]+"}},
			query:   []fsm.ValueMatch{{Name: "a b", Value: "é"}, {Name: "none", Absent: true}},
		})
	table := NewBuilder(newAnswers(), Options{}).Update(r.State)
	for want, q := range map[string]*Request{
		"b": {Path: "/a-path-that-is-longer-than-what-a-conversion-keeps-on-the-stack/x", Method: "GET"},
		"c": {
			Path: "/a-path-that-is-longer-than-what-a-conversion-keeps-on-the-stack", Method: "GET",
			Query: "x=y&%61+b=%C3%A9", Fields: headers{"X-A": {"2", "1"}, "X-B": {"abc"}},
		},
	} {
		if n := testing.AllocsPerRun(1000, func() {
			if got := nameOf(table.Route(q)); got != want {
				t.Fatalf("took route %q, want %q", got, want)
			}
		}); n != 0 {
			t.Errorf("a request for route %q allocates %v times", want, n)
		}
	}
}
