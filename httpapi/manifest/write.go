package manifest

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"evenkeel/fsm"
	"evenkeel/httpapi/strictjson"
)

// Write writes objects as a manifest that [Parse] reads to the same ones. They
// stand in the order of their names, backends within their pool where that is
// among them, and without what only the cluster writes. Fields that have the
// value they would have anyway are left out. It fails for a kind that a manifest
// cannot hold, such as a token, and when w does. Of a certificate it writes the chain
// alone.
func Write(w io.Writer, objects []fsm.AnyObject, format Format) error {
	root, err := tree(objects)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	if format == JSON {
		writeJSON(out, root, "")
	} else {
		writeYAML(out, root)
	}
	if err := out.WriteByte('\n'); err != nil {
		return err
	}
	return out.Flush()
}

// tree returns the one document of a manifest.
func tree(objects []fsm.AnyObject) (*strictjson.Value, error) {
	sorted := slices.Clone(objects)
	slices.SortFunc(sorted, func(a, b fsm.AnyObject) int {
		left, right := a.Ref(), b.Ref()
		return cmp.Or(strings.Compare(left.Pool, right.Pool), strings.Compare(left.Name, right.Name))
	})
	t := writer{pools: map[string]*strictjson.Value{}, lists: map[fsm.Kind]*strictjson.Value{}}
	for i := range kinds {
		for _, o := range sorted {
			if o.Ref().Kind != kinds[i].kind {
				continue
			}
			if err := t.add(&kinds[i], o); err != nil {
				return nil, err
			}
		}
	}
	if t.count != len(sorted) {
		for _, o := range sorted {
			if kindOf(o.Ref().Kind) == nil {
				return nil, fmt.Errorf("write manifest: %s cannot be part of one", o.Ref())
			}
		}
	}
	root := &strictjson.Value{Kind: strictjson.Object}
	for _, k := range kinds {
		if list := t.lists[k.kind]; list != nil {
			put(root, k.list, list)
		}
	}
	return root, nil
}

// writer collects the objects of a manifest.
type writer struct {
	lists map[fsm.Kind]*strictjson.Value
	pools map[string]*strictjson.Value // by name
	count int
}

func (t *writer) add(k *kind, o fsm.AnyObject) error {
	t.count++
	ref := o.Ref()
	v := &strictjson.Value{Kind: strictjson.Object}
	put(v, "name", text(ref.Name))
	pool := t.pools[ref.Pool]
	if k.inPool && pool == nil {
		put(v, "pool", text(ref.Pool))
	}
	if labels := o.GetLabels(); len(labels) > 0 {
		if err := putJSON(v, "labels", labels); err != nil {
			return err
		}
	}
	if err := spec(v, k, fsm.Shown(o).GetSpec()); err != nil {
		return err
	}
	switch {
	case k.inPool && pool != nil:
		backends := pool.Member("backends")
		if backends == nil {
			backends = &strictjson.Value{Kind: strictjson.Array}
			put(pool, "backends", backends)
		}
		backends.Elements = append(backends.Elements, v)
		return nil
	case k.kind == fsm.KindPool:
		t.pools[ref.Name] = v
	}
	if t.lists[k.kind] == nil {
		t.lists[k.kind] = &strictjson.Value{Kind: strictjson.Array}
	}
	t.lists[k.kind].Elements = append(t.lists[k.kind].Elements, v)
	return nil
}

// spec puts the fields of a spec beside the name, but for those that have their
// defaults.
func spec(v *strictjson.Value, k *kind, spec fsm.Spec) error {
	fields, err := value(spec)
	if err != nil {
		return err
	}
	defaults, err := value(k.spec(k.newSpec()))
	if err != nil {
		return err
	}
	for _, member := range fields.Members {
		if standard := defaults.Member(member.Name); standard == nil || !equal(standard, member.Value) {
			put(v, member.Name, member.Value)
		}
	}
	return nil
}

func equal(a, b *strictjson.Value) bool {
	same := a.Kind == b.Kind && a.Text == b.Text && len(a.Elements) == len(b.Elements) && len(a.Members) == len(b.Members)
	for i := 0; same && i < len(a.Elements); i++ {
		same = equal(a.Elements[i], b.Elements[i])
	}
	for i := 0; same && i < len(a.Members); i++ {
		same = a.Members[i].Name == b.Members[i].Name && equal(a.Members[i].Value, b.Members[i].Value)
	}
	return same
}

func put(v *strictjson.Value, name string, value *strictjson.Value) {
	v.Members = append(v.Members, strictjson.Member{Name: name, Value: value})
}

func putJSON(v *strictjson.Value, name string, of any) error {
	parsed, err := value(of)
	if err == nil {
		put(v, name, parsed)
	}
	return err
}

func text(text string) *strictjson.Value {
	return &strictjson.Value{Kind: strictjson.String, Text: text}
}

// value returns what encoding/json makes of a part of an object.
func value(of any) (*strictjson.Value, error) {
	encoded, err := json.Marshal(of)
	if err != nil {
		return nil, fmt.Errorf("write manifest: %w", err)
	}
	v, faults := strictjson.Parse(encoded)
	if len(faults) > 0 {
		return nil, fmt.Errorf("write manifest: %s", faults[0].Message)
	}
	return v, nil
}

// writeJSON writes a value of JSON, indented.
func writeJSON(out *bufio.Writer, v *strictjson.Value, indent string) {
	switch v.Kind {
	case strictjson.Array:
		items := make([]func(string), len(v.Elements))
		for i, element := range v.Elements {
			items[i] = func(deeper string) { writeJSON(out, element, deeper) }
		}
		writeItems(out, "[", "]", items, indent)
	case strictjson.Object:
		items := make([]func(string), len(v.Members))
		for i, member := range v.Members {
			items[i] = func(deeper string) {
				out.WriteString(quoteJSON(member.Name) + ": ")
				writeJSON(out, member.Value, deeper)
			}
		}
		writeItems(out, "{", "}", items, indent)
	case strictjson.String:
		out.WriteString(quoteJSON(v.Text))
	case strictjson.Null:
		out.WriteString("null")
	default:
		out.WriteString(v.Text)
	}
}

// writeItems writes each item on a line of its own. Errors of the writer are
// told when it is flushed.
func writeItems(out *bufio.Writer, open, closing string, items []func(indent string), indent string) {
	out.WriteString(open)
	for i, item := range items {
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString("\n" + indent + "  ")
		item(indent + "  ")
	}
	if len(items) > 0 {
		out.WriteString("\n" + indent)
	}
	out.WriteString(closing)
}

func quoteJSON(text string) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // a string cannot fail
	return strings.TrimSuffix(b.String(), "\n")
}
