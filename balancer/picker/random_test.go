package picker

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// The table itself says what each candidate's probability is, so that no draw
// is needed to see that it is right.
func TestAliasTableGivesEachItsShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.Uint32Range(1, 1000), 1, 200).Draw(t, "weights")
		columns := aliasTable(weights)
		shares := make([]float64, len(weights))
		var sum float64
		for i, c := range columns {
			own := float64(c.threshold) / (1 << 64)
			shares[i] += own / float64(len(columns))
			shares[c.alias] += (1 - own) / float64(len(columns))
			sum += float64(weights[i])
		}
		for i, w := range weights {
			if want := float64(w) / sum; math.Abs(shares[i]-want) > 1e-12 {
				t.Fatalf("candidate %d has share %v, want %v", i, shares[i], want)
			}
		}
	})
}

func TestWeightedRandomFollowsTheWeights(t *testing.T) {
	weights := []int{1, 1, 2, 3, 5, 8, 13, 1000, 100}
	p := NewWeightedRandom(idle(weights...), seeded(1))
	wantShares(t, counts(p, len(weights), 200_000, nil), floats(weights))
}

func TestDrawUntriedFollowsTheWeights(t *testing.T) {
	random := seeded(2)
	got := make([]int, 4)
	for range 100_000 {
		got[drawUntried([]uint32{10, 500, 20, 70}, without(1), random)]++
	}
	wantShares(t, got, []float64{10, 0, 20, 70})
}
