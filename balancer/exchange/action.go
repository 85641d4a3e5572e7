package exchange

import (
	"bytes"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

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
	switch endingOf(route, &x.loop.request, x.settings, x.client.peer) {
	case endForbidden:
		x.answer(forbidden)
	case endRedirect:
		x.redirect(route.Redirect)
	case endRespond:
		x.respondWith(route.Respond.Status, &route.Respond.Page, "")
	case endLast:
		x.answerLast()
	default:
		return false
	}
	return true
}

// answerLast answers a request that may take no further hop: RFC 9110 section
// 7.6.2. What a TRACE would show of the request, it is not shown here.
func (x *exchange) answerLast() {
	if x.method == http1.TRACE {
		x.answer(noTrace)
		return
	}
	x.respondWith(http.StatusNoContent, &table.Page{}, allowed)
}

// clientAddr is whom access rules are about, and whose address is hashed.
func (x *exchange) clientAddr() netip.Addr {
	return clientOf(&x.loop.request, x.settings, x.client.peer)
}

// redirect answers with another address.
func (x *exchange) redirect(to *table.Redirect) {
	location := to.AppendLocation(nil, redirected(&x.loop.request, x.settings))
	x.respondWith(to.Status, &table.Page{}, "Location: "+string(location)+"\r\n")
}

const noStore = "Cache-Control: no-store\r\n"

// answerAsRouted answers as the request's route has it, and tells whether that
// has anything to say of it.
func (x *exchange) answerAsRouted(a *answer) bool {
	page := x.routed.ErrorPage(a.status)
	switch {
	case page != nil:
	case x.routed != nil && len(x.routed.ResponseEdits) > 0:
		page = &table.Page{Body: a.body(), ContentType: answerType}
	default:
		return false
	}
	x.respondWith(a.status, page, noStore+a.fields)
	return true
}

// respondWith answers with a response that a route describes. extra is a further
// field line.
func (x *exchange) respondWith(status int, page *table.Page, extra string) {
	closing := x.closeBefore()
	out := x.loop.world.Scratch()
	out = append(out, "HTTP/1.1 "...)
	out = strconv.AppendInt(out, int64(status), 10)
	out = append(out, ' ')
	out = append(out, http.StatusText(status)...)
	out = append(out, "\r\n"...)
	lines := len(out)
	out = append(out, x.loop.world.Date()...)
	out = append(out, extra...)
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
	if x.routed != nil {
		out = editLines(out, lines, x.routed.ResponseEdits)
	}
	out = append(out, "\r\n"...)
	if x.method != http1.HEAD && !bodiless {
		out = append(out, page.Body...)
	}
	x.deliver(out)
}

// editLines makes edits of the field lines that begin at from, as package http1
// makes them of heads that it read.
func editLines(head []byte, from int, edits []http1.Edit) []byte {
	if len(edits) == 0 {
		return head
	}
	kept := head[:from]
	for rest := head[from:]; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n') + 1
		if name := rest[:bytes.IndexByte(rest, ':')]; !replaces(edits, text(name)) {
			kept = append(kept, rest[:end]...)
		}
		rest = rest[end:]
	}
	for i, edit := range edits {
		if edit.Op != http1.EditRemove && !replaces(edits[i+1:], edit.Name) {
			kept = append(kept, edit.Name...)
			kept = append(kept, ": "...)
			kept = append(kept, edit.Value...)
			kept = append(kept, "\r\n"...)
		}
	}
	return kept
}

// replaces tells whether one of the edits removes what was there before it.
func replaces(edits []http1.Edit, name string) bool {
	return slices.ContainsFunc(edits, func(e http1.Edit) bool {
		return e.Op != http1.EditAdd && strings.EqualFold(e.Name, name)
	})
}
