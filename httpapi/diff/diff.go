// Package diff tells what a write changes, field by field, in the words of the
// document that the API answers with to dry runs, applies and comparisons of
// revisions.
//
// It owns the comparison of two versions of an object and its form on the
// wire. It refuses to own where the versions come from: a plan, the journal,
// or a command that was only tried. All of it is pure.
package diff

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"evenkeel/fsm"
)

// Action is what a change does to its object.
type Action string

// The actions.
const (
	Create Action = "create"
	Update Action = "update"
	Delete Action = "delete"
)

// Document is all that a write changes.
type Document struct {
	// Revision is the one that the changes were compared with, or that they made.
	Revision uint64 `json:"revision"`
	// Owner is whose objects were looked at; "" without an owner.
	Owner   string   `json:"owner,omitempty"`
	Changes []Change `json:"changes"`
	// Unchanged is how many objects were named that are as they should be.
	Unchanged int `json:"unchanged"`
}

// Change is what becomes of one object.
type Change struct {
	Kind   fsm.Kind `json:"kind"`
	Pool   string   `json:"pool,omitempty"` // backends only
	Name   string   `json:"name"`
	Action Action   `json:"action"`
	// Fields are what an update changes, in the order of the object's fields. It
	// is empty for the other actions, which are of all fields, and where no more
	// changed than what may not be shown.
	Fields []Field `json:"fields,omitempty"`
	// Before and After are nil where there is no object.
	Before *Object `json:"before,omitempty"`
	After  *Object `json:"after,omitempty"`
}

// Ref returns the name of the changed object.
func (c Change) Ref() fsm.Ref { return fsm.Ref{Kind: c.Kind, Pool: c.Pool, Name: c.Name} }

// Field is one place of an object that changes.
type Field struct {
	// Pointer is the place's JSON pointer (RFC 6901) within the object, such as
	// "/spec/weight".
	Pointer string `json:"pointer"`
	// Before and After are the place's values; empty: the field was or is absent.
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
}

// Object is a version of an object as it is shown: without status, and without
// what [fsm.Shown] takes away.
type Object struct {
	Pool   string            `json:"pool,omitempty"`
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels"`
	Spec   fsm.Spec          `json:"spec"`
	// Meta is nil for a version that the registry does not hold yet.
	Meta *fsm.Meta `json:"meta,omitempty"`
}

// Of compares two versions of one object, of which nil stands for none. It
// reports false when labels and spec are the same, as the registry compares
// them, and when there is no object in either.
func Of(before, after fsm.AnyObject) (Change, bool) {
	switch {
	case before == nil && after == nil:
		return Change{}, false
	case before == nil:
		return change(after.Ref(), Create, nil, after), true
	case after == nil:
		return change(before.Ref(), Delete, before, nil), true
	case Same(before, after):
		return Change{}, false
	}
	return change(before.Ref(), Update, before, after), true
}

// Same reports whether the registry would take a write of b over a for one
// that changes nothing. Neither may be nil.
func Same(a, b fsm.AnyObject) bool {
	return maps.Equal(a.GetLabels(), b.GetLabels()) && slices.Equal(marshal(a.GetSpec()), marshal(b.GetSpec()))
}

// Compare returns the changes between two lists of versions, which must be
// equally long: the i-th of each are of one object.
func Compare(revision uint64, before, after []fsm.AnyObject) Document {
	document := Document{Revision: revision, Changes: []Change{}}
	for i := range before {
		if c, changed := Of(before[i], after[i]); changed {
			document.Changes = append(document.Changes, c)
		} else {
			document.Unchanged++
		}
	}
	return document
}

func change(ref fsm.Ref, action Action, before, after fsm.AnyObject) Change {
	c := Change{Kind: ref.Kind, Pool: ref.Pool, Name: ref.Name, Action: action, Before: show(before), After: show(after)}
	if action == Update {
		c.Fields = fields(nil, "/labels", marshal(c.Before.Labels), marshal(c.After.Labels))
		c.Fields = fields(c.Fields, "/spec", marshal(c.Before.Spec), marshal(c.After.Spec))
	}
	return c
}

// show returns the object as it is shown, or nil for nil.
func show(o fsm.AnyObject) *Object {
	if o == nil {
		return nil
	}
	o = fsm.Shown(o)
	ref := o.Ref()
	object := &Object{Pool: ref.Pool, Name: ref.Name, Labels: o.GetLabels(), Spec: o.GetSpec()}
	if object.Labels == nil {
		object.Labels = map[string]string{}
	}
	if meta := o.GetMeta(); meta.Revision != 0 {
		object.Meta = &meta
	}
	return object
}

// fields appends the places at which two values differ. Values of different
// kinds differ as a whole, and so do lists of different lengths: told by index,
// an item put in front would make each one behind it another.
func fields(list []Field, at string, before, after json.RawMessage) []Field {
	if slices.Equal(before, after) {
		return list
	}
	switch {
	case len(before) == 0 || len(after) == 0 || before[0] != after[0]:
	case before[0] == '{':
		return memberFields(list, at, members(before), members(after))
	case before[0] == '[':
		old, next := elements(before), elements(after)
		if len(old) != len(next) {
			break
		}
		for i := range old {
			list = fields(list, at+"/"+itoa(i), old[i], next[i])
		}
		return list
	}
	return append(list, Field{Pointer: at, Before: before, After: after})
}

// memberFields goes through the fields that were there in their order, and
// then through the new ones.
func memberFields(list []Field, at string, before, after []member) []Field {
	next := make(map[string]json.RawMessage, len(after))
	for _, m := range after {
		next[m.name] = m.value
	}
	old := make(map[string]bool, len(before))
	for _, m := range before {
		old[m.name] = true
		list = fields(list, at+"/"+fsm.EscapePointer(m.name), m.value, next[m.name])
	}
	for _, m := range after {
		if !old[m.name] {
			list = fields(list, at+"/"+fsm.EscapePointer(m.name), nil, m.value)
		}
	}
	return list
}

// Summary says in a few words what a document changes, such as
// "2 created, 1 deleted, 40 unchanged".
func (d Document) Summary() string {
	counts := map[Action]int{}
	for _, c := range d.Changes {
		counts[c.Action]++
	}
	var parts []string
	for _, of := range []struct {
		count int
		word  string
	}{{counts[Create], " created"}, {counts[Update], " updated"}, {counts[Delete], " deleted"}, {d.Unchanged, " unchanged"}} {
		if of.count > 0 {
			parts = append(parts, itoa(of.count)+of.word)
		}
	}
	if len(parts) == 0 {
		return "nothing to change"
	}
	return strings.Join(parts, ", ")
}
