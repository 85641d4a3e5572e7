package strictyaml

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// escapes are those of one letter (YAML 1.2, section 5.7).
var escapes = map[byte]string{
	'0': "\x00", 'a': "\a", 'b': "\b", 't': "\t", '\t': "\t", 'n': "\n", 'v': "\v", 'f': "\f", 'r': "\r", 'e': "\x1b",
	' ': " ", '"': "\"", '/': "/", '\\': "\\", 'N': "\u0085", '_': "\u00a0", 'L': "\u2028", 'P': "\u2029",
}

// escape appends what an escape in double quotes stands for.
func (p *parser) escape(text []byte, indent int) ([]byte, error) {
	start, c := p.pos, p.at(1)
	if plain, ok := escapes[c]; ok && p.pos+1 < len(p.data) {
		p.pos += 2
		return append(text, plain...), nil
	}
	p.pos++
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
	switch {
	case c == '\n' || c == '\r':
		breaks, err := p.quotedBreaks(indent)
		return append(text, bytes.Repeat([]byte("\n"), max(0, breaks-1))...), err
	case digits == 0:
		return nil, fail(start, "%s: no such escape in double quotes: write \\\\ for a backslash, or use single quotes", strconv.Quote(string(p.data[start:min(start+2, len(p.data))])))
	}
	p.pos++
	end := min(p.pos+digits, len(p.data))
	code, err := strconv.ParseUint(string(p.data[p.pos:end]), 16, 32)
	if err != nil || end-p.pos != digits || !utf8.ValidRune(rune(code)) || code > utf8.MaxRune {
		return nil, fail(start, "%q: not the number of a character in %d hexadecimal digits", string(p.data[start:end]), digits)
	}
	p.pos = end
	return utf8.AppendRune(text, rune(code)), nil
}
