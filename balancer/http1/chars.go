package http1

import (
	"encoding/binary"
	"math/bits"
)

// Classes of bytes, as bits of [classes].
const (
	inToken  = 1 << iota // tchar, RFC 9110 section 5.6.2
	inValue              // what a field value may hold, section 5.5: HTAB, SP, VCHAR, obs-text
	inTarget             // what a request target may hold: visible ASCII but "#", which begins a fragment
	inHost               // reg-name but for "%", RFC 3986 section 3.2.2
	inDigits             // DIGIT
	inHex                // HEXDIG
)

var classes = newClasses()

func newClasses() (table [256]uint8) {
	add := func(class uint8, chars string) {
		for i := range len(chars) {
			table[chars[i]] |= class
		}
	}
	const digits = "0123456789"
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	add(inToken, "!#$%&'*+-.^_`|~"+digits+letters)
	add(inHost, "-._~!$&'()*+,;="+digits+letters)
	add(inDigits|inHex, digits)
	add(inHex, "abcdefABCDEF")
	for c := range table {
		if c == '\t' || c >= ' ' && c != 0x7f {
			table[c] |= inValue
		}
		if c > ' ' && c < 0x7f && c != '#' {
			table[c] |= inTarget
		}
	}
	return table
}

// lower maps ASCII letters to lower case and all else to itself.
var lower = newLower()

func newLower() (table [256]uint8) {
	for c := range table {
		table[c] = uint8(c)
		if 'A' <= c && c <= 'Z' {
			table[c] |= 0x20
		}
	}
	return table
}

// equalFold tells whether two texts are equal but for the case of ASCII
// letters, as names and tokens are compared (RFC 9110 section 5.1).
func equalFold[T, U string | []byte](a T, b U) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower[a[i]] != lower[b[i]] {
			return false
		}
	}
	return true
}

// tokenLen is how many bytes at the start of b are a token.
func tokenLen(b []byte) int {
	for i, c := range b {
		if classes[c]&inToken == 0 {
			return i
		}
	}
	return len(b)
}

func isToken[T string | []byte](b T) bool {
	return len(b) > 0 && all(b, inToken)
}

// all tells whether all bytes of b are of a class.
func all[T string | []byte](b T, class uint8) bool {
	for i := range len(b) {
		if classes[b[i]]&class == 0 {
			return false
		}
	}
	return true
}

// Words of eight equal bytes, to look at eight bytes at once. In
// (x-ones*n)&^x&highs, with n up to 128, the lowest byte that is not 0 tells the
// lowest byte of x that is below n: "Bit Twiddling Hacks", Sean Eron Anderson,
// hasless.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// plainLen is how many bytes of b come before the first control, which a HTAB
// is too.
func plainLen(b []byte) int {
	i := 0
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i : i+8])
		del := x ^ ones*0x7f
		if found := ((x-ones*' ')&^x | (del-ones)&^del) & highs; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] != 0x7f {
		i++
	}
	return i
}

// IsValue tells whether all bytes may be in a field value.
func IsValue(b []byte) bool {
	for {
		b = b[plainLen(b):]
		if len(b) == 0 {
			return true
		}
		if b[0] != '\t' {
			return false
		}
		b = b[1:]
	}
}

// IsTarget tells whether all bytes may be in a request target.
func IsTarget(b []byte) bool {
	if len(b) < 8 {
		return all(b, inTarget)
	}
	var found uint64
	for i := 0; i < len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[min(i, len(b)-8):]) // the last eight may overlap
		del, hash := x^ones*0x7f, x^ones*'#'
		found |= (x-ones*'!')&^x | x | (del-ones)&^del | (hash-ones)&^hash
	}
	return found&highs == 0
}

// trim cuts optional white space (RFC 9110 section 5.6.3) off both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
