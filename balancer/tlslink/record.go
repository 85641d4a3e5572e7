package tlslink

const (
	recordHandshake = 22 // RFC 8446 section 5.1
	headerSize      = 5
	// mostCiphertext is the largest record of any version: RFC 5246 section 6.2.3.
	mostCiphertext = 16<<10 + 2048
	// mostPlaintext is what one holds: RFC 8446 section 5.1.
	mostPlaintext = 16 << 10
)

// wholeRecord returns the size of the record that p begins with, or 0 if that is
// not all there. What cannot become a record counts as one, so that crypto/tls
// can say what is wrong with it.
func wholeRecord(p []byte) int {
	if len(p) < headerSize {
		if len(p) > 0 && !isType(p[0]) {
			return len(p)
		}
		return 0
	}
	n := headerSize + int(p[3])<<8 + int(p[4])
	switch {
	case !isType(p[0]) || n > headerSize+mostCiphertext:
		return len(p)
	case n > len(p):
		return 0
	}
	return n
}

// isType tells whether a record may begin with a byte: RFC 8446 section 5.1.
func isType(c byte) bool { return c >= 20 && c <= 23 }
