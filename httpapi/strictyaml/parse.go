package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"evenkeel/fsm"
	"evenkeel/httpapi/strictjson"
)

// Bounds of a text. They keep what reading costs below some 300 MB and two
// seconds: the library makes a node of 160 bytes of every value, and a token
// before, while none of them can be looked at yet.
const (
	// MaxBytes is how long a text may be.
	MaxBytes = 4 << 20
	// MaxPlaces is how many commas, brackets, and colons and dashes with white
	// space behind them it may have. A value, or a field with its value, takes one
	// of these.
	MaxPlaces = 250_000
	// MaxDepth is how deep values may be nested, the innermost one counted.
	MaxDepth = strictjson.MaxDepth
)

// Parse reads a stream of documents of at most [MaxBytes] and [MaxPlaces]. Those without any
// value are left out. An alias counts as many values as it stands for, so that
// maxValues bounds what the documents are once expanded.
//
// When the text cannot be read to its end, there are no documents and the last
// fault says where and why. Otherwise the faults are of single fields and
// values, and the documents hold all of them but the second of two fields of one
// name and those whose name is none. Pointers of faults begin within their
// document.
func Parse(data []byte, maxValues int) ([]*strictjson.Value, []strictjson.Located) {
	c := &converter{data: data, most: maxValues}
	documents, err := c.stream()
	if err != nil {
		at := err.(*syntaxError)
		c.faults = append(c.faults[:min(len(c.faults), strictjson.MaxFaults-1)],
			strictjson.Located{Fault: fsm.Fault{Message: at.message}, Offset: at.offset})
		return nil, c.faults
	}
	return documents, c.faults
}

// syntaxError ends the reading.
type syntaxError struct {
	offset  int
	message string
}

// Error implements error.
func (e *syntaxError) Error() string { return e.message }

func fail(offset int, format string, args ...any) error {
	return &syntaxError{offset, fmt.Sprintf(format, args...)}
}

var byteOrderMark = []byte("\ufeff")

// stream reads the documents. Of each, the library's nodes are dropped before
// the next is read.
func (c *converter) stream() ([]*strictjson.Value, error) {
	if len(c.data) > MaxBytes {
		return nil, fail(MaxBytes, "the text has %d bytes, at most %d of YAML are taken, which end here: split it, or send JSON", len(c.data), MaxBytes)
	}
	if err := checkBytes(c.data); err != nil {
		return nil, err
	}
	if err := checkPlaces(c.data); err != nil {
		return nil, err
	}
	text, err := withoutDirectives(c.data)
	if err != nil {
		return nil, err
	}
	text = bytes.TrimPrefix(text, byteOrderMark)
	c.cursor = newCursor(c.data, len(c.data)-len(text))
	loader, err := yaml.NewLoader(bytes.NewReader(text), yaml.WithPlugin(limits{}))
	if err != nil {
		return nil, fail(0, "%s", err)
	}
	var documents []*strictjson.Value
	for {
		root, err := load(loader)
		switch {
		case errors.Is(err, io.EOF):
			return documents, nil
		case err != nil:
			return nil, c.explain(err)
		}
		value, err := c.document(root)
		if err != nil {
			return nil, err
		}
		if value != nil {
			documents = append(documents, value)
		}
	}
}

// load reads the next document. Where the library finds its own state
// impossible, it panics and asks for a report; no text that a client sends may
// end the node.
func load(loader *yaml.Loader) (root *yaml.Node, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			root, err = nil, fmt.Errorf("%v", cause)
		}
	}()
	root = &yaml.Node{}
	if err := loader.Load(root); err != nil {
		return nil, err
	}
	return root, nil
}

// limits keeps the library from going deeper than a value may. Aliases are not
// followed by it.
type limits struct{}

var errDepth = fmt.Errorf("the document is nested deeper than %d levels", MaxDepth)

// CheckDepth implements yaml.LoaderLimitsPlugin.
func (limits) CheckDepth(depth int, _ *yaml.DepthContext) error {
	if depth > MaxDepth {
		return errDepth
	}
	return nil
}

// CheckAlias implements yaml.LoaderLimitsPlugin.
func (limits) CheckAlias(int, int) error { return nil }

// checkPlaces holds a text to MaxPlaces.
func checkPlaces(data []byte) error {
	places := 0
	for i, b := range data {
		if isPlace(data, i, b) {
			places++
		}
		if places > MaxPlaces {
			return fail(i, "the text has more than %d commas, brackets, colons and dashes, and may have as many values: split it, or send JSON", MaxPlaces)
		}
	}
	return nil
}

func isPlace(data []byte, i int, b byte) bool {
	switch b {
	case ',', '[', '{':
		return true
	case ':', '-', '?':
		// Behind quotes a colon needs no space (YAML 1.2, section 7.4.2).
		return i+1 == len(data) || blank(data[i+1]) || strings.IndexByte(",[]{}", data[i+1]) >= 0 ||
			b == ':' && i > 0 && (strings.IndexByte(`"']}`, data[i-1]) >= 0)
	}
	return false
}

// blank tells whether b is white space or the end of a line.
func blank(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\r' }

// checkBytes looks for what no document may hold.
func checkBytes(data []byte) error {
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return fail(0, "the text is UTF-16: save it as UTF-8")
	}
	if !utf8.Valid(data) {
		return fail(strictjson.InvalidUTF8(data), "not valid UTF-8")
	}
	for i, c := range data {
		switch {
		case c == 0xc2 || c == 0xe2 || c == 0xef:
			if r, _ := utf8.DecodeRune(data[i:]); r < 0xa0 || r == '\ufeff' && i > 0 || r == '\u2028' || r == '\u2029' || r == '\ufffe' || r == '\uffff' {
				return fail(i, "the character U+%04X, which some readers of YAML refuse or end the line at: write it as an escape in double quotes, \"\\u%04x\"", r, r)
			}
		case c >= ' ' && c != 0x7f, c == '\t', c == '\n':
		case c == '\r' && i+1 < len(data) && data[i+1] == '\n':
		case c == '\r':
			return fail(i, "a carriage return without a line feed: end lines with a line feed")
		default:
			return fail(i, "a control character (0x%02x): write it as an escape in double quotes, such as \"\\x%02x\"", c, c)
		}
	}
	return nil
}

var (
	version = regexp.MustCompile(`^%YAML 1\.[12][ \t\r]*$`)
	ends    = regexp.MustCompile(`^\.\.\.([ \t\r]|$)`)
)

// withoutDirectives returns the text with %YAML 1.2, which the library does not
// know, as %YAML 1.1, which it reads the same. A directive stands before the
// first document, or behind the "..." that ends one.
func withoutDirectives(data []byte) ([]byte, error) {
	outside, copied, directive := true, false, ""
	for start := 0; start < len(data); {
		end := len(data)
		if i := bytes.IndexByte(data[start:], '\n'); i >= 0 {
			end = start + i
		}
		line := bytes.TrimPrefix(data[start:end], byteOrderMark)
		switch {
		case ends.Match(line):
			outside = true
		case !outside, len(bytes.TrimSpace(line)) == 0, line[0] == '#':
		case line[0] != '%' && directive != "" && !bytes.HasPrefix(line, []byte("---")):
			return nil, fail(end-len(line), "a line of \"---\" must follow %q", directive)
		case line[0] != '%':
			outside, directive = false, ""
		case !version.Match(line):
			text := strings.TrimRight(string(line[:min(len(line), 80)]), " \t\r")
			return nil, fail(end-len(line), "%s: no directive but %%YAML 1.2 is understood: leave it out", strconv.Quote(strings.ToValidUTF8(text, "")))
		default:
			if !copied {
				data, copied = bytes.Clone(data), true
			}
			data[end-len(line)+len("%YAML 1.")] = '1'
			directive = string(line[:len("%YAML 1.2")])
		}
		start = end + 1
	}
	return data, nil
}
