package picker

import (
	"testing"

	"pgregory.net/rapid"
)

func TestSetHoldsWhatWasAdded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Set
		model := map[int]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				i := rapid.OneOf(rapid.IntRange(0, 600), rapid.IntRange(0, 20_000)).Draw(t, "i")
				s.Add(i)
				model[i] = true
			},
			"reset": func(*rapid.T) {
				s.Reset()
				clear(model)
			},
			"": func(t *rapid.T) {
				if s.Len() != len(model) {
					t.Fatalf("Len is %d, want %d", s.Len(), len(model))
				}
				i := rapid.IntRange(0, 20_000).Draw(t, "probe")
				if s.Has(i) != model[i] {
					t.Fatalf("Has(%d) is %v", i, s.Has(i))
				}
				for i := range model {
					if !s.Has(i) {
						t.Fatalf("%d was added and is not there", i)
					}
				}
			},
		})
	})
}

func TestNilSetIsEmpty(t *testing.T) {
	var s *Set
	if s.Has(0) || s.Has(10_000) || s.Len() != 0 {
		t.Fatal("a nil set has members")
	}
}

func TestSetAllocatesNothingInPoolsOfUpTo512(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() {
		var s Set
		for i := range 512 {
			s.Add(i)
		}
	}); n != 0 {
		t.Fatalf("it allocated %v times", n)
	}
}
