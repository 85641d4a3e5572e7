package exchange

import (
	"net/netip"
	"strconv"

	"evenkeel/balancer/http1"
	"evenkeel/balancer/table"
)

// What follows decides about a request and does nothing of it, so that it can be
// asked what would become of one: see [Explain].

// routable returns the path that a request is routed by, which may alias the
// buffer, or the answer to one that is not routed at all.
func routable(buffer []byte, request *http1.Request) (path string, grown []byte, refused *answer) {
	if request.Method == http1.CONNECT {
		return "", buffer, noConnect
	}
	path, buffer, ok := table.RoutingPath(buffer, text(request.Path))
	if !ok {
		return "", buffer, badPath
	}
	return path, buffer, nil
}

// wanted is what is looked up for a request that came over a connection for a
// server name.
func wanted(listener, serverName string, request *http1.Request, path string) table.Request {
	return table.Request{
		Listener: listener, Host: text(request.Host), ServerName: serverName, Path: path,
		Method: text(request.MethodText), Query: text(request.Query), Fields: fields{request},
	}
}

// unrouted is the answer to a request that no route takes. Where one would, had the
// connection been for the request's own host, the client may try again over one that
// is (RFC 9110 section 15.5.20): browsers send requests for other names over a
// connection whose certificate has those (RFC 9113 section 9.1.1).
func unrouted(t *table.Table, settings *Settings, q *table.Request) *answer {
	if settings.scheme() == "https" {
		other := *q
		other.ServerName = table.RoutingHost(q.Host)
		if t.Route(&other) != nil {
			return misdirected
		}
	}
	return noRoute
}

// ending is how a request ends that takes a route and that no backend gets.
type ending uint8

const (
	endNone ending = iota // it goes to a backend
	endForbidden
	endRedirect
	endRespond
	endLast // it may take no further hop: RFC 9110 section 7.6.2
)

func endingOf(route *table.Route, request *http1.Request, settings *Settings, peer netip.Addr) ending {
	switch {
	case route.Access != nil && !route.Access.Allows(clientOf(request, settings, peer)):
		return endForbidden
	case route.Redirect != nil:
		return endRedirect
	case route.Respond != nil:
		return endRespond
	}
	if hops, ok := request.MaxForwards(); ok && hops == 0 {
		return endLast
	}
	return endNone
}

// clientOf is whom access rules are about, and whose address is hashed.
func clientOf(request *http1.Request, settings *Settings, peer netip.Addr) netip.Addr {
	return table.ClientAddr(peer, settings.Trusted, fields{request})
}

// redirected is the request as a redirect looks at it. A host that the client did
// not send is the one that it connected to.
func redirected(request *http1.Request, settings *Settings) table.RedirectRequest {
	return table.RedirectRequest{
		Scheme: settings.scheme(), Host: text(request.Host),
		Path: text(request.Path), Query: text(request.Query), HasQuery: request.HasQuery,
	}
}

// boundsOf returns the timeouts of a request, and how many backends it may try.
func boundsOf(route *table.Route, pool *table.Pool) (limits table.PoolTimeouts, attempts int) {
	limits, attempts = pool.Timeouts, pool.Attempts
	if route.FirstByte > 0 {
		limits.FirstByte = route.FirstByte
	}
	if route.Request > 0 {
		limits.Request = route.Request
	}
	if route.Attempts > 0 {
		attempts = route.Attempts
	}
	return limits, attempts
}

// composer settles how requests are written to backends. Its memory is used again.
type composer struct {
	rewrite      http1.RequestRewrite
	target, host []byte
}

// rewriting returns how the request is written for a backend of the route, which
// holds until the next call; nil if the route makes its target too long.
func (c *composer) rewriting(request *http1.Request, settings *Settings, route *table.Route, peer netip.Addr) *http1.RequestRewrite {
	w := &c.rewrite
	*w = http1.RequestRewrite{
		Peer:         peer,
		Trusted:      len(settings.Trusted) > 0 && settings.isTrusted(peer),
		Proto:        settings.scheme(),
		NoXForwarded: settings.NoXForwarded, NoForwarded: settings.NoForwarded, Via: settings.Via,
		Upgrade: request.Upgrade != nil && !offersH2C(request.Upgrade),
		Edits:   route.RequestEdits,
	}
	if rewrite := route.Rewrite; rewrite != nil {
		if rewrite.Host != "" {
			w.Host = append(c.host[:0], rewrite.Host...)
			c.host = w.Host
		}
		w.Target = rewrite.AppendTarget(c.target[:0], text(request.Path), text(request.Query), request.HasQuery)
		if w.Target == nil {
			return nil
		}
		c.target = w.Target
	}
	if hops, ok := request.MaxForwards(); ok {
		fewer := http1.Edit{Op: http1.EditSet, Name: "Max-Forwards", Value: strconv.FormatUint(hops-1, 10)}
		w.Edits = append([]http1.Edit{fewer}, w.Edits...)
	}
	return w
}
