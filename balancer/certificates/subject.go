package certificates

import (
	"crypto/x509"
	"errors"
	"fmt"
)

// maxSubject bounds what of a client's certificate goes into a field, in bytes.
const maxSubject = 4 << 10

var errLongSubject = errors.New("the subject of the client's certificate is longer than 4 KiB")

// Subject is who a certificate is for, as a field's value: a distinguished name of
// RFC 4514, in which all but visible ASCII is written as the hexadecimal pairs of
// its section 2.4.
func Subject(c *x509.Certificate) string {
	name := c.Subject.String()
	out := make([]byte, 0, len(name))
	for i := range len(name) {
		b := name[i]
		switch {
		case b == ' ' && (i == 0 || i == len(name)-1): // a field would lose it
			out = fmt.Appendf(out, "%s20", backslash(out))
		case b < ' ' || b >= 0x7f:
			out = fmt.Appendf(out, "%s%02X", backslash(out), b)
		default:
			out = append(out, b)
		}
	}
	return string(out)
}

// backslash is what begins a pair, unless one stands there already as an escape.
func backslash(out []byte) string {
	escapes := 0
	for i := len(out) - 1; i >= 0 && out[i] == '\\'; i-- {
		escapes++
	}
	if escapes%2 == 1 {
		return ""
	}
	return `\`
}
