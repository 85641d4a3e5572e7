package strictyaml

import (
	"strconv"

	"evenkeel/httpapi/strictjson"
)

func flowIndicator(c byte) bool {
	return c == ',' || c == '[' || c == ']' || c == '{' || c == '}'
}

// flow reads a scalar, an alias or a flow collection at the position. min is the
// fewest columns that its further lines are indented by.
func (p *parser) flow(min int, inFlow bool) (*strictjson.Value, error) {
	switch c := p.at(0); {
	case c == '*':
		return p.alias()
	case c == '!':
		return nil, fail(p.pos, "%s: tags are not understood: leave it out, and put a text in quotes", p.quote())
	case c == '[':
		return p.flowSequence(min)
	case c == '{':
		return p.flowMapping(min)
	case c == '"' || c == '\'':
		return p.quoted(min)
	case c == '?' && blank(p.at(1)):
		return nil, fail(p.pos, `"?" begins a key that is no plain text: write "name: value"`)
	}
	return p.plain(min, inFlow)
}

// flowItem reads one value within brackets.
func (p *parser) flowItem(min int) (*strictjson.Value, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	if p.at(0) != '&' {
		return p.flow(min, true)
	}
	opened := p.pos
	var value *strictjson.Value
	err := p.anchor(func() error { return p.inside(opened) }, func() (_ *strictjson.Value, err error) {
		if err := p.inside(opened); err != nil {
			return nil, err
		}
		value, err = p.flow(min, true)
		return value, err
	})
	return value, err
}

// inside goes to the next content within brackets that were opened at offset.
// There tabs are white space wherever they stand.
func (p *parser) inside(offset int) error {
	if err := p.space(true); err != nil {
		return err
	}
	if p.atEnd() {
		return fail(offset, "%q is not closed", string(p.data[offset]))
	}
	return nil
}

func (p *parser) flowSequence(min int) (*strictjson.Value, error) {
	v := &strictjson.Value{Kind: strictjson.Array, Offset: p.pos}
	p.pos++
	for {
		if err := p.inside(v.Offset); err != nil {
			return nil, err
		}
		if p.at(0) == ']' {
			p.pos++
			return v, nil
		}
		if p.at(0) == ',' {
			return nil, fail(p.pos, "a value is missing before the comma")
		}
		p.path = append(p.path, strconv.Itoa(len(v.Elements)))
		element, err := p.flowItem(min)
		if err != nil {
			return nil, err
		}
		p.path = p.path[:len(p.path)-1]
		v.Elements = append(v.Elements, element)
		if err := p.separator(v.Offset, ']'); err != nil {
			return nil, err
		}
	}
}

// separator passes over a comma, and stays before the closing bracket.
func (p *parser) separator(opened int, closing byte) error {
	if err := p.inside(opened); err != nil {
		return err
	}
	switch p.at(0) {
	case closing:
		return nil
	case ',':
		p.pos++
		return nil
	case ':':
		return fail(p.pos, "a mapping within a list stands in braces: [{name: value}]")
	}
	return fail(p.pos, "%s: a comma or %q was expected here", p.quote(), string(closing))
}

func (p *parser) flowMapping(min int) (*strictjson.Value, error) {
	m := mapping{parser: p, value: &strictjson.Value{Kind: strictjson.Object, Offset: p.pos}}
	p.pos++
	for {
		if err := p.inside(m.value.Offset); err != nil {
			return nil, err
		}
		if p.at(0) == '}' {
			p.pos++
			return m.value, nil
		}
		name, offset, err := p.key(true)
		if err != nil {
			return nil, err
		}
		// Behind quotes a colon needs no space (YAML 1.2, section 7.4.2).
		quotes := p.data[offset] == '"' || p.data[offset] == '\''
		if p.at(0) != ':' || !quotes && !blank(p.at(1)) {
			return nil, fail(offset, "%s: a field is given as \"name: value\", with a space behind the colon", strconv.Quote(clip(name)))
		}
		p.pos++
		m.open(name, offset)
		value, err := p.flowValue(m.value.Offset, min)
		if err != nil {
			return nil, err
		}
		m.close(name, offset, value)
		if err := p.separator(m.value.Offset, '}'); err != nil {
			return nil, err
		}
	}
}

// flowValue reads the value behind a colon, null if there is none.
func (p *parser) flowValue(opened, min int) (*strictjson.Value, error) {
	if err := p.inside(opened); err != nil {
		return nil, err
	}
	if p.at(0) == ',' || p.at(0) == '}' {
		return &strictjson.Value{Offset: p.pos}, p.counted(1)
	}
	return p.flowItem(min)
}
