package picker

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// strategies that draw or take turns by weight, and round robin, which heeds
// shares alone.
var sharing = map[string]func([]Candidate) Picker{
	"round robin": func(c []Candidate) Picker { return NewRoundRobin(c, seeded(1)) },
	"smooth":      func(c []Candidate) Picker { return NewSmoothWeighted(c, seeded(1)) },
	"random":      func(c []Candidate) Picker { return NewWeightedRandom(c, seeded(1)) },
	"least":       func(c []Candidate) Picker { return NewLeastConnections(c, seeded(1)) },
	"two choices": func(c []Candidate) Picker { return NewTwoChoices(c, seeded(1)) },
	"maglev":      func(c []Candidate) Picker { return NewMaglev(c) },
	"rendezvous":  func(c []Candidate) Picker { return NewRendezvous(c) },
	"ring hash":   func(c []Candidate) Picker { return NewRingHash(c) },
}

func TestACandidateGetsItsShareOfItsWeight(t *testing.T) {
	for name, build := range sharing {
		t.Run(name, func(t *testing.T) {
			candidates := equal(4)
			candidates[2].Share = 100
			p, picked := build(candidates), 0
			const picks = 40_000
			for i := range picks {
				if p.Pick(&Request{Hash: key(i)}) == 2 {
					picked++
				}
			}
			got, want := float64(picked)/picks, 100.0/3100
			within := 0.005
			if name == "ring hash" {
				within = 0.02 // 16 points are spread by chance
			}
			if math.Abs(got-want) > within {
				t.Errorf("it got %.4f of all picks, want %.4f", got, want)
			}
		})
	}
}

func TestRoundRobinHeedsSharesAndNoWeights(t *testing.T) {
	candidates := idle(1, 1000)
	candidates[0].Share = 500
	p, picked := NewRoundRobin(candidates, nil), [2]int{}
	for range 300 {
		picked[p.Pick(nil)]++
	}
	if picked != [2]int{100, 200} {
		t.Errorf("300 turns went %v", picked)
	}
}

// A share that grows takes keys from the others and moves none between them, so
// that a slow start warms caches up once.
func TestAGrowingShareMovesKeysToItsCandidateAlone(t *testing.T) {
	for _, h := range hashings[1:] {
		t.Run(h.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				candidates := idle(rapid.SliceOfN(rapid.IntRange(1, 9), 2, 8).Draw(t, "weights")...)
				growing := rapid.IntRange(0, len(candidates)-1).Draw(t, "growing")
				candidates[growing].Share = rapid.IntRange(1, 999).Draw(t, "before")
				before := placed(h.build(candidates), candidates, 300)
				candidates[growing].Share = rapid.IntRange(candidates[growing].Share+1, 1000).Draw(t, "after")
				after := placed(h.build(candidates), candidates, 300)
				for i := range before {
					if before[i] != after[i] && after[i] != candidates[growing].Name {
						t.Fatalf("key %d moved from %s to %s while %s grew", i, before[i], after[i], candidates[growing].Name)
					}
				}
			})
		})
	}
}

func TestWeightsWithoutSharesStayAsTheyAre(t *testing.T) {
	candidates := idle(2, 4, 1_000_000)
	if got := fmt.Sprint(weightsOf(candidates)); got != "[2 4 1000000]" {
		t.Errorf("weights %s", got)
	}
	candidates[1].Share = 250
	if got := fmt.Sprint(weightsOf(candidates)); got != "[2 1 1000000]" {
		t.Errorf("weights with a share %s", got)
	}
}

func TestASetCopiesAnother(t *testing.T) {
	var s Set
	s.Add(7)
	s.Add(9000)
	other := without(3, 700)
	s.CopyFrom(other)
	if s.Len() != 2 || !s.Has(3) || !s.Has(700) || s.Has(9000) {
		t.Errorf("%d members after the copy", s.Len())
	}
	s.Add(4)
	if other.Has(4) {
		t.Error("the copy shares memory with its source")
	}
	if s.CopyFrom(nil); s.Len() != 0 {
		t.Error("a copy of nil is not empty")
	}
}
