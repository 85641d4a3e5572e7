package fsm

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// registryContents are labels and specs, see contents.
type registryContents map[Ref]string

func contentsOf(s *State) registryContents { return contents(s) }

// contentOf is contentsOf to compare as a text.
func contentOf(s *State) string { return fmt.Sprint(contents(s)) }

func text(o AnyObject) string {
	data, err := json.Marshal(PutOf(o))
	if err != nil {
		panic(err)
	}
	return string(data)
}

// apply makes changes to registryContents, and reports the first that does not fit.
func (c registryContents) apply(changes []Change) error {
	for _, change := range changes {
		ref := change.Ref
		was, known := c[ref]
		if known != (change.Before != nil) || known && was != text(change.Before) {
			return fmt.Errorf("%s was %s, the change says %+v", ref, was, change.Before)
		}
		if change.After == nil {
			delete(c, ref)
		} else {
			c[ref] = text(change.After)
		}
	}
	return nil
}

func TestTheJournalLeadsFromAnyRevisionToAnyOther(t *testing.T) {
	start := newRegistry(t).State
	rapid.Check(t, func(t *rapid.T) {
		entries, _ := drawEntries(t, start)
		s, known := start, map[uint64]registryContents{start.Revision(): contentsOf(start)}
		for _, c := range slices.Concat(entries...) {
			s, _ = Apply(s, []Command{c})
			known[s.Revision()] = contentsOf(s)
		}
		for _, s := range []*State{s, throughSnapshot(t, s)} {
			checkJournal(t, s, known)
		}
	})
}

// checkJournal compares the way between revisions with what they were.
func checkJournal(t *rapid.T, s *State, known map[uint64]registryContents) {
	revisions := slices.Sorted(maps.Keys(known))
	for range 10 {
		from, to := rapid.SampledFrom(revisions).Draw(t, "from"), rapid.SampledFrom(revisions).Draw(t, "to")
		changes, ok := s.Between(from, to)
		if !ok {
			t.Fatalf("%d to %d is not known, the oldest is %d", from, to, s.OldestRevision())
		}
		got := maps.Clone(known[from])
		if err := got.apply(changes); err != nil {
			t.Fatalf("%d to %d: %v", from, to, err)
		}
		if !maps.Equal(got, known[to]) {
			t.Fatalf("%d to %d leads to\n%v\nwant\n%v", from, to, got, known[to])
		}
	}
}

func TestARevisionSaysWhoDidWhatAndWhy(t *testing.T) {
	r := newRegistry(t)
	created := r.command(Command{Actor: "ann", Reason: "more room", Op: backend("web1", "10.0.0.1:80")})
	if created.Err != nil {
		t.Fatal(created.Err)
	}
	moved := r.must(backend("web1", "10.0.0.2:80"))
	gone := r.must(Delete{Ref: backendRef("web1")})
	want := []struct {
		result        Result
		kind          Done
		before, after string
	}{{created, DonePut, "", "10.0.0.1:80"}, {moved, DonePut, "10.0.0.1:80", "10.0.0.2:80"}, {gone, DoneDelete, "10.0.0.2:80", ""}}
	for _, s := range []*State{r.State, throughSnapshot(t, r.State)} {
		for _, w := range want {
			entry := s.RevisionAt(w.result.Revision)
			if entry == nil || entry.Kind != w.kind || entry.Count != 1 || len(entry.Changes) != 1 {
				t.Fatalf("entry %+v, want %s", entry, w.kind)
			}
			change := entry.Changes[0]
			if got := addressOf(change.Before) + ">" + addressOf(change.After); got != w.before+">"+w.after || change.Ref != backendRef("web1") {
				t.Errorf("%s changed %s", change.Ref, got)
			}
		}
		if entry := s.RevisionAt(created.Revision); entry.Actor != "ann" || entry.Reason != "more room" || !entry.Time.Equal(time.Unix(1_700_000_000, 0)) {
			t.Errorf("entry %+v", entry)
		}
		if first := s.RevisionAt(1); first == nil || first.Kind != DoneInit || first.Count != len(DefaultObjects()) {
			t.Errorf("the first entry is %+v", first)
		}
		newest := slices.Collect(s.RevisionsBefore(0))
		if len(newest) != 4 || newest[0].Revision != gone.Revision || newest[3].Revision != 1 || s.OldestRevision() != 0 {
			t.Errorf("%d entries back from the newest, the oldest registry known is %d", len(newest), s.OldestRevision())
		}
		if before := slices.Collect(s.RevisionsBefore(gone.Revision)); len(before) != 3 || before[0].Revision != moved.Revision {
			t.Errorf("before %d: %d entries", gone.Revision, len(before))
		}
		if after := slices.Collect(s.RevisionsAfter(created.Revision)); len(after) != 2 || after[0].Revision != moved.Revision {
			t.Errorf("after %d: %d entries", created.Revision, len(after))
		}
		if s.RevisionAt(0) != nil || s.RevisionAt(gone.Revision+1) != nil {
			t.Error("there are entries that were never made")
		}
	}
}

func addressOf(o AnyObject) string {
	if o == nil {
		return ""
	}
	return o.GetSpec().(BackendSpec).Address
}

func TestWhatChangesNeitherLabelsNorSpecIsNoRevision(t *testing.T) {
	r := newRegistry(t)
	r.must(backend("web1", "10.0.0.1:80"))
	revision := r.Revision()
	r.vote("n1", HealthUp)
	r.vote("n2", HealthUp)
	r.must(SetOverride{Pool: "default", Name: "web1", Health: HealthDown})
	if r.Revision() != revision || r.RevisionAt(revision+1) != nil {
		t.Errorf("revision %d after %d", r.Revision(), revision)
	}
}

func TestTheJournalIsBoundedInRevisions(t *testing.T) {
	r := newRegistry(t)
	for i := range maxRevisions + 10 {
		r.must(backend("web1", fmt.Sprintf("10.0.%d.%d:80", i>>8, i&255)))
	}
	for _, s := range []*State{r.State, throughSnapshot(t, r.State)} {
		oldest := s.Revision() - maxRevisions
		if s.OldestRevision() != oldest || s.RevisionAt(oldest) != nil || s.RevisionAt(oldest+1) == nil || s.journal.Len() != maxRevisions {
			t.Errorf("the oldest is %d of %d, %d entries", s.OldestRevision(), s.Revision(), s.journal.Len())
		}
		if _, ok := s.Between(oldest-1, s.Revision()); ok {
			t.Error("a revision that is forgotten is compared")
		}
		if changes, ok := s.Between(oldest, s.Revision()); !ok || len(changes) != 1 {
			t.Errorf("%d changes, %t", len(changes), ok)
		}
	}
}

func TestTheJournalIsBoundedInBytes(t *testing.T) {
	r := newRegistry(t)
	for i := range 300 { // each holds what stood there before, some 64 kB
		body := strings.Repeat("x", 60<<10) + fmt.Sprint(i)
		r.must(Put{Name: "r", Spec: RouteSpec{Respond: &Respond{Status: 200, Body: body, ContentType: "text/plain"}}})
	}
	for _, s := range []*State{r.State, throughSnapshot(t, r.State)} {
		if s.journalBytes > maxJournalBytes || s.journalBytes < maxJournalBytes/2 || s.OldestRevision() < 10 || s.journal.Len() != int(s.Revision()-s.OldestRevision()) {
			t.Errorf("%d bytes of %d entries, the oldest is %d", s.journalBytes, s.journal.Len(), s.OldestRevision())
		}
	}
	if again := throughSnapshot(t, r.State); again.journalBytes != r.journalBytes || again.journalChanges != r.journalChanges {
		t.Errorf("a snapshot counts %d bytes and %d changes, it was %d and %d", again.journalBytes, again.journalChanges, r.journalBytes, r.journalChanges)
	}
}

func TestAChangeTooLargeToKeepIsKnownByItsCount(t *testing.T) {
	r := newRegistry(t)
	steps := make([]Step, 0, maxSteps)
	for i := range maxSteps {
		steps = append(steps, put(backend(fmt.Sprintf("b%d", i), fmt.Sprintf("10.%d.%d.%d:80", i>>16, i>>8&255, i&255))))
	}
	r.must(Txn{Steps: steps})
	for i := range 2 { // a restore of more
		var objects []Put
		for put := range r.Objects() {
			objects = append(objects, put)
		}
		for n := range 20_000 * (2 - i) {
			objects = append(objects, backend(fmt.Sprintf("c%d-%d", i, n), fmt.Sprintf("11.%d.%d.%d:%d", n>>16, n>>8&255, n&255, 80+i)))
		}
		if i == 1 {
			objects = slices.DeleteFunc(objects, func(p Put) bool { return strings.HasPrefix(p.Name, "c0") })
		}
		r.must(RestorePart{ID: fmt.Sprint(i), Objects: objects, Last: true})
	}
	for _, s := range []*State{r.State, throughSnapshot(t, r.State)} {
		entry := s.RevisionAt(s.Revision())
		if entry == nil || entry.Count != 60_000 || entry.Changes != nil || s.OldestRevision() != s.Revision() || entry.Kind != DoneRestore {
			t.Fatalf("entry %+v, the oldest is %d of %d", entry, s.OldestRevision(), s.Revision())
		}
		if s.journalChanges != 0 || s.journal.Len() != 1 {
			t.Errorf("%d changes in %d entries are kept", s.journalChanges, s.journal.Len())
		}
	}
	r.must(backend("next", "12.0.0.1:80"))
	if changes, ok := r.Between(r.Revision()-1, r.Revision()); !ok || len(changes) != 1 {
		t.Errorf("%v, %t", changes, ok)
	}
}

func TestBelowItsLevelThereIsNoJournal(t *testing.T) {
	r := newRegistryAt(t, 4)
	r.must(backend("web1", "10.0.0.1:80"))
	for uid := range map[string]bool{"n1": true, "n2": true, "n3": true} {
		r.must(SetNode{Node{UID: uid, Name: uid, State: NodeAlive, FeatureLevel: FeatureLevel}})
	}
	before := r.Revision()
	again := &registry{State: throughSnapshot(t, r.State), t: t, seq: r.seq}
	for _, r := range []*registry{r, again} {
		r.must(RaiseLevel{levelHistory})
		r.must(backend("web1", "10.0.0.2:80"))
		if r.OldestRevision() != before || r.journal.Len() != 1 {
			t.Errorf("the oldest is %d, want %d; %d entries", r.OldestRevision(), before, r.journal.Len())
		}
	}
	if snapshotText(t, r.State) != snapshotText(t, again.State) {
		t.Error("a replica that restored a snapshot below the level has another journal")
	}
}
