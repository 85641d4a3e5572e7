package httpapi

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"evenkeel/fsm"
)

// filter is what of the registry somebody reads.
type filter struct {
	kinds, names, pools []string // empty: all
	labels              selector
	gate
}

// maxListed bounds a list of kinds, names or pools.
const maxListed = 256

// newFilter reads kind, name, pool and label, and returns all that is wrong with
// them.
func newFilter(query url.Values, g gate, kinds []fsm.Kind) (*filter, []string) {
	var wrong []string
	f := &filter{gate: g}
	list := func(parameter string) []string {
		if !query.Has(parameter) {
			return nil
		}
		words := strings.Split(query.Get(parameter), ",")
		switch {
		case len(words) > maxListed:
			wrong = append(wrong, fmt.Sprintf("%s: %d entries, at most %d are taken", parameter, len(words), maxListed))
			return nil
		case slices.Contains(words, ""):
			wrong = append(wrong, fmt.Sprintf("%s %q: an entry is empty; write one or more with commas between, or leave it out", parameter, clip(query.Get(parameter))))
		}
		return words
	}
	f.kinds, f.names, f.pools = list("kind"), list("name"), list("pool")
	for _, kind := range f.kinds {
		if kind != "" && !slices.Contains(kinds, fsm.Kind(kind)) {
			wrong = append(wrong, fmt.Sprintf("kind %q: use some of %s", clip(kind), joinKinds(kinds)))
		}
	}
	if len(f.pools) > 0 && len(f.kinds) > 0 && !slices.Contains(f.kinds, string(fsm.KindBackend)) {
		wrong = append(wrong, "pool: it is of backends, and kind leaves them out")
	}
	labels, err := labelsOf(query)
	if err != nil {
		wrong = append(wrong, err.Error())
	}
	f.labels = labels
	return f, wrong
}

func joinKinds(kinds []fsm.Kind) string {
	words := make([]string, len(kinds))
	for i, kind := range kinds {
		words[i] = string(kind)
	}
	return strings.Join(words, ", ")
}

// labelsOf reads the query parameter label.
func labelsOf(query url.Values) (selector, error) {
	if !query.Has("label") {
		return nil, nil
	}
	labels, err := parseSelector(query.Get("label"))
	if err != nil {
		return nil, fmt.Errorf("label %w", err)
	}
	return labels, nil
}

// named tells whether an object of that name can be in it.
func (f *filter) named(ref fsm.Ref) bool {
	has := func(list []string, word string) bool { return len(list) == 0 || slices.Contains(list, word) }
	return has(f.kinds, string(ref.Kind)) && has(f.pools, ref.Pool) && has(f.names, ref.Name)
}

// shows tells whether an object, which may be nil, is in it by its labels and by
// who asks.
func (f *filter) shows(o fsm.AnyObject) bool {
	return o != nil && f.labels.matches(o.GetLabels()) && f.sees(o)
}

// see tells whether and how a change is in it. As with watches of Kubernetes, an
// object that no longer matches is seen as deleted, one that matches from now on
// as created.
func (f *filter) see(c fsm.Change) (seen sight, ok bool) {
	if !f.named(c.Ref) {
		return 0, false
	}
	before, after := f.shows(c.Before), f.shows(c.After)
	switch {
	case before && !after && c.After != nil:
		return seenLeaving, true
	case after && !before && c.Before != nil:
		return seenEntering, true
	}
	return seenAsIs, before || after
}

// has tells whether an object is in it.
func (f *filter) has(o fsm.AnyObject) bool { return f.named(o.Ref()) && f.shows(o) }
