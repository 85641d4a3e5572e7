package httpapi

import (
	"encoding/json"
	"fmt"

	"evenkeel/fsm"
	"evenkeel/httpapi/diff"
)

// Bounds of what one answer tells of changes. A registry holds 200,000 objects of
// up to 100 KB each, and one revision can change most of them.
const (
	// maxDetailed and maxDetailBytes are how many changes are told with the versions
	// of their objects, and how many bytes of JSON those may have together.
	maxDetailed    = 1000
	maxDetailBytes = 4 << 20
	// maxNamed is how many are told at all.
	maxNamed = 20_000
)

// changesView is a [diff.Document] as it is sent: bounded, with what was left out.
type changesView struct {
	// From is, for a comparison, the revision that Revision is compared with.
	From      *uint64           `json:"from,omitempty"`
	Revision  uint64            `json:"revision"`
	Owner     string            `json:"owner,omitempty"`
	Changes   []json.RawMessage `json:"changes"`
	Unchanged int               `json:"unchanged"`
	changesLeftOut
}

// changesLeftOut is what a list of changes does not tell.
type changesLeftOut struct {
	// Brief is how many of the changes, the last ones, have neither versions nor
	// fields.
	Brief int `json:"brief,omitempty"`
	// LeftOff is how many more changes there are that are not in the list.
	LeftOff int `json:"left_off,omitempty"`
}

// changeList gathers changes within the bounds.
type changeList struct {
	list  []json.RawMessage
	bytes int
	changesLeftOut
}

// add takes a change in. full is called only if there is room for what it returns.
func (l *changeList) add(ref fsm.Ref, action diff.Action, full func() diff.Change) error {
	if len(l.list) >= maxNamed {
		l.LeftOff++
		return nil
	}
	if l.Brief == 0 && len(l.list) < maxDetailed {
		text, err := json.Marshal(full())
		if err != nil {
			return fmt.Errorf("encode change of %s: %w", ref, err)
		}
		if l.bytes+len(text) <= maxDetailBytes {
			l.bytes += len(text)
			l.list = append(l.list, text)
			return nil
		}
	}
	text, err := json.Marshal(diff.Change{Kind: ref.Kind, Pool: ref.Pool, Name: ref.Name, Action: action})
	if err != nil {
		return fmt.Errorf("encode change of %s: %w", ref, err)
	}
	l.Brief++
	l.list = append(l.list, text)
	return nil
}

// view returns the document of the changes.
func (l *changeList) view(revision uint64) changesView {
	list := l.list
	if list == nil {
		list = []json.RawMessage{}
	}
	return changesView{Revision: revision, Changes: list, changesLeftOut: l.changesLeftOut}
}

// listChanges returns changes of the registry as they are told.
func listChanges(changes []fsm.Change) (*changeList, error) {
	l := &changeList{}
	for _, c := range changes {
		err := l.add(c.Ref, actionOf(c), func() diff.Change {
			change, _ := diff.Of(c.Before, c.After) // they differ, or are told by their names
			change.Kind, change.Pool, change.Name, change.Action = c.Ref.Kind, c.Ref.Pool, c.Ref.Name, actionOf(c)
			return change
		})
		if err != nil {
			return nil, err
		}
	}
	return l, nil
}

// listPlanned returns the changes of a document as they are told.
func listPlanned(changes []diff.Change) (*changeList, error) {
	l := &changeList{}
	for _, c := range changes {
		if err := l.add(c.Ref(), c.Action, func() diff.Change { return c }); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// planned returns the change as one that is not made yet: nobody knows what the
// registry will write beside labels and spec.
func planned(c fsm.Change) fsm.Change {
	if c.After != nil {
		c.After = diff.Planned(fsm.PutOf(c.After))
	}
	return c
}

func actionOf(c fsm.Change) diff.Action {
	switch {
	case c.Before == nil:
		return diff.Create
	case c.After == nil:
		return diff.Delete
	}
	return diff.Update
}

// seenChanges returns those of the changes that the principal may see. What an
// object was before it could be seen, or became afterwards, is as if it did not
// exist.
func (p *principal) seenChanges(all []fsm.Change) []fsm.Change {
	seen := make([]fsm.Change, 0, len(all))
	for _, c := range all {
		if !p.sees(c.Before) {
			c.Before = nil
		}
		if !p.sees(c.After) {
			c.After = nil
		}
		if c.Before != nil || c.After != nil {
			seen = append(seen, c)
		}
	}
	return seen
}
