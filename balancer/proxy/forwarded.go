package proxy

import (
	"net/http"
	"net/netip"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// peer is who a request came from, as far as forwarding fields go.
type peer struct {
	addr    netip.Addr // invalid if unknown
	trusted bool
}

// peerOf reads net/http's RemoteAddr.
func peerOf(remote string, trusted []netip.Prefix) peer {
	endpoint, err := netip.ParseAddrPort(remote)
	if err != nil {
		return peer{}
	}
	p := peer{addr: endpoint.Addr().Unmap().WithZone("")}
	for _, network := range trusted {
		if network.Contains(p.addr) {
			p.trusted = true
			break
		}
	}
	return p
}

// isForwardingField tells whether a field is one that says who the client was,
// for [setForwarding] to write. Underscores count as hyphens, because CGI and
// WSGI take "X_Forwarded_For" for "X-Forwarded-For".
func isForwardingField(name string) bool {
	const prefix = "X-Forwarded-"
	if len(name) < len(prefix) {
		return strings.EqualFold(name, "Forwarded")
	}
	for i := range len(prefix) {
		c := name[i]
		if c == '_' {
			c = '-'
		}
		if c|0x20 != prefix[i]|0x20 {
			return false
		}
	}
	return true
}

// setForwarding writes the forwarding fields of an outgoing request: from a
// trusted peer those in "in" are kept and continued, from any other they are
// replaced. out must not hold any of them yet.
//
// X-Forwarded-For and Forwarded (RFC 7239) grow by this hop; X-Forwarded-Proto
// and X-Forwarded-Host name what the first trusted hop saw, so they are kept if
// they are there; any other X-Forwarded field is kept as it is. The two
// notations are never translated into one another: RFC 7239 section 7.4 warns
// that the order of hops gets lost.
func setForwarding(out, in http.Header, from peer, host string) {
	if from.trusted {
		for name, values := range in {
			// With an underscore it is not the proxy's: its client hid it there.
			if isForwardingField(name) && !strings.Contains(name, "_") {
				out[name] = values
			}
		}
	}
	if from.addr.IsValid() {
		appendList(out, "X-Forwarded-For", from.addr.String())
	}
	if endsInQuotes(out["Forwarded"]) { // and would swallow what follows
		delete(out, "Forwarded")
	}
	appendList(out, "Forwarded", forwardedElement(from.addr, host))
	setMissing(out, "X-Forwarded-Proto", "http")
	if host != "" {
		setMissing(out, "X-Forwarded-Host", host)
	}
}

func setMissing(h http.Header, name, value string) {
	if h.Get(name) == "" {
		h[name] = []string{value}
	}
}

// appendList adds an element to a comma-separated list and makes it one line,
// because some readers look at the first line only.
func appendList(h http.Header, name, element string) {
	var all []string
	for _, line := range h[name] {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	h[name] = []string{strings.Join(append(all, element), ", ")}
}

// endsInQuotes tells whether a quoted-string (RFC 9110 section 5.6.4) that
// begins in a list never ends.
func endsInQuotes(list []string) bool {
	quoted := false
	for _, line := range list {
		for i := 0; i < len(line); i++ {
			switch {
			case line[i] == '"':
				quoted = !quoted
			case line[i] == '\\' && quoted:
				i++
			}
		}
	}
	return quoted
}

// forwardedElement is this hop's element of a Forwarded field, RFC 7239
// section 4.
func forwardedElement(client netip.Addr, host string) string {
	var b strings.Builder
	b.WriteString("for=")
	switch {
	case !client.IsValid():
		b.WriteString("unknown")
	case client.Is4():
		b.WriteString(client.String())
	default: // section 6: brackets, and quotes because of them
		b.WriteString(`"[` + client.String() + `]"`)
	}
	if host != "" {
		b.WriteString(";host=")
		writeValue(&b, host)
	}
	b.WriteString(";proto=http")
	return b.String()
}

// writeValue writes a token as it is and anything else as a quoted-string (RFC
// 9110 sections 5.6.2 and 5.6.4), without bytes that a field must not hold.
func writeValue(b *strings.Builder, value string) {
	token := value != ""
	for i := range len(value) {
		token = token && httpguts.IsTokenRune(rune(value[i]))
	}
	if token {
		b.WriteString(value)
		return
	}
	b.WriteByte('"')
	for i := range len(value) {
		switch c := value[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c >= ' ' && c != 0x7f || c == '\t':
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
}
