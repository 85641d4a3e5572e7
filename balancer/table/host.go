package table

import "strings"

// maxHost is the longest host that a route can name (RFC 1035 section 2.3.4
// leaves 253 bytes of text). A longer one matches only routes for all hosts.
const maxHost = 255

// bareHost removes port, brackets and one final dot.
func bareHost(host string) string {
	if strings.HasPrefix(host, "[") {
		if end := strings.IndexByte(host, ']'); end > 0 {
			return host[1:end]
		}
		return host
	}
	// Several colons are an IPv6 address without brackets, hence without port.
	if colon := strings.IndexByte(host, ':'); colon >= 0 && strings.IndexByte(host[colon+1:], ':') < 0 {
		host = host[:colon]
	}
	return strings.TrimSuffix(host, ".")
}

// appendHostKey appends the key under which routes hold a host: bare, in lower
// case and backwards, so that the domains above a host are prefixes of its
// key. It appends nothing for a host longer than maxHost.
func appendHostKey(key []byte, host string) []byte {
	host = bareHost(host)
	if len(host) > maxHost {
		return key
	}
	for i := len(host) - 1; i >= 0; i-- {
		c := host[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		key = append(key, c)
	}
	return key
}
