package table

import "strings"

// pathChange is what redirects and rewrites do to a path.
type pathChange struct {
	whole   string // replaces all of it; "" for no such thing
	prefix  string // replaces what the route matched, if cuts
	matched string // the route's prefix without its final slashes
	cuts    bool
}

func newPathChange(whole string, prefix *string, matched string) pathChange {
	c := pathChange{whole: whole, matched: strings.TrimRight(matched, "/"), cuts: prefix != nil}
	if prefix != nil {
		c.prefix = *prefix
	}
	return c
}

func (c *pathChange) changes() bool { return c.whole != "" || c.cuts }

// appendTo appends what a path that was sent becomes.
func (c *pathChange) appendTo(dst []byte, path string) []byte {
	switch {
	case c.whole != "":
		return appendPath(dst, c.whole, true)
	case c.cuts:
		return c.appendCut(dst, path)
	}
	return appendPath(dst, path, true)
}

// appendCut replaces the prefix that the route matched. It matched the decoded
// path without dot segments, so it is to be found in the path as it was sent;
// where that has dot segments, there is no such part of it, and the path that
// the route matched takes its place, escaped again. What follows the prefix
// begins with a slash, or is nothing: then the new prefix is written with its
// own final slash, or without.
func (c *pathChange) appendCut(dst []byte, path string) []byte {
	var buffer [256]byte
	routed, _, ok := RoutingPath(buffer[:0], path)
	rest, cut := strings.CutPrefix(routed, c.matched)
	if !ok || !cut || rest != "" && rest[0] != '/' { // the route does not match this path
		return appendPath(dst, path, true)
	}
	escaped := decodedLen(path) == len(routed) // removal of dot segments shortens
	if escaped {
		rest = skipDecoded(path, len(c.matched))
	}
	if rest == "" {
		return appendPath(dst, c.prefix, true)
	}
	if kept := strings.TrimRight(c.prefix, "/"); kept != "" {
		dst = appendPath(dst, kept, true)
	}
	if escaped { // the slash may be escaped, too
		rest = skipDecoded(rest, 1)
	} else {
		rest = rest[1:]
	}
	dst = append(dst, '/')
	return appendSegments(dst, rest, escaped)
}

// decodedLen is the length of a path of valid escapes, once decoded.
func decodedLen(path string) int { return len(path) - 2*strings.Count(path, "%") }

// skipDecoded leaves out as much of a path of valid escapes as stands for n
// bytes.
func skipDecoded(path string, n int) string {
	for ; n > 0 && path != ""; n-- {
		if path[0] == '%' {
			path = path[3:]
		} else {
			path = path[1:]
		}
	}
	return path
}

// appendPath appends a path that is made to begin with "/".
func appendPath(dst []byte, path string, escaped bool) []byte {
	return appendSegments(appendSlash(dst, path), path, escaped)
}

// appendSlash appends a slash if the path that follows does not begin with one.
func appendSlash(dst []byte, path string) []byte {
	if path == "" || path[0] != '/' {
		return append(dst, '/')
	}
	return dst
}

// appendSegments appends a path or the end of one so that it is valid by RFC
// 3986 section 3.3. If it is escaped already, the escapes in it are kept.
func appendSegments(dst []byte, path string, escaped bool) []byte {
	if !escaped {
		return appendEscaped(dst, path, inPath)
	}
	for path != "" {
		at := strings.IndexByte(path, '%')
		if at < 0 {
			break
		}
		dst = appendEscaped(dst, path[:at], inPath)
		path = path[at:]
		n := 1
		if isEscape(path) {
			n = 3
			dst = append(dst, path[:n]...)
		} else {
			dst = append(dst, "%25"...)
		}
		path = path[n:]
	}
	return appendEscaped(dst, path, inPath)
}

// appendQuery appends "?" and a query as it was sent, but for what a request
// line cannot hold, or where a backend might take a fragment to begin.
func appendQuery(dst []byte, query string) []byte {
	return appendEscaped(append(dst, '?'), query, inQuery)
}

// appendEscaped escapes every byte that is not allowed.
func appendEscaped(dst []byte, text string, allowed func(c byte) bool) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(text) {
		if c := text[i]; allowed(c) {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		}
	}
	return dst
}

// inPath tells whether a byte is a pchar, the percent sign aside, or "/".
func inPath(c byte) bool { return inAuthority(c) || c == '/' || c == '@' }

// inHost tells whether a byte may stand in a host or port. Escapes are part of
// a host's name (RFC 3986 section 3.2.2).
func inHost(c byte) bool { return inAuthority(c) || c == '[' || c == ']' || c == '%' }

// inAuthority tells whether a byte is unreserved, a sub-delim (RFC 3986
// sections 2.2 and 2.3), or ":".
func inAuthority(c byte) bool {
	switch {
	case 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("-._~!$&'()*+,;=:", c) >= 0
}

// inQuery tells whether a byte may stand in a target at all, where it is left as
// the client wrote it.
func inQuery(c byte) bool { return c > ' ' && c < 0x7f && c != '#' }
