package exchange

import (
	"bytes"
	"unsafe"
)

// text is a string that shares the bytes, for calls that keep nothing.
func text(p []byte) string { return unsafe.String(unsafe.SliceData(p), len(p)) }

// routingPath is the path that routes are looked up for: decoded and without
// dot segments, as the backend will understand it, so that "/public/../admin"
// is not let through a route for "/public". What is sent stays as it was. It is
// valid until the next call, and false if an escape is malformed.
func (l *Loop) routingPath(raw []byte) (string, bool) {
	path := raw
	if bytes.IndexByte(raw, '%') >= 0 {
		var ok bool
		if l.path, ok = unescape(l.path[:0], raw); !ok {
			return "", false
		}
		path = l.path
	}
	if bytes.Contains(path, []byte("/.")) {
		l.path = append(l.path[:0], path...)
		path = removeDotSegments(l.path)
	}
	return text(path), true
}

func unescape(dst, path []byte) ([]byte, bool) {
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			if i+2 >= len(path) || unhex(path[i+1]) < 0 || unhex(path[i+2]) < 0 {
				return dst, false
			}
			c = byte(unhex(path[i+1])<<4 | unhex(path[i+2]))
			i += 2
		}
		dst = append(dst, c)
	}
	return dst, true
}

// unhex returns the value of a hexadecimal digit, or -1.
func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// removeDotSegments is RFC 3986 section 5.2.4, in place, for a path that begins
// with "/".
func removeDotSegments(path []byte) []byte {
	kept := path[:0]
	for at := 0; at < len(path); {
		end := at + 1
		for end < len(path) && path[end] != '/' {
			end++
		}
		segment := path[at:end] // with the slash before it
		last := end == len(path)
		switch string(segment) {
		case "/.":
		case "/..":
			kept = kept[:max(bytes.LastIndexByte(kept, '/'), 0)]
		default:
			kept = append(kept, segment...)
			last = false
		}
		if last {
			kept = append(kept, '/')
		}
		at = end
	}
	return kept
}
