package hello

import "iter"

// Hello is what of a ClientHello a connection is routed by. It is valid as long
// as the bytes that it was read from.
type Hello struct {
	// ServerName is the host that the client wants, as it was sent; nil if it
	// names none. It has 1 to 255 bytes, all of them printable ASCII, and no
	// final dot.
	ServerName []byte

	protocols []byte // the list of RFC 7301 section 3.1
}

// Protocols yields the application protocols that the client offers, the one
// that it prefers first.
func (h *Hello) Protocols() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		list := cursor{h.protocols}
		for len(list.rest) > 0 {
			if one, _ := list.vector(1); !yield(one) {
				return
			}
		}
	}
}

// Extensions, RFC 6066 section 3 and RFC 7301 section 3.1.
const (
	extensionServerName = 0
	extensionALPN       = 16
	nameTypeHost        = 0
	// maxExtensions is how many a hello may have: there are 65 assigned ones, and
	// clients add a few that nobody knows (RFC 8701).
	maxExtensions = 128
	maxName       = 255
)

// parse reads the body of a ClientHello, RFC 8446 section 4.1.2 and, without
// extensions, RFC 5246 section 7.4.1.2.
func parse(body []byte) (Hello, Verdict) {
	c := cursor{body}
	_, ok := c.take(2 + 32) // version and random
	session, sessionOK := c.vector(1)
	suites, suitesOK := c.vector(2)
	methods, methodsOK := c.vector(1)
	if !ok || !sessionOK || !suitesOK || !methodsOK ||
		len(session) > 32 || len(suites) == 0 || len(suites)%2 != 0 || len(methods) == 0 {
		return Hello{}, Malformed
	}
	if len(c.rest) == 0 {
		return Hello{}, Complete
	}
	extensions, ok := c.vector(2)
	if !ok || len(c.rest) > 0 {
		return Hello{}, Malformed
	}
	return parseExtensions(extensions)
}

// parseExtensions finds those that count. None may come twice.
func parseExtensions(list []byte) (h Hello, v Verdict) {
	var seen [maxExtensions]uint16
	c := cursor{list}
	for n := 0; len(c.rest) > 0; n++ {
		kind, ok := c.uint16()
		content, contentOK := c.vector(2)
		if !ok || !contentOK || n == maxExtensions {
			return Hello{}, Malformed
		}
		for _, other := range seen[:n] {
			if other == kind {
				return Hello{}, Malformed
			}
		}
		seen[n] = kind
		switch kind {
		case extensionServerName:
			h.ServerName, ok = serverName(content)
		case extensionALPN:
			h.protocols, ok = protocolList(content)
		}
		if !ok {
			return Hello{}, Malformed
		}
	}
	return h, Complete
}

// serverName returns the one host of a list of names.
func serverName(content []byte) (host []byte, ok bool) {
	c := cursor{content}
	list, ok := c.vector(2)
	if !ok || len(c.rest) > 0 || len(list) == 0 {
		return nil, false
	}
	c.rest = list
	for len(c.rest) > 0 {
		kind, _ := c.take(1)
		name, ok := c.vector(2)
		if !ok || len(name) == 0 {
			return nil, false
		}
		if kind[0] != nameTypeHost {
			continue
		}
		if host != nil || !isHost(name) { // there must not be two of one type
			return nil, false
		}
		host = name
	}
	return host, true
}

// isHost tells whether a name is ASCII without a final dot, as RFC 6066 section
// 3 wants it, and has nothing in it that somebody could read in another way.
func isHost(name []byte) bool {
	for _, c := range name {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return len(name) <= maxName && name[len(name)-1] != '.'
}

// protocolList returns the names of an ALPN extension, each behind its length.
func protocolList(content []byte) (list []byte, ok bool) {
	c := cursor{content}
	list, ok = c.vector(2)
	if !ok || len(c.rest) > 0 || len(list) == 0 {
		return nil, false
	}
	for c.rest = list; len(c.rest) > 0; {
		if name, ok := c.vector(1); !ok || len(name) == 0 {
			return nil, false
		}
	}
	return list, true
}

// cursor reads the presentation language of RFC 8446 section 3.
type cursor struct{ rest []byte }

func (c *cursor) take(n int) ([]byte, bool) {
	if len(c.rest) < n {
		return nil, false
	}
	taken := c.rest[:n:n]
	c.rest = c.rest[n:]
	return taken, true
}

func (c *cursor) uint16() (uint16, bool) {
	two, ok := c.take(2)
	if !ok {
		return 0, false
	}
	return uint16(two[0])<<8 | uint16(two[1]), true
}

// vector takes what has its length before it, in that many bytes, 1 or 2.
func (c *cursor) vector(bytes int) ([]byte, bool) {
	size, ok := c.take(bytes)
	if !ok {
		return nil, false
	}
	n := int(size[0])
	if bytes == 2 {
		n = n<<8 | int(size[1])
	}
	return c.take(n)
}
