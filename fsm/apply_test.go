package fsm

import (
	"fmt"
	"strings"
	"testing"
)

func TestANewClusterHasAListenerAPoolAndARoute(t *testing.T) {
	r := newRegistry(t)
	if r.Listener("default") == nil || r.Pool("default") == nil || r.Route("default") == nil {
		t.Fatal("one of the default objects is missing")
	}
	if r.Revision() != 1 {
		t.Errorf("revision is %d, want 1: the first objects are one change", r.Revision())
	}
	if r.ClusterID() != "c1" || r.FeatureLevel() != FeatureLevel {
		t.Errorf("cluster %q at level %d", r.ClusterID(), r.FeatureLevel())
	}
	r.refused(CodeExists, Init{ClusterID: "c2", FeatureLevel: 1, Objects: DefaultObjects()})
	r.refused(CodeInvalid, Init{ClusterID: "c2", FeatureLevel: 1})
}

func TestInitIsAllOrNothing(t *testing.T) {
	r := &registry{State: New(), t: t}
	r.refused(CodeInvalid, Init{ClusterID: "c", FeatureLevel: 1, Objects: []Put{pool("a"), route("r", "absent")}})
	if r.ClusterID() != "" || r.Pool("a") != nil || r.Count(KindPool) != 0 {
		t.Fatal("a refused init left something behind")
	}
	r.refused(CodeInvalid, pool("a"))
	r.must(Init{ClusterID: "c", FeatureLevel: 1, Objects: []Put{pool("a"), route("r", "a")}})
}

func TestPutCreatesAndReplaces(t *testing.T) {
	r := newRegistry(t)
	created := r.must(backend("web1", "10.0.0.5:9000")).Object.(*Backend)
	if created.Meta.Revision != 2 || created.Meta.UID == "" || created.Status.Health != HealthUnknown {
		t.Fatalf("created as %+v", created)
	}
	put := backend("web1", "10.0.0.5:9000")
	put.Labels = map[string]string{"team": "a"}
	replaced := r.must(put).Object.(*Backend)
	if r.must(put).Created {
		t.Error("a replacement says that it created")
	}
	if replaced.Meta.UID != created.Meta.UID || replaced.Meta.Revision != 3 || replaced.Labels["team"] != "a" {
		t.Fatalf("replaced as %+v", replaced)
	}
	if again := r.must(put); again.Changed || again.Revision != 3 || again.Object.(*Backend) != r.Backend("default", "web1") {
		t.Errorf("a put without a change gave %+v", again)
	}
	if created.Labels["team"] != "" {
		t.Error("the old object was changed")
	}
}

func TestANewRegistrationOfTheSameNameHasAnotherUID(t *testing.T) {
	r := newRegistry(t)
	first := r.must(backend("web1", "10.0.0.5:9000")).Object.(*Backend)
	r.must(Delete{Ref: first.Ref()})
	if second := r.must(backend("web1", "10.0.0.5:9000")).Object.(*Backend); second.Meta.UID == first.Meta.UID {
		t.Errorf("both have the uid %s", first.Meta.UID)
	}
}

func TestPreconditions(t *testing.T) {
	ref := Ref{Kind: KindBackend, Pool: "default", Name: "web1"}
	cases := []struct {
		name   string
		exists bool
		pre    Precondition
		want   Code
	}{
		{"absent holds for a new name", false, Precondition{Absent: true}, ""},
		{"absent fails for a taken name", true, Precondition{Absent: true}, CodeExists},
		{"exists holds for a taken name", true, Precondition{Exists: true}, ""},
		{"exists fails for a new name", false, Precondition{Exists: true}, CodePrecondition},
		{"the current revision holds", true, Precondition{Revision: 2}, ""},
		{"an old revision fails", true, Precondition{Revision: 1}, CodePrecondition},
		{"any revision fails for a new name", false, Precondition{Revision: 2}, CodePrecondition},
		{"two that contradict each other are invalid", true, Precondition{Absent: true, Exists: true}, CodeInvalid},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := newRegistry(t)
			if c.exists {
				r.must(backend("web1", "10.0.0.5:9000"))
			}
			put := backend("web1", "10.0.0.6:9000")
			put.If = c.pre
			for _, op := range []Operation{put, Delete{Ref: ref, If: c.pre}} {
				probe := *r
				if c.want != "" {
					probe.refused(c.want, op)
				} else {
					probe.must(op)
				}
			}
		})
	}
}

func TestReferencesAreKept(t *testing.T) {
	r := newRegistry(t)
	err := r.refused(CodeInvalid, Put{Name: "r1", Spec: RouteSpec{
		Listeners: []string{"nope"}, Pools: []WeightedPool{{"default", 1}, {"gone", 1}},
	}})
	if len(err.Faults) != 2 || err.Faults[0].Pointer != "/spec/listeners/0" || err.Faults[1].Pointer != "/spec/pools/1/name" {
		t.Errorf("faults are %+v", err.Faults)
	}
	if err := r.refused(CodeInUse, Delete{Ref: Ref{Kind: KindPool, Name: "default"}}); err.Other.Name != "default" {
		t.Errorf("in the way is %v", err.Other)
	}
	r.refused(CodeInUse, Delete{Ref: Ref{Kind: KindListener, Name: "default"}})
	r.must(backend("web1", "10.0.0.5:9000"))
	r.must(Delete{Ref: Ref{Kind: KindRoute, Name: "default"}})
	r.refused(CodeInUse, Delete{Ref: Ref{Kind: KindPool, Name: "default"}}) // its backend
	r.must(Delete{Ref: Ref{Kind: KindBackend, Pool: "default", Name: "web1"}})
	r.must(Delete{Ref: Ref{Kind: KindPool, Name: "default"}})
	r.must(Delete{Ref: Ref{Kind: KindListener, Name: "default"}})
	r.refused(CodeNotFound, backend("web1", "10.0.0.5:9000"))
	if gone := r.must(Delete{Ref: Ref{Kind: KindPool, Name: "default"}}); gone.Changed {
		t.Error("deleting what is gone changed something")
	}
}

func TestOneAddressIsOneBackendOfAPool(t *testing.T) {
	r := newRegistry(t)
	r.must(pool("other"))
	r.must(backend("web1", "[::ffff:10.0.0.5]:9000"))
	err := r.refused(CodeDuplicate, backend("web2", "10.0.0.5:9000"))
	if err.Other.Name != "web1" {
		t.Errorf("the other is %v", err.Other)
	}
	elsewhere := backend("web2", "10.0.0.5:9000")
	elsewhere.Pool = "other"
	r.must(elsewhere)
	r.must(backend("web1", "10.0.0.6:9000"))
	r.must(backend("web2", "10.0.0.5:9000")) // free again
	if b := r.BackendByAddress("default", "10.0.0.5:9000"); b == nil || b.Name != "web2" {
		t.Errorf("found %v", b)
	}
}

func TestARepeatedCommandAppliesOnce(t *testing.T) {
	r := newRegistry(t)
	id := CommandID{"n2", 7}
	put := backend("web1", "10.0.0.5:9000")
	put.If.Absent = true
	first := r.doAs(id, put)
	digest := r.Digest()
	again := r.doAs(id, put)
	if first.Err != nil || again.Err != nil || !first.Created || !again.Created || !again.Repeat || again.Revision != first.Revision || r.Digest() != digest {
		t.Fatalf("first %+v, repeated %+v", first, again)
	}
	refused := r.doAs(CommandID{"n2", 8}, put)
	if repeat := r.doAs(CommandID{"n2", 8}, put); refused.Err == nil || repeat.Err == nil || repeat.Err.Code != CodeExists {
		t.Errorf("a refusal repeated as %+v", repeat)
	}
	if got, ok := r.ResultOf(id); !ok || got.Revision != first.Revision {
		t.Errorf("remembered %+v, %v", got, ok)
	}
}

func TestARefusedCommandMovesNeitherVersionNorDigest(t *testing.T) {
	r := newRegistry(t)
	version, digest := r.Version(), r.Digest()
	r.refused(CodeNotFound, Put{Pool: "absent", Name: "b", Spec: backend("b", "10.0.0.5:9000").Spec})
	if r.Version() != version || r.Digest() != digest {
		t.Error("replicas that differ by a refused command cannot be compared")
	}
}

func TestResultsAreForgottenBeyondTheWindow(t *testing.T) {
	r := newRegistry(t)
	for seq := uint64(1); seq <= maxRemembered+10; seq++ {
		r.doAs(CommandID{"n2", seq}, Delete{Ref: Ref{Kind: KindRoute, Name: "absent"}})
	}
	if result := r.doAs(CommandID{"n2", 10}, backend("web1", "10.0.0.5:9000")); result.Err == nil || result.Err.Code != CodeForgotten {
		t.Errorf("a repeat from beyond the window gave %+v", result)
	}
	if _, ok := r.ResultOf(CommandID{"n2", 11}); !ok {
		t.Error("a result within the window is forgotten")
	}
	for n := range maxOrigins + 5 {
		r.doAs(CommandID{fmt.Sprintf("origin-%d", n), 1}, Delete{Ref: Ref{Kind: KindRoute, Name: "absent"}})
	}
	if got := r.origins.Len(); got != maxOrigins {
		t.Errorf("%d origins are remembered, want %d", got, maxOrigins)
	}
	if _, ok := r.ResultOf(CommandID{"n2", 11}); ok {
		t.Error("the results of a forgotten origin are kept")
	}
}

func TestChangedSinceNamesWhatChanged(t *testing.T) {
	r := newRegistry(t)
	before := r.State
	r.must(backend("web1", "10.0.0.5:9000"))
	r.must(Delete{Ref: Ref{Kind: KindRoute, Name: "absent"}})
	r.must(pool("p2"))
	refs, ok := r.ChangedSince(before.Version())
	if !ok || len(refs) != 2 || refs[0].String() != "backend default/web1" || refs[1].String() != "pool p2" {
		t.Fatalf("got %v, %v", refs, ok)
	}
	if refs, ok := r.ChangedSince(r.Version()); !ok || len(refs) != 0 {
		t.Errorf("since now: %v, %v", refs, ok)
	}
	if _, ok := before.ChangedSince(r.Version()); ok {
		t.Error("a state knows what its future changed")
	}
	for range maxChanges {
		r.must(backend("web1", "10.0.0.5:9000"))
		r.must(backend("web1", "10.0.0.6:9000"))
	}
	if _, ok := r.ChangedSince(before.Version()); ok {
		t.Error("the look-back has no bound")
	}
	if got := r.changes.Len(); got > maxChanges {
		t.Errorf("%d versions are kept", got)
	}
}

func TestTheLookBackIsBoundedInNamesToo(t *testing.T) {
	d := newDraft(newRegistry(t).State)
	change := func(names int) {
		d.touched = make([]Ref, names)
		d.settle(Command{})
	}
	for range 3 {
		change(maxChangedRefs / 2)
	}
	s := d.commit()
	if refs, ok := s.ChangedSince(s.Version() - 2); !ok || len(refs) != maxChangedRefs {
		t.Errorf("of the last two changes %d names are known (%v), want %d", len(refs), ok, maxChangedRefs)
	}
	if _, ok := s.ChangedSince(s.Version() - 3); ok {
		t.Error("more names are known than the bound allows")
	}
	change(maxChangedRefs + 1)
	s = d.commit()
	if refs, ok := s.ChangedSince(s.Version()); !ok || len(refs) != 0 || s.changedRefs != 0 {
		t.Errorf("a change beyond the bound leaves %d names (%v), %d counted", len(refs), ok, s.changedRefs)
	}
	if _, ok := s.ChangedSince(s.Version() - 1); ok {
		t.Error("a change beyond the bound is remembered")
	}
}

func TestARegistryThatIsFullSaysSo(t *testing.T) {
	r := newRegistry(t)
	for r.Count(KindListener) < maxListeners {
		r.must(Put{Name: "l" + strings.Repeat("0", r.Count(KindListener)%50) + string(rune('a'+r.Count(KindListener)/50)), Spec: ListenerSpec{Address: ":1", Protocol: "http"}})
	}
	r.refused(CodeLimit, Put{Name: "one-more", Spec: ListenerSpec{Address: ":1", Protocol: "http"}})
	r.must(Put{Name: "default", Spec: ListenerSpec{Address: ":81", Protocol: "http"}})
}
