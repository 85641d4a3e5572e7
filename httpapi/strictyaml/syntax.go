package strictyaml

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// syntax is an error of the library with its places in the text.
type syntax struct {
	*converter
	message     string // the library's
	at, context int    // where it is, and where what it is within began
}

// explain says in words for people where and why the library could not read on.
// Of its errors there are only texts to tell them apart; one that is not known
// here is told in its own words.
func (c *converter) explain(err error) error {
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		return fail(c.offset, "not understood by the reader of YAML: %s", clip(err.Error()))
	}
	s := syntax{converter: c, message: load.Message}
	s.context = c.at(load.ContextMark.Line, load.ContextMark.Column)
	s.at = c.at(load.Mark.Line, load.Mark.Column)
	if load.Message == errDepth.Error() {
		return fail(s.at, "%s", errDepth)
	}
	for _, known := range explanations {
		if strings.Contains(load.Message, known.part) {
			return known.explain(s)
		}
	}
	within := ""
	if load.ContextMsg != "" {
		within = " " + load.ContextMsg
	}
	return fail(s.at, "%s: not understood by the reader of YAML, which%s %s", c.quote(s.at), within, clip(load.Message))
}

// explanations are tried in their order.
var explanations = []struct {
	part    string // of the library's message
	explain func(syntax) error
}{
	{"tab character", syntax.tab},
	{"cannot start any token", syntax.beginning},
	{"mapping values are not allowed", says("a second key on one line, or in the middle of a text: begin a new line, or put the text in quotes")},
	{"mapping keys are not allowed", says(`"?" begins a key that is no plain text: write "name: value"`)},
	{"block sequence entries are not allowed", says("a list cannot begin on this line: put it on the next one")},
	{"expected ',' or", syntax.unclosed},
	{"expected node content", syntax.valueMissing},
	{"expected key", syntax.unexpected},
	{"expected '-' indicator", syntax.unexpected},
	{"expected <document start>", syntax.unexpected},
	{"unexpected content after document-end marker", says(`only a comment may follow "..." on its line`)},
	{"unknown anchor", syntax.unknownAlias},
	{"expected alphabetic or numeric", syntax.anchorName},
	{"unexpected document indicator", says("the document ends within quotes")},
	{"unexpected end of stream", func(s syntax) error { return fail(s.context, "the quotes are not closed") }},
	{"could not find expected ':'", syntax.keyExpected},
	{"unknown escape", func(s syntax) error {
		start := s.backslash()
		return fail(start, "%s: no such escape in double quotes: write \\\\ for a backslash, or use single quotes", s.excerpt(start, 2))
	}},
	{"hexadecimal number", syntax.character},
	{"Unicode character escape", syntax.character},
	{"expected comment or line break", syntax.header},
	{"indentation indicator equal to 0", says("0 is no indentation of a text: write a digit from 1, or nothing")},
	{"comment without preceding whitespace", says(`"#" begins a comment only behind white space: put the text in quotes, or a space before it`)},
}

func says(message string) func(syntax) error {
	return func(s syntax) error { return fail(s.at, "%s", message) }
}

const tabMessage = "a tab in the indentation: use spaces"

func (s syntax) tab() error { return fail(s.firstTab(), tabMessage) }

// firstTab returns the first tab of the white space that the line begins with,
// or the error's place.
func (s syntax) firstTab() int {
	start := bytes.LastIndexByte(s.data[:s.at], '\n') + 1
	for i, b := range s.data[start:] {
		switch b {
		case '\t':
			return start + i
		case ' ':
			continue
		}
		break
	}
	return s.at
}

// fresh tells whether only white space stands before the place on its line.
func (s syntax) fresh() bool {
	line := s.data[bytes.LastIndexByte(s.data[:s.at], '\n')+1 : s.at]
	return len(bytes.Trim(line, " \t")) == 0
}

// over tells whether the text ends at the place.
func (s syntax) over() bool { return len(bytes.TrimSpace(s.data[s.at:])) == 0 }

func (s syntax) startsWith(any string) bool {
	return s.at < len(s.data) && strings.IndexByte(any, s.data[s.at]) >= 0
}

func (s syntax) beginning() error {
	if s.startsWith("\t") {
		return s.tab()
	}
	return fail(s.at, "%s: no text without quotes begins so: put it in quotes", s.quote(s.at))
}

func (s syntax) unexpected() error {
	switch {
	case s.startsWith("&*"):
		return fail(s.at, "%s: a value has one anchor at most, and an alias has none", s.quote(s.at))
	case s.fresh():
		return fail(s.at, "%s does not fit to the lines above: is it indented rightly?", s.quote(s.at))
	}
	return fail(s.at, "%s is not possible here: begin a new line, or put the text in quotes", s.quote(s.at))
}

func (s syntax) unclosed() error {
	bracket := `"]"`
	if strings.Contains(s.message, "}") {
		bracket = `"}"`
	}
	if s.over() {
		return fail(s.context, "%s is not closed: %s is missing", s.excerpt(s.context, 1), bracket)
	}
	return fail(s.at, "%s: a comma or %s was expected here", s.quote(s.at), bracket)
}

func (s syntax) valueMissing() error {
	switch {
	case s.over():
		return fail(s.at, "the text ends where a value was expected: is a bracket not closed?")
	case s.startsWith(","):
		return fail(s.at, "a value is missing before the comma")
	}
	return s.unexpected()
}

func (s syntax) unknownAlias() error {
	name := strings.TrimSuffix(strings.TrimPrefix(s.message, "unknown anchor '"), "' referenced")
	return fail(s.at, "*%s: no value before it is marked &%s", clip(name), clip(name))
}

func (s syntax) anchorName() error {
	return fail(s.context, "%s begins the name of an anchor, of letters, digits, - and _ alone: put the text in quotes if it is one", s.excerpt(s.context, 1))
}

func (s syntax) keyExpected() error {
	return fail(s.context, "%s: a key of the mapping was expected here, such as \"name: value\"", s.quote(s.context))
}

// backslash returns where the escape at the place, or before it, begins.
func (s syntax) backslash() int {
	return max(0, bytes.LastIndexByte(s.data[:min(len(s.data), s.at+1)], '\\'))
}

// excerpt quotes so many bytes of the text.
func (s syntax) excerpt(offset, length int) string {
	return strconv.Quote(strings.ToValidUTF8(string(s.data[offset:min(len(s.data), offset+length)]), ""))
}

func (s syntax) character() error {
	start := s.backslash()
	digits := 2
	if start+1 < len(s.data) {
		digits = map[byte]int{'x': 2, 'u': 4, 'U': 8}[s.data[start+1]]
	}
	return fail(start, "%s: not the number of a character in %d hexadecimal digits", s.excerpt(start, 2+digits), digits)
}

// header explains what is wrong with the line that a text of several begins at.
func (s syntax) header() error {
	if s.at > 0 && blank(s.data[s.at-1]) {
		return fail(s.at, "only a comment may follow %q on its line: put the text on the next one", strings.TrimRight(string(s.data[s.context:s.at]), " \t"))
	}
	return fail(s.at, "%s: write | or >, and behind it nothing, + or -: or put the text in quotes", s.quote(s.at))
}
