package table

import (
	"strings"

	"evenkeel/fsm"

	iradix "github.com/hashicorp/go-immutable-radix/v2"
)

// pathRoutes holds routes of one host by the path that they match.
type pathRoutes struct {
	any routes
	// patterns are the routes whose path is a regular expression. Each is tried,
	// in the order of precedence, until one fits or no further one could win.
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
	if q.search != nil {
		q.search.host(p)
	}
	if p.byPath.Len() > 0 {
		// The tree only reads its argument, and a copy would cost an allocation.
		descend(p.byPath.Root().PathIterator(bytesOf(q.Path)), best, hostRank, q)
	}
	best.consider(p.patterns, hostRank, rankRegexp, q)
	best.consider(p.any, hostRank, rankNone, q)
}

// descend considers the entries on the way to a path, the closest first: what
// comes behind it is then mostly not tried at all.
func descend(above *iradix.PathIterator[pathEntry], best *match, hostRank int, q *Request) {
	key, entry, more := above.Next()
	if !more {
		return
	}
	whole := len(key) == len(q.Path)
	if !whole {
		descend(above, best, hostRank, q)
	} else {
		best.consider(entry.exact, hostRank, rankExact, q)
	}
	if whole || q.Path[len(key)] == '/' {
		best.consider(entry.prefix, hostRank, prefixRank(key), q)
	}
}

// prefixRank is the rank of a prefix that is given without its final slash.
func prefixRank(key []byte) int { return len(key) + 1 }

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

func (r routes) with(route *Route) routes {
	at := 0
	for at < len(r) && precedence(&match{route: r[at]}, &match{route: route}) < 0 {
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
