package table

import (
	"strings"

	"evenkeel/fsm"

	iradix "github.com/hashicorp/go-immutable-radix/v2"
)

// router finds the routes that match a request. It is immutable: with and
// without return a new one that shares all that did not change, at a cost that
// does not depend on the number of routes.
type router struct {
	common *hostRoutes               // routes of all listeners
	own    *iradix.Tree[*hostRoutes] // routes of the listener that is the key
}

func newRouter() router {
	return router{common: newHostRoutes(), own: iradix.New[*hostRoutes]()}
}

func (r router) find(q *Request) *Route {
	var buffer [maxHost]byte
	key := appendHostKey(buffer[:0], q.Host)
	var best match
	r.common.find(&best, key, q)
	if r.own.Len() > 0 {
		var name [64]byte // a DNS label is shorter
		if own, ok := r.own.Get(append(name[:0], q.Listener...)); ok {
			own.find(&best, key, q)
		}
	}
	return best.route
}

// with returns a router that has the route too.
func (r router) with(object *fsm.Route, route *Route) router {
	return r.edit(object, func(in routes) routes { return in.with(route) })
}

// without returns a router that has no route of the object's name where the
// object says.
func (r router) without(object *fsm.Route) router {
	return r.edit(object, func(in routes) routes { return in.without(object.Name) })
}

// edit applies a change to every list of routes in which the object belongs.
func (r router) edit(object *fsm.Route, change func(routes) routes) router {
	m := object.Spec.Match
	if len(object.Spec.Listeners) == 0 {
		r.common = r.common.edit(m, change)
		return r
	}
	for _, listener := range object.Spec.Listeners {
		own, ok := r.own.Get([]byte(listener))
		if !ok {
			own = newHostRoutes()
		}
		if own = own.edit(m, change); own.empty() {
			r.own, _, _ = r.own.Delete([]byte(listener))
		} else {
			r.own, _, _ = r.own.Insert([]byte(listener), own)
		}
	}
	return r
}

// hostRoutes holds routes by the host that they match.
type hostRoutes struct {
	any    *pathRoutes
	byHost *iradix.Tree[*pathRoutes] // by appendHostKey; a wildcard's key ends in a dot
}

func newHostRoutes() *hostRoutes {
	return &hostRoutes{any: newPathRoutes(), byHost: iradix.New[*pathRoutes]()}
}

func (h *hostRoutes) empty() bool { return h.any.empty() && h.byHost.Len() == 0 }

func (h *hostRoutes) find(best *match, key []byte, q *Request) {
	if h.byHost.Len() > 0 {
		descendHosts(h.byHost.Root().PathIterator(key), best, len(key), q)
	}
	h.any.find(best, rankNone, q)
}

// descendHosts considers the routes of a host and of the wildcards above it,
// the closest first.
func descendHosts(above *iradix.PathIterator[*pathRoutes], best *match, whole int, q *Request) {
	found, paths, more := above.Next()
	if !more {
		return
	}
	descendHosts(above, best, whole, q)
	if exact := len(found) == whole; exact != isWildcard(found) {
		paths.find(best, hostRankOf(found), q)
	}
}

func isWildcard(key []byte) bool { return key[len(key)-1] == '.' }

// hostRankOf is the rank of the host or wildcard that has the key.
func hostRankOf(key []byte) int {
	if isWildcard(key) {
		return len(key)
	}
	return rankExact
}

func (h *hostRoutes) edit(m fsm.RouteMatch, change func(routes) routes) *hostRoutes {
	key := appendHostKey(nil, strings.TrimPrefix(m.Host, "*"))
	if len(key) == 0 {
		return &hostRoutes{any: h.any.edit(m, change), byHost: h.byHost}
	}
	paths, ok := h.byHost.Get(key)
	if !ok {
		paths = newPathRoutes()
	}
	next := &hostRoutes{any: h.any}
	if paths = paths.edit(m, change); paths.empty() {
		next.byHost, _, _ = h.byHost.Delete(key)
	} else {
		next.byHost, _, _ = h.byHost.Insert(key, paths)
	}
	return next
}
