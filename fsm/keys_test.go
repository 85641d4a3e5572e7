package fsm

import (
	"fmt"
	"slices"
	"testing"
)

func TestWhatBearsTheSameKeyIsDoneOnce(t *testing.T) {
	r := newRegistry(t)
	first := r.command(Command{Key: Key{"k", "r"}, Op: backend("web1", "10.0.0.1:80")})
	r.must(Delete{Ref: backendRef("web1")})
	revision := r.Revision()
	again := throughSnapshot(t, r.State)
	for _, s := range []*State{r.State, again} {
		other := &registry{State: s, t: t, seq: 100}
		// Another node made up another name for the same request.
		result := other.apply(Command{ID: CommandID{"n2", 7}, Key: Key{"k", "r"}, Op: backend("web9", "10.0.0.1:80")})
		if !result.Repeat || result.Err != nil || result.Revision != first.Revision || !result.Created || result.Changed ||
			!slices.Equal(result.Refs, []Ref{backendRef("web1")}) || other.Revision() != revision {
			t.Errorf("the repeat got %+v", result)
		}
		if byID, known := other.ResultOf(CommandID{"n2", 7}); !known || byID.Err != nil || byID.Revision != first.Revision {
			t.Errorf("by its id it got %+v", byID)
		}
		reused := other.command(Command{Key: Key{"k", "another"}, Op: backend("web9", "10.0.0.1:80")})
		if reused.Err == nil || reused.Err.Code != CodeKeyReused || other.Backend("default", "web9") != nil {
			t.Errorf("another request under the key got %+v", reused)
		}
	}
}

func TestWhatWasRefusedMayBeTriedAgainUnderItsKey(t *testing.T) {
	r := newRegistry(t)
	b := Put{Pool: "late", Name: "b", Spec: backend("b", "10.0.0.1:80").Spec}
	if result := r.command(Command{Key: Key{Name: "k"}, Op: b}); result.Err == nil {
		t.Fatal("it was accepted")
	}
	r.must(pool("late"))
	if result := r.command(Command{Key: Key{Name: "k"}, Op: b}); result.Err != nil || !result.Created || result.Repeat {
		t.Errorf("%+v", result)
	}
}

func TestKeysAreForgottenInTheOrderOfTheirUse(t *testing.T) {
	r := newRegistry(t)
	for i := range maxKeys + 5 {
		r.command(Command{Key: Key{Name: fmt.Sprint("k", i)}, Op: Delete{Ref: backendRef("none")}})
	}
	for _, s := range []*State{r.State, throughSnapshot(t, r.State)} {
		if s.keys.Len() != maxKeys || s.keyOrder.Len() != maxKeys || s.keysHeld != maxKeys {
			t.Errorf("%d keys, %d in order, %d counted", s.keys.Len(), s.keyOrder.Len(), s.keysHeld)
		}
		for i, known := range map[int]bool{0: false, 4: false, 5: true, maxKeys + 4: true} {
			if _, has := s.keys.Get([]byte(fmt.Sprint("k", i))); has != known {
				t.Errorf("k%d is known: %t", i, has)
			}
		}
	}
}
