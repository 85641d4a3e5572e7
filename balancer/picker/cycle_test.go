package picker

import (
	"math"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func TestRoundRobinChoosesEachOnceInAnyNPicks(t *testing.T) {
	const n = 7
	p := NewRoundRobin(idle(1, 1000, 1, 5, 5, 1, 3), nil)
	picks := make([]int, 10*n)
	for i := range picks {
		picks[i] = p.Pick(nil)
	}
	for start := range 9 * n {
		window := slices.Sorted(slices.Values(picks[start : start+n]))
		if !slices.Equal(window, []int{0, 1, 2, 3, 4, 5, 6}) {
			t.Fatalf("picks %d to %d were %v", start, start+n-1, picks[start:start+n])
		}
	}
}

func TestTurnsAreExactUnderConcurrency(t *testing.T) {
	const goroutines, cycles = 8, 1000
	weights := []int{1, 2, 3, 6, 4} // 16 turns
	for name, p := range map[string]Picker{
		"round robin":     NewRoundRobin(equal(16), nil),
		"smooth weighted": NewSmoothWeighted(idle(weights...), nil),
	} {
		t.Run(name, func(t *testing.T) {
			var total [16]int
			var mu sync.Mutex // guards total
			var pickers sync.WaitGroup
			for range goroutines {
				pickers.Go(func() {
					own := counts(p, 16, 16*cycles/goroutines, nil)
					mu.Lock()
					defer mu.Unlock()
					for i, k := range own {
						total[i] += k
					}
				})
			}
			pickers.Wait()
			for i, got := range total {
				want := cycles
				if name == "smooth weighted" {
					want = 0
					if i < len(weights) {
						want = cycles * weights[i]
					}
				}
				if got != want {
					t.Errorf("candidate %d was chosen %d times, want exactly %d", i, got, want)
				}
			}
		})
	}
}

func TestSmoothSequenceOfAKnownCase(t *testing.T) {
	// nginx's algorithm gives a a b a c a a, which repeats to four a's in a
	// row; the quota method never puts more than three.
	got := apportion(scale([]uint32{5, 1, 1}))
	if want := []uint32{0, 0, 0, 1, 0, 0, 2}; !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func TestEqualWeightsGivePlainRoundRobin(t *testing.T) {
	if got := apportion(scale([]uint32{9, 9, 9, 9})); !slices.Equal(got, []uint32{0, 1, 2, 3}) {
		t.Fatalf("got %v", got)
	}
}

// The theorem of Balinski and Young: after any number of turns, each has its
// quota rounded down or up.
func TestEveryPrefixOfTheSmoothSequenceKeepsTheQuota(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.Uint32Range(1, 100), 1, 20).Draw(t, "weights")
		sequence := apportion(weights)
		var sum uint64
		for _, w := range weights {
			sum += uint64(w)
		}
		if uint64(len(sequence)) != sum {
			t.Fatalf("%d turns, want %d", len(sequence), sum)
		}
		had := make([]uint64, len(weights))
		for turn, i := range sequence {
			had[i]++
			for i, w := range weights {
				quota := uint64(turn+1) * uint64(w)
				if had[i] < quota/sum || had[i] > (quota+sum-1)/sum {
					t.Fatalf("after %d turns candidate %d had %d, want %d/%d rounded down or up", turn+1, i, had[i], quota, sum)
				}
			}
		}
	})
}

func TestScaledWeightsAreBoundedAndNearlyProportional(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.Uint32Range(1, 1000), 1, 300).Draw(t, "weights")
		scaled := scale(weights)
		var sum, scaledSum float64
		for i := range weights {
			sum += float64(weights[i])
			scaledSum += float64(scaled[i])
		}
		if most := float64(max(maxTurns, turnsPerCandidate*len(weights)) + len(weights)); scaledSum > most {
			t.Fatalf("%v turns, want at most %v", scaledSum, most)
		}
		for i := range weights {
			if scaled[i] == 0 {
				t.Fatalf("candidate %d of weight %d gets no turn", i, weights[i])
			}
			ideal := float64(weights[i]) / sum * scaledSum
			// Rounding moves each by up to a turn, and the sum by up to n turns.
			most := 1 + ideal*float64(len(weights))/scaledSum + 1e-9
			if off := float64(scaled[i]) - ideal; math.Abs(off) > most {
				t.Fatalf("weight %d got %d turns, want about %.2f", weights[i], scaled[i], ideal)
			}
		}
	})
}

func TestWeightsWithACommonDivisorGiveTheShortestSequence(t *testing.T) {
	p := NewSmoothWeighted(idle(1000, 500, 250, 750), nil)
	if got := len(p.sequence); got != 10 {
		t.Fatalf("%d turns, want 10", got)
	}
}

func BenchmarkNewSmoothWeighted(b *testing.B) {
	for name, candidates := range map[string][]Candidate{
		"10 equal":             equal(10),
		"10 of prime weights":  idle(997, 991, 983, 977, 971, 967, 953, 947, 941, 937),
		"1000 of many weights": idle(manyWeights(1000)...),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				NewSmoothWeighted(candidates, nil)
			}
		})
	}
}

func manyWeights(n int) []int {
	weights := make([]int, n)
	for i := range weights {
		weights[i] = 1 + i*7919%1000
	}
	return weights
}
