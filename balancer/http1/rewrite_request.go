package http1

import "net/netip"

// RequestRewrite says how a request head is written for the next hop. Fields
// for one hop (RFC 9110 section 7.6.1) are left out in any case.
type RequestRewrite struct {
	// Target replaces the target by one that may be in a request line; nil
	// keeps it, in origin form (RFC 9112 section 3.2.1), and for OPTIONS without
	// a path "*" (section 3.2.4).
	Target []byte
	// Host replaces the Host field by a host and perhaps a port; nil keeps it,
	// unless a target in absolute form names another host, which counts (RFC
	// 9112 section 3.2.2).
	Host []byte

	Peer    netip.Addr // the client, for the forwarding fields; the zero Addr if unknown
	Trusted bool       // believe the client's own forwarding fields
	Proto   string     // how the client speaks to us: "http", which "" means too, or "https"

	// NoXForwarded and NoForwarded keep X-Forwarded-For, -Proto and -Host, and
	// Forwarded, from being written. A client that is not trusted cannot pass
	// its own on even then; those of a trusted one are passed on as they came.
	NoXForwarded, NoForwarded bool
	Via                       bool // append this hop to Via
	HTTP2                     bool // the request came over HTTP/2, which Via is to tell

	// ClientSubject is the subject of the certificate that the client has shown, for
	// X-Client-Cert-Subject; "" if it has shown none. The client's own field of that
	// name is passed on only from one that is trusted and has shown none.
	ClientSubject string

	Upgrade    bool // pass on the offer to upgrade, if there is one
	DropExpect bool // leave out Expect
	Edits      []Edit
}

// hopByHop are the kinds that are for one hop: RFC 9110 section 7.6.1.
const hopByHop = kinds(1<<kindHopByHop | 1<<kindConnection | 1<<kindTE | 1<<kindUpgrade)

// AppendTo appends the head as it is to be sent to the next hop, with the empty
// line at its end. r must hold what Parse returned, and the buffer that it was
// parsed from must still be there.
func (r *Request) AppendTo(dst []byte, w *RequestRewrite) []byte {
	h := &r.head
	drop := hopByHop
	from := h.start
	if w.Target != nil || r.Minor == 0 || r.Form == AbsoluteForm {
		dst = r.appendLine(dst, w.Target)
		from = h.first
	}
	if host := w.Host; host != nil || r.Form == AbsoluteForm || h.seen&seenHost == 0 {
		if host == nil {
			host = r.Host
		}
		dst = append(dst, h.buf[from:h.first]...)
		from = h.first
		dst = appendField(dst, "Host: ", host)
		drop |= 1 << kindHost
	}
	if w.DropExpect || r.Minor == 0 || !r.hasContent() {
		drop |= 1 << kindExpect
	}
	upgrade := w.Upgrade && r.Upgrade != nil
	if upgrade {
		drop &^= 1 << kindUpgrade
	}
	f := r.forwarding(w)
	dst = h.appendFields(dst, from, drop|f.drop, w.Edits)
	dst = r.appendForwarding(dst, w, f)
	if w.Via && !replaces(w.Edits, "Via") {
		dst = appendVia(dst, w.HTTP2, r.Minor)
	}
	switch {
	case upgrade && r.TETrailers:
		dst = append(dst, "Connection: upgrade, te\r\nTE: trailers\r\n"...)
	case upgrade:
		dst = append(dst, "Connection: upgrade\r\n"...)
	case r.TETrailers: // TE is never without the option: RFC 9110 section 10.1.4
		dst = append(dst, "Connection: te\r\nTE: trailers\r\n"...)
	}
	dst = appendEdits(dst, w.Edits)
	return append(dst, "\r\n"...)
}

// appendLine writes the request line with a target, nil for the one that came.
func (r *Request) appendLine(dst, target []byte) []byte {
	dst = append(dst, r.MethodText...)
	dst = append(dst, ' ')
	switch {
	case target != nil:
		dst = append(dst, target...)
	case r.Form == AbsoluteForm:
		dst = append(dst, r.Path...)
		if r.HasQuery {
			dst = append(dst, '?')
			dst = append(dst, r.Query...)
		}
	default:
		dst = append(dst, r.Target...)
	}
	return append(dst, " HTTP/1.1\r\n"...)
}

// appendField writes a field line; name comes with its colon and space.
func appendField(dst []byte, name string, value []byte) []byte {
	dst = append(dst, name...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// appendVia writes this hop's Via with the version that the message came in:
// RFC 9110 section 7.6.3. HTTP/2 has no minor version (RFC 9113 section 8).
func appendVia(dst []byte, http2 bool, minor uint8) []byte {
	switch {
	case http2:
		return append(dst, "Via: 2 evenkeel\r\n"...)
	case minor == 0:
		return append(dst, "Via: 1.0 evenkeel\r\n"...)
	}
	return append(dst, "Via: 1.1 evenkeel\r\n"...)
}
