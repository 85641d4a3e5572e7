package proxy

import (
	"net/http"
	"net/url"
	"strings"
)

// outgoingURL returns the URL that makes net/http send the request's target as
// the client wrote it. Decoding and encoding again would turn "/a%2Fb{" into
// "/a/b%7B", and proxy and backend would disagree about what was asked for.
func outgoingURL(in *http.Request, backend string) *url.URL {
	u := &url.URL{Scheme: "http", Host: backend, RawQuery: in.URL.RawQuery, ForceQuery: in.URL.ForceQuery}
	path, _, _ := strings.Cut(in.RequestURI, "?")
	if strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") {
		u.Opaque = escapeOdd(path)
	} else { // "*", absolute form, and "//x", which Opaque would take for a host
		u.Path, u.RawPath = in.URL.Path, in.URL.RawPath
	}
	return u
}

// escapeOdd escapes what a request line must not hold, or what a backend might
// cut off as a fragment.
func escapeOdd(path string) string {
	odd := func(c byte) bool { return c <= ' ' || c >= 0x7f || c == '#' }
	clean := true
	for i := range len(path) {
		clean = clean && !odd(path[i])
	}
	if clean {
		return path
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(path) {
		if c := path[i]; odd(c) {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// routingPath is the path that routes are looked up for: decoded and without
// dot segments, as the backend will understand it, so that "/public/../admin"
// is not let through a route for "/public". What is sent stays as it was.
func routingPath(u *url.URL) string {
	if u.Path == "" {
		return "/"
	}
	if !strings.Contains(u.Path, "/.") {
		return u.Path
	}
	return removeDotSegments(u.Path)
}

// removeDotSegments is RFC 3986 section 5.2.4 for a path that begins with "/".
func removeDotSegments(path string) string {
	segments := strings.Split(path, "/")[1:]
	kept := make([]string, 0, len(segments))
	for i, segment := range segments {
		last := i == len(segments)-1
		switch segment {
		case ".":
		case "..":
			kept = kept[:max(0, len(kept)-1)]
		default:
			kept = append(kept, segment)
			continue
		}
		if last {
			kept = append(kept, "")
		}
	}
	return "/" + strings.Join(kept, "/")
}
