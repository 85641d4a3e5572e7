package proxy

import (
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// isHopByHop tells whether a field concerns one connection only (RFC 9110
// section 7.6.1) and so is not forwarded; name is canonical. The two about
// authentication are between a client and the first proxy it knows.
func isHopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
		"Http2-Settings", "Proxy-Authenticate", "Proxy-Authorization":
		return true
	}
	return false
}

// namedInConnection returns the canonical names of fields that the Connection
// field declares to be of one hop.
func namedInConnection(h http.Header) []string {
	var names []string
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, http.CanonicalHeaderKey(name))
			}
		}
	}
	return names
}

func hasToken(values []string, token string) bool {
	return httpguts.HeaderValuesContainsToken(values, token)
}

// upgradeOf returns what protocol a message asks or agrees to switch to, or "".
func upgradeOf(h http.Header) string {
	if !hasToken(h["Connection"], "upgrade") {
		return ""
	}
	return strings.Join(h["Upgrade"], ", ")
}

// offersH2C tells whether HTTP/2 is among the offered protocols. Such an offer
// is ignored, as RFC 9110 section 7.8 allows: behind it the client could send
// requests that no route was looked up for ("h2c smuggling").
func offersH2C(upgrade string) bool {
	return hasToken([]string{upgrade}, "h2c") || hasToken([]string{upgrade}, "h2")
}

// requestHeader returns the fields of the outgoing request.
func requestHeader(in *http.Request, from peer, upgrade string) http.Header {
	out := make(http.Header, len(in.Header)+6)
	for name, values := range in.Header {
		if !isHopByHop(name) && !isForwardingField(name) {
			out[name] = values
		}
	}
	named := namedInConnection(in.Header)
	for _, name := range named {
		delete(out, name)
	}
	forwarding := in.Header
	if from.trusted && len(named) > 0 {
		forwarding = in.Header.Clone()
		for _, name := range named {
			delete(forwarding, name)
		}
	}
	setForwarding(out, forwarding, from, in.Host)
	// The one member of TE that is for every hop.
	if hasToken(in.Header["Te"], "trailers") {
		out["Te"] = []string{"trailers"}
	}
	if upgrade != "" {
		out["Connection"] = []string{"Upgrade"}
		out["Upgrade"] = []string{upgrade}
	}
	// net/http names itself if nobody else does; an empty value stops it.
	if _, ok := out["User-Agent"]; !ok {
		out["User-Agent"] = []string{""}
	}
	if in.ContentLength == 0 {
		delete(out, "Expect")
	}
	return out
}

// copyResponseHeader replaces what to holds by the end-to-end fields of a
// response.
func copyResponseHeader(to, from http.Header) {
	clear(to)
	for name, values := range from {
		if !isHopByHop(name) {
			to[name] = values
		}
	}
	for _, name := range namedInConnection(from) {
		delete(to, name)
	}
	// A nil value keeps net/http from guessing a type.
	if _, ok := to["Content-Type"]; !ok {
		to["Content-Type"] = nil
	}
}
