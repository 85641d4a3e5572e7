package httpapi

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"evenkeel/fsm"
	"evenkeel/httpapi/strictjson"
)

// Bounds of the query parameter fields.
const (
	maxFields     = 64
	maxFieldsText = 4096
)

// shape is what members JSON of a type has, as dotted paths name them. It is made
// once and never changed.
type shape struct {
	members map[string]*shape
	order   []string
	// any is, for a map, the shape of all of its members, whatever they are called;
	// rest tells that all of a path that remains is one name, since those of labels
	// have dots.
	any  *shape
	rest bool
}

var (
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

// shapeOf returns the shape of a type; of a list that of its items.
func shapeOf(t reflect.Type) *shape {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	s := &shape{}
	if t.Implements(jsonMarshaler) || t.Implements(textMarshaler) || reflect.PointerTo(t).Implements(jsonMarshaler) {
		return s
	}
	switch t.Kind() {
	case reflect.Map:
		s.any = shapeOf(t.Elem())
	case reflect.Struct:
		s.add(t)
	}
	return s
}

func (s *shape) add(t reflect.Type) {
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && name == "":
			s.add(field.Type)
		case field.IsExported() && name != "" && name != "-":
			s.put(name, shapeOf(field.Type))
		}
	}
}

func (s *shape) put(name string, of *shape) {
	if s.members == nil {
		s.members = map[string]*shape{}
	}
	s.members[name] = of
	s.order = append(s.order, name)
}

// objectShape is the shape of a kind's [object].
func objectShape(inPool bool, spec, status reflect.Type) *shape {
	s := &shape{}
	if inPool {
		s.put("pool", &shape{})
	}
	s.put("name", &shape{})
	s.put("labels", &shape{any: &shape{}, rest: true})
	s.put("spec", shapeOf(spec))
	s.put("status", shapeOf(status))
	s.put("meta", shapeOf(reflect.TypeFor[fsm.Meta]()))
	return s
}

// selection is what of an object is wanted. One without members wants all.
type selection struct {
	members map[string]*selection
	order   []string
}

// wants tells whether anything of the member is wanted. A nil selection wants
// everything.
func (s *selection) wants(member string) bool {
	return s == nil || s.members[member] != nil
}

// selectFields reads dotted paths with commas between, and returns all that is
// wrong with them.
func (s *shape) selectFields(text string) (*selection, []string) {
	if len(text) > maxFieldsText {
		return nil, []string{fmt.Sprintf("fields has %d bytes, at most %d are taken", len(text), maxFieldsText)}
	}
	paths := strings.Split(text, ",")
	if len(paths) > maxFields {
		return nil, []string{fmt.Sprintf("fields has %d paths, at most %d are taken", len(paths), maxFields)}
	}
	var wrong []string
	all := &selection{}
	for _, path := range paths {
		names, fault := s.split(strings.TrimSpace(path))
		if fault != "" {
			wrong = append(wrong, fmt.Sprintf("fields %q: %s", clip(path), fault))
			continue
		}
		all.add(names)
	}
	return all, wrong
}

// split returns the names of a path, or what is wrong with it.
func (s *shape) split(path string) (names []string, fault string) {
	if path == "" {
		return nil, "a path is empty; write some such as name,spec.address"
	}
	for at, rest := s, path; rest != ""; {
		name, after, more := strings.Cut(rest, ".")
		if at.rest {
			name, after, more = rest, "", false
		}
		next := at.members[name]
		if at.any != nil && name != "" {
			next = at.any
		}
		if next == nil {
			return nil, at.missing(strings.Join(names, "."), name)
		}
		names = append(names, name)
		if more && after == "" {
			return nil, "it ends with a dot"
		}
		at, rest = next, after
	}
	return names, ""
}

func (s *shape) missing(parent, name string) string {
	prefix := ""
	if parent != "" {
		prefix = parent + "."
	}
	if near := strictjson.Nearest(name, s.order); near != "" {
		return fmt.Sprintf("there is no such field, did you mean %q?", prefix+near)
	}
	if len(s.order) == 0 {
		return fmt.Sprintf("%q has no fields of its own", parent)
	}
	of := "an object"
	if parent != "" {
		of = fmt.Sprintf("%q", parent)
	}
	return fmt.Sprintf("there is no such field; %s has %s", of, strings.Join(s.order, ", "))
}

func (s *selection) add(names []string) {
	for i, name := range names {
		next, known := s.members[name]
		if known && next.members == nil {
			return // all of that is wanted already
		}
		if !known {
			next = &selection{}
			if s.members == nil {
				s.members = map[string]*selection{}
			}
			s.members[name] = next
			s.order = append(s.order, name)
		}
		if i == len(names)-1 {
			next.members, next.order = nil, nil
		}
		s = next
	}
}

// of returns what is wanted of a value, in the order in which it was asked for.
// What a list holds is taken item by item.
func (s *selection) of(value any) (json.RawMessage, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	out, err := s.cut(nil, text)
	if err != nil {
		return nil, fmt.Errorf("select fields of answer: %w", err)
	}
	return out, nil
}

func (s *selection) cut(out, text []byte) ([]byte, error) {
	if s.members == nil {
		return append(out, text...), nil
	}
	switch text = bytes.TrimLeft(text, " \t\r\n"); text[0] {
	case '[':
		return s.cutList(out, text)
	case '{':
	default: // null
		return append(out, text...), nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return nil, err
	}
	separator := byte('{')
	for _, name := range s.order {
		member, has := members[name]
		if !has {
			continue
		}
		quoted, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, separator), quoted...), ':')
		if out, err = s.members[name].cut(out, member); err != nil {
			return nil, err
		}
		separator = ','
	}
	if separator == '{' {
		out = append(out, '{')
	}
	return append(out, '}'), nil
}

func (s *selection) cutList(out, text []byte) ([]byte, error) {
	var items []json.RawMessage
	if err := json.Unmarshal(text, &items); err != nil {
		return nil, err
	}
	out = append(out, '[')
	for i, item := range items {
		if i > 0 {
			out = append(out, ',')
		}
		var err error
		if out, err = s.cut(out, item); err != nil {
			return nil, err
		}
	}
	return append(out, ']'), nil
}
