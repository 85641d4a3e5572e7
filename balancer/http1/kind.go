package http1

import "encoding/binary"

// kind is what a field is to the codec; kindOther is end to end and of no
// concern here.
type kind uint8

const (
	kindOther kind = iota
	kindHost
	kindContentLength
	kindTransferEncoding
	kindTrailer
	kindExpect
	kindConnection
	kindTE
	kindUpgrade
	kindHopByHop          // any other that is for one hop only
	kindForwardedFor      // X-Forwarded-For
	kindForwardedProto    // X-Forwarded-Proto
	kindForwardedHost     // X-Forwarded-Host
	kindForwardedOther    // X-Forwarded-Port and the like
	kindForwardedDisguise // X_Forwarded_For, which CGI and WSGI take for X-Forwarded-For, and the like
	kindForwarded         // Forwarded, RFC 7239
	kindClientSubject     // X-Client-Cert-Subject
)

// kinds is a set of kinds.
type kinds uint32

func (s kinds) has(k kind) bool { return s>>k&1 != 0 }

// is tells whether a token is a name that is given in lower case. A byte of a
// token with bit 0x20 set equals a letter, digit or hyphen only if it was one.
func is(token []byte, name string) bool {
	if len(token) != len(name) {
		return false
	}
	if len(name) < 8 {
		for i := range len(name) {
			if token[i]|0x20 != name[i] {
				return false
			}
		}
		return true
	}
	for i := 0; i < len(name); i += 8 {
		at := min(i, len(name)-8) // the last eight may overlap
		if binary.LittleEndian.Uint64(token[at:])|ones*0x20 != word(name[at:]) {
			return false
		}
	}
	return true
}

// word is the first eight bytes of s, which the compiler loads as one.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// kindOf tells what a field name, a token, is. The first byte is looked at
// before the rest, because "User-Agent" is as long as "Connection".
func kindOf(name []byte) kind {
	switch first := name[0] | 0x20; len(name) {
	case 2:
		return either(name, "te", kindTE)
	case 4:
		return either(name, "host", kindHost)
	case 6:
		return either(name, "expect", kindExpect)
	case 7:
		if first == 'u' {
			return either(name, "upgrade", kindUpgrade)
		}
		return either(name, "trailer", kindTrailer)
	case 9:
		return either(name, "forwarded", kindForwarded)
	case 10:
		if first == 'k' {
			return either(name, "keep-alive", kindHopByHop)
		}
		return either(name, "connection", kindConnection)
	case 14:
		if first == 'h' {
			return either(name, "http2-settings", kindHopByHop)
		} else if first == 'c' {
			return either(name, "content-length", kindContentLength)
		}
	case 16:
		if first == 'p' {
			return either(name, "proxy-connection", kindHopByHop)
		}
	case 17:
		if first == 't' {
			return either(name, "transfer-encoding", kindTransferEncoding)
		}
	case 18:
		if first == 'p' {
			return either(name, "proxy-authenticate", kindHopByHop)
		}
	case 19:
		if first == 'p' {
			return either(name, "proxy-authorization", kindHopByHop)
		}
	case len(clientSubject):
		if k := subjectKind(name); k != kindOther {
			return k
		}
	}
	if len(name) >= len(xForwarded) && name[0]|0x20 == 'x' {
		return forwardedKind(name)
	}
	return kindOther
}

func either(token []byte, name string, k kind) kind {
	if is(token, name) {
		return k
	}
	return kindOther
}

// clientSubject is the field that names the subject of a client's certificate.
const clientSubject = "x-client-cert-subject"

// subjectKind tells whether a name of that length is the field's, underscores
// for hyphens or not.
func subjectKind(name []byte) kind {
	k := kindClientSubject
	for i, c := range name {
		if c == '_' {
			c, k = '-', kindForwardedDisguise
		}
		if c|0x20 != clientSubject[i] {
			return kindOther
		}
	}
	return k
}

const xForwarded = "x-forwarded-"

// forwardedKind tells the X-Forwarded fields apart. Underscores count as
// hyphens in what makes a name one of them, as they do for CGI and WSGI.
func forwardedKind(name []byte) kind {
	disguised := false
	for i, c := range name {
		disguised = disguised || c == '_'
		if i >= len(xForwarded) {
			continue
		}
		if c == '_' {
			c = '-'
		}
		if c|0x20 != xForwarded[i] {
			return kindOther
		}
	}
	switch rest := name[len(xForwarded):]; {
	case disguised:
		return kindForwardedDisguise
	case is(rest, "for"):
		return kindForwardedFor
	case is(rest, "proto"):
		return kindForwardedProto
	case is(rest, "host"):
		return kindForwardedHost
	}
	return kindForwardedOther
}
