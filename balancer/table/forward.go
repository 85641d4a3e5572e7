package table

import (
	"evenkeel/fsm"
)

// forwards finds the routes of connections that are forwarded whole: by the name
// that their TLS client is for, if the listener looks at it. A server name is
// looked up as the host of a request is.
//
// A route that names no listener is not among them: it was meant for requests,
// and would take what a listener for TCP was opened for.
type forwards struct{ router router }

func newForwards() forwards { return forwards{newRouter()} }

func (f forwards) find(listener, serverName string) *Route {
	return f.router.findOwn(&Request{Listener: listener, Host: serverName, ServerName: serverName, Path: "/"})
}

// with and without are as those of [router]. The route is for connections with
// that server name, exact or a wildcard; "" for all.
func (f forwards) with(serverName string, object *fsm.Route, route *Route) forwards {
	if !isForward(&object.Spec) {
		return f
	}
	return forwards{f.router.with(named(object, serverName), route)}
}

func (f forwards) without(serverName string, object *fsm.Route) forwards {
	if !isForward(&object.Spec) {
		return f
	}
	return forwards{f.router.without(named(object, serverName))}
}

// named is the route with a server name where its host would be: so many routes
// cost no more than one.
func named(object *fsm.Route, serverName string) *fsm.Route {
	other := *object
	other.Spec.Match = fsm.RouteMatch{Host: serverName}
	return &other
}

// isForward tells whether a route can take connections.
func isForward(spec *fsm.RouteSpec) bool {
	m := &spec.Match
	return len(spec.Listeners) > 0 && len(spec.Pools) > 0 &&
		m.Host == "" && m.Path == "" && m.PathPrefix == "" && m.PathRegexp == "" &&
		len(m.Methods)+len(m.Headers)+len(m.Query) == 0
}

// findOwn is find among the routes that name the listener.
func (r router) findOwn(q *Request) *Route {
	var buffer [maxHost]byte
	var name [64]byte // a DNS label is shorter
	var best match
	if own, ok := r.own.Get(append(name[:0], q.Listener...)); ok {
		own.find(&best, appendHostKey(buffer[:0], q.Host), q)
	}
	return best.route
}
