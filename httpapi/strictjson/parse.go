package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
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
	// Offset is where in the text the value begins, in bytes.
	Offset int
}

// Member is one field of an object.
type Member struct {
	Name  string
	Value *Value
	// Offset is where in the text the name begins, in bytes.
	Offset int
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
func Parse(data []byte) (*Value, []fsm.Fault) { return ParseUpTo(data, MaxValues) }

// ParseUpTo is [Parse] of a document of at most maxValues values.
func ParseUpTo(data []byte, maxValues int) (*Value, []fsm.Fault) {
	value, located := ParseLocated(data, maxValues)
	var faults []fsm.Fault
	for _, fault := range located {
		if value == nil && fault.Pointer == "" && len(bytes.TrimSpace(data)) > 0 {
			line, column := Position(data, fault.Offset)
			fault.Message = fmt.Sprintf("line %d, column %d: %s", line, column, fault.Message)
		}
		faults = append(faults, fault.Fault)
	}
	return value, faults
}

// ParseLocated is [Parse] of a document of at most maxValues values, whose
// faults bear their places beside the message and not in it.
func ParseLocated(data []byte, maxValues int) (*Value, []Located) {
	if fault, ok := checkSyntax(data); !ok {
		return nil, []Located{fault}
	}
	p := parser{data: data, tokens: json.NewDecoder(bytes.NewReader(data)), most: maxValues}
	p.tokens.UseNumber()
	value, err := p.value(0)
	if err != nil {
		p.add(p.start(), "%s", err)
		return nil, p.located
	}
	return value, p.located
}

// checkSyntax holds the whole text against the grammar before a value is
// built, because the token reader does not see what follows the first value.
func checkSyntax(data []byte) (Located, bool) {
	if len(bytes.TrimSpace(data)) == 0 {
		return located(0, "the body is empty: send a JSON object"), false
	}
	if !utf8.Valid(data) {
		return located(InvalidUTF8(data), "not valid UTF-8"), false
	}
	var raw json.RawMessage
	err := json.Unmarshal(data, &raw)
	if err == nil {
		if at := loneSurrogate(data); at >= 0 {
			return located(at, fmt.Sprintf("%s is half of a character: write the other half beside it, or the character itself", data[at:at+6])), false
		}
		return Located{}, true
	}
	offset := len(data)
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) && !endsEarly(data) {
		offset = int(syntax.Offset) - 1 // it counts the offending byte
	}
	return located(offset, err.Error()), false
}

// loneSurrogate returns where an escaped half of a character stands without the
// other, or -1. encoding/json would make another character of it without a word.
// The text is known to be JSON.
func loneSurrogate(data []byte) int {
	for i := bytes.IndexByte(data, '\\'); i >= 0 && i < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		if data[i+1] != 'u' {
			i++
			continue
		}
		r := escaped(data[i:])
		i += 5
		if !utf16.IsSurrogate(r) {
			continue
		}
		if utf16.DecodeRune(r, escaped(data[i+1:])) == unicode.ReplacementChar {
			return i - 5
		}
		i += 6
	}
	return -1
}

// escaped returns the number of the \u escape with which the text begins, 0 if
// it begins with none.
func escaped(text []byte) rune {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0
	}
	n, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	if err != nil {
		return 0
	}
	return rune(n)
}

// endsEarly tells a text that stops too soon from one whose last byte is
// wrong: of both, encoding/json gives the same offset.
func endsEarly(data []byte) bool {
	var raw json.RawMessage
	return errors.Is(json.NewDecoder(bytes.NewReader(data)).Decode(&raw), io.ErrUnexpectedEOF)
}

type parser struct {
	data    []byte
	tokens  *json.Decoder
	path    []string // of the value being read
	count   int
	most    int // of values
	located []Located
}

// start is where the next token begins.
func (p *parser) start() int {
	offset := int(p.tokens.InputOffset())
	for offset < len(p.data) && strings.IndexByte(" \t\r\n,:", p.data[offset]) >= 0 {
		offset++
	}
	return offset
}

func (p *parser) add(offset int, format string, args ...any) {
	p.located = AddLocated(p.located, offset, p.pointer(), format, args...)
}

func (p *parser) pointer() string {
	var b strings.Builder
	for _, token := range p.path {
		b.WriteString("/" + escape(token))
	}
	return b.String()
}

func (p *parser) value(depth int) (*Value, error) {
	v := &Value{Offset: p.start()}
	token, err := p.tokens.Token()
	if err != nil {
		return nil, err
	}
	if p.count++; p.count > p.most {
		return nil, fmt.Errorf("the document has more than %d values", p.most)
	}
	switch token := token.(type) {
	case nil:
		return v, nil
	case bool:
		v.Kind, v.Text = Bool, strconv.FormatBool(token)
		return v, nil
	case json.Number:
		v.Kind, v.Text = Number, token.String()
		return v, nil
	case string:
		v.Kind, v.Text = String, token
		return v, nil
	}
	if depth == MaxDepth {
		return nil, fmt.Errorf("the document is nested deeper than %d levels", MaxDepth)
	}
	if token == json.Delim('[') {
		return p.array(v, depth+1)
	}
	return p.object(v, depth+1)
}

func (p *parser) array(v *Value, depth int) (*Value, error) {
	v.Kind = Array
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

func (p *parser) object(v *Value, depth int) (*Value, error) {
	v.Kind = Object
	seen := map[string]bool{}
	for p.tokens.More() {
		offset := p.start()
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
			p.add(offset, "the field is given twice: keep one")
		} else {
			seen[name] = true
			v.Members = append(v.Members, Member{Name: name, Value: member, Offset: offset})
		}
		p.path = p.path[:len(p.path)-1]
	}
	_, err := p.tokens.Token()
	return v, err
}
