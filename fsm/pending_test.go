package fsm

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// await does an operation that waits for its confirmation.
func (r *registry) await(op Operation) Result {
	r.t.Helper()
	result := r.command(Command{Actor: "ann", Reason: "a try", ConfirmWithin: Duration(time.Minute), Op: op})
	if result.Err != nil {
		r.t.Fatalf("%T: %v", op, result.Err)
	}
	return result
}

func TestAWriteThatIsNotConfirmedIsUndoneAsARevision(t *testing.T) {
	r := newRegistry(t)
	r.must(backend("web1", "10.0.0.1:80"))
	before := contentsOf(r.State)
	tried := r.await(txn(put(backend("web1", "10.0.0.2:80")), put(backend("web2", "10.0.0.1:80")), put(pool("more")),
		deletion(Delete{Ref: Ref{Kind: KindRoute, Name: "default"}})))
	p := r.Pending()
	if len(p) != 1 || p[0].Revision != tried.Revision || p[0].Within != Duration(time.Minute) || p[0].Actor != "ann" || p[0].Reason != "a try" || p[0].Count != 4 {
		t.Fatalf("pending %+v", p)
	}
	if again := throughSnapshot(t, r.State).Pending(); len(again) != 1 || again[0].Count != 4 || len(again[0].Changes()) != 4 {
		t.Errorf("through a snapshot: %+v", again)
	}
	r.must(backend("other", "10.0.0.9:80")) // what others do meanwhile stays
	undone := r.must(Confirm{tried.Revision, true})
	if entry := r.RevisionAt(undone.Revision); undone.Revision != tried.Revision+2 || entry.Kind != DoneUndo || entry.Undoes != tried.Revision || entry.Count != 4 {
		t.Errorf("undone as %+v", entry)
	}
	after := contentsOf(r.State)
	delete(after, backendRef("other"))
	if !maps.Equal(before, after) || len(r.Pending()) != 0 {
		t.Errorf("it is\n%v\nand was\n%v", after, before)
	}
	r.refused(CodeNotFound, Confirm{tried.Revision, true})
	r.refused(CodeNotFound, Confirm{tried.Revision, false})
	r.refused(CodeInvalid, Confirm{})
}

func TestAConfirmedWriteStays(t *testing.T) {
	r := newRegistry(t)
	tried := r.await(backend("web1", "10.0.0.1:80"))
	if !tried.Created || tried.Object == nil {
		t.Errorf("%+v", tried)
	}
	version := r.Version()
	if kept := r.must(Confirm{Revision: tried.Revision}); kept.Revision != tried.Revision || r.Version() != version+1 || len(r.Pending()) != 0 {
		t.Errorf("confirmed: %+v", kept)
	}
	r.must(backend("web1", "10.0.0.2:80"))
}

func TestAWriteThatChangesNothingDoesNotWait(t *testing.T) {
	r := newRegistry(t)
	r.must(backend("web1", "10.0.0.1:80"))
	if r.await(backend("web1", "10.0.0.1:80")); len(r.Pending()) != 0 {
		t.Errorf("pending %+v", r.Pending())
	}
}

func TestNobodyElseChangesWhatUndoingNeeds(t *testing.T) {
	r := newRegistry(t)
	for _, p := range []Put{pool("a"), pool("b"), backend("web1", "10.0.0.1:80"), backend("web2", "10.0.0.2:80"), routeTo("r", "a")} {
		r.must(p)
	}
	web1 := r.Backend("default", "web1")
	r.await(txn(put(backend("web1", "10.0.0.3:80")), put(routeTo("r", "b")), put(pool("new")), deletion(Delete{Ref: backendRef("web2")})))
	for name, op := range map[string]Operation{
		"to change what it changed":       backend("web1", "10.0.0.4:80"),
		"to delete what it changed":       Delete{Ref: backendRef("web1")},
		"to make again what it deleted":   backend("web2", "10.0.0.2:80"),
		"to delete what was named before": Delete{Ref: Ref{Kind: KindPool, Name: "a"}},
		"to change within a transaction":  txn(put(backend("other", "10.0.0.7:80")), put(backend("web1", "10.0.0.4:80"))),
		"to delete that within one":       txn(deletion(Delete{Ref: Ref{Kind: KindPool, Name: "a"}})),
	} {
		t.Run(name, func(t *testing.T) { r.refused(CodeUnconfirmed, op) })
	}
	t.Run("to take an address that comes back", func(t *testing.T) { r.refused(CodeDuplicate, backend("thief", "10.0.0.2:80")) })
	t.Run("to name what it made", func(t *testing.T) { r.refused(CodeInvalid, routeTo("r2", "new")) })
	t.Run("to wait with what goes with it", func(t *testing.T) {
		result := r.command(Command{ConfirmWithin: Duration(time.Minute), Op: Put{Pool: "new", Name: "b", Spec: backend("b", "10.0.0.2:80").Spec}})
		if result.Err == nil || result.Err.Code != CodeUnconfirmed {
			t.Errorf("%+v", result)
		}
	})
	// What is no revision is possible, and so is what goes away with the rest.
	r.must(SetOverride{Pool: "default", Name: "web1", Health: HealthDown})
	r.must(Put{Pool: "new", Name: "b", Spec: backend("b", "10.0.0.2:80").Spec})
	lapse := r.must(Expire{[]Expiry{{"default", "web1", web1.Meta.UID, ExpireTTL, r.Backend("default", "web1").Meta.Revision}}})
	if lapse.Ignored != 1 || r.Backend("default", "web1") == nil {
		t.Errorf("a held backend lapsed: %+v", lapse)
	}
	r.must(Confirm{r.Pending()[0].Revision, true})
	if r.Pool("new") != nil || r.Backend("new", "b") != nil || r.Route("r").Spec.Pools[0].Name != "a" || r.Backend("default", "web2") == nil {
		t.Error("it was not undone")
	}
}

func TestOnlySoMuchWaits(t *testing.T) {
	r := newRegistry(t)
	for i := range maxPending {
		r.await(backend(fmt.Sprintf("w%d", i), fmt.Sprintf("10.0.0.%d:80", i)))
	}
	before := contentOf(r.State)
	result := r.command(Command{ConfirmWithin: Duration(time.Minute), Op: backend("more", "10.0.1.1:80")})
	if result.Err == nil || result.Err.Code != CodeLimit || contentOf(r.State) != before || len(r.Pending()) != maxPending {
		t.Errorf("%+v", result)
	}
	// A restore takes the place of all, and nothing waits any more.
	r.must(RestorePart{ID: "r", Objects: DefaultObjects(), Last: true})
	if len(r.Pending()) != 0 {
		t.Errorf("%d wait", len(r.Pending()))
	}
}

func TestAllThatWaitsIsBounded(t *testing.T) {
	r := newRegistry(t)
	many := func(of int) Txn {
		op := Txn{}
		for n := range maxSteps {
			op.Steps = append(op.Steps, put(backend(fmt.Sprintf("w%d-%d", of, n), fmt.Sprintf("10.%d.%d.%d:80", of, n/250, n%250))))
		}
		return op
	}
	r.await(many(1))
	r.await(many(2))
	r.State = throughSnapshot(t, r.State)
	before := contentOf(r.State)
	result := r.command(Command{ConfirmWithin: Duration(time.Minute), Op: many(3)})
	if result.Err == nil || result.Err.Code != CodeLimit || contentOf(r.State) != before || len(r.Pending()) != 2 {
		t.Errorf("%d wait, %v", len(r.Pending()), result.Err)
	}
	r.must(Confirm{Revision: r.Pending()[0].Revision})
	r.await(many(3))
}

func TestTheRoomOfWhatMayComeBackIsKept(t *testing.T) {
	r := newRegistry(t)
	listener := func(n int) Put {
		spec := ListenerSpec{Address: fmt.Sprintf("127.0.0.1:%d", 1000+n)}
		spec.SetDefaults()
		return Put{Name: fmt.Sprintf("l%d", n), Spec: spec}
	}
	deleted := func(n int) Delete { return Delete{Ref: listener(n).Ref()} }
	for n := 1; n < maxListeners; n++ {
		r.must(listener(n))
	}
	gone := r.await(deleted(1))
	swapped := r.await(txn(deletion(deleted(2)), put(listener(1002)))) // which is undone in the room that it has
	r.State = throughSnapshot(t, r.State)
	r.refused(CodeLimit, listener(1001))
	r.refused(CodeLimit, txn(put(listener(1001))))
	r.must(txn(deletion(deleted(3)), put(listener(1003))))
	r.must(Confirm{gone.Revision, true})
	r.must(Confirm{swapped.Revision, true})
	if r.Count(KindListener) != maxListeners || r.Listener("l1") == nil || r.Listener("l2") == nil || r.Listener("l1002") != nil {
		t.Errorf("%d listeners", r.Count(KindListener))
	}
	r.await(deleted(4))
	r.must(Confirm{Revision: r.Pending()[0].Revision})
	r.must(listener(1004)) // nothing comes back any more
}

func TestWhatGoesWithACommandIsChecked(t *testing.T) {
	for pointer, c := range map[string]Command{
		"/confirm_within": {ConfirmWithin: Duration(time.Millisecond), Op: backend("a", "h:80")},
		"/reason":         {Reason: string(make([]byte, maxReason+1)), Op: backend("a", "h:80")},
		"/actor":          {Actor: string(make([]byte, maxActor+1)), Op: backend("a", "h:80")},
		"/key":            {Key: Key{Name: "a b"}, Op: backend("a", "h:80")},
		"/key/request":    {Key: Key{Name: "a", Request: string(make([]byte, maxRequest+1))}, Op: backend("a", "h:80")},
	} {
		if err := ValidateCommand(c); err == nil || err.Faults[0].Pointer != pointer {
			t.Errorf("%s: %v", pointer, err)
		}
	}
	if err := ValidateCommand(Command{ConfirmWithin: Duration(time.Minute), Op: SetOverride{Pool: "a", Name: "b", Health: HealthUp}}); err == nil {
		t.Error("an override may wait for a confirmation")
	}
}

// TestUndoingAlwaysWorks is why so much is refused meanwhile.
func TestUndoingAlwaysWorks(t *testing.T) {
	start := newRegistry(t).State
	rapid.Check(t, func(t *rapid.T) {
		entries, _ := drawEntries(t, start)
		s, before := start, map[uint64]registryContents{}
		for _, c := range slices.Concat(entries...) {
			was := contentsOf(s)
			next, _ := Apply(s, []Command{c})
			for _, p := range next.Pending() {
				if _, known := before[p.Revision]; !known {
					before[p.Revision] = was
				}
			}
			s = next
		}
		for i, p := range rapid.Permutation(s.Pending()).Draw(t, "order") {
			next, results := Apply(s, []Command{{ID: CommandID{"undoer", uint64(i + 1)}, Op: Confirm{p.Revision, true}}})
			if results[0].Err != nil {
				t.Fatalf("revision %d of %+v is not undone: %v", p.Revision, p.Changes(), results[0].Err)
			}
			got := contentsOf(next)
			for _, c := range p.Changes() {
				ref := c.Ref
				if got[ref] != before[p.Revision][ref] {
					t.Fatalf("%s is %s, it was %s", ref, got[ref], before[p.Revision][ref])
				}
			}
			checkInvariants(t, next)
			s = next
		}
	})
}
