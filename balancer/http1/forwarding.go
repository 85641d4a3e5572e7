package http1

import "net/netip"

// The kinds that say who the client was. Those with an underscore are nobody's
// that should be believed: a client hid them there from a proxy before us.
const (
	forwardingFields = kinds(1<<kindForwardedFor | 1<<kindForwardedProto | 1<<kindForwardedHost |
		1<<kindForwardedOther | 1<<kindForwardedDisguise | 1<<kindForwarded | 1<<kindClientSubject)
)

// forwarding is which of the forwarding fields are dropped and which are
// written.
type forwarding struct {
	drop, write kinds
	// continued are those that this hop is appended to.
	continued kinds
}

// forwarding decides on the forwarding fields. From a trusted peer they are
// kept and continued, from any other they are replaced.
//
// X-Forwarded-For and Forwarded (RFC 7239) grow by this hop and become one
// line, because some readers look at the first line only. X-Forwarded-Proto and
// X-Forwarded-Host name what the first trusted hop saw, so they are kept if they
// are there. X-Client-Cert-Subject is that of the last hop that saw a certificate.
// Any other X-Forwarded field is kept as it is. The two notations
// are never translated into one another: RFC 7239 section 7.4 warns that the
// order of hops gets lost.
func (r *Request) forwarding(w *RequestRewrite) (f forwarding) {
	f.drop = forwardingFields
	if w.Trusted {
		f.drop = 1 << kindForwardedDisguise
	}
	if w.ClientSubject != "" {
		f.write |= 1 << kindClientSubject
	}
	if !w.NoXForwarded {
		if w.Peer.IsValid() {
			f.write |= 1 << kindForwardedFor
		}
		if !w.Trusted || len(r.unnamed(kindForwardedProto)) == 0 {
			f.write |= 1 << kindForwardedProto
		}
		if len(r.Host) > 0 && (!w.Trusted || len(r.unnamed(kindForwardedHost)) == 0) {
			f.write |= 1 << kindForwardedHost
		}
	}
	if !w.NoForwarded {
		f.write |= 1 << kindForwarded
	}
	if w.Trusted {
		f.continued = f.write & (1<<kindForwardedFor | 1<<kindForwarded)
		if f.continued.has(kindForwarded) && r.endsInQuotes() { // and would swallow what follows
			f.continued &^= 1 << kindForwarded
		}
	}
	f.drop |= f.write
	if len(w.Edits) > 0 {
		f.write &^= replacedForwarding(w.Edits)
	}
	return f
}

// replacedForwarding are the kinds whose fields an edit removes after they
// would have been written.
func replacedForwarding(edits []Edit) (set kinds) {
	for _, field := range [...]struct {
		name string
		kind kind
	}{
		{"X-Forwarded-For", kindForwardedFor}, {"X-Forwarded-Proto", kindForwardedProto},
		{"X-Forwarded-Host", kindForwardedHost}, {"Forwarded", kindForwarded},
		{"X-Client-Cert-Subject", kindClientSubject},
	} {
		if replaces(edits, field.name) {
			set |= 1 << field.kind
		}
	}
	return set
}

// unnamed returns the value of the first field of a kind that is not named in
// Connection.
func (r *Request) unnamed(k kind) []byte {
	h := &r.head
	for i := range h.fields {
		if f := &h.fields[i]; f.kind == k && !f.named {
			return h.valueOf(f)
		}
	}
	return nil
}

// endsInQuotes tells whether a quoted-string (RFC 9110 section 5.6.4) that
// begins in the Forwarded fields never ends.
func (r *Request) endsInQuotes() bool {
	quoted := false
	h := &r.head
	for i := range h.fields {
		f := &h.fields[i]
		if f.kind != kindForwarded {
			continue
		}
		value := h.valueOf(f)
		for j := 0; j < len(value); j++ {
			switch {
			case value[j] == '"':
				quoted = !quoted
			case value[j] == '\\' && quoted:
				j++
			}
		}
	}
	return quoted
}

func (r *Request) appendForwarding(dst []byte, w *RequestRewrite, f forwarding) []byte {
	proto := w.Proto
	if proto == "" {
		proto = "http"
	}
	peer := w.Peer.Unmap().WithZone("") // a zone means nothing to another host
	if f.write.has(kindForwardedFor) {
		dst = append(dst, "X-Forwarded-For: "...)
		if f.continued.has(kindForwardedFor) {
			dst = r.appendContinued(dst, kindForwardedFor)
		}
		dst = peer.AppendTo(dst)
		dst = append(dst, "\r\n"...)
	}
	if f.write.has(kindForwardedProto) {
		dst = append(dst, "X-Forwarded-Proto: "...)
		dst = append(dst, proto...)
		dst = append(dst, "\r\n"...)
	}
	if f.write.has(kindForwardedHost) {
		dst = appendField(dst, "X-Forwarded-Host: ", r.Host)
	}
	if f.write.has(kindForwarded) {
		dst = append(dst, "Forwarded: "...)
		if f.continued.has(kindForwarded) {
			dst = r.appendContinued(dst, kindForwarded)
		}
		dst = appendElement(dst, peer, r.Host, proto)
		dst = append(dst, "\r\n"...)
	}
	if f.write.has(kindClientSubject) {
		dst = append(dst, "X-Client-Cert-Subject: "...)
		dst = append(dst, w.ClientSubject...)
		dst = append(dst, "\r\n"...)
	}
	return dst
}

// appendContinued writes the values of the fields of a kind, each followed by a
// comma.
func (r *Request) appendContinued(dst []byte, k kind) []byte {
	h := &r.head
	for i := range h.fields {
		f := &h.fields[i]
		if f.kind == k && !f.named && f.value < f.valueEnd {
			dst = append(dst, h.valueOf(f)...)
			dst = append(dst, ", "...)
		}
	}
	return dst
}

// appendElement writes this hop's element of a Forwarded field, RFC 7239
// section 4.
func appendElement(dst []byte, client netip.Addr, host []byte, proto string) []byte {
	switch {
	case !client.IsValid():
		dst = append(dst, "for=unknown"...)
	case client.Is4():
		dst = append(dst, "for="...)
		dst = client.AppendTo(dst)
	default: // section 6: brackets, and quotes because of them
		dst = append(dst, `for="[`...)
		dst = client.AppendTo(dst)
		dst = append(dst, `]"`...)
	}
	if len(host) > 0 {
		dst = append(dst, ";host="...)
		if isToken(host) {
			dst = append(dst, host...)
		} else { // no host holds a quote or a backslash: RFC 3986 section 3.2.2
			dst = append(dst, '"')
			dst = append(dst, host...)
			dst = append(dst, '"')
		}
	}
	dst = append(dst, ";proto="...)
	return append(dst, proto...)
}
