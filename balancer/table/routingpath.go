package table

import "strings"

// RoutingPath is the path that routes are looked up for: decoded and without
// dot segments, as the backend will understand it, so that "/public/../admin"
// is not let through a route for "/public". It is raw itself if there is nothing
// to do, else it aliases buffer, which it grows if it must. ok is false if an
// escape is malformed.
func RoutingPath(buffer []byte, raw string) (path string, grown []byte, ok bool) {
	path = raw
	if strings.IndexByte(raw, '%') >= 0 {
		if buffer, ok = unescape(buffer[:0], raw); !ok {
			return "", buffer, false
		}
		path = aliased(buffer)
	}
	if strings.Contains(path, "/.") {
		buffer = append(buffer[:0], path...)
		path = aliased(removeDotSegments(buffer))
	}
	return path, buffer, true
}

func unescape(dst []byte, path string) ([]byte, bool) {
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
