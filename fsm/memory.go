package fsm

import "encoding/binary"

// Bounds of the memory of results, part of the feature level.
const (
	// maxRemembered is how many sequence numbers back an origin's results are
	// known.
	maxRemembered = 1024
	// maxOrigins is how many origins are known; the one that was silent
	// longest makes room. There are more of them than nodes at a time, since a
	// node that lost its disk comes back as another origin.
	maxOrigins = 2 * maxNodes
)

// record is the remembered result of one command.
type record struct {
	Origin   string `json:"origin"`
	Seq      uint64 `json:"seq"`
	Version  uint64 `json:"version"`
	Revision uint64 `json:"revision"`
	Changed  bool   `json:"changed,omitempty"`
	Created  bool   `json:"created,omitempty"`
	Err      *Error `json:"err,omitempty"`
}

// origin is what the state knows of a node that proposes.
type origin struct {
	UID    string `json:"uid"`
	Newest uint64 `json:"newest"` // the highest sequence number so far
	// Applied is State.applied at its last command.
	Applied uint64 `json:"applied"`
}

func (r *record) result() Result {
	return Result{Version: r.Version, Revision: r.Revision, Created: r.Created, Err: r.Err, Repeat: true}
}

// ResultOf returns the remembered result of the command with that id. ok is
// false when the state has not seen it, or no longer knows.
func (s *State) ResultOf(id CommandID) (result Result, ok bool) {
	r, ok := s.results.Get(resultKey(id))
	if !ok {
		return Result{}, false
	}
	return r.result(), true
}

// recall returns the first result of a command that comes again. One so old
// that its result is forgotten is refused, since applying it might be the
// second time.
func (d *draft) recall(id CommandID) (Result, bool) {
	if r, known := d.results.Get(resultKey(id)); known {
		return r.result(), true
	}
	o := lookup(d.origins, id.Origin)
	if o == nil || o.Newest < maxRemembered || id.Seq > o.Newest-maxRemembered {
		return Result{}, false
	}
	return Result{Version: d.version, Revision: d.revision, Repeat: true, Err: refuse(CodeForgotten, "/id",
		"command %d of %q is too old: its newest is %d, and results are known %d back", id.Seq, id.Origin, o.Newest, maxRemembered)}, true
}

func (d *draft) remember(id CommandID, result Result) {
	r := &record{Origin: id.Origin, Seq: id.Seq, Version: result.Version, Revision: result.Revision, Changed: result.Changed, Created: result.Created, Err: result.Err}
	d.results.Insert(resultKey(id), r)

	next := &origin{UID: id.Origin, Newest: id.Seq, Applied: d.applied}
	old, known := d.origins.Get([]byte(id.Origin))
	if known {
		next.Newest = max(old.Newest, id.Seq)
	}
	d.origins.Insert([]byte(id.Origin), next)
	if known {
		d.forgetResults(id.Origin, old.Newest, next.Newest)
	} else {
		d.forgetOrigin()
	}
}

// forgetResults drops what fell out of the window when its upper end moved.
// The numbers may have gaps, so it walks what is there.
func (d *draft) forgetResults(uid string, oldNewest, newest uint64) {
	if newest <= maxRemembered || newest == oldNewest {
		return
	}
	for {
		key, ok := firstKey(d.results, resultPrefix(uid))
		if !ok || binary.BigEndian.Uint64([]byte(key)) > newest-maxRemembered {
			return
		}
		d.results.Delete([]byte(resultPrefix(uid) + key))
	}
}

// forgetOrigin makes room for a new origin.
func (d *draft) forgetOrigin() {
	all := below(d.origins, "")
	if len(all) <= maxOrigins {
		return
	}
	silent := all[0]
	for _, o := range all {
		if o.Applied < silent.Applied {
			silent = o
		}
	}
	d.origins.Delete([]byte(silent.UID))
	for _, r := range below(d.results, resultPrefix(silent.UID)) {
		d.results.Delete(resultKey(CommandID{r.Origin, r.Seq}))
	}
}

func resultPrefix(uid string) string { return uid + "\x00" }

func resultKey(id CommandID) []byte {
	return binary.BigEndian.AppendUint64([]byte(resultPrefix(id.Origin)), id.Seq)
}
