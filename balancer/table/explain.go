package table

import (
	"fmt"
	"slices"
	"strings"

	"evenkeel/fsm"
)

// maxConsidered bounds the routes that an explanation lists.
const maxConsidered = 100

// What keeps a request from a route, in [Considered].
const (
	MissListener   = "listener"   // the route is for other listeners
	MissHost       = "host"       // it is for another host
	MissPath       = "path"       // it is for other paths
	MissMethod     = "method"     // it is for other methods
	MissHeader     = "header"     // a header field is not as it asks for
	MissQuery      = "query"      // a query parameter is not
	MissServerName = "sni"        // it is for another server name
	MissUnreadable = "unreadable" // this build cannot read one of its expressions, and it takes no request
)

var missTexts = map[miss]string{
	missListener: MissListener, missHost: MissHost, missPath: MissPath, missMethod: MissMethod,
	missHeader: MissHeader, missQuery: MissQuery, missUnreadable: MissUnreadable, missServerName: MissServerName,
}

// Search is how the route of a request was found.
type Search struct {
	// Considered are the routes that come before the one that is taken, and that
	// one as the last; if none is, all there are. They are in the order of
	// precedence. Of more than 100 those are listed that the request came closest to.
	Considered []Considered `json:"considered"`
	// LeftOff counts the others that come before it, by what they missed.
	LeftOff map[string]int `json:"left_off,omitempty"`
	// Behind is how many routes come behind the one that is taken.
	Behind int `json:"behind"`
}

// Considered is a route that a request might have taken.
type Considered struct {
	Route     string         `json:"route"`
	Listeners []string       `json:"listeners,omitempty"`
	Match     fsm.RouteMatch `json:"match"`
	Priority  int            `json:"priority"`
	// Taken is set of the one that the request takes. Missed is one of the Miss
	// constants for any other, and Why says the same for people.
	Taken  bool   `json:"taken"`
	Missed string `json:"missed,omitempty"`
	Why    string `json:"why,omitempty"`
}

// search notes where [Table.Route] looks, which it does not stop at the first
// find then.
type search struct {
	hosted, placed map[*Route]struct{} // the routes of the request's host, and of its path too
}

func (s *search) host(p *pathRoutes) {
	p.each(func(list routes, _ int) { note(s.hosted, list) })
}

func (s *search) place(list routes) { note(s.placed, list) }

func note(in map[*Route]struct{}, list routes) {
	for _, route := range list {
		in[route] = struct{}{}
	}
}

// Explain returns the route that a request takes, as [Table.Route] does, and why
// no other. It costs as much as there are routes, and allocates.
func (t *Table) Explain(q *Request) (*Route, Search) {
	taken := t.Route(q)
	asked := *q
	if asked.Path == "" {
		asked.Path = "/"
	}
	seen := &search{hosted: map[*Route]struct{}{}, placed: map[*Route]struct{}{}}
	asked.search = seen
	t.router.find(&asked)
	asked.search = nil
	all, foreign := t.router.all(q.Listener)
	slices.SortFunc(all, func(a, b match) int { return precedence(&a, &b) })
	result := Search{Considered: []Considered{}}
	end := len(all)
	if taken != nil {
		end = 1 + slices.IndexFunc(all, func(m match) bool { return m.route == taken })
		result.Behind = len(all) - end
	}
	misses := make([]missed, end)
	for i, m := range all[:end] {
		misses[i] = seen.missed(m.route, foreign, &asked)
	}
	for i, kept := range closest(misses) {
		if !kept {
			if result.LeftOff == nil {
				result.LeftOff = map[string]int{}
			}
			result.LeftOff[missTexts[misses[i].kind]]++
			continue
		}
		result.Considered = append(result.Considered, t.considered(all[i].route, misses[i], &asked))
	}
	return taken, result
}

// missed is what kept a request from a route, and which item of a list it was.
type missed struct {
	kind miss
	at   int
}

func (s *search) missed(r *Route, foreign map[*Route]struct{}, q *Request) missed {
	if _, other := foreign[r]; other {
		return missed{kind: missListener}
	}
	if _, here := s.hosted[r]; !here {
		return missed{kind: missHost}
	}
	if _, here := s.placed[r]; !here {
		return missed{kind: missPath}
	}
	kind, at := r.miss(q)
	return missed{kind, at}
}

// closest tells of each whether it is among those that are listed: the kinds of
// misses are in the order of how much else a request had to fit.
func closest(misses []missed) []bool {
	kept, left := make([]bool, len(misses)), maxConsidered
	for kind := missNone; kind <= missListener; kind++ {
		for i, m := range misses {
			if m.kind == kind && left > 0 {
				kept[i] = true
				left--
			}
		}
	}
	return kept
}

func (t *Table) considered(r *Route, m missed, q *Request) Considered {
	c := Considered{Route: r.Name, Priority: r.priority, Taken: m.kind == missNone, Missed: missTexts[m.kind]}
	object := t.state.Route(r.Name)
	if object == nil { // cannot be, as the table was made from the state
		return c
	}
	c.Listeners, c.Match = object.Spec.Listeners, object.Spec.Match
	c.Why = m.why(&object.Spec, q)
	return c
}

// why says what a request misses of a route, "" if nothing.
func (m missed) why(spec *fsm.RouteSpec, q *Request) string {
	match := &spec.Match
	switch m.kind {
	case missNone:
		return ""
	case missListener:
		return fmt.Sprintf("it is for %s, and not for the listener %s", strings.Join(spec.Listeners, ", "), q.Listener)
	case missHost:
		return fmt.Sprintf("the host %q is not %s", RoutingHost(q.Host), match.Host)
	case missPath:
		return whyPath(match, q.Path)
	case missMethod:
		if len(match.Methods) == 1 {
			return fmt.Sprintf("the method %s is not %s", q.Method, match.Methods[0])
		}
		return fmt.Sprintf("the method %s is none of %s", q.Method, strings.Join(match.Methods, ", "))
	case missServerName:
		return fmt.Sprintf("the server name %q is not %s", q.ServerName, serverNameOf(match))
	case missHeader:
		return "of the header field " + whyValue(match.Headers[m.at])
	case missQuery:
		return "of the query parameter " + whyValue(match.Query[m.at])
	}
	return "this build cannot read one of its expressions, so it takes no request"
}

func whyPath(match *fsm.RouteMatch, path string) string {
	switch {
	case match.PathRegexp != "":
		return fmt.Sprintf("the path %q is not all matched by %s", path, match.PathRegexp)
	case match.Path != "":
		return fmt.Sprintf("the path %q is not %s", path, match.Path)
	}
	return fmt.Sprintf("the path %q is not below %s", path, match.PathPrefix)
}

// whyValue says what a field or parameter is not like.
func whyValue(m fsm.ValueMatch) string {
	text := m.Name + " there has to be "
	if m.Absent {
		text += "nothing"
	} else {
		text += "one"
	}
	switch {
	case m.Regexp != "":
		return text + " that is all matched by " + m.Regexp
	case m.Value != "":
		return text + fmt.Sprintf(" that is %q", m.Value)
	}
	return text
}

// RoutingHost is the host that routes are looked up for: in lower case, without
// port, brackets or a final dot.
func RoutingHost(host string) string { return strings.ToLower(bareHost(host)) }

// all returns every route with the ranks that it has where the router finds it,
// each once, and which of them are for other listeners than the one of that name.
func (r router) all(listener string) (all []match, foreign map[*Route]struct{}) {
	foreign = map[*Route]struct{}{}
	r.common.each(func(m match) { all = append(all, m) })
	if own, ok := r.own.Get([]byte(listener)); ok {
		own.each(func(m match) { all = append(all, m) })
	}
	known := map[*Route]struct{}{}
	for _, m := range all {
		known[m.route] = struct{}{}
	}
	trees := r.own.Root().Iterator()
	for name, tree, more := trees.Next(); more; name, tree, more = trees.Next() {
		if string(name) == listener {
			continue
		}
		tree.each(func(m match) {
			if _, again := known[m.route]; !again {
				known[m.route], foreign[m.route] = struct{}{}, struct{}{}
				all = append(all, m)
			}
		})
	}
	return all, foreign
}

// each gives every route with its ranks.
func (h *hostRoutes) each(give func(match)) {
	of := func(p *pathRoutes, hostRank int) {
		p.each(func(list routes, pathRank int) {
			for _, route := range list {
				give(match{route, hostRank, pathRank})
			}
		})
	}
	of(h.any, rankNone)
	hosts := h.byHost.Root().Iterator()
	for key, paths, more := hosts.Next(); more; key, paths, more = hosts.Next() {
		of(paths, hostRankOf(key))
	}
}

// each gives every list of routes with the rank that [pathRoutes.find] gives it.
func (p *pathRoutes) each(give func(list routes, pathRank int)) {
	give(p.any, rankNone)
	give(p.patterns, rankRegexp)
	paths := p.byPath.Root().Iterator()
	for key, entry, more := paths.Next(); more; key, entry, more = paths.Next() {
		give(entry.exact, rankExact)
		give(entry.prefix, prefixRank(key))
	}
}
