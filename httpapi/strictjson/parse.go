package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"evenkeel/fsm"
)

// Bounds of a document. No object of the registry comes near them; they keep
// what a hostile document costs within a small multiple of its size.
const (
	MaxDepth  = 32
	MaxValues = 20_000
	MaxFaults = 100
)

// Kind is the type of a JSON value.
type Kind uint8

// The kinds of JSON values.
const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

var kindNames = [...]string{"null", "a boolean", "a number", "a string", "an array", "an object"}

// String returns the kind with its article, as messages use it.
func (k Kind) String() string { return kindNames[k] }

// Value is one parsed JSON value.
type Value struct {
	Kind Kind
	// Text is a string's content, a number's digits as written, or "true" or
	// "false".
	Text     string
	Elements []*Value // of an array
	Members  []Member // of an object, without duplicates
}

// Member is one field of an object.
type Member struct {
	Name  string
	Value *Value
}

// Member returns the value of the named field, or nil.
func (v *Value) Member(name string) *Value {
	for _, member := range v.Members {
		if member.Name == name {
			return member.Value
		}
	}
	return nil
}

// Parse reads one document. The value is nil when the document cannot be
// read to its end; otherwise the faults are duplicate fields, of which the
// first is kept.
func Parse(data []byte) (*Value, []fsm.Fault) {
	if fault, ok := checkSyntax(data); !ok {
		return nil, []fsm.Fault{fault}
	}
	p := parser{tokens: json.NewDecoder(bytes.NewReader(data))}
	p.tokens.UseNumber()
	value, err := p.value(0)
	if err != nil {
		p.faults.add(p.pointer(), "%s", err)
		return nil, p.faults.list
	}
	return value, p.faults.list
}

// checkSyntax holds the whole text against the grammar before a value is
// built, because the token reader does not see what follows the first value.
func checkSyntax(data []byte) (fsm.Fault, bool) {
	if len(bytes.TrimSpace(data)) == 0 {
		return fsm.Fault{Message: "the body is empty: send a JSON object"}, false
	}
	if !utf8.Valid(data) {
		line, column := position(data, invalidUTF8(data))
		return fsm.Fault{Message: fmt.Sprintf("line %d, column %d: not valid UTF-8", line, column)}, false
	}
	var raw json.RawMessage
	err := json.Unmarshal(data, &raw)
	if err == nil {
		return fsm.Fault{}, true
	}
	offset := len(data)
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) && !endsEarly(data) {
		offset = int(syntax.Offset) - 1 // it counts the offending byte
	}
	line, column := position(data, offset)
	return fsm.Fault{Message: fmt.Sprintf("line %d, column %d: %s", line, column, err)}, false
}

// endsEarly tells a text that stops too soon from one whose last byte is
// wrong: of both, encoding/json gives the same offset.
func endsEarly(data []byte) bool {
	var raw json.RawMessage
	return errors.Is(json.NewDecoder(bytes.NewReader(data)).Decode(&raw), io.ErrUnexpectedEOF)
}

func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(data)
}

// position returns the line and column, both from 1 and in characters, of a
// byte offset.
func position(data []byte, offset int) (line, column int) {
	before := data[:max(0, min(offset, len(data)))]
	line = 1 + bytes.Count(before, []byte("\n"))
	column = 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	return line, column
}

type parser struct {
	tokens *json.Decoder
	path   []string // of the value being read
	count  int
	faults collector
}

func (p *parser) pointer() string {
	var b strings.Builder
	for _, token := range p.path {
		b.WriteString("/" + escape(token))
	}
	return b.String()
}

func (p *parser) value(depth int) (*Value, error) {
	token, err := p.tokens.Token()
	if err != nil {
		return nil, err
	}
	if p.count++; p.count > MaxValues {
		return nil, fmt.Errorf("the document has more than %d values", MaxValues)
	}
	switch token := token.(type) {
	case nil:
		return &Value{Kind: Null}, nil
	case bool:
		return &Value{Kind: Bool, Text: strconv.FormatBool(token)}, nil
	case json.Number:
		return &Value{Kind: Number, Text: token.String()}, nil
	case string:
		return &Value{Kind: String, Text: token}, nil
	}
	if depth == MaxDepth {
		return nil, fmt.Errorf("the document is nested deeper than %d levels", MaxDepth)
	}
	if token == json.Delim('[') {
		return p.array(depth + 1)
	}
	return p.object(depth + 1)
}

func (p *parser) array(depth int) (*Value, error) {
	v := &Value{Kind: Array}
	for p.tokens.More() {
		p.path = append(p.path, strconv.Itoa(len(v.Elements)))
		element, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		p.path = p.path[:len(p.path)-1]
		v.Elements = append(v.Elements, element)
	}
	_, err := p.tokens.Token()
	return v, err
}

func (p *parser) object(depth int) (*Value, error) {
	v := &Value{Kind: Object}
	seen := map[string]bool{}
	for p.tokens.More() {
		token, err := p.tokens.Token()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string) // the grammar allows nothing else
		p.path = append(p.path, name)
		member, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		if seen[name] {
			p.faults.add(p.pointer(), "the field is given twice: keep one")
		} else {
			seen[name] = true
			v.Members = append(v.Members, Member{Name: name, Value: member})
		}
		p.path = p.path[:len(p.path)-1]
	}
	_, err := p.tokens.Token()
	return v, err
}
