package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// document is what a verb writes: an object without what the cluster keeps.
// The spec stays a tree, so that fields which this build does not know survive
// a change made with it.
type document struct {
	Name     string            `json:"name,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
	Spec     map[string]any    `json:"spec"`
	Pool     string            `json:"pool,omitempty"`
	revision uint64
	// cleared are the paths of objects that a flag removed, and that flag.
	cleared map[string]string
}

// readDocument reads an object of the API.
func readDocument(object []byte) (*document, error) {
	var read struct {
		Labels map[string]string `json:"labels"`
		Spec   map[string]any    `json:"spec"`
		Meta   struct {
			Revision uint64 `json:"revision"`
		} `json:"meta"`
	}
	decoder := json.NewDecoder(bytes.NewReader(object))
	decoder.UseNumber()
	if err := decoder.Decode(&read); err != nil {
		return nil, err
	}
	if read.Spec == nil || read.Meta.Revision == 0 {
		return nil, errors.New("the answer has no spec or revision; is that address Evenkeel's API?")
	}
	return &document{Labels: read.Labels, Spec: read.Spec, revision: read.Meta.Revision}, nil
}

// setPath sets the value at a dotted path of the spec, or removes it if value
// is nil, with the objects that have nothing left by that.
func (d *document) setPath(path string, value any) { setIn(d.Spec, path, value) }

func setIn(object map[string]any, path string, value any) {
	name, rest, deeper := strings.Cut(path, ".")
	switch child, isObject := object[name].(map[string]any); {
	case !deeper && value == nil:
		delete(object, name)
	case !deeper:
		object[name] = value
	case isObject:
		setIn(child, rest, value)
		if value == nil && len(child) == 0 {
			delete(object, name)
		}
	case value != nil:
		child = map[string]any{}
		object[name] = child
		setIn(child, rest, value)
	}
}

// has tells whether there is a value at a dotted path of the spec.
func (d *document) has(path string) bool {
	var value any = d.Spec
	for name := range strings.SplitSeq(path, ".") {
		object, isObject := value.(map[string]any)
		if value = object[name]; !isObject || value == nil {
			return false
		}
	}
	return true
}

// clear removes an object of the spec for good; by is the flag that says so, as it is
// written.
func (d *document) clear(path, by string) {
	d.setPath(path, nil)
	if d.cleared == nil {
		d.cleared = map[string]string{}
	}
	d.cleared[path] = by
}

// setLabels applies texts of the form KEY=VALUE and KEY-, which removes.
func (d *document) setLabels(texts []string) error {
	for _, text := range texts {
		key, value, found := strings.Cut(text, "=")
		switch {
		case found && key != "":
			if d.Labels == nil {
				d.Labels = map[string]string{}
			}
			d.Labels[key] = value
		case !found && len(text) > 1 && strings.HasSuffix(text, "-"):
			delete(d.Labels, strings.TrimSuffix(text, "-"))
		default:
			return usage(fmt.Sprintf("label %q is neither KEY=VALUE nor KEY- (which removes it)", text))
		}
	}
	return nil
}
