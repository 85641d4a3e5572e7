package strictyaml

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"evenkeel/httpapi/strictjson"
)

// plain reads a scalar without quotes, which may go on over several lines that
// are indented by min columns or more.
func (p *parser) plain(min int, inFlow bool) (*strictjson.Value, error) {
	v := &strictjson.Value{Offset: p.pos}
	first, err := p.plainLine(inFlow)
	if err != nil {
		return nil, err
	}
	v.Text = first
	var text []byte
	for {
		breaks, err := p.continued(min, inFlow)
		if err != nil {
			return nil, err
		}
		if breaks == 0 {
			break
		}
		if text == nil {
			text = []byte(first)
		}
		text = fold(text, breaks)
		text = append(text, p.plainRest(inFlow)...)
	}
	if text != nil {
		v.Text = string(text)
	}
	var doubt string
	if v.Kind, doubt = resolve(v.Text); doubt != "" {
		p.add(v.Offset, "%s: some readers of YAML take it for %s: write %s if it is a text%s",
			clip(v.Text), doubt, strconv.Quote(clip(v.Text)), orElse(doubt))
	}
	if v.Kind == strictjson.Null {
		v.Text = ""
	}
	return v, nil
}

// orElse says what to write where no text is meant.
func orElse(doubt string) string {
	switch doubt {
	case "a boolean":
		return ", else true or false"
	case "null":
		return ", else null"
	}
	return ", else a number as in JSON"
}

// fold appends what ends of lines between two lines of a text stand for.
func fold(text []byte, breaks int) []byte {
	if breaks == 1 {
		return append(text, ' ')
	}
	return append(text, bytes.Repeat([]byte("\n"), breaks-1)...)
}

// plainLine reads what of a plain scalar stands on its first line.
func (p *parser) plainLine(inFlow bool) (string, error) {
	c, next := p.at(0), p.at(1)
	switch {
	case p.pos == len(p.data) || strings.IndexByte(",[]{}#&*!|>'\"%@`\n\r", c) >= 0:
		return "", fail(p.pos, "%s: no text without quotes begins so: put it in quotes", p.quote())
	case (c == '-' || c == '?' || c == ':') && (blank(next) || inFlow && flowIndicator(next)):
		return "", fail(p.pos, "%s is not possible here: begin a new line, or put the text in quotes", p.quote())
	}
	return p.plainRest(inFlow), nil
}

func (p *parser) plainRest(inFlow bool) string {
	start, end := p.pos, p.pos
	for ; p.pos < len(p.data); p.pos++ {
		c := p.data[p.pos]
		switch {
		case c == ' ' || c == '\t':
			continue
		case c == '\n' || c == '\r',
			c == ':' && (blank(p.at(1)) || inFlow && flowIndicator(p.at(1))),
			c == '#' && p.pos > start && blank(p.data[p.pos-1]),
			inFlow && flowIndicator(c):
			p.pos = end
			return string(p.data[start:end])
		}
		end = p.pos + 1
	}
	p.pos = end
	return string(p.data[start:end])
}

// continued goes to the next line if a plain scalar goes on there, and returns
// how many ends of lines are between.
func (p *parser) continued(min int, inFlow bool) (breaks int, err error) {
	end, line, first := p.pos, p.line, p.first
	for {
		for p.at(0) == ' ' || p.at(0) == '\t' {
			p.pos++
		}
		if !p.newline() {
			break
		}
		breaks++
	}
	c := p.at(0)
	over := breaks == 0 || p.atEnd() || c == '#' || !inFlow && p.column() < min ||
		inFlow && (flowIndicator(c) || c == ':' && blank(p.at(1)))
	switch {
	case over:
		p.pos, p.line, p.first = end, line, first
		return 0, nil
	case !inFlow && bytes.IndexByte(p.data[p.line:p.pos], '\t') >= 0:
		return 0, fail(p.pos-1, "a tab in the indentation: use spaces")
	case (c == '-' || c == '?' || c == ':') && blank(p.at(1)):
		return 0, fail(p.pos, "%s would go on with the text of the line above: is it indented rightly?", p.quote())
	}
	return breaks, nil
}

var (
	number = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)
	// numeric is what is a number to some reader: of YAML 1.1 or 1.2, or of
	// common languages.
	numeric = regexp.MustCompile(`^[-+]?(\.[0-9][0-9_]*|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?$|` +
		`^[-+]?0[xXoObB][0-9a-fA-F_]+$|^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$|^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$`)
	booleans = []string{"true", "false", "yes", "no", "on", "off", "y", "n"}
)

// resolve tells what a plain scalar is: what JSON would take it for, else a
// string. doubt is what some reader takes it for that would disagree.
func resolve(text string) (kind strictjson.Kind, doubt string) {
	switch text {
	case "null", "~":
		return strictjson.Null, ""
	case "true", "false":
		return strictjson.Bool, ""
	}
	switch {
	case number.MatchString(text):
		return strictjson.Number, ""
	case len(text) <= len("false") && slices.Contains(booleans, strings.ToLower(text)):
		return strictjson.String, "a boolean"
	case strings.EqualFold(text, "null"):
		return strictjson.String, "null"
	case strings.IndexByte("+-.0123456789", text[0]) >= 0 && numeric.MatchString(text):
		return strictjson.String, "a number"
	}
	return strictjson.String, ""
}

// quoted reads a scalar in quotes. Its further lines are indented by min columns
// or more.
func (p *parser) quoted(min int) (*strictjson.Value, error) {
	v := &strictjson.Value{Kind: strictjson.String, Offset: p.pos}
	quote := p.at(0)
	p.pos++
	var text []byte
	firm := 0 // so much of the text is no white space before the end of a line
	for p.pos < len(p.data) {
		c := p.data[p.pos]
		switch {
		case c == quote && quote == '\'' && p.at(1) == '\'':
			text = append(text, '\'')
			p.pos += 2
		case c == quote:
			p.pos++
			v.Text = string(text)
			return v, nil
		case c == '\\' && quote == '"':
			var err error
			if text, err = p.escape(text, min); err != nil {
				return nil, err
			}
		case c == '\n' || c == '\r':
			breaks, err := p.quotedBreaks(min)
			if err != nil {
				return nil, err
			}
			text = fold(text[:firm], breaks)
		default:
			text = append(text, c)
			p.pos++
			if c == ' ' || c == '\t' {
				continue
			}
		}
		firm = len(text)
	}
	return nil, fail(v.Offset, "the quotes are not closed")
}

// quotedBreaks passes over the ends of lines within quotes and the white space
// behind them.
func (p *parser) quotedBreaks(min int) (breaks int, err error) {
	for p.newline() {
		breaks++
		if p.marker("---") || p.marker("...") {
			return 0, fail(p.pos, "the document ends within quotes")
		}
		p.pos = p.first
	}
	if p.column() < min {
		return 0, fail(p.pos, "%s goes on with the text in quotes above, and is indented less: is that closed?", p.quote())
	}
	return breaks, nil
}

var (
	// safe is what no reader takes for anything but itself where a value may
	// stand in block style.
	safe = regexp.MustCompile(`^[A-Za-z0-9_/.][A-Za-z0-9_/.,:;=+@()$^~*-]*( [A-Za-z0-9_/.(][A-Za-z0-9_/.,:;=+@()$^~*-]*)*$`)
	date = regexp.MustCompile(`^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}`)
)

// IsPlain tells whether every reader of YAML takes the text for a string of its
// own when it stands without quotes as a key or value of block style.
func IsPlain(text string) bool {
	if len(text) > 200 || !safe.MatchString(text) || strings.Contains(text, ": ") || strings.HasSuffix(text, ":") {
		return false
	}
	kind, doubt := resolve(text)
	return kind == strictjson.String && doubt == "" && !date.MatchString(text)
}
