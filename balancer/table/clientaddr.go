package table

import (
	"net/netip"
	"strings"
)

// maxHops is how many trusted proxies a request may have passed: more than
// anybody chains, and a bound on the work that a long field can cause.
const maxHops = 32

// ClientAddr returns whose address a request counts as: peer, which is the other
// end of the connection, or, if that is a trusted proxy, the one that it names
// last; and if that one is trusted too, the one before, and so on.
//
// Proxies name their clients in X-Forwarded-For or, where that is absent, in
// Forwarded (RFC 7239). A request without either is the proxy's own. The zero
// address is returned if a trusted proxy names something else than an address
// ("unknown", a name), or more than 32 of them: falling back to the proxy's own
// would let in everybody who can make it do so. peer may be an IPv4 address
// mapped to IPv6; the result is not, and it has no zone.
func ClientAddr(peer netip.Addr, trusted []netip.Prefix, fields FieldSource) netip.Addr {
	client := peer.Unmap().WithZone("")
	if fields == nil || !networks(trusted).hold(client) {
		return client
	}
	name, read := "X-Forwarded-For", readAddr
	if _, ok := fields.FieldText(name, 0); !ok {
		name, read = "Forwarded", readForwarded
	}
	lines := 0
	for _, ok := fields.FieldText(name, 0); ok; _, ok = fields.FieldText(name, lines) {
		lines++
	}
	hops := 0
	for lines--; lines >= 0; lines-- {
		line, _ := fields.FieldText(name, lines)
		for {
			// Empty elements are none: RFC 9110 section 5.6.1.2.
			if line = strings.TrimRight(line, ", \t"); line == "" {
				break
			}
			before, element, ok := cutLast(line, ',')
			if hops++; !ok || hops > maxHops {
				return netip.Addr{}
			}
			if client = read(element); !networks(trusted).hold(client) {
				return client
			}
			line = before
		}
	}
	return client
}

// cutLast cuts the last element off a list. A separator within quotes (RFC 9110
// section 5.6.4) is none. ok is false if quotes never end: a client that opens
// them could hide what its proxy appends.
func cutLast(list string, separator byte) (before, last string, ok bool) {
	at, quoted := -1, false
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == separator && !quoted:
			at = i
		}
	}
	if at < 0 {
		return "", strings.Trim(list, " \t"), !quoted
	}
	return list[:at], strings.Trim(list[at+1:], " \t"), !quoted
}

// readAddr reads an address with or without brackets and port; the zero address
// if it is none.
func readAddr(text string) netip.Addr {
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr.Unmap().WithZone("")
	}
	if end, err := netip.ParseAddrPort(text); err == nil {
		return end.Addr().Unmap().WithZone("")
	}
	inner, ok := strings.CutPrefix(text, "[")
	if inner, closed := strings.CutSuffix(inner, "]"); ok && closed {
		if addr, err := netip.ParseAddr(inner); err == nil && addr.Is6() {
			return addr.Unmap().WithZone("")
		}
	}
	return netip.Addr{}
}

// readForwarded reads the address that an element of a Forwarded field names
// (RFC 7239 sections 4 and 6), the zero address if none.
func readForwarded(element string) netip.Addr {
	for element != "" {
		var pair string
		element, pair, _ = cutLast(element, ';')
		name, node, _ := strings.Cut(pair, "=")
		if !strings.EqualFold(name, "for") {
			continue
		}
		// What is a node has nothing in it to escape within quotes.
		if inner, quoted := strings.CutPrefix(node, `"`); quoted {
			node, quoted = strings.CutSuffix(inner, `"`)
			if !quoted {
				return netip.Addr{}
			}
		}
		return readAddr(node)
	}
	return netip.Addr{}
}
