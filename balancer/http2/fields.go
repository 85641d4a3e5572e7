package http2

import "evenkeel/balancer/http1"

// kind is what a field is to this package.
type kind uint8

const (
	kindOther  kind = iota
	kindHop         // for one HTTP/1 connection: RFC 9113 section 8.2.2
	kindTE          // which may only say "trailers"
	kindLength      // Content-Length
	kindHost
)

// kindOf finds out the kind of a field by its name in lower case.
func kindOf(name []byte) kind {
	switch string(name) {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		return kindHop
	case "te":
		return kindTE
	case "content-length":
		return kindLength
	case "host":
		return kindHost
	}
	return kindOther
}

// Classes of bytes, as bits of [classes].
const (
	inToken = 1 << iota // tchar, RFC 9110 section 5.6.2
	inName              // tchar but upper case: RFC 9113 section 8.2
)

var classes = newClasses()

func newClasses() (table [256]uint8) {
	const punctuation = "!#$%&'*+-.^_`|~"
	for c := range table {
		switch {
		case 'A' <= c && c <= 'Z':
			table[c] = inToken
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z':
			table[c] = inToken | inName
		}
	}
	for i := range len(punctuation) {
		table[punctuation[i]] = inToken | inName
	}
	return table
}

func isName(b []byte) bool  { return all(b, inName) }
func isToken(b []byte) bool { return all(b, inToken) }

// all tells whether b is not empty and all its bytes are of a class.
func all(b []byte, class uint8) bool {
	for _, c := range b {
		if classes[c]&class == 0 {
			return false
		}
	}
	return len(b) > 0
}

// isFieldValue tells whether a value is one: RFC 9113 section 8.2.1, and of
// other controls what balancer/http1 says.
func isFieldValue(b []byte) bool {
	if n := len(b); n > 0 && (isWhite(b[0]) || isWhite(b[n-1])) {
		return false
	}
	return http1.IsValue(b)
}

func isWhite(c byte) bool { return c == ' ' || c == '\t' }

// parseLength reads a Content-Length: digits that fit in 63 bits.
func parseLength(value []byte) (n int64, ok bool) {
	if len(value) == 0 || len(value) > 18 {
		return 0, false
	}
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// parseStatus reads a :status: three digits, the first not 0.
func parseStatus(value []byte) (status int, ok bool) {
	n, ok := parseLength(value)
	return int(n), ok && len(value) == 3 && n >= 100
}
