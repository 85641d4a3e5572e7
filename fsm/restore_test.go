package fsm

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// parts cuts objects into parts of a restore, of the given sizes and a rest.
func parts(id string, objects []Put, sizes ...int) []RestorePart {
	var all []RestorePart
	for _, size := range append(sizes, len(objects)) {
		size = min(size, len(objects))
		all = append(all, RestorePart{ID: id, Number: len(all), Objects: objects[:size]})
		objects = objects[size:]
	}
	all[len(all)-1].Last = true
	return all
}

// contents are the objects of a state with what a user wants of them.
func contents(s *State) map[Ref]string {
	all := map[Ref]string{}
	for put := range s.Objects() {
		text, err := json.Marshal(put)
		if err != nil {
			panic(err)
		}
		all[put.Ref()] = string(text)
	}
	return all
}

func TestARestoreGivesTheSameObjectsWhateverWasThere(t *testing.T) {
	start := newRegistry(t).State
	rapid.Check(t, func(t *rapid.T) {
		_, from := drawEntries(t, start)
		_, into := drawEntries(t, start)
		if into.FeatureLevel() < FeatureLevel || into.Restoring() != "" {
			t.Skip("it is not at the level")
		}
		kept := map[Ref]Meta{}
		for put := range into.Objects() {
			kept[put.Ref()] = into.Object(put.Ref()).GetMeta()
		}
		before := contents(into)
		objects := slices.Collect(from.Objects())
		seq := uint64(1_000_000)
		s := into
		for _, part := range parts("r9", objects, rapid.SliceOfN(rapid.IntRange(0, 5), 0, 3).Draw(t, "sizes")...) {
			seq++
			if !part.Last && s.Revision() != into.Revision() {
				t.Fatal("a part shows before the last one has come")
			}
			next, results := Apply(throughSnapshot(t, s), []Command{{ID: CommandID{"n1", seq}, Op: part}})
			if results[0].Err != nil {
				t.Fatalf("part %d: %v", part.Number, results[0].Err)
			}
			s = next
		}
		if got, want := contents(s), contents(from); !maps.Equal(got, want) {
			t.Fatalf("got %v\nwant %v", got, want)
		}
		wantRevision := into.Revision()
		if !maps.Equal(before, contents(from)) {
			wantRevision++
		}
		if s.Revision() != wantRevision || s.Restoring() != "" {
			t.Fatalf("revision %d, want %d; still restoring %q", s.Revision(), wantRevision, s.Restoring())
		}
		for ref, text := range contents(s) {
			meta := s.Object(ref).GetMeta()
			switch {
			case before[ref] == text && meta != kept[ref]:
				t.Fatalf("%s is as it was and changed to %+v", ref, meta)
			case before[ref] != text && meta.Revision != s.Revision():
				t.Fatalf("%s changed at revision %d", ref, meta.Revision)
			}
		}
		checkInvariants(t, s)
		throughSnapshot(t, s)
	})
}

func TestPartsOfARestoreThatDoNotFollow(t *testing.T) {
	r := newRegistry(t)
	one, two := pool("p1"), pool("p2")
	part := func(id string, number int, objects ...Put) RestorePart {
		return RestorePart{ID: id, Number: number, Objects: objects}
	}
	last := func(p RestorePart) RestorePart { p.Last = true; return p }
	abort := func(id string) RestorePart { return RestorePart{ID: id, Abort: true} }
	r.refused(CodePrecondition, part("a", 1, one))
	r.must(part("a", 0, one))
	if r.Restoring() != "a" {
		t.Errorf("restoring %q", r.Restoring())
	}
	r.refused(CodePrecondition, part("a", 2, two)) // which ends it
	r.refused(CodePrecondition, part("a", 1, two))
	r.must(part("a", 0, one))
	r.must(part("b", 0, two)) // another one
	r.refused(CodePrecondition, last(part("a", 1)))
	if r.Restoring() != "b" {
		t.Errorf("restoring %q", r.Restoring())
	}
	r.must(abort("a")) // which is none
	r.must(abort("b"))
	r.refused(CodePrecondition, last(part("b", 1)))
	before := contents(r.State)
	r.must(part("c", 0, one))
	if err := r.refused(CodeInvalid, last(part("c", 1, one))); !strings.Contains(err.Error(), "p1 is there twice") {
		t.Error(err)
	}
	r.refused(CodeInvalid, last(part("d", 0, route("r", "absent"))))
	if r.Restoring() != "" || !maps.Equal(contents(r.State), before) {
		t.Errorf("restoring %q, the objects are %v", r.Restoring(), contents(r.State))
	}
	r.refused(CodeInvalid, RestorePart{ID: "e", Number: -1})
	conditional := one
	conditional.If.Exists = true
	r.refused(CodeInvalid, part("e", 0, conditional))
	r.must(last(part("f", 0, one)))
	if got := slices.Collect(r.State.Objects()); len(got) != 1 || got[0].Name != "p1" {
		t.Errorf("the objects are %v", got)
	}
}

func TestARestoreNeedsItsLevel(t *testing.T) {
	r := oldRegistry(t)
	if err := r.refused(CodeInvalid, RestorePart{ID: "a", Last: true}); !strings.Contains(err.Error(), "level 3") {
		t.Error(err)
	}
}

// Backends that swapped their addresses swap them back.
func TestARestoreIsNotInItsOwnWay(t *testing.T) {
	r := newRegistry(t)
	one, two := backend("b1", "10.0.0.1:80"), backend("b2", "10.0.0.2:80")
	r.must(one)
	r.must(two)
	saved := slices.Collect(r.State.Objects())
	r.must(Delete{Ref: one.Ref()})
	r.must(Delete{Ref: two.Ref()})
	r.must(backend("b1", "10.0.0.2:80"))
	r.must(backend("b2", "10.0.0.1:80"))
	for _, part := range parts("a", saved, 1, 1, 1) {
		r.must(part)
	}
	for _, want := range []Put{one, two} {
		if got := r.Backend(want.Pool, want.Name); got == nil || got.Spec != want.Spec {
			t.Errorf("%s is %+v", want.Ref(), got)
		}
	}
}
