package table

import (
	"strings"

	"evenkeel/fsm"

	iradix "github.com/hashicorp/go-immutable-radix/v2"
)

// pathRoutes holds routes of one host by the path that they match.
type pathRoutes struct {
	any routes
	// patterns are the routes whose path is a regular expression: each is tried,
	// in the order of precedence, until one fits.
	patterns routes
	byPath   *iradix.Tree[pathEntry]
}

// pathEntry holds the routes whose path, or prefix without its final slash, is
// the key.
type pathEntry struct{ exact, prefix routes }

func newPathRoutes() *pathRoutes { return &pathRoutes{byPath: iradix.New[pathEntry]()} }

func (p *pathRoutes) empty() bool {
	return len(p.any) == 0 && len(p.patterns) == 0 && p.byPath.Len() == 0
}

func (p *pathRoutes) find(best *match, hostRank int, q *Request) {
	path := q.Path
	best.keepBetter(match{p.any.first(q), hostRank, rankNone})
	best.keepBetter(match{p.patterns.first(q), hostRank, rankRegexp})
	if p.byPath.Len() == 0 {
		return
	}
	// The tree only reads its argument, and a copy would cost an allocation.
	above := p.byPath.Root().PathIterator(bytesOf(path))
	for key, entry, more := above.Next(); more; key, entry, more = above.Next() {
		whole := len(key) == len(path)
		if whole && len(entry.exact) > 0 {
			best.keepBetter(match{entry.exact.first(q), hostRank, rankExact})
		}
		if len(entry.prefix) > 0 && (whole || path[len(key)] == '/') {
			best.keepBetter(match{entry.prefix.first(q), hostRank, len(key) + 1})
		}
	}
}

func (p *pathRoutes) edit(m fsm.RouteMatch, change func(routes) routes) *pathRoutes {
	switch {
	case m.PathRegexp != "":
		return &pathRoutes{any: p.any, patterns: change(p.patterns), byPath: p.byPath}
	case m.Path == "" && m.PathPrefix == "":
		return &pathRoutes{any: change(p.any), patterns: p.patterns, byPath: p.byPath}
	}
	key := []byte(m.Path)
	if m.Path == "" {
		key = []byte(strings.TrimRight(m.PathPrefix, "/"))
	}
	entry, _ := p.byPath.Get(key)
	if m.Path != "" {
		entry.exact = change(entry.exact)
	} else {
		entry.prefix = change(entry.prefix)
	}
	next := &pathRoutes{any: p.any, patterns: p.patterns}
	if len(entry.exact) == 0 && len(entry.prefix) == 0 {
		next.byPath, _, _ = p.byPath.Delete(key)
	} else {
		next.byPath, _, _ = p.byPath.Insert(key, entry)
	}
	return next
}

// routes are routes that match the same requests, the one that takes
// precedence first. The slice is never changed, only replaced.
type routes []*Route

// first returns the first route that accepts a request, or nil.
func (r routes) first(q *Request) *Route {
	for _, route := range r {
		if route.accepts(q) {
			return route
		}
	}
	return nil
}

func (r routes) with(route *Route) routes {
	at := 0
	for at < len(r) && precedence(match{route: r[at]}, match{route: route}) < 0 {
		at++
	}
	next := make(routes, 0, len(r)+1)
	next = append(next, r[:at]...)
	next = append(next, route)
	return append(next, r[at:]...)
}

func (r routes) without(name string) routes {
	next := make(routes, 0, len(r))
	for _, route := range r {
		if route.Name != name {
			next = append(next, route)
		}
	}
	return next
}
