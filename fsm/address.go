package fsm

import (
	"net/netip"
	"strconv"
	"strings"
)

// SplitAddress splits "host:port" and "[v6]:port". ok is false when the text
// is of neither form or the port is not a number from 1 to 65535 without
// leading zeros. The host may be empty and is not checked otherwise.
func SplitAddress(address string) (host string, port uint16, ok bool) {
	colon := strings.LastIndexByte(address, ':')
	if colon < 0 {
		return "", 0, false
	}
	number, err := strconv.ParseUint(address[colon+1:], 10, 16)
	if err != nil || address[colon+1] == '0' { // neither 0 nor zeros without end
		return "", 0, false
	}
	host = address[:colon]
	bracketed := strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]")
	if bracketed {
		host = host[1 : len(host)-1]
	}
	if strings.Contains(host, ":") != bracketed {
		return "", 0, false
	}
	return host, uint16(number), true
}

// canonicalAddress returns one spelling for all of the same address, so that
// a backend is recognised when it is registered again.
func canonicalAddress(address string) string {
	host, port, ok := SplitAddress(address)
	if !ok {
		return address
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return netip.AddrPortFrom(ip.Unmap(), port).String()
	}
	return strings.ToLower(strings.TrimSuffix(host, ".")) + ":" + strconv.Itoa(int(port))
}

func addressKey(pool, address string) string { return pool + "\x00" + canonicalAddress(address) }

// checkBackendAddress reports why an address cannot be a backend's.
func checkBackendAddress(f *faults, pointer, address string) {
	host, _, ok := SplitAddress(address)
	switch {
	case address == "":
		f.add(pointer, `is missing: give the backend's "IP:port", "[v6]:port" or "host:port"`)
	case !ok:
		f.add(pointer, `%q is not an address with a port from 1 to 65535: write "IP:port", "[v6]:port" or "host:port"`, clip(address))
	case host == "":
		f.add(pointer, `%q names no host: a backend needs "IP:port", "[v6]:port" or "host:port"`, clip(address))
	default:
		checkHost(f, pointer, address, host)
	}
}

// checkListenerAddress reports why an address cannot be a listener's.
func checkListenerAddress(f *faults, pointer, address string) {
	host, _, ok := SplitAddress(address)
	switch {
	case address == "":
		f.add(pointer, `is missing: give the listener's ":port" or "IP:port"`)
	case !ok:
		f.add(pointer, `%q is not an address with a port from 1 to 65535: write ":port", "IP:port" or "[v6]:port"`, clip(address))
	case host != "":
		if ip, err := netip.ParseAddr(host); err != nil || !isZone(ip.Zone()) {
			f.add(pointer, `%q: %q is not an IP address: write ":port", "IP:port" or "[v6]:port"`, clip(address), clip(host))
		}
	}
}

func checkHost(f *faults, pointer, address, host string) {
	if ip, err := netip.ParseAddr(host); err == nil && isZone(ip.Zone()) {
		if ip.IsUnspecified() || ip.IsMulticast() {
			f.add(pointer, "%q: %s is no address that can be connected to: give the server's own address", clip(address), ip)
		}
		return
	}
	if looksNumeric(host) || !isHostName(host) {
		f.add(pointer, "%q: %q is neither an IP address nor a host name", clip(address), clip(host))
	}
}

// isZone reports whether zone, of an IPv6 address such as fe80::1%eth0, may
// name a network interface; "" is no zone. The parser takes any bytes, of any
// number.
func isZone(zone string) bool {
	const maxInterface = 32 // Linux and the BSDs end at 15, Windows counts
	for _, c := range []byte(zone) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return len(zone) <= maxInterface
}

// looksNumeric tells names such as 10.0.0.256, which are mistyped addresses:
// no top-level domain is a number (RFC 1123, section 2.1).
func looksNumeric(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	_, err := strconv.ParseUint(last, 10, 64)
	return err == nil
}

// isHostName reports whether name is dot-separated labels of letters, digits,
// hyphens and underscores, of at most 253 bytes (RFC 1123, section 2.1; the
// underscore is common in container names).
func isHostName(name string) bool {
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if !IsLabel(strings.ReplaceAll(strings.ToLower(label), "_", "x")) {
			return false
		}
	}
	return true
}

// IsLabel reports whether name is a DNS label: 1 to 63 of a to z, 0 to 9 and
// inner hyphens (RFC 1035, section 2.3.1, with RFC 1123's leading digit).
func IsLabel(name string) bool {
	if name == "" || len(name) > 63 || name[0] == '-' || name[len(name)-1] == '-' {
		return false
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
