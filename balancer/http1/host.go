package http1

import "bytes"

// noteHost takes in a Host field: RFC 9110 section 7.2, RFC 9112 section 3.2.
// An empty one is well-formed; it is for targets without an authority.
func (h *head) noteHost(value []byte) *Fault {
	if h.seen&seenResponse != 0 {
		return nil // means nothing there
	}
	if h.seen&seenHost != 0 {
		return FaultHostTwice
	}
	h.seen |= seenHost
	h.host = value
	if len(value) == 0 {
		return nil
	}
	return authority(value)
}

// authority tells what is wrong with uri-host [ ":" port ] (RFC 3986 section
// 3.2), which must not be empty. Of IP-literals only IPv6 addresses are known,
// without zones, which mean nothing to another host.
func authority(b []byte) *Fault {
	end := hostLen(b)
	if end > 0 && (end == len(b) || b[end] == ':' && isPort(b[end+1:])) {
		return nil
	}
	switch {
	case bytes.IndexByte(b, '@') >= 0:
		return FaultUserinfo
	case end > 0 && b[end] == ':':
		return FaultPort
	}
	return FaultHost
}

// isPort tells whether b is a port, which may be empty: RFC 3986 section 3.2.3.
func isPort(b []byte) bool {
	return len(b) == 0 || len(b) <= len("65535") && uint64(decimal(b)) <= 65535
}

// hostLen is how many bytes at the start of b are a host, 0 if none.
func hostLen(b []byte) int {
	if b[0] == '[' {
		for i, c := range b {
			if c == ']' {
				if !isIPv6(b[1:i]) {
					return 0
				}
				return i + 1
			}
		}
		return 0
	}
	for i, c := range b {
		if classes[c]&inHost == 0 {
			return i + escapedLen(b[i:])
		}
	}
	return len(b)
}

// escapedLen is how many bytes at the start of b, the rest of a name, belong to
// it, if the first is perhaps an escape (RFC 3986 section 2.1).
func escapedLen(b []byte) (n int) {
	for n < len(b) {
		if b[n] == '%' && len(b)-n >= 3 && all(b[n+1:n+3], inHex) {
			n += 3
		} else if classes[b[n]]&inHost != 0 {
			n++
		} else {
			break
		}
	}
	return n
}

// isIPv6 tells whether b is an IPv6 address: RFC 3986 section 3.2.2.
func isIPv6(b []byte) bool {
	groups, gap := 0, false
	if len(b) >= 2 && b[0] == ':' && b[1] == ':' {
		gap, b = true, b[2:]
	}
	for len(b) > 0 {
		n := 0
		for n < len(b) && classes[b[n]]&inHex != 0 {
			n++
		}
		if n < len(b) && b[n] == '.' { // the last 32 bits as an IPv4 address
			groups += 2
			return isIPv4(b) && enough(groups, gap)
		}
		if n == 0 || n > 4 {
			return false
		}
		groups++
		if b = b[n:]; len(b) == 0 {
			break
		}
		if b[0] != ':' || len(b) == 1 {
			return false
		}
		if b = b[1:]; b[0] == ':' {
			if gap {
				return false
			}
			gap, b = true, b[1:]
		}
	}
	return enough(groups, gap)
}

// enough tells whether so many groups make an address: a gap stands for at
// least one.
func enough(groups int, gap bool) bool {
	return groups <= 8 && gap == (groups < 8)
}

// isIPv4 tells whether b is an IPv4 address in dotted decimal.
func isIPv4(b []byte) bool {
	for dots := 3; ; dots-- {
		n := 0
		for n < len(b) && classes[b[n]]&inDigits != 0 {
			n++
		}
		if n == 0 || n > 3 || n > 1 && b[0] == '0' || decimal(b[:n]) > 255 {
			return false
		}
		if b = b[n:]; dots == 0 {
			return len(b) == 0
		}
		if len(b) == 0 || b[0] != '.' {
			return false
		}
		b = b[1:]
	}
}
