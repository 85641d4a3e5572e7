package strictyaml

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"evenkeel/fsm"
	"evenkeel/httpapi/strictjson"
)

// converter makes values of the library's nodes. What a scalar is follows from
// how it is written, never from the tag that the library found for it.
type converter struct {
	cursor
	data  []byte
	depth int
	count int
	most  int
	// inFlow tells that the value stands within brackets.
	inFlow bool

	path    []string // of the value being converted
	anchors map[*yaml.Node]anchor
	names   map[string]bool // of the document's anchors
	faults  []strictjson.Located
}

// anchor is a value that aliases stand for, with how many values it holds and
// how deep they are nested, itself counted.
type anchor struct {
	value         *strictjson.Value
	count, height int
}

func (c *converter) add(offset int, format string, args ...any) {
	if len(c.faults) > strictjson.MaxFaults {
		return
	}
	var pointer strings.Builder
	for _, token := range c.path {
		pointer.WriteString("/" + fsm.EscapePointer(clip(token)))
	}
	c.faults = strictjson.AddLocated(c.faults, offset, pointer.String(), format, args...)
}

// clip shortens what a message quotes.
func clip(text string) string {
	if len(text) <= 80 {
		return text
	}
	return strings.ToValidUTF8(text[:77], "") + "..."
}

// document converts a document, nil if it holds no value.
func (c *converter) document(root *yaml.Node) (*strictjson.Value, error) {
	if root.Kind != yaml.DocumentNode || len(root.Content) != 1 {
		return nil, nil
	}
	n := root.Content[0]
	if n.Kind == yaml.ScalarNode && isPlain(n) && n.Value == "" && n.Anchor == "" {
		return nil, nil
	}
	c.anchors, c.names = map[*yaml.Node]anchor{}, map[string]bool{}
	value, _, err := c.value(n)
	return value, err
}

// isPlain tells whether a scalar stands without quotes and without a tag.
func isPlain(n *yaml.Node) bool { return n.Style == 0 && !isTagged(n) }

// isTagged tells of a tag in the text. "!" alone is no style to the library.
func isTagged(n *yaml.Node) bool { return n.Style&yaml.TaggedStyle != 0 || n.Tag == "!" }

// value converts a node, and returns how deep its values are nested.
func (c *converter) value(n *yaml.Node) (*strictjson.Value, int, error) {
	offset := c.at(n.Line, n.Column)
	c.depth++
	defer func() { c.depth-- }()
	if err := c.room(offset, 1, 1); err != nil {
		return nil, 0, err
	}
	defer func(before bool) { c.inFlow = before }(c.inFlow)
	c.inFlow = c.inFlow || n.Style&yaml.FlowStyle != 0
	before := c.count
	if isTagged(n) {
		c.add(offset, "%s: tags are not understood: leave it out, and put a text in quotes", c.quote(offset))
	}
	c.checkAnchor(n, offset)
	var value *strictjson.Value
	height, err := 1, error(nil)
	switch n.Kind {
	case yaml.AliasNode:
		return c.alias(n, offset)
	case yaml.SequenceNode:
		value, height, err = c.sequence(n, offset)
	case yaml.MappingNode:
		value, height, err = c.mapping(n, offset)
	default:
		value = c.scalar(n, offset)
	}
	n.Content = nil // so that the nodes go as the values come
	if err == nil && n.Anchor != "" {
		c.anchors[n] = anchor{value, c.count - before + 1, height}
	}
	return value, height, err
}

// room makes sure of the bounds for values of that height.
func (c *converter) room(offset, values, height int) error {
	if c.depth+height-1 > MaxDepth {
		return fail(offset, "%s", errDepth)
	}
	if c.count += values; c.count > c.most {
		return fail(offset, "the documents have more than %d values", c.most)
	}
	return nil
}

func (c *converter) checkAnchor(n *yaml.Node, offset int) {
	if n.Anchor == "" || n.Kind == yaml.AliasNode {
		return
	}
	if c.names[n.Anchor] {
		c.add(offset, "the anchor &%s is given twice: rename one of them", clip(n.Anchor))
	}
	c.names[n.Anchor] = true
}

// quote returns the beginning of what stands at the offset.
func (c *converter) quote(offset int) string {
	line, _, _ := bytes.Cut(c.data[offset:min(len(c.data), offset+24)], []byte("\n"))
	return strconv.Quote(strings.ToValidUTF8(strings.TrimRight(string(line), " \t\r"), ""))
}

// alias returns the value that an alias stands for. One within that value has
// none yet.
func (c *converter) alias(n *yaml.Node, offset int) (*strictjson.Value, int, error) {
	a, ok := c.anchors[n.Alias]
	if !ok {
		c.add(offset, "*%s: no value before it is marked &%s, and a value cannot hold itself", clip(n.Value), clip(n.Value))
		return &strictjson.Value{Offset: offset}, 1, nil
	}
	return a.value, a.height, c.room(offset, a.count, a.height)
}

func (c *converter) sequence(n *yaml.Node, offset int) (*strictjson.Value, int, error) {
	v := &strictjson.Value{Kind: strictjson.Array, Offset: offset, Elements: make([]*strictjson.Value, 0, len(n.Content))}
	tallest := 0
	for i, item := range n.Content {
		c.path = append(c.path, strconv.Itoa(i))
		element, height, err := c.value(item)
		if err != nil {
			return nil, 0, err
		}
		c.path = c.path[:len(c.path)-1]
		v.Elements = append(v.Elements, element)
		n.Content[i] = nil
		tallest = max(tallest, height)
	}
	return v, 1 + tallest, nil
}

func (c *converter) mapping(n *yaml.Node, offset int) (*strictjson.Value, int, error) {
	v := &strictjson.Value{Kind: strictjson.Object, Offset: offset, Members: make([]strictjson.Member, 0, len(n.Content)/2)}
	seen := fields{of: v}
	if n.Style&yaml.FlowStyle != 0 && !c.startsWith(offset, "{&!") {
		c.add(offset, "%s: a mapping within a list stands in braces: [{name: value}]", c.quote(offset))
	}
	tallest := 0
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, at, ok := c.key(n.Content[i])
		c.path = append(c.path, name)
		if ok && seen.has(name) {
			c.add(at, "the field is given twice: keep one")
			ok = false
		}
		if c.isBare(n, n.Content[i], n.Content[i+1]) {
			c.add(at, "%s: a field is given as \"name: value\", with a space behind the colon", strconv.Quote(clip(name)))
		}
		value, height, err := c.value(n.Content[i+1])
		if err != nil {
			return nil, 0, err
		}
		c.path = c.path[:len(c.path)-1]
		if ok {
			seen.put(strictjson.Member{Name: name, Value: value, Offset: at})
		}
		n.Content[i], n.Content[i+1] = nil, nil
		tallest = max(tallest, height)
	}
	return v, 1 + tallest, nil
}

// fields tells of a mapping's fields which there are.
type fields struct {
	of   *strictjson.Value
	seen map[string]bool // nil while there are few
}

const few = 16

func (f *fields) has(name string) bool {
	if f.seen == nil {
		return slices.ContainsFunc(f.of.Members, func(member strictjson.Member) bool { return member.Name == name })
	}
	return f.seen[name]
}

func (f *fields) put(member strictjson.Member) {
	f.of.Members = append(f.of.Members, member)
	if f.seen == nil && len(f.of.Members) == few {
		f.seen = map[string]bool{}
		for _, member := range f.of.Members {
			f.seen[member.Name] = true
		}
	}
	if f.seen != nil {
		f.seen[member.Name] = true
	}
}

// key returns the name of a field, and whether it is one to every reader.
func (c *converter) key(n *yaml.Node) (name string, offset int, ok bool) {
	offset = c.at(n.Line, n.Column)
	switch {
	case c.marked(offset) > 0:
		c.add(c.marked(offset)-1, `"?" begins a key that is no plain text: write "name: value"`)
	case n.Kind != yaml.ScalarNode || n.Anchor != "" || isTagged(n):
		c.add(offset, "%s: a key must be a plain text: write \"name: value\"", c.quote(offset))
	case c.goesOn(n, offset):
		c.add(offset, "a key must end on the line where it begins")
	case isPlain(n) && n.Value == "":
		c.add(offset, "%s is not possible here: a name is missing before the colon", c.quote(offset))
	case isPlain(n) && n.Value == "<<":
		c.path = append(c.path, n.Value)
		c.add(offset, `"<<" merges mappings, which is not understood: write the fields out`)
		c.path = c.path[:len(c.path)-1]
	case isPlain(n):
		if kind, doubt := resolve(n.Value); doubt != "" || kind != strictjson.String {
			c.add(offset, "the key %s is not a string to all readers of YAML: put it in quotes, %s", clip(n.Value), strconv.Quote(clip(n.Value)))
		}
		return n.Value, offset, true
	default:
		return n.Value, offset, true
	}
	return n.Value, offset, false
}

func (c *converter) startsWith(offset int, any string) bool {
	return offset < len(c.data) && strings.IndexByte(any, c.data[offset]) >= 0
}

// isBare tells whether a field within braces is a name alone, to be seen where
// both would stand on one line.
func (c *converter) isBare(mapping, key, value *yaml.Node) bool {
	if mapping.Style&yaml.FlowStyle == 0 || value.Kind != yaml.ScalarNode || !isPlain(value) || value.Value != "" || value.Line != key.Line {
		return false
	}
	before := bytes.TrimRight(c.data[:c.at(value.Line, value.Column)], " \t")
	return !bytes.HasSuffix(before, []byte(":"))
}

// marked returns where the question mark ends that stands before a key, on its
// line or on one above that holds nothing else; or 0.
func (c *converter) marked(offset int) int {
	before := bytes.TrimRight(c.data[:offset], " \t\r\n")
	if len(before) == offset || !bytes.HasSuffix(before, []byte("?")) {
		return 0
	}
	if bytes.IndexByte(c.data[len(before):offset], '\n') < 0 {
		return len(before)
	}
	line := before[bytes.LastIndexByte(before, '\n')+1:]
	if len(bytes.Trim(line, " \t-?{[,:")) > 0 {
		return 0
	}
	return len(before)
}

// goesOn tells whether a name does not end on its line.
func (c *converter) goesOn(n *yaml.Node, offset int) bool {
	rest := c.data[offset:]
	if isPlain(n) {
		return !bytes.HasPrefix(rest, []byte(n.Value))
	}
	for i := 1; i < len(rest) && rest[i] != rest[0]; i++ {
		switch {
		case rest[i] == '\n':
			return true
		case rest[i] == '\\' && rest[0] == '"':
			i++
			if i < len(rest) && rest[i] == '\n' {
				return true
			}
		}
	}
	return false
}

func (c *converter) scalar(n *yaml.Node, offset int) *strictjson.Value {
	v := &strictjson.Value{Kind: strictjson.String, Text: n.Value, Offset: offset}
	if !isPlain(n) {
		return v
	}
	c.checkLines(n.Value, offset)
	var doubt string
	if v.Kind, doubt = resolve(v.Text); doubt != "" {
		c.add(offset, "%s: some readers of YAML take it for %s: write %s if it is a text%s",
			clip(v.Text), doubt, strconv.Quote(clip(v.Text)), orElse(doubt))
	}
	if v.Kind == strictjson.Null {
		v.Text = ""
	}
	return v
}

// checkLines looks at the lines that a text without quotes goes on over: some
// begin with what would be an item or a field if it were indented otherwise, or
// with a tab.
func (c *converter) checkLines(text string, offset int) {
	for at := offset; !bytes.HasPrefix(c.data[at:], []byte(text)); {
		length := bytes.IndexByte(c.data[at:], '\n')
		if length < 0 {
			return
		}
		line := bytes.TrimRight(c.data[at:at+length], " \t\r")
		if !strings.HasPrefix(text, string(line)) {
			return
		}
		text = strings.TrimLeft(text[len(line):], " \n")
		rest := bytes.TrimLeft(c.data[at+length:], " \t\r\n")
		next := len(c.data) - len(rest)
		indentation := c.data[bytes.LastIndexByte(c.data[:next], '\n')+1 : next]
		if tab := bytes.IndexByte(indentation, '\t'); tab >= 0 && !c.inFlow {
			c.add(next-len(indentation)+tab, tabMessage)
		}
		if len(rest) > 1 && strings.IndexByte("-?:", rest[0]) >= 0 && blank(rest[1]) {
			c.add(next, "%s would go on with the text of the line above: is it indented rightly?", c.quote(next))
		}
		at = next
	}
}
