package httpapi

import (
	"math"

	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
)

// cursor is how far a watcher has come. That is all that it keeps between two
// writes, so a slow one holds neither events nor a state.
type cursor struct {
	// told is the revision up to which everything was told.
	told uint64
	// part is how many changes of the revision after that were.
	part int
}

// told is an event to write, and the id that follows it: 0 but for the last one
// of a revision.
type told struct {
	frame frame
	id    uint64
}

// compactedAt tells that what came after a revision is forgotten.
func compactedAt(s *fsm.State, revision uint64) *problem.Problem {
	return problem.New(problem.Compacted, "what came after revision %d is no longer known, only what came after %d: read everything anew, and go on from there", revision, s.OldestRevision())
}

// next appends events of the state that come after the cursor, until they have so
// many bytes, and moves it behind them. more tells that there are others in the state.
// A *problem.Problem tells that some are forgotten.
//
// whole has it end between two revisions only.
func (c *cursor) next(s *fsm.State, f *filter, cache *frames, into []told, limit int, whole bool) (events []told, more bool, err error) {
	if c.told < s.OldestRevision() {
		return into, false, compactedAt(s, c.told)
	}
	size, within := 0, limit
	if whole {
		within = math.MaxInt
	}
	for entry := range s.RevisionsAfter(c.told) {
		if size >= limit {
			return into, true, nil
		}
		var full bool
		if into, full, err = c.revision(entry, f, cache, into, &size, within); err != nil || full {
			return into, true, err
		}
		c.told, c.part = entry.Revision, 0
	}
	return into, false, nil
}

// revision appends the events of one. The last of them bears its number, so each
// is held back until there is another.
func (c *cursor) revision(entry *fsm.Revision, f *filter, cache *frames, into []told, size *int, limit int) (events []told, full bool, err error) {
	var encoded *framed
	held := -1
	var heldSight sight
	give := func(id uint64) error {
		if encoded == nil {
			encoded = cache.of(entry)
		}
		made, err := cache.frame(encoded, held, heldSight)
		if err != nil {
			return err
		}
		into = append(into, told{made, id})
		*size += len(made.text)
		return nil
	}
	for i := c.part; i < len(entry.Changes); i++ {
		seen, ok := f.see(entry.Changes[i])
		if !ok {
			continue
		}
		if held >= 0 {
			if err := give(0); err != nil {
				return into, false, err
			}
			if *size >= limit {
				c.part = i
				return into, true, nil
			}
		}
		held, heldSight = i, seen
	}
	if held >= 0 {
		err = give(entry.Revision)
	}
	return into, false, err
}
