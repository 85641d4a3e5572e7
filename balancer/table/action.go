package table

import (
	"regexp"
	"strconv"
	"strings"

	"evenkeel/fsm"
)

// Page is a body with its type.
type Page struct {
	Body        []byte
	ContentType string
}

// Respond is a fixed response.
type Respond struct {
	Status int
	Page
}

// Mirror is where a share of the requests is copied to.
type Mirror struct {
	Pool    string
	Percent int
}

// Redirect answers with another address. See [fsm.Redirect].
type Redirect struct {
	Status int

	spec   fsm.Redirect
	prefix string // of the route
}

// RedirectRequest is the request that is redirected, as it was sent.
type RedirectRequest struct {
	Scheme      string // of the listener
	Host        string // with its port, if it named one
	Path, Query string
	HasQuery    bool
}

// AppendLocation appends the address to go to (RFC 9110 section 10.2.2).
func (r *Redirect) AppendLocation(dst []byte, q RedirectRequest) []byte {
	scheme := q.Scheme
	if r.spec.Scheme != "" {
		scheme = r.spec.Scheme
	}
	dst = append(dst, scheme...)
	dst = append(dst, "://"...)
	dst = r.appendAuthority(dst, q)
	switch {
	case r.spec.Path != "":
		dst = append(dst, r.spec.Path...)
	case r.spec.Prefix != nil:
		dst = appendWithPrefix(dst, q.Path, r.prefix, *r.spec.Prefix)
	default:
		dst = appendPath(dst, q.Path)
	}
	if q.HasQuery && !r.spec.DropQuery {
		dst = append(dst, '?')
		dst = append(dst, q.Query...)
	}
	return dst
}

// appendAuthority writes host and port: the scheme's own port if scheme or host
// change and none is given, which is what a redirect to HTTPS means.
func (r *Redirect) appendAuthority(dst []byte, q RedirectRequest) []byte {
	host, port := splitPort(q.Host)
	if r.spec.Host != "" || r.spec.Scheme != "" {
		port = ""
	}
	if r.spec.Host != "" {
		host = r.spec.Host
	}
	dst = append(dst, host...)
	if r.spec.Port != 0 {
		dst = append(dst, ':')
		return strconv.AppendInt(dst, int64(r.spec.Port), 10)
	}
	return append(dst, port...)
}

// splitPort returns a host and its port with the colon, if it has one.
func splitPort(host string) (name, port string) {
	if colon := strings.LastIndexByte(host, ':'); colon >= 0 && !strings.HasSuffix(host, "]") {
		return host[:colon], host[colon:]
	}
	return host, ""
}

// Rewrite changes what a backend is asked for. See [fsm.Rewrite].
type Rewrite struct {
	// Host replaces the Host field, unless it is empty.
	Host string

	spec    fsm.Rewrite
	prefix  string // of the route
	pattern *regexp.Regexp
}

// AppendTarget appends the origin-form of the request's target (RFC 9112
// section 3.2.1); path and query are as they were sent.
func (w *Rewrite) AppendTarget(dst []byte, path, query string, hasQuery bool) []byte {
	switch {
	case w.spec.Path != "":
		dst = append(dst, w.spec.Path...)
	case w.spec.Prefix != nil:
		dst = appendWithPrefix(dst, path, w.prefix, *w.spec.Prefix)
	case w.pattern != nil:
		dst = appendPath(dst, w.pattern.ReplaceAllString(path, w.spec.Replacement))
	default:
		dst = appendPath(dst, path)
	}
	if hasQuery {
		dst = append(dst, '?')
		dst = append(dst, query...)
	}
	return dst
}

// appendWithPrefix writes a path with the route's prefix replaced. The route
// matched the decoded path without dot segments; if that differs from what was
// sent, the decoded one is cut and escaped anew.
func appendWithPrefix(dst []byte, path, prefix, replacement string) []byte {
	rest, found := cutPrefix(path, prefix)
	if !found {
		if decoded, _, ok := RoutingPath(nil, path); ok {
			rest, _ = cutPrefix(decoded, prefix)
		}
	}
	dst = append(dst, strings.TrimRight(replacement, "/")...)
	if rest == "" && strings.TrimRight(replacement, "/") != "" {
		return dst
	}
	return appendPath(dst, rest)
}

// cutPrefix removes a prefix of whole segments; what is left begins with "/" or
// is empty.
func cutPrefix(path, prefix string) (rest string, found bool) {
	if strings.ContainsRune(path, '%') || strings.Contains(path, "/.") {
		return "", false // it may not be what it looks like
	}
	prefix = strings.TrimRight(prefix, "/")
	rest, found = strings.CutPrefix(path, prefix)
	if !found || rest != "" && rest[0] != '/' {
		return "", false
	}
	return rest, true
}

// appendPath writes a path such that it is a valid origin-form: it begins with
// "/", and what a request line must not hold is escaped.
func appendPath(dst []byte, path string) []byte {
	if path == "" || path[0] != '/' {
		dst = append(dst, '/')
	}
	const hex = "0123456789ABCDEF"
	for i := range len(path) {
		if c := path[i]; c <= ' ' || c >= 0x7f || c == '#' || c == '?' {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}
