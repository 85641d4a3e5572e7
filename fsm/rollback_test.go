package fsm

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// withoutTokens is what a rollback is about.
func withoutTokens(c registryContents) registryContents {
	c = maps.Clone(c)
	maps.DeleteFunc(c, func(ref Ref, _ string) bool { return ref.Kind == KindToken })
	return c
}

func onlyTokens(c registryContents) registryContents {
	c = maps.Clone(c)
	maps.DeleteFunc(c, func(ref Ref, _ string) bool { return ref.Kind != KindToken })
	return c
}

func TestARollbackMakesTheRegistryWhatItWas(t *testing.T) {
	r := newRegistry(t)
	r.must(pool("web"))
	then, want := r.Revision(), contentsOf(r.State)
	r.must(Put{Pool: "web", Name: "a", Spec: backend("a", "10.0.0.1:80").Spec})
	r.must(routeTo("r", "web"))
	r.must(Put{Name: "default", Spec: PoolSpec{Strategy: StrategyRandom}})
	r.must(Delete{Ref: Ref{Kind: KindRoute, Name: "default"}})
	last := r.Revision()

	result := r.must(Rollback{To: then})
	if !maps.Equal(contentsOf(r.State), want) || r.Revision() != last+1 || !result.Changed || result.Revision != last+1 {
		t.Fatalf("it is %v at %+v, want %v", contentsOf(r.State), result, want)
	}
	var told []string
	for _, c := range result.Changes {
		told = append(told, fmt.Sprintf("%s %t %t", c.Ref, c.Before != nil, c.After != nil))
	}
	if got := strings.Join(told, ", "); got != "backend web/a true false, pool default true true, route default false true, route r true false" {
		t.Errorf("it says that it changed %s", got)
	}
	if entry := r.RevisionAt(last + 1); entry.Kind != DoneRollback || entry.Count != 4 {
		t.Errorf("entry %+v", entry)
	}
	if again := r.must(Rollback{To: then}); again.Changed || again.Revision != last+1 || again.Changes != nil || r.Revision() != last+1 {
		t.Errorf("once more: %+v", again)
	}
	r.must(Rollback{To: last})
	if r.Backend("web", "a") == nil || r.Route("default") != nil {
		t.Error("the rollback was not rolled back")
	}
}

func TestARollbackToWhatIsNotKnownIsRefused(t *testing.T) {
	r := newRegistry(t)
	r.refused(CodeInvalid, Rollback{})
	r.refused(CodeInvalid, Rollback{To: 1, Labels: map[string]string{"": "x"}})
	if err := Validate(Rollback{To: 1, Labels: map[string]string{"team": "a\x00"}}); err != nil {
		t.Errorf("with the labels of an older token: %v", err)
	}
	if err := r.refused(CodeNoRevision, Rollback{To: r.Revision() + 1}); err.Faults[0].Pointer != "/to" {
		t.Errorf("%+v", err)
	}
	for i := range maxRevisions + 2 {
		r.must(Put{Name: "default", Labels: map[string]string{"n": fmt.Sprint(i)}, Spec: PoolSpec{Strategy: StrategyRandom}})
	}
	if err := r.refused(CodeCompacted, Rollback{To: 1}); !strings.Contains(err.Error(), fmt.Sprintf("from revision %d on", r.OldestRevision())) {
		t.Errorf("%v", err)
	}
	r.must(Rollback{To: r.OldestRevision()})

	old := newRegistryAt(t, levelProtocols-1)
	old.must(pool("web"))
	if err := old.refused(CodeInvalid, Rollback{To: 1}); !strings.Contains(err.Error(), "needs feature level 6") {
		t.Errorf("%v", err)
	}
}

func TestARollbackOfMoreThanATransactionTakesIsRefused(t *testing.T) {
	r := newRegistry(t)
	start := r.Revision()
	for half := range 2 {
		var op Txn
		for n := range maxSteps/2 + 1 {
			op.Steps = append(op.Steps, put(backend(fmt.Sprintf("b%d-%d", half, n), fmt.Sprintf("10.%d.%d.%d:80", half, n/250, n%250))))
		}
		r.must(op)
	}
	if err := r.refused(CodeInvalid, Rollback{To: start}); !strings.Contains(err.Error(), "20002 objects have changed, and at most 20000") {
		t.Errorf("%v", err)
	}
	r.must(Rollback{To: start + 1})
	r.must(Rollback{To: start})
	if r.Count(KindBackend) != 0 {
		t.Errorf("%d backends are left", r.Count(KindBackend))
	}
}

func TestTokensAreNotRolledBack(t *testing.T) {
	r := newRegistry(t)
	r.must(tokenPut("revoked", "a"))
	then := r.Revision()
	r.must(Delete{Ref: Ref{Kind: KindToken, Name: "revoked"}})
	r.must(tokenPut("new", "b"))
	if result := r.must(Rollback{To: then}); result.Changed || r.Token("revoked") != nil || r.Token("new") == nil {
		t.Errorf("%+v", result)
	}
}

func TestALimitedRollbackIsOfWhatBearsTheLabels(t *testing.T) {
	of := func(name, team string) Put {
		return Put{Name: name, Labels: map[string]string{"team": team}, Spec: PoolSpec{Strategy: StrategyRandom}}
	}
	r := newRegistry(t)
	r.must(of("a-gone", "a"))
	r.must(of("b-gone", "b"))
	r.must(of("given", "b"))
	r.must(of("taken", "a"))
	then := r.Revision()
	for _, name := range []string{"a-gone", "b-gone"} {
		r.must(Delete{Ref: Ref{Kind: KindPool, Name: name}})
	}
	r.must(of("given", "a")) // as of then it bore other labels
	r.must(of("taken", "b")) // now it does
	r.must(of("a-new", "a"))
	r.must(of("b-new", "b"))
	result := r.must(Rollback{To: then, Labels: map[string]string{"team": "a"}})
	if len(result.Changes) != 2 || r.Pool("a-gone") == nil || r.Pool("a-new") != nil {
		t.Errorf("it changed %+v", result.Changes)
	}
	if r.Pool("b-gone") != nil || r.Pool("b-new") == nil || r.Pool("given").Labels["team"] != "a" || r.Pool("taken").Labels["team"] != "b" {
		t.Error("it changed what is others'")
	}
	// What is others' and needs a pool that is to go refuses it, by name.
	r.must(of("a-used", "a"))
	now := contentOf(r.State)
	used := routeTo("theirs", "a-used")
	used.Labels = map[string]string{"team": "b"}
	r.must(used)
	err := r.refused(CodeInUse, Rollback{To: then, Labels: map[string]string{"team": "a"}})
	pool, route := Ref{Kind: KindPool, Name: "a-used"}, used.Ref()
	if len(err.Faults) != 1 || err.Faults[0].Other == nil || *err.Faults[0].Other != route || err.Faults[0].Of == nil || *err.Faults[0].Of != pool {
		t.Errorf("%+v", err)
	}
	r.must(Delete{Ref: route})
	if contentOf(r.State) != now {
		t.Error("a rollback that was refused changed something")
	}
}

func TestARollbackLeavesAloneWhatIsNotConfirmed(t *testing.T) {
	r := newRegistry(t)
	start := r.Revision()
	r.must(pool("web"))
	waits := r.await(Put{Pool: "web", Name: "b", Spec: backend("b", "10.0.0.1:80").Spec})
	err := r.refused(CodeUnconfirmed, Rollback{To: start})
	if !strings.Contains(err.Error(), fmt.Sprintf("backend web/b was changed by revision %d, which is not confirmed yet", waits.Revision)) {
		t.Errorf("%v", err)
	}
	r.must(Confirm{Revision: waits.Revision})
	back := r.await(Rollback{To: start})
	if r.Pool("web") != nil || len(r.Pending()) != 1 || r.Pending()[0].Count != 2 {
		t.Fatalf("%+v", back)
	}
	r.must(Confirm{back.Revision, true})
	if r.Backend("web", "b") == nil {
		t.Error("a rollback that was not confirmed was not undone")
	}
	if nothing := r.await(Rollback{To: r.Revision()}); nothing.Changed || len(r.Pending()) != 0 {
		t.Errorf("what changes nothing waits: %+v", nothing)
	}
}

func TestARollbackIsMadeOnceUnderItsKey(t *testing.T) {
	r := newRegistry(t)
	start := r.Revision()
	for i := range maxKeyRefs + 4 {
		r.must(backend(fmt.Sprint("b", i), fmt.Sprintf("10.0.0.%d:80", i)))
	}
	first := r.command(Command{Key: Key{"k", "r"}, Op: Rollback{To: start}})
	nothing := r.command(Command{Key: Key{"n", "r"}, Op: Rollback{To: start}})
	r.must(backend("late", "10.0.0.1:80"))
	for _, s := range []*State{r.State, throughSnapshot(t, r.State)} {
		r := &registry{State: s, t: t, seq: r.seq}
		again := r.command(Command{Key: Key{"k", "r"}, Op: Rollback{To: start}})
		if !again.Repeat || again.Revision != first.Revision || again.Changes != nil || len(again.Refs) != maxKeyRefs || again.Refs[0].Kind != KindBackend {
			t.Errorf("the repeat got %+v", again)
		}
		again = r.command(Command{Key: Key{"n", "r"}, Op: Rollback{To: start}})
		if !again.Repeat || again.Revision != nothing.Revision || len(again.Refs) != 0 || r.Backend("default", "late") == nil {
			t.Errorf("the repeat of what changed nothing got %+v", again)
		}
	}
}

// Whatever happened, a rollback leads to what was, or is refused and changes
// nothing.
func TestAnyKnownRegistryComesBackOrNothingIsChanged(t *testing.T) {
	start := newRegistry(t).State
	rapid.Check(t, func(t *rapid.T) {
		entries, _ := drawEntries(t, start)
		s, known := start, map[uint64]registryContents{start.Revision(): contentsOf(start)}
		for _, c := range slices.Concat(entries...) {
			s, _ = Apply(s, []Command{c})
			known[s.Revision()] = contentsOf(s)
		}
		for i := range 3 {
			to := rapid.SampledFrom(slices.Sorted(maps.Keys(known))).Draw(t, "to")
			before, c := s, Command{ID: CommandID{"back", uint64(i + 1)}, Time: time.Unix(1, 0).UTC(), Actor: "a", Op: Rollback{To: to}}
			next, results := Apply(s, []Command{c})
			got, want := withoutTokens(contentsOf(next)), withoutTokens(known[to])
			if refusal := results[0].Err; refusal != nil {
				if len(s.Pending()) == 0 {
					t.Fatalf("to %d: nothing waits, and it is refused: %v", to, refusal)
				}
				want = withoutTokens(contentsOf(s))
			}
			if !maps.Equal(got, want) || !maps.Equal(onlyTokens(contentsOf(next)), onlyTokens(contentsOf(before))) {
				t.Fatalf("to %d: it is\n%v\nwant\n%v", to, got, want)
			}
			told := withoutTokens(contentsOf(before))
			if err := told.apply(results[0].Changes); err != nil || !maps.Equal(told, got) {
				t.Fatalf("to %d: what it says that it changed does not lead there: %v", to, err)
			}
			restored, _ := Apply(throughSnapshot(t, before), []Command{c})
			if snapshotText(t, restored) != snapshotText(t, next) {
				t.Fatalf("to %d: a replica that restored a snapshot has another state", to)
			}
			checkInvariants(t, next)
			s = next
			known[s.Revision()] = contentsOf(s)
		}
	})
}
