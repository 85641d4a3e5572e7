package faults

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// at places an operation in time.
func at(call, back time.Duration, o operation) operation {
	o.Key, o.Call, o.Return = "k", call, back
	if o.Outcome == "" {
		o.Outcome = outcomeDone
	}
	return o
}

func put(value string, revision uint64) operation {
	return operation{Kind: kindPut, Value: value, Revision: revision, State: revision}
}

func swap(value string, expected, revision uint64) operation {
	return operation{Kind: kindSwap, Value: value, Expected: expected, Revision: revision, State: revision}
}

func create(value string, revision uint64) operation {
	return operation{Kind: kindCreate, Value: value, Revision: revision, State: revision, Before: beforeAbsent}
}

func remove(state uint64) operation { return operation{Kind: kindDelete, State: state} }

func read(value string, revision, state uint64) operation {
	return operation{Kind: kindRead, Seen: value, Revision: revision, State: state}
}

// as gives the operation another outcome than done.
func (o operation) as(outcome outcome) operation {
	o.Outcome, o.Revision, o.State, o.Before = outcome, 0, 0, ""
	return o
}

func TestHistoriesThatAreLinearizablePass(t *testing.T) {
	for name, history := range map[string][]operation{
		"one after the other": {
			at(1, 2, create("a", 5)), at(3, 4, read("a", 5, 5)), at(5, 6, swap("b", 5, 6)), at(7, 8, read("b", 6, 9)),
			at(9, 10, remove(10)), at(11, 12, read("", 0, 10)), at(13, 14, create("c", 11)),
		},
		"a read beside a write sees it, and the next one does not go back": {
			at(1, 10, put("a", 5)), at(2, 3, read("", 0, 4)), at(4, 5, read("a", 5, 5)), at(6, 7, read("a", 5, 5)),
		},
		"of two swaps at one revision one wins": {
			at(1, 2, put("a", 5)), at(3, 9, swap("b", 5, 6)), at(3, 9, swap("c", 5, 0).as(outcomeUnmet)), at(10, 11, read("b", 6, 6)),
		},
		"a write of unknown outcome never took effect": {
			at(1, 2, put("a", 5)), at(3, 4, put("b", 0).as(outcomeUnknown)), at(5, 6, read("a", 5, 5)),
		},
		"a write of unknown outcome took effect much later": {
			at(1, 2, put("a", 5)), at(3, 4, put("b", 0).as(outcomeUnknown)), at(5, 6, read("a", 5, 5)), at(7, 8, read("b", 6, 6)),
		},
		"a write of unknown outcome took effect, was read by nobody, and had a condition unmet": {
			at(1, 2, put("b", 0).as(outcomeUnknown)), at(3, 4, create("c", 0).as(outcomeUnmet)), at(5, 6, remove(7)), at(7, 8, read("", 0, 7)),
		},
		"a deletion of unknown outcome took effect later": {
			at(1, 2, put("a", 5)), at(3, 4, remove(0).as(outcomeUnknown)), at(5, 6, read("a", 5, 5)), at(7, 8, read("", 0, 6)), at(9, 10, create("b", 7)),
		},
		"a swap of unknown outcome that was too late": {
			at(1, 2, put("a", 5)), at(3, 4, put("b", 6)), at(5, 6, swap("c", 5, 0).as(outcomeUnknown)), at(7, 8, read("b", 6, 6)),
		},
		"a write that was told no revision": {
			at(1, 2, put("a", 5)), at(3, 4, operation{Kind: kindPut, Value: "b", Before: beforePresent}), at(5, 6, read("b", 6, 6)),
		},
		"a refused write and a read without an answer say nothing": {
			at(1, 2, put("a", 5)), at(3, 4, put("b", 0).as(outcomeRefused)), at(3, 9, operation{Kind: kindRead, Outcome: outcomeUnknown}), at(5, 6, read("a", 5, 5)),
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := verdict(history, time.Minute, t.TempDir()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestHistoriesThatAreNotLinearizableFail(t *testing.T) {
	const order = "not linearizable"
	for name, c := range map[string]struct {
		history []operation
		want    []string
	}{
		"a lost acknowledgement": {[]operation{
			at(1, 2, put("a", 5)), at(3, 4, put("b", 6)), at(5, 6, read("a", 5, 6)),
		}, []string{order}},
		"a lost acknowledgement whose revision another write gets": {[]operation{
			at(1, 2, put("a", 5)), at(3, 4, put("b", 5)), at(5, 6, read("b", 5, 5)),
		}, []string{order, "told the same revision", "a write with revision 5, after 5 was seen"}},
		"a stale read": {[]operation{
			at(1, 2, put("a", 5)), at(3, 4, put("b", 6)), at(5, 6, read("a", 5, 5)),
		}, []string{order, "a linearizable read of revision 5 of the registry, after one of 6"}},
		"a stale read of nothing": {[]operation{
			at(1, 2, put("a", 5)), at(3, 4, read("", 0, 5)),
		}, []string{order}},
		"two reads beside a write that go back": {[]operation{
			at(1, 10, put("a", 5)), at(2, 3, read("a", 5, 5)), at(4, 5, read("", 0, 5)),
		}, []string{order}},
		"a write that took effect twice": {[]operation{
			at(1, 2, put("a", 5)), at(3, 4, put("b", 6)), at(5, 6, read("b", 6, 6)), at(7, 8, read("a", 7, 7)),
		}, []string{order, "another revision than its write was told"}},
		"a write of unknown outcome that took effect twice": {[]operation{
			at(1, 2, put("a", 0).as(outcomeUnknown)), at(3, 4, read("a", 5, 5)), at(5, 6, put("b", 6)), at(7, 8, read("b", 6, 6)), at(9, 10, read("a", 7, 7)),
		}, []string{order, "was read at revision 5 before"}},
		"a deletion that took effect twice": {[]operation{
			at(1, 2, put("a", 5)), at(3, 4, remove(6)), at(5, 6, create("b", 7)), at(7, 8, read("", 0, 8)),
		}, []string{order}},
		"a swap that took effect and was told that it did not": {[]operation{
			at(1, 2, put("a", 5)), at(3, 4, swap("b", 5, 0).as(outcomeUnmet)), at(5, 6, read("b", 6, 6)),
		}, []string{order, "told that it did not"}},
		"a refused write that took effect": {[]operation{
			at(1, 2, put("a", 0).as(outcomeRefused)), at(3, 4, read("a", 5, 5)),
		}, []string{order, "told that it did not"}},
		"a lost update: two swaps at one revision": {[]operation{
			at(1, 2, put("a", 5)), at(3, 9, swap("b", 5, 6)), at(3, 9, swap("c", 5, 7)), at(10, 11, read("c", 7, 7)),
		}, []string{order}},
		"two creations of one key": {[]operation{
			at(1, 9, create("a", 5)), at(1, 9, create("b", 6)),
		}, []string{order}},
		"a deleted key that comes back": {[]operation{
			at(1, 2, put("a", 5)), at(3, 4, remove(6)), at(5, 6, read("", 0, 6)), at(7, 8, read("a", 5, 6)),
		}, []string{order}},
		"a replacement that created": {[]operation{
			at(1, 2, put("a", 5)), at(3, 4, operation{Kind: kindPut, Value: "b", Revision: 6, Before: beforeAbsent}),
		}, []string{order}},
		"a condition that should have held": {[]operation{
			at(1, 2, put("a", 5)), at(3, 4, swap("b", 5, 0).as(outcomeUnmet)),
		}, []string{order}},
		"a read of the present value at another revision": {[]operation{
			at(1, 2, put("a", 5)), at(3, 4, read("a", 6, 6)),
		}, []string{order, "another revision than its write was told"}},
		"a read of an earlier value at the present revision": {[]operation{
			at(1, 2, put("a", 5)), at(3, 4, put("b", 6)), at(5, 6, read("a", 6, 6)),
		}, []string{order, "another revision than its write was told"}},
		"a value that nobody wrote": {[]operation{
			at(1, 2, read("x", 5, 5)),
		}, []string{order, "nobody wrote"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			err := verdict(c.history, time.Minute, dir)
			if err == nil {
				t.Fatal("nothing was found")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("found %v, want %q too", err, want)
				}
			}
			for _, name := range []string{"k.html", "history.jsonl"} {
				if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || len(text) == 0 {
					t.Errorf("%s: %d bytes, %v", name, len(text), err)
				}
			}
		})
	}
}

func TestACheckThatDoesNotFinishFails(t *testing.T) {
	history := []operation{at(1, 2, put("a", 5))}
	for i := range 40 { // any of them may have come in any order
		history = append(history, at(3, 4, put(strings.Repeat("x", i+1), 0).as(outcomeUnknown)))
	}
	history = append(history, at(5, 6, put("b", 6)), at(7, 8, read("", 0, 8)))
	for name, limit := range map[string]time.Duration{"no time at all": 0, "too little time": 20 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			err := verdict(history, limit, t.TempDir())
			if err == nil || !strings.Contains(err.Error(), "unknown") {
				t.Errorf("verdict: %v, want unknown", err)
			}
		})
	}
}
