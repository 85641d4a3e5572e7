package fsm

import (
	"slices"
	"strings"

	iradix "github.com/hashicorp/go-immutable-radix/v2"
)

// misfit is a part of a route that a listener has no use for.
type misfit struct{ pointer, why string }

// misfits returns the parts of a route that would never be used at a listener of that
// protocol which it names, and for the sake of which, as far as they are of its
// match, it would never be taken there. A route that names no listener is for those
// where it has a meaning.
func (s RouteSpec) misfits(protocol string) (list []misfit) {
	add := func(pointer string, used bool, why string) {
		if used {
			list = append(list, misfit{"/spec" + pointer, why})
		}
	}
	m := s.Match
	switch protocol {
	case ProtocolHTTP:
		add("/match/sni", m.SNI != "", "which speaks no TLS, so that no request has a server name and the route would take none")
		return list
	case ProtocolHTTPS:
		return nil
	case ProtocolTCP:
		add("/match/sni", m.SNI != "", "which does not look at what clients send, so that the route would take no connection")
	}
	const unknown = "which forwards connections whole and sees no request, so that the route would take none"
	add("/match/host", m.Host != "", unknown+"; what TLS clients ask for is match.sni")
	add("/match/path", m.Path != "", unknown)
	add("/match/path_prefix", m.PathPrefix != "", unknown)
	add("/match/path_regexp", m.PathRegexp != "", unknown)
	add("/match/methods", len(m.Methods) > 0, unknown)
	add("/match/headers", len(m.Headers) > 0, unknown)
	add("/match/query", len(m.Query) > 0, unknown)
	const unused = "which forwards connections whole, so that this would never be used"
	add("/redirect", s.Redirect != nil, unused)
	add("/respond", s.Respond != nil, unused)
	add("/rewrite", s.Rewrite != nil, unused)
	add("/request_fields", len(s.RequestFields) > 0, unused)
	add("/response_fields", len(s.ResponseFields) > 0, unused)
	add("/mirror", s.Mirror != nil, unused)
	add("/error_pages", len(s.ErrorPages) > 0, unused)
	add("/timeouts", s.Timeouts != nil, unused)
	return list
}

// checkFit reports the parts of a route that the listeners it names have no use for.
// Each is told once.
func (d *draft) checkFit(f *faults, route RouteSpec) {
	told := map[string]bool{}
	for _, name := range route.Listeners {
		listener := lookup(d.listeners, name)
		if listener == nil {
			continue // which is told, or that listener's own step is refused
		}
		protocol := listener.Spec.Protocol
		for _, m := range route.misfits(protocol) {
			if !told[m.pointer] {
				told[m.pointer] = true
				f.add(m.pointer, "the route names the listener %q of protocol %s, %s: leave it out, or do not name that listener", name, protocol, m.why)
			}
		}
	}
}

// maxToldRoutes is how many routes a refused listener is told of.
const maxToldRoutes = 8

// checkRoutes reports the routes that name a listener and have parts of which it would
// have no use.
func (d *draft) checkRoutes(f *faults, name, protocol string) {
	if !slices.Contains(listenerProtocols(), protocol) {
		return // which is told
	}
	told, prefix := 0, usePrefix(Ref{Kind: KindListener, Name: name})+string(KindRoute)+"\x00"
	for _, key := range keysBelow(d.uses, prefix) {
		route := lookup(d.routes, key)
		for _, m := range route.Spec.misfits(protocol) {
			if told++; told > maxToldRoutes {
				return
			}
			f.add("/spec/protocol", "%q: the route %q names this listener and has %s, %s: change that route first, or with it in one transaction",
				protocol, key, strings.ReplaceAll(strings.TrimPrefix(m.pointer, "/spec/"), "/", "."), m.why)
		}
	}
}

// keysBelow returns the keys with that prefix, without it.
func keysBelow[V any](tree *iradix.Txn[V], prefix string) (keys []string) {
	it := tree.Root().Iterator()
	it.SeekPrefix([]byte(prefix))
	for key, _, more := it.Next(); more; key, _, more = it.Next() {
		keys = append(keys, string(key[len(prefix):]))
	}
	return keys
}
