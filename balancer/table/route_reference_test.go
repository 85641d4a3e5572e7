package table

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"evenkeel/fsm"
)

// reference does what the documentation of Table.Route says, one rule after
// the other over all routes. The host is normalised, the query valid.
func reference(s *fsm.State, q *Request) string {
	type candidate struct {
		name                                     string
		priority, hostRank, pathRank, conditions int
	}
	var all []candidate
	for r := range s.Routes() {
		m := r.Spec.Match
		c := candidate{name: r.Name, priority: r.Spec.Priority}
		if len(r.Spec.Listeners) > 0 && !slices.Contains(r.Spec.Listeners, q.Listener) {
			continue
		}
		var fits [3]bool
		c.hostRank, fits[0] = referenceHost(m.Host, q.Host)
		c.pathRank, fits[1] = referencePath(m, cmp.Or(q.Path, "/"))
		c.conditions, fits[2] = referenceConditions(m, q)
		if fits == [3]bool{true, true, true} {
			all = append(all, c)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return slices.MinFunc(all, func(a, b candidate) int {
		return cmp.Or(
			cmp.Compare(b.priority, a.priority),
			cmp.Compare(b.hostRank, a.hostRank),
			cmp.Compare(b.pathRank, a.pathRank),
			cmp.Compare(b.conditions, a.conditions),
			strings.Compare(a.name, b.name),
		)
	}).name
}

func referenceHost(want, host string) (rank int, fits bool) {
	want = strings.ToLower(want)
	if domain, wildcard := strings.CutPrefix(want, "*"); wildcard {
		return len(domain), strings.HasSuffix(host, domain) && len(host) > len(domain)
	}
	if want == "" {
		return 0, true
	}
	return math.MaxInt, host == want
}

func referencePath(m fsm.RouteMatch, path string) (rank int, fits bool) {
	switch {
	case m.Path != "":
		return math.MaxInt, path == m.Path
	case m.PathRegexp != "":
		return math.MaxInt - 1, matchesWhole(m.PathRegexp, path)
	case m.PathPrefix != "":
		prefix := strings.TrimRight(m.PathPrefix, "/")
		return len(prefix) + 1, path == prefix || strings.HasPrefix(path, prefix+"/")
	}
	return 0, true
}

// matchesWhole looks for the longest match, which is all of a text if anything
// is.
func matchesWhole(expression, text string) bool {
	pattern := regexp.MustCompile(expression)
	pattern.Longest()
	at := pattern.FindStringIndex(text)
	return at != nil && at[0] == 0 && at[1] == len(text)
}

func referenceConditions(m fsm.RouteMatch, q *Request) (n int, fit bool) {
	if len(m.Methods) > 0 {
		n++
		if !slices.Contains(m.Methods, q.Method) {
			return n, false
		}
	}
	fields, _ := q.Fields.(headers)
	parameters, err := url.ParseQuery(q.Query)
	if err != nil {
		panic(err)
	}
	for _, want := range m.Headers {
		if !referenceValue(want, http.Header(fields).Values(want.Name)) {
			return n, false
		}
	}
	for _, want := range m.Query {
		if !referenceValue(want, parameters[want.Name]) {
			return n, false
		}
	}
	return n + len(m.Headers) + len(m.Query), true
}

func referenceValue(want fsm.ValueMatch, values []string) bool {
	found := slices.ContainsFunc(values, func(value string) bool {
		switch {
		case want.Value != "":
			return value == want.Value
		case want.Regexp != "":
			return matchesWhole(want.Regexp, value)
		}
		return true
	})
	return found != want.Absent
}

// headers are a [FieldSource].
type headers http.Header

func (h headers) FieldText(name string, i int) (string, bool) {
	values := http.Header(h).Values(name)
	if i >= len(values) {
		return "", false
	}
	return values[i], true
}

// generators of few and similar values, so that rules meet.
var (
	someLabel    = rapid.SampledFrom([]string{"a", "b", "ab", "com"})
	someHost     = rapid.Map(rapid.SliceOfN(someLabel, 1, 4), func(l []string) string { return strings.Join(l, ".") })
	someSegment  = rapid.SampledFrom([]string{"x", "y", "xy", "", "x%", "x y"})
	somePath     = rapid.Map(rapid.SliceOfN(someSegment, 1, 4), func(s []string) string { return "/" + strings.Join(s, "/") })
	someListener = rapid.SampledFrom([]string{"web", "api"})
	someRegexp   = rapid.SampledFrom([]string{"/x|/x/y", "/[xy]+", "/.*", "(?i)/X(/.*)?", "/(x|xy)y?", "x", `\Q/x`, "/x%"})
	someMethod   = rapid.SampledFrom([]string{"GET", "POST", "PUT"})
	someName     = rapid.SampledFrom([]string{"A", "b"})
	someValue    = rapid.SampledFrom([]string{"", "x", "y z", "é", "x%"})
	someQuery    = rapid.Map(rapid.MapOfN(someName, rapid.SliceOfN(someValue, 1, 2), 0, 2), func(m map[string][]string) string { return url.Values(m).Encode() })
	someFields   = rapid.Map(rapid.MapOfN(someName, rapid.SliceOfN(someValue, 1, 2), 0, 2), func(m map[string][]string) headers {
		h := http.Header{}
		for name, values := range m {
			for _, value := range values {
				h.Add(name, value)
			}
		}
		return headers(h)
	})
	someMatch = rapid.Custom(func(t *rapid.T) fsm.ValueMatch {
		m := fsm.ValueMatch{Name: someName.Draw(t, "name"), Absent: rapid.Bool().Draw(t, "absent")}
		switch rapid.IntRange(0, 2).Draw(t, "value match") {
		case 1:
			m.Value = someValue.Draw(t, "value")
		case 2:
			m.Regexp = rapid.SampledFrom([]string{"x|y z", ".", "(?i)X%?", `\Qx%`}).Draw(t, "expression")
		}
		return m
	})
)

func drawRequest(t *rapid.T) *Request {
	return &Request{
		Listener: someListener.Draw(t, "listener"), Host: someHost.Draw(t, "host"), Path: somePath.Draw(t, "path"),
		Method: someMethod.Draw(t, "method"), Query: someQuery.Draw(t, "query"), Fields: someFields.Draw(t, "fields"),
	}
}

func drawRule(t *rapid.T) rule {
	r := rule{
		name:     fmt.Sprintf("r%d", rapid.IntRange(0, 15).Draw(t, "name")),
		priority: rapid.SampledFrom([]int{0, 0, 0, 1, -1}).Draw(t, "priority"),
	}
	if rapid.Bool().Draw(t, "own") {
		r.listeners = rapid.SliceOfNDistinct(someListener, 1, 2, rapid.ID).Draw(t, "listeners")
	}
	switch host := someHost.Draw(t, "host"); rapid.IntRange(0, 2).Draw(t, "host match") {
	case 1:
		r.host = host
	case 2:
		r.host = "*." + host
	}
	switch path := somePath.Draw(t, "path"); rapid.IntRange(0, 3).Draw(t, "path match") {
	case 1:
		r.path = path
	case 2:
		r.pathPrefix = path
	case 3:
		r.regexp = someRegexp.Draw(t, "expression")
	}
	if rapid.Bool().Draw(t, "conditional") {
		r.methods = rapid.SliceOfNDistinct(someMethod, 0, 2, rapid.ID).Draw(t, "methods")
		r.headers = rapid.SliceOfN(someMatch, 0, 2).Draw(t, "headers")
		r.query = rapid.SliceOfN(someMatch, 0, 2).Draw(t, "query")
	}
	return r
}
