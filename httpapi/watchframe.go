package httpapi

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"evenkeel/fsm"
)

// Bounds of what is kept of encoded events: of so many revisions, and so many
// bytes. Beyond, the oldest revisions go first, since the crowd follows the
// newest.
const (
	maxFramed      = 1024
	maxFramedBytes = 32 << 20
)

// sight is how a watcher sees a change.
type sight int

// A change is seen as it was made; or an object that goes on leaves what the
// watcher may or wants to see, or comes into it.
const (
	seenAsIs sight = iota
	seenLeaving
	seenEntering
	sights
)

// event is one change as watchers read it. It is the same on all nodes.
type event struct {
	Revision uint64    `json:"revision"`
	Time     time.Time `json:"time"`
	Actor    string    `json:"actor"`
	Reason   string    `json:"reason,omitempty"`
	Kind     fsm.Kind  `json:"kind"`
	Pool     string    `json:"pool,omitempty"`
	Name     string    `json:"name"`
	Action   string    `json:"action"`
	// ByFilter tells of an object that goes on and no longer matches what is
	// watched, or that went on before and now does.
	ByFilter bool `json:"by_filter,omitempty"`
	// Snapshot tells of an object that was there when the watch began.
	Snapshot bool `json:"snapshot,omitempty"`
	// Object is the object as it became, or as it was before it went.
	Object eventObject `json:"object"`
}

// eventObject is an [object] without its status, which moves without a revision.
type eventObject struct {
	Pool   string            `json:"pool,omitempty"`
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels"`
	Spec   fsm.Spec          `json:"spec"`
	Meta   fsm.Meta          `json:"meta"`
}

func objectOfEvent(o fsm.AnyObject) eventObject {
	ref := o.Ref()
	labels := o.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	return eventObject{ref.Pool, ref.Name, labels, fsm.Shown(o).GetSpec(), o.GetMeta()}
}

// eventOf returns what a watcher is told of a change.
func eventOf(entry *fsm.Revision, c fsm.Change, seen sight) event {
	e := event{
		Revision: entry.Revision, Time: entry.Time, Actor: entry.Actor, Reason: entry.Reason,
		Kind: c.Ref.Kind, Pool: c.Ref.Pool, Name: c.Ref.Name, ByFilter: seen != seenAsIs,
	}
	switch {
	case c.After == nil || seen == seenLeaving:
		e.Action, e.Object = "delete", objectOfEvent(c.Before)
	case c.Before == nil || seen == seenEntering:
		e.Action, e.Object = "create", objectOfEvent(c.After)
	default:
		e.Action, e.Object = "update", objectOfEvent(c.After)
	}
	return e
}

// frame is an event on the wire, without an id. It is shared and never changed.
type frame struct {
	text []byte
	data []byte // the JSON within
}

func newFrame(e event) (frame, error) {
	name := "put"
	if e.Action == "delete" {
		name = "delete"
	}
	data, err := json.Marshal(e)
	if err != nil {
		return frame{}, fmt.Errorf("encode event of %s %s: %w", e.Kind, e.Name, err)
	}
	text := make([]byte, 0, len("event: delete\ndata: \n\n")+len(data))
	text = fmt.Appendf(text, "event: %s\ndata: ", name)
	begin := len(text)
	text = append(text, data...)
	end := len(text)
	return frame{text: append(text, "\n\n"...), data: text[begin:end:end]}, nil
}

// frames keeps encoded events, so that each is encoded once however many watch.
type frames struct {
	mu sync.Mutex // guards what follows
	// revisions are in ascending order.
	revisions []*framed
	bytes     int
}

// framed are the events of one revision.
type framed struct {
	entry *fsm.Revision
	// slots are by change and [sight], nil for what was not asked for.
	slots []atomic.Pointer[frame]
	bytes int  // guarded by frames.mu
	gone  bool // likewise

	mu sync.Mutex // guards the encoding, so that it is done once
}

// of returns the events of a revision.
func (f *frames) of(entry *fsm.Revision) *framed {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, known := slices.BinarySearchFunc(f.revisions, entry.Revision, func(e *framed, revision uint64) int {
		return cmp.Compare(e.entry.Revision, revision)
	})
	if known && f.revisions[at].entry == entry {
		return f.revisions[at]
	}
	made := &framed{entry: entry, slots: make([]atomic.Pointer[frame], int(sights)*len(entry.Changes))}
	if known { // of before a snapshot that this node was sent
		f.drop(at)
	}
	f.revisions = slices.Insert(f.revisions, at, made)
	if len(f.revisions) > maxFramed {
		f.drop(0)
	}
	return made
}

func (f *frames) drop(at int) {
	old := f.revisions[at]
	old.gone = true
	f.bytes -= old.bytes
	f.revisions = slices.Delete(f.revisions, at, at+1)
}

// keep reports whether there is room for so many bytes more of a revision, and
// makes some.
func (f *frames) keep(e *framed, size int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.bytes+size > maxFramedBytes && len(f.revisions) > 0 && f.revisions[0] != e {
		f.drop(0)
	}
	if e.gone || f.bytes+size > maxFramedBytes {
		return false
	}
	e.bytes += size
	f.bytes += size
	return true
}

// frame returns an event of the revision.
func (f *frames) frame(e *framed, change int, seen sight) (frame, error) {
	slot := &e.slots[change*int(sights)+int(seen)]
	if known := slot.Load(); known != nil {
		return *known, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if known := slot.Load(); known != nil {
		return *known, nil
	}
	made, err := newFrame(eventOf(e.entry, e.entry.Changes[change], seen))
	if err == nil && f.keep(e, len(made.text)) {
		slot.Store(&made)
	}
	return made, err
}
