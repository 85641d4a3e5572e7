package exchange

import (
	"bytes"
	"net/http"
	"net/netip"
	"strconv"

	"evenkeel/balancer/http1"
	"evenkeel/balancer/table"
)

// fields are a request's header fields as routes look at them.
type fields struct{ *http1.Request }

// FieldText implements [table.FieldSource].
func (f fields) FieldText(name string, i int) (string, bool) {
	for n, value := range f.Fields {
		if len(n) != len(name) || !bytes.EqualFold(n, []byte(name)) {
			continue
		}
		if i == 0 {
			return text(value), true
		}
		i--
	}
	return "", false
}

// act does what the route says without a backend, and tells whether that was
// all.
func (x *exchange) act(route *table.Route) bool {
	switch {
	case !route.Access.Allows(x.clientAddr()):
		x.answer(forbidden)
	case route.Redirect != nil:
		x.redirect(route.Redirect)
	case route.Respond != nil:
		x.respondWith(route.Respond.Status, &route.Respond.Page, "")
	default:
		return false
	}
	return true
}

// clientAddr is whom access rules are about: the connection's peer, or whom a
// trusted one names last in X-Forwarded-For.
func (x *exchange) clientAddr() netip.Addr {
	peer := x.client.peer
	if len(x.settings.Trusted) == 0 || !x.settings.isTrusted(peer) {
		return peer
	}
	last, found := []byte(nil), false
	for name, value := range x.loop.request.Fields {
		if bytes.EqualFold(name, []byte("X-Forwarded-For")) {
			last, found = value, true
		}
	}
	if !found {
		return peer
	}
	if comma := bytes.LastIndexByte(last, ','); comma >= 0 {
		last = last[comma+1:]
	}
	named, err := netip.ParseAddr(string(bytes.TrimSpace(last)))
	if err != nil {
		return peer
	}
	return named.Unmap()
}

// redirect answers with another address. A host that the client did not send is
// the one that it connected to.
func (x *exchange) redirect(to *table.Redirect) {
	request := &x.loop.request
	location := to.AppendLocation(nil, table.RedirectRequest{
		Scheme: "http", Host: text(request.Host),
		Path: text(request.Path), Query: text(request.Query), HasQuery: request.HasQuery,
	})
	x.respondWith(to.Status, &table.Page{}, string(location))
}

// respondWith answers with a response that a route describes.
func (x *exchange) respondWith(status int, page *table.Page, location string) {
	closing := x.closeBefore()
	out := x.loop.world.Scratch()
	out = append(out, "HTTP/1.1 "...)
	out = strconv.AppendInt(out, int64(status), 10)
	out = append(out, ' ')
	out = append(out, http.StatusText(status)...)
	out = append(out, "\r\n"...)
	out = append(out, x.loop.world.Date()...)
	if location != "" {
		out = append(out, "Location: "...)
		out = append(out, location...)
		out = append(out, "\r\n"...)
	}
	if len(page.Body) > 0 {
		out = append(out, "Content-Type: "...)
		out = append(out, page.ContentType...)
		out = append(out, "\r\n"...)
	}
	bodiless := status == 204 || status == 304
	if !bodiless {
		out = append(out, "Content-Length: "...)
		out = strconv.AppendInt(out, int64(len(page.Body)), 10)
		out = append(out, "\r\n"...)
	}
	out = x.appendConnection(out, closing)
	out = append(out, "\r\n"...)
	if x.method != http1.HEAD && !bodiless {
		out = append(out, page.Body...)
	}
	x.deliver(out)
}
