package table

import "strings"

// RoutingPath is the path that routes are looked up for: decoded and without
// dot segments, as the backend will understand it, so that "/public/../admin"
// is not let through a route for "/public". It is raw itself if there is nothing
// to do, else it aliases buffer, which it grows if it must. An empty path is
// "/". What does not begin with "/", which is "*" alone, is only decoded. ok is
// false if an escape is malformed.
func RoutingPath(buffer []byte, raw string) (path string, grown []byte, ok bool) {
	if raw == "" {
		return "/", buffer, true
	}
	path = raw
	if strings.IndexByte(raw, '%') >= 0 {
		if buffer, ok = unescape(buffer[:0], raw); !ok {
			return "", buffer, false
		}
		path = aliased(buffer)
	}
	if path[0] == '/' && strings.Contains(path, "/.") {
		buffer = append(buffer[:0], path...)
		path = aliased(removeDotSegments(buffer))
	}
	return path, buffer, true
}

func unescape(dst []byte, path string) ([]byte, bool) {
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			if !isEscape(path[i:]) {
				return dst, false
			}
			c = fromHex(path[i+1], path[i+2])
			i += 2
		}
		dst = append(dst, c)
	}
	return dst, true
}

// isEscape tells whether a text begins with an escape (RFC 3986 section 2.1).
func isEscape(text string) bool {
	return len(text) >= 3 && text[0] == '%' && isHex(text[1]) && isHex(text[2])
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f' }

// fromHex returns the byte that two hexadecimal digits stand for.
func fromHex(high, low byte) byte { return unhex(high)<<4 | unhex(low) }

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
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
			for len(kept) > 0 && kept[len(kept)-1] != '/' {
				kept = kept[:len(kept)-1]
			}
			kept = kept[:max(len(kept)-1, 0)]
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
