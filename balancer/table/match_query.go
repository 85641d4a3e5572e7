package table

import "strings"

// inQuery tells whether a parameter of a raw query has the name and the value.
//
// A query is read as the URL standard does (application/x-www-form-urlencoded
// parsing), which leaves no query unread: parameters end at "&" alone, "+" is a
// space, and a percent sign that begins no escape stands for itself.
func (m *valueMatch) inQuery(query string) bool {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(pair, "=")
		if pair != "" && equalDecoded(name, m.name) && m.acceptsEncoded(value) {
			return true
		}
	}
	return false
}

// acceptsEncoded allocates for a value that is escaped and meets a regular
// expression, and for no other.
func (m *valueMatch) acceptsEncoded(value string) bool {
	switch {
	case m.pattern != nil && strings.ContainsAny(value, "%+"):
		var plain strings.Builder
		for at := 0; at < len(value); {
			c, n := nextDecoded(value[at:])
			plain.WriteByte(c)
			at += n
		}
		return m.pattern.MatchString(plain.String())
	case m.pattern != nil:
		return m.pattern.MatchString(value)
	case m.value != "":
		return equalDecoded(value, m.value)
	}
	return true
}

// equalDecoded tells whether a part of a query stands for a text.
func equalDecoded(encoded, text string) bool {
	for i := range len(text) {
		if encoded == "" {
			return false
		}
		c, n := nextDecoded(encoded)
		if c != text[i] {
			return false
		}
		encoded = encoded[n:]
	}
	return encoded == ""
}

// nextDecoded returns the byte that a part of a query, which is not empty,
// begins with, and how many bytes stand for it.
func nextDecoded(encoded string) (c byte, n int) {
	switch {
	case encoded[0] == '+':
		return ' ', 1
	case isEscape(encoded):
		return fromHex(encoded[1], encoded[2]), 3
	}
	return encoded[0], 1
}
