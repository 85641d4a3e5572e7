package strictyaml

import (
	"bytes"

	"evenkeel/httpapi/strictjson"
)

// blockHeader is what stands on the first line of a block scalar.
type blockHeader struct {
	folded bool
	chomp  byte // '+', '-' or 0
	indent int  // as given, from 1; 0: not given
}

func (p *parser) blockHeader() (h blockHeader, err error) {
	start := p.pos
	h.folded = p.at(0) == '>'
	p.pos++
	for {
		switch c := p.at(0); {
		case (c == '+' || c == '-') && h.chomp == 0:
			h.chomp = c
		case c >= '1' && c <= '9' && h.indent == 0:
			h.indent = int(c - '0')
		case blank(c):
			end := p.endOfLine()
			rest := bytes.TrimLeft(p.data[p.pos:end], " \t")
			if len(rest) > 0 && rest[0] != '#' {
				return h, fail(end-len(rest), "only a comment may follow %q on its line: put the text on the next one", string(p.data[start:p.pos]))
			}
			p.pos = end
			if !p.newline() {
				p.beginLine() // the text ends, and this line is none of the scalar's
			}
			return h, nil
		default:
			return h, fail(p.pos, "%s: write | or >, and behind it nothing, + or -: or put the text in quotes", p.quote())
		}
		p.pos++
	}
}

// blockScalar reads a literal or folded scalar whose lines are indented by min
// columns or more.
func (p *parser) blockScalar(least int) (*strictjson.Value, error) {
	v := &strictjson.Value{Kind: strictjson.String, Offset: p.pos}
	h, err := p.blockHeader()
	if err != nil {
		return nil, err
	}
	indent := max(least-1, 0) + h.indent
	if h.indent == 0 {
		if indent, err = p.detectIndent(least); err != nil {
			return nil, err
		}
	}
	v.Text = string(p.blockLines(h, indent))
	return v, nil
}

// detectIndent returns the indentation of the first line that is not empty. An
// empty one before it must not be deeper.
func (p *parser) detectIndent(least int) (int, error) {
	pos, line, first := p.pos, p.line, p.first
	defer func() { p.pos, p.line, p.first = pos, line, first }()
	deepest, deepestAt := 0, 0
	for {
		for p.at(0) == ' ' {
			p.pos++
		}
		column, at := p.column(), p.pos
		if p.newline() {
			if column > deepest {
				deepest, deepestAt = column, at
			}
			continue
		}
		indent := max(column, least)
		if p.pos == len(p.data) || column < least {
			return max(indent, deepest), nil
		}
		if p.at(0) == '\t' {
			return 0, fail(at, "a tab where the indentation of the text is to be seen: use spaces, or say it, as in |2")
		}
		if deepest > indent {
			return 0, fail(deepestAt, "an empty line that is indented deeper than the text below it: take its spaces away")
		}
		return indent, nil
	}
}

// blockLines reads the lines of a block scalar (after PyYAML's
// scan_block_scalar, whose words these are).
func (p *parser) blockLines(h blockHeader, indent int) []byte {
	var text []byte
	breaks := p.blockBreaks(indent)
	lineBreak := false
	for p.column() == indent && p.pos < len(p.data) && !(indent == 0 && p.atEnd()) {
		text = append(text, bytes.Repeat([]byte("\n"), breaks)...)
		spaced := p.at(0) == ' ' || p.at(0) == '\t'
		end := p.endOfLine()
		text = append(text, p.data[p.pos:end]...)
		p.pos = end
		if lineBreak = p.newline(); !lineBreak { // spaces alone are a line also at the text's end
			lineBreak = len(bytes.Trim(p.data[p.line:], " \t")) == 0
			p.beginLine()
		}
		breaks = p.blockBreaks(indent)
		if p.column() != indent || p.pos == len(p.data) || indent == 0 && p.atEnd() {
			break
		}
		switch c := p.at(0); {
		case !h.folded || spaced || c == ' ' || c == '\t':
			text = append(text, '\n')
		case breaks == 0:
			text = append(text, ' ')
		}
		lineBreak = false
	}
	if lineBreak && h.chomp != '-' {
		text = append(text, '\n')
	}
	if h.chomp == '+' {
		text = append(text, bytes.Repeat([]byte("\n"), breaks)...)
	}
	return text
}

// blockBreaks passes over empty lines and up to indent columns of the next, and
// returns how many lines were empty.
func (p *parser) blockBreaks(indent int) (breaks int) {
	for {
		for p.column() < indent && p.at(0) == ' ' {
			p.pos++
		}
		switch {
		case p.newline():
			breaks++
		case p.pos == len(p.data) && p.pos > p.line: // as in blockLines
			p.beginLine()
			return breaks + 1
		default:
			return breaks
		}
	}
}
