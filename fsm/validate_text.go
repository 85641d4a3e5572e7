package fsm

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Bounds of texts, part of the feature level.
const (
	maxPath        = 1024
	maxNetworks    = 256
	maxFieldValue  = 4096
	maxContentType = 256
	maxBody        = 64 << 10
)

// checkSpan reports a time span that is neither 0, which stands for the
// default, nor within the bounds.
func checkSpan(f *faults, pointer string, span Duration, low, high time.Duration) {
	if span != 0 && (time.Duration(span) < low || time.Duration(span) > high) {
		f.add(pointer, "%q is not from %q to %q: leave it out for the default", span, low, high)
	}
}

// checkCount reports a number that is neither 0, which stands for the default,
// nor within the bounds.
func checkCount(f *faults, pointer string, value, low, high int) {
	if value != 0 && (value < low || value > high) {
		f.add(pointer, "%d is not from %d to %d: leave it out for the default", value, low, high)
	}
}

func checkNetworks(f *faults, pointer string, networks []string) {
	if len(networks) > maxNetworks {
		f.add(pointer, "has %d networks, at most %d are taken", len(networks), maxNetworks)
		return
	}
	for i, network := range networks {
		if _, err := netip.ParsePrefix(network); err != nil {
			f.add(fmt.Sprintf("%s/%d", pointer, i), `%q is not a network: write it as "10.0.0.0/8" or "fd00::/8"`, clip(network))
		}
	}
}

// isToken reports whether text is a token (RFC 9110, section 5.6.2), as the
// names of methods, fields and cookies are.
func isToken(text string) bool {
	for _, c := range []byte(text) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return text != ""
}

// checkToken reports what cannot be the name of a header field (RFC 9110,
// section 5.1) or cookie (RFC 6265, section 4.1.1).
func checkToken(f *faults, pointer, what, name string) {
	switch {
	case name == "":
		f.add(pointer, "is missing: give the name of the %s", what)
	case len(name) > maxKeyName:
		f.add(pointer, "has %d bytes, at most %d are taken", len(name), maxKeyName)
	case !isToken(name):
		f.add(pointer, "%q is not the name of a %s: use letters, digits and !#$%%&'*+-.^_`|~ alone", clip(name), what)
	}
}

// checkParameter reports what cannot be the name of a query parameter, which
// is compared decoded.
func checkParameter(f *faults, pointer, name string) {
	switch {
	case name == "":
		f.add(pointer, "is missing: give the name of the query parameter")
	case len(name) > maxKeyName:
		f.add(pointer, "has %d bytes, at most %d are taken", len(name), maxKeyName)
	}
}

// checkFieldValue reports what cannot be the value of a header field (RFC
// 9110, section 5.5). Empty is allowed.
func checkFieldValue(f *faults, pointer, value string) {
	switch {
	case len(value) > maxFieldValue:
		f.add(pointer, "has %d bytes, at most %d are taken", len(value), maxFieldValue)
	case strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }):
		f.add(pointer, "%q holds a control character, which no header field may: leave it out", clip(value))
	case strings.Trim(value, " \t") != value:
		f.add(pointer, "%q begins or ends with white space, which is no part of a header field's value: leave it out", clip(value))
	}
}

// checkContentType reports what is not "type/subtype", with or without
// parameters (RFC 9110, section 8.3.1).
func checkContentType(f *faults, pointer, value string) {
	before := len(f.list)
	checkFieldValue(f, pointer, value)
	if len(f.list) > before {
		return
	}
	media, _, _ := strings.Cut(value, ";")
	kind, subtype, _ := strings.Cut(strings.TrimRight(media, " \t"), "/")
	switch {
	case len(value) > maxContentType:
		f.add(pointer, "has %d bytes, at most %d are taken", len(value), maxContentType)
	case !isToken(kind) || !isToken(subtype):
		f.add(pointer, `%q is not a media type: write one such as "text/plain; charset=utf-8"`, clip(value))
	}
}

func checkBody(f *faults, pointer, body string) {
	if len(body) > maxBody {
		f.add(pointer, "has %d bytes, at most %d are taken", len(body), maxBody)
	}
}

// checkMatchPath reports what no decoded path is, and what was most likely
// meant to be decoded: a route for "/a%20b" would match no request for it.
// Empty is allowed.
func checkMatchPath(f *faults, pointer, path string) {
	switch decoded, err := url.PathUnescape(path); {
	case path == "":
	case path[0] != '/':
		f.add(pointer, "%q must begin with /", clip(path))
	case len(path) > maxPath:
		f.add(pointer, "has %d bytes, at most %d are taken", len(path), maxPath)
	case strings.ContainsFunc(path, func(c rune) bool { return c < ' ' || c == 0x7f || c == '?' || c == '#' }):
		f.add(pointer, "%q holds a control character, ? or #: give the path alone", clip(path))
	case err == nil && decoded != path:
		f.add(pointer, "%q is escaped: requests are compared decoded, so write %q", clip(path), clip(decoded))
	}
}

// checkPath reports what cannot be asked for in a request. Empty is allowed.
func checkPath(f *faults, pointer, path string) {
	switch {
	case path == "":
	case path[0] != '/':
		f.add(pointer, "%q must begin with /", clip(path))
	case len(path) > maxPath:
		f.add(pointer, "has %d bytes, at most %d are taken", len(path), maxPath)
	case strings.ContainsFunc(path, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '?' || c == '#' }):
		f.add(pointer, "%q holds a space, a control character, ? or #: give the path alone, escaped as in a request", clip(path))
	}
}

// checkTarget reports what [checkPath] does, and what is not escaped as RFC
// 3986 wants the paths that this side writes. Empty is allowed.
func checkTarget(f *faults, pointer, path string) {
	before := len(f.list)
	checkPath(f, pointer, path)
	if len(f.list) > before {
		return
	}
	if _, err := url.PathUnescape(path); err != nil || strings.ContainsFunc(path, func(c rune) bool { return c > 0x7e }) {
		f.add(pointer, "%q is not escaped: write characters beyond ASCII, and the percent sign itself, as %%XX", clip(path))
	}
}

// checkURLHost reports what cannot stand as the host of a URL: a name, an IPv4
// address, or an IPv6 address in brackets. Empty is allowed.
func checkURLHost(f *faults, pointer, host string) {
	if host != "" && !isURLHost(host) {
		f.add(pointer, `%q is not a host: write "www.example.com", "10.0.0.1" or "[fd00::1]", without a port`, clip(host))
	}
}

func isURLHost(host string) bool {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		ip, err := netip.ParseAddr(inner)
		return ok && err == nil && ip.Is6() && ip.Zone() == ""
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Is4()
	}
	return !looksNumeric(host) && isHostName(host)
}
