package strictyaml

import (
	"slices"
	"strconv"

	"evenkeel/httpapi/strictjson"
)

// node is where a value of block style may stand.
type node struct {
	// min is the fewest columns that a value on a line of its own is indented by.
	min int
	// sequence is the column at which a sequence may begin all the same, that of
	// the mapping's key; -1: none.
	sequence int
	// compact tells that a collection may begin on the line where the node does.
	compact bool
}

// parsed is a value. absent tells that nothing stood for it.
type parsed struct {
	*strictjson.Value
	absent bool
}

// block reads the value at the position, null if there is none.
func (p *parser) block(n node) (parsed, error) {
	if err := p.enter(); err != nil {
		return parsed{}, err
	}
	defer p.leave()
	start := p.pos
	if err := p.skip(); err != nil {
		return parsed{}, err
	}
	dash := p.at(0) == '-' && blank(p.at(1))
	fresh := p.fresh()
	if p.atEnd() || fresh && p.line > start && p.column() < n.min && !(dash && p.column() == n.sequence) {
		return parsed{&strictjson.Value{Offset: min(start, len(p.data))}, true}, nil
	}
	inline := !fresh && !n.compact
	switch c := p.at(0); {
	case c == '&':
		return p.anchored(n)
	case dash && inline:
		return parsed{}, fail(p.pos, "a list cannot begin on this line: put it on the next one")
	case dash:
		v, err := p.blockSequence(p.column())
		return parsed{v, false}, err
	case c == '|' || c == '>':
		v, err := p.blockScalar(n.min)
		return parsed{v, false}, err
	}
	v, err := p.inline(n.min, inline)
	return parsed{v, false}, err
}

// inline reads what begins with a scalar, an alias or a flow collection. Unless
// within says that the line has a key already, that may be a mapping's key.
func (p *parser) inline(min int, within bool) (*strictjson.Value, error) {
	indent, start, line := p.column(), p.pos, p.line
	count, faults := p.count, len(p.faults)
	value, err := p.flow(min, false)
	if err != nil {
		return nil, err
	}
	end := p.pos
	for p.at(0) == ' ' || p.at(0) == '\t' {
		p.pos++
	}
	switch {
	case p.at(0) != ':' || !blank(p.at(1)):
		p.pos = end
		return value, nil
	case within || p.line != line:
		return nil, fail(p.pos, "a second key on one line, or in the middle of a text: begin a new line, or put the text in quotes")
	}
	p.pos, p.count, p.faults = start, count, p.faults[:faults] // it is read again as the key
	return p.blockMapping(indent)
}

func (p *parser) blockSequence(indent int) (*strictjson.Value, error) {
	v := &strictjson.Value{Kind: strictjson.Array, Offset: p.pos}
	for {
		p.pos++
		p.path = append(p.path, strconv.Itoa(len(v.Elements)))
		element, err := p.block(node{min: indent + 1, sequence: -1, compact: true})
		if err != nil {
			return nil, err
		}
		p.path = p.path[:len(p.path)-1]
		v.Elements = append(v.Elements, element.Value)
		more, err := p.next(indent)
		if err != nil || !more || p.at(0) != '-' || !blank(p.at(1)) {
			return v, err
		}
	}
}

// next goes to the next item of a collection of that indentation, and tells
// whether there may be one.
func (p *parser) next(indent int) (bool, error) {
	if err := p.skip(); err != nil {
		return false, err
	}
	switch {
	case p.atEnd():
		return false, nil
	case !p.fresh() || p.column() > indent:
		return false, p.unexpected()
	}
	return p.column() == indent, nil
}

func (p *parser) blockMapping(indent int) (*strictjson.Value, error) {
	m := mapping{parser: p, value: &strictjson.Value{Kind: strictjson.Object, Offset: p.pos}}
	for {
		name, offset, err := p.key(false)
		if err != nil {
			return nil, err
		}
		if p.at(0) != ':' || !blank(p.at(1)) {
			return nil, fail(offset, "%s: a key of the mapping was expected here, such as \"name: value\"", strconv.Quote(clip(name)))
		}
		p.pos++
		m.open(name, offset)
		value, err := p.block(node{min: indent + 1, sequence: indent})
		if err != nil {
			return nil, err
		}
		m.close(name, offset, value.Value)
		if more, err := p.next(indent); err != nil || !more {
			return m.value, err
		}
	}
}

// mapping collects the fields of a mapping.
type mapping struct {
	*parser
	value *strictjson.Value
	seen  map[string]bool // nil while there are few
}

const few = 16

// has tells whether the field was given before.
func (m *mapping) has(name string) bool {
	if m.seen == nil {
		return slices.ContainsFunc(m.value.Members, func(member strictjson.Member) bool { return member.Name == name })
	}
	return m.seen[name]
}

func (m *mapping) put(member strictjson.Member) {
	m.value.Members = append(m.value.Members, member)
	if m.seen == nil && len(m.value.Members) == few {
		m.seen = map[string]bool{}
		for _, member := range m.value.Members {
			m.seen[member.Name] = true
		}
	}
	if m.seen != nil {
		m.seen[member.Name] = true
	}
}

// open begins a field, and close ends it.
func (m *mapping) open(name string, offset int) {
	m.path = append(m.path, name)
	if m.merges(name, offset) {
		m.add(offset, `"<<" merges mappings, which is not understood: write the fields out`)
	}
}

// merges tells a merge key from a field whose name is in quotes.
func (m *mapping) merges(name string, offset int) bool { return name == "<<" && m.data[offset] == '<' }

func (m *mapping) close(name string, offset int, value *strictjson.Value) {
	switch {
	case m.merges(name, offset):
	case m.has(name):
		m.add(offset, "the field is given twice: keep one")
	default:
		m.put(strictjson.Member{Name: name, Value: value, Offset: offset})
	}
	m.path = m.path[:len(m.path)-1]
}

// maxKey bounds how much of a line is a key, in bytes, as YAML does (section
// 7.4).
const maxKey = 1024

// key reads the name of a field, and the white space behind it.
func (p *parser) key(inFlow bool) (name string, offset int, err error) {
	offset = p.pos
	line := p.line
	var value *strictjson.Value
	switch c := p.at(0); {
	case c == '?' && blank(p.at(1)):
		return "", 0, fail(p.pos, `"?" begins a key that is no plain text: write "name: value"`)
	case c == '[' || c == '{' || c == '*' || c == '&' || c == '!':
		return "", 0, fail(p.pos, "%s: a key must be a plain text: write \"name: value\"", p.quote())
	case c == '"' || c == '\'':
		value, err = p.quoted(0)
	default:
		value, err = p.plainKey(inFlow)
	}
	if err != nil {
		return "", 0, err
	}
	if p.line != line {
		return "", 0, fail(offset, "a key must end on the line where it begins")
	}
	if p.pos-offset > maxKey {
		return "", 0, fail(offset, "the key has %d bytes, at most %d are taken", p.pos-offset, maxKey)
	}
	for p.at(0) == ' ' || p.at(0) == '\t' {
		p.pos++
	}
	return value.Text, offset, nil
}

// plainKey reads a key without quotes, which must not look like anything but a
// string.
func (p *parser) plainKey(inFlow bool) (*strictjson.Value, error) {
	offset := p.pos
	text, err := p.plainLine(inFlow)
	if err != nil {
		return nil, err
	}
	v := &strictjson.Value{Kind: strictjson.String, Text: text, Offset: offset}
	if kind, doubt := resolve(text); doubt != "" || kind != strictjson.String {
		p.add(offset, "the key %s is not a string to all readers of YAML: put it in quotes, %s", clip(text), strconv.Quote(clip(text)))
	}
	return v, nil
}

func (p *parser) anchored(n node) (parsed, error) {
	n.compact = false
	var value parsed
	err := p.anchor(p.skip, func() (_ *strictjson.Value, err error) {
		value, err = p.block(n)
		return value.Value, err
	})
	value.absent = false
	return value, err
}

// anchor reads an anchor and the value behind it, which is where it was when
// space was passed over.
func (p *parser) anchor(space func() error, read func() (*strictjson.Value, error)) error {
	name, offset, err := p.anchorName("&")
	if err != nil {
		return err
	}
	end, line, first := p.pos, p.line, p.first
	if err := space(); err != nil {
		return err
	}
	if c := p.at(0); c == '&' || c == '*' {
		return fail(p.pos, "%s: a value has one anchor at most, and an alias has none", p.quote())
	}
	p.pos, p.line, p.first = end, line, first
	before := p.count
	value, err := read()
	if err != nil {
		return err
	}
	if p.anchors[name] != nil {
		p.add(offset, "the anchor &%s is given twice: rename one of them", clip(name))
	}
	p.anchors[name] = &anchor{value, p.count - before + 1}
	return nil
}

func isNameChar(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

func (p *parser) anchorName(sign string) (name string, offset int, err error) {
	offset = p.pos
	p.pos++
	start := p.pos
	for c := p.at(0); isNameChar(c); c = p.at(0) {
		p.pos++
	}
	if end := p.at(0); p.pos == start || !blank(end) && end != ',' && end != ']' && end != '}' {
		return "", 0, fail(offset, "%q begins the name of an anchor, of letters, digits, - and _ alone: put the text in quotes if it is one", sign)
	}
	return string(p.data[start:p.pos]), offset, nil
}

// alias returns the value that an alias stands for. That was read to its end,
// so it cannot hold itself.
func (p *parser) alias() (*strictjson.Value, error) {
	name, offset, err := p.anchorName("*")
	if err != nil {
		return nil, err
	}
	a := p.anchors[name]
	if a == nil {
		return nil, fail(offset, "*%s: no value before it is marked &%s, and a value cannot hold itself", clip(name), clip(name))
	}
	return a.value, p.counted(a.count)
}
