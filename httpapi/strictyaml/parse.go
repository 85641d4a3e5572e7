package strictyaml

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"evenkeel/fsm"
	"evenkeel/httpapi/strictjson"
)

// MaxDepth is how deep values may be nested, the innermost one counted.
const MaxDepth = strictjson.MaxDepth

// Parse reads a stream of documents. Those without any value are left out. An
// alias counts as many values as it stands for, so that maxValues bounds what
// the documents are once expanded.
//
// When the text cannot be read to its end, there are no documents and the last
// fault says where and why. Otherwise the faults are of single fields and
// values, and the documents hold all of them but the second of two fields of one
// name. Pointers of faults begin within their document.
func Parse(data []byte, maxValues int) ([]*strictjson.Value, []strictjson.Located) {
	p := &parser{data: data, most: maxValues}
	documents, err := p.stream()
	if err != nil {
		at := err.(*syntaxError)
		p.faults = append(p.faults[:min(len(p.faults), strictjson.MaxFaults-1)],
			strictjson.Located{Fault: fsm.Fault{Message: at.message}, Offset: at.offset})
		return nil, p.faults
	}
	return documents, p.faults
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

// parser reads the text once from its beginning to its end. Lines are looked
// ahead at by at most one.
type parser struct {
	data  []byte
	pos   int
	line  int // offset of the line's first byte
	first int // offset of the line's first byte that is neither space nor tab
	depth int
	count int
	most  int

	path    []string // of the value being read
	anchors map[string]*anchor
	faults  []strictjson.Located
}

// anchor is a value that aliases stand for, with what it counts.
type anchor struct {
	value *strictjson.Value
	count int
}

func (p *parser) add(offset int, format string, args ...any) {
	if len(p.faults) > strictjson.MaxFaults {
		return
	}
	var pointer strings.Builder
	for _, token := range p.path {
		pointer.WriteString("/" + fsm.EscapePointer(clip(token)))
	}
	p.faults = strictjson.AddLocated(p.faults, offset, pointer.String(), format, args...)
}

// clip shortens what a message quotes.
func clip(text string) string {
	if len(text) <= 80 {
		return text
	}
	return strings.ToValidUTF8(text[:77], "") + "..."
}

func (p *parser) stream() ([]*strictjson.Value, error) {
	if err := p.checkBytes(); err != nil {
		return nil, err
	}
	if bytes.HasPrefix(p.data, []byte("\ufeff")) {
		p.pos = len("\ufeff")
	}
	p.beginLine()
	var documents []*strictjson.Value
	for {
		more, err := p.documentStart()
		if err != nil || !more {
			return documents, err
		}
		p.anchors = map[string]*anchor{}
		value, err := p.block(node{min: 0, sequence: -1})
		if err != nil {
			return nil, err
		}
		if err := p.skip(); err != nil {
			return nil, err
		}
		if !p.atEnd() {
			return nil, p.unexpected()
		}
		if !value.absent {
			documents = append(documents, value.Value)
		}
	}
}

// checkBytes looks for what no document may hold.
func (p *parser) checkBytes() error {
	if bytes.HasPrefix(p.data, []byte("\xff\xfe")) || bytes.HasPrefix(p.data, []byte("\xfe\xff")) {
		return fail(0, "the text is UTF-16: save it as UTF-8")
	}
	if !utf8.Valid(p.data) {
		return fail(strictjson.InvalidUTF8(p.data), "not valid UTF-8")
	}
	for i, c := range p.data {
		switch {
		case c == 0xc2 || c == 0xe2 || c == 0xef:
			if r, _ := utf8.DecodeRune(p.data[i:]); r < 0xa0 || r == '\ufeff' && i > 0 || r == '\u2028' || r == '\u2029' || r == '\ufffe' || r == '\uffff' {
				return fail(i, "the character U+%04X, which some readers of YAML refuse or end the line at: write it as an escape in double quotes, \"\\u%04x\"", r, r)
			}
		case c >= ' ' && c != 0x7f, c == '\t', c == '\n':
		case c == '\r' && i+1 < len(p.data) && p.data[i+1] == '\n':
		case c == '\r':
			return fail(i, "a carriage return without a line feed: end lines with a line feed")
		default:
			return fail(i, "a control character (0x%02x): write it as an escape in double quotes, such as \"\\x%02x\"", c, c)
		}
	}
	return nil
}

// documentStart passes over what stands before a document, and tells whether
// there is one.
func (p *parser) documentStart() (bool, error) {
	for {
		if err := p.skip(); err != nil {
			return false, err
		}
		switch {
		case p.pos == len(p.data):
			return false, nil
		case p.marker("..."):
			p.pos += 3
			if err := p.restOfLine("..."); err != nil {
				return false, err
			}
		case p.marker("---"):
			p.pos += 3
			return true, nil
		case p.data[p.pos] == '%' && p.pos == p.line:
			if err := p.directive(); err != nil {
				return false, err
			}
		default:
			return true, nil
		}
	}
}

// directive passes over %YAML 1.2 (or 1.1, which is read as 1.2).
func (p *parser) directive() error {
	end := p.endOfLine()
	text := strings.TrimRight(string(p.data[p.pos:min(end, p.pos+80)]), " \r")
	if text != "%YAML 1.2" && text != "%YAML 1.1" {
		return fail(p.pos, "%q: no directive but %%YAML 1.2 is understood: leave it out", clip(text))
	}
	p.pos = end
	if err := p.skip(); err != nil {
		return err
	}
	if !p.marker("---") {
		return fail(p.pos, "a line of \"---\" must follow %q", text)
	}
	return nil
}

func (p *parser) restOfLine(after string) error {
	if err := p.skip(); err != nil {
		return err
	}
	if p.pos < len(p.data) && !p.fresh() {
		return fail(p.pos, "only a comment may follow %q on its line", after)
	}
	return nil
}

// skip passes over white space, comments and ends of lines up to the next
// content. A tab is white space behind content, and refused before it.
func (p *parser) skip() error { return p.space(false) }

// space is skip, with tabs allowed anywhere if so said.
func (p *parser) space(tabs bool) error {
	for p.pos < len(p.data) {
		switch c := p.data[p.pos]; {
		case c == ' ':
			p.pos++
		case c == '\t':
			if !tabs && p.fresh() && !p.blankLine() {
				return fail(p.pos, "a tab in the indentation: use spaces")
			}
			p.pos = max(p.pos+1, p.first)
		case c == '#' && (p.pos == p.line || blank(p.data[p.pos-1])):
			p.pos = p.endOfLine()
		case !p.newline():
			return nil
		}
	}
	return nil
}

// newline passes over the end of a line, if there is one.
func (p *parser) newline() bool {
	switch p.at(0) {
	case '\n':
		p.pos++
	case '\r':
		p.pos += 2
	default:
		return false
	}
	p.beginLine()
	return true
}

func (p *parser) beginLine() {
	p.line, p.first = p.pos, p.pos
	for p.first < len(p.data) && (p.data[p.first] == ' ' || p.data[p.first] == '\t') {
		p.first++
	}
}

// fresh tells whether only spaces and tabs stand before the position on its
// line.
func (p *parser) fresh() bool { return p.pos <= p.first }

// blankLine tells whether the line has nothing but white space and a comment.
func (p *parser) blankLine() bool {
	return p.first == len(p.data) || strings.IndexByte("#\n\r", p.data[p.first]) >= 0
}

func (p *parser) endOfLine() int {
	if i := bytes.IndexByte(p.data[p.pos:], '\n'); i >= 0 {
		end := p.pos + i
		if end > p.pos && p.data[end-1] == '\r' {
			end--
		}
		return end
	}
	return len(p.data)
}

// at returns the byte n behind the position, 0 behind the text's end.
func (p *parser) at(n int) byte {
	if p.pos+n < len(p.data) {
		return p.data[p.pos+n]
	}
	return 0
}

func (p *parser) column() int { return p.pos - p.line }

// atEnd tells whether the document ends at the position.
func (p *parser) atEnd() bool {
	return p.pos == len(p.data) || p.marker("---") || p.marker("...")
}

func (p *parser) marker(text string) bool {
	return p.pos == p.line && bytes.HasPrefix(p.data[p.pos:], []byte(text)) && blank(p.at(3))
}

// blank tells whether c is white space, the end of a line, or of the text.
func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == 0 }

func (p *parser) unexpected() error {
	if p.fresh() {
		return fail(p.pos, "%s does not fit to the lines above: is it indented rightly?", p.quote())
	}
	return fail(p.pos, "%s is not possible here: begin a new line, or put the text in quotes", p.quote())
}

// quote returns the beginning of what stands at the position.
func (p *parser) quote() string {
	text := string(p.data[p.pos:min(p.endOfLine(), p.pos+24)])
	return strconv.Quote(strings.ToValidUTF8(strings.TrimRight(text, " \t"), ""))
}

// enter counts one value, and leave goes with every enter that did not fail.
func (p *parser) enter() error {
	if p.depth++; p.depth > MaxDepth {
		return fail(p.pos, "the document is nested deeper than %d levels", MaxDepth)
	}
	return p.counted(1)
}

func (p *parser) leave() { p.depth-- }

func (p *parser) counted(values int) error {
	if p.count += values; p.count > p.most {
		return fail(p.pos, "the documents have more than %d values", p.most)
	}
	return nil
}
