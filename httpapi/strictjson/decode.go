package strictjson

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"evenkeel/fsm"
)

// Defaulter is a type whose new values are not zero. SetDefaults is called on
// what a document makes come into being: the target of a pointer, an element
// of a list, a value of a map.
type Defaulter interface{ SetDefaults() }

// Ignored is the type of a field that may be present and is not read.
type Ignored struct{}

// Fields are the fields that an object may have: each name with a pointer to
// what it is decoded into.
type Fields map[string]any

// nonzero is the target of a field whose zero is what it has when it is absent,
// and no value that anybody may give it: a struct says so with the tag
// zero:"refused". Who writes 0 means something by it, and would get a default.
type nonzero struct{ target any }

// FieldsOf returns the fields of the struct that target points to, by the
// names that encoding/json gives them.
func FieldsOf(target any) Fields {
	fields := Fields{}
	value := reflect.ValueOf(target).Elem()
	for i := range value.NumField() {
		field := value.Type().Field(i)
		name := fieldName(field)
		if name == "" {
			continue
		}
		fields[name] = value.Field(i).Addr().Interface()
		if field.Tag.Get("zero") == "refused" {
			fields[name] = nonzero{fields[name]}
		}
	}
	return fields
}

func fieldName(field reflect.StructField) string {
	if !field.IsExported() {
		return ""
	}
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	switch name {
	case "-":
		return ""
	case "":
		return field.Name
	}
	return name
}

// Decode stores v in what target points to. What v does not mention keeps the
// value that it had. Pointers of faults begin with at.
func (v *Value) Decode(target any, at string) []fsm.Fault {
	var d decoder
	d.decode(v, reflect.ValueOf(target).Elem(), at)
	return d.faults.list
}

// DecodeFields stores the members of v, which must be an object, in fields.
func (v *Value) DecodeFields(fields Fields, at string) []fsm.Fault {
	var d decoder
	if v.Kind != Object {
		d.mismatch(v, "an object", at)
		return d.faults.list
	}
	d.members(v, fields, at)
	return d.faults.list
}

type decoder struct {
	faults collector
	// removes tells that null takes a field away, see [Value.DecodePatch].
	removes bool
}

func (d *decoder) mismatch(v *Value, want, at string) {
	switch v.Kind {
	case Bool, Number:
		d.faults.add(at, "%s is %s, must be %s", clip(v.Text, 80), v.Kind, want)
	case String:
		d.faults.add(at, "%q is %s, must be %s", clip(v.Text, 80), v.Kind, want)
	default:
		d.faults.add(at, "is %s, must be %s", v.Kind, want)
	}
}

func (d *decoder) decode(v *Value, target reflect.Value, at string) {
	if target.Type() == reflect.TypeFor[Ignored]() || d.removal(v, target) {
		return
	}
	if target.Kind() == reflect.Pointer {
		d.pointer(v, target, at)
		return
	}
	if text, ok := target.Addr().Interface().(encoding.TextUnmarshaler); ok {
		d.text(v, text, at)
		return
	}
	switch target.Kind() {
	case reflect.Struct:
		if v.Kind != Object {
			d.mismatch(v, "an object", at)
			return
		}
		d.members(v, FieldsOf(target.Addr().Interface()), at)
	case reflect.Slice:
		d.slice(v, target, at)
	case reflect.Map:
		d.mapping(v, target, at)
	default:
		d.scalar(v, target, at)
	}
}

func (d *decoder) members(v *Value, fields Fields, at string) {
	for _, member := range v.Members {
		if d.faults.full() {
			return
		}
		pointer := at + "/" + escape(member.Name)
		target, ok := fields[member.Name]
		if !ok {
			d.faults.add(pointer, "%s", unknownField(member.Name, fields))
			continue
		}
		if given, strict := target.(nonzero); strict {
			d.given(member.Value, reflect.ValueOf(given.target).Elem(), pointer)
			continue
		}
		d.decode(member.Value, reflect.ValueOf(target).Elem(), pointer)
	}
}

func (d *decoder) given(v *Value, target reflect.Value, at string) {
	if d.removal(v, target) {
		return
	}
	before := len(d.faults.list)
	if d.decode(v, target, at); len(d.faults.list) == before && target.IsZero() {
		d.faults.add(at, "%q is no value for it: leave the field out for its default", clip(v.Text, 80))
	}
}

func unknownField(name string, fields Fields) string {
	names := slices.Sorted(maps.Keys(fields))
	if near := Nearest(name, names); near != "" {
		return fmt.Sprintf("%q is not a known field: did you mean %q?", clip(name, 80), near)
	}
	return fmt.Sprintf("%q is not a known field: use one of %s", clip(name, 80), strings.Join(names, ", "))
}

func (d *decoder) pointer(v *Value, target reflect.Value, at string) {
	if v.Kind == Null {
		target.SetZero()
		return
	}
	fresh := newValue(target.Type().Elem())
	d.decode(v, fresh, at)
	target.Set(fresh.Addr())
}

func newValue(t reflect.Type) reflect.Value {
	fresh := reflect.New(t)
	if defaulter, ok := fresh.Interface().(Defaulter); ok {
		defaulter.SetDefaults()
	}
	return fresh.Elem()
}

func (d *decoder) text(v *Value, target encoding.TextUnmarshaler, at string) {
	if v.Kind != String {
		d.mismatch(v, "a string"+example(target), at)
		return
	}
	if err := target.UnmarshalText([]byte(v.Text)); err != nil {
		if _, isTime := target.(*time.Time); isTime { // whose own words are of Go's layouts
			d.faults.add(at, `%q is not a time: write one such as "2030-12-31T23:59:59Z" (RFC 3339)`, clip(v.Text, 100))
			return
		}
		d.faults.add(at, "%s", clip(err.Error(), 200))
	}
}

// example shows how a value is written by the default that is to be replaced.
func example(target any) string {
	if marshaler, ok := target.(encoding.TextMarshaler); ok {
		if text, err := marshaler.MarshalText(); err == nil && len(text) > 0 {
			return fmt.Sprintf(" such as %q", text)
		}
	}
	return ""
}

func (d *decoder) slice(v *Value, target reflect.Value, at string) {
	if v.Kind == Null {
		target.SetZero()
		return
	}
	if v.Kind != Array {
		d.mismatch(v, "an array", at)
		return
	}
	list := reflect.MakeSlice(target.Type(), 0, len(v.Elements))
	for i, element := range v.Elements {
		if d.faults.full() {
			return
		}
		fresh := newValue(target.Type().Elem())
		d.decode(element, fresh, at+"/"+strconv.Itoa(i))
		list = reflect.Append(list, fresh)
	}
	target.Set(list)
}

func (d *decoder) mapping(v *Value, target reflect.Value, at string) {
	if v.Kind == Null {
		target.SetZero()
		return
	}
	if v.Kind != Object {
		d.mismatch(v, "an object", at)
		return
	}
	entries := reflect.MakeMapWithSize(target.Type(), len(v.Members))
	for _, member := range v.Members {
		if d.faults.full() {
			return
		}
		fresh := newValue(target.Type().Elem())
		d.decode(member.Value, fresh, at+"/"+escape(member.Name))
		entries.SetMapIndex(reflect.ValueOf(member.Name).Convert(target.Type().Key()), fresh)
	}
	target.Set(entries)
}
