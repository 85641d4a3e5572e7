package picker

import (
	"math"
	"testing"
)

// TestSharesAreWhatIsPicked holds the shares against a million picks.
func TestSharesAreWhatIsPicked(t *testing.T) {
	random := sequence(1)
	candidates := make([]Candidate, 5)
	for i, weight := range []int{1, 2, 2, 3, 10} {
		candidates[i] = Candidate{Name: string(rune('a' + i)), Weight: weight, Load: NewLoad(1), Latency: NewLatency(1)}
	}
	candidates[3].Share = 500
	for name, p := range map[string]Picker{
		"round robin": NewRoundRobin(candidates, random), "smooth": NewSmoothWeighted(candidates, random),
		"random": NewWeightedRandom(candidates, random), "least connections": NewLeastConnections(candidates, random),
		"two choices": NewTwoChoices(candidates, random), "peak": NewPeakEWMA(candidates, random),
		"maglev": NewMaglev(candidates), "ring": NewRingHash(candidates), "rendezvous": NewRendezvous(candidates),
		"bounded": NewBounded(NewMaglev(candidates), candidates, 1000),
	} {
		t.Run(name, func(t *testing.T) {
			const picks = 1_000_000
			counts := make([]int, len(candidates))
			for range picks {
				counts[p.Pick(&Request{Hash: random()})]++
			}
			sum := 0.0
			for i, share := range Shares(p) {
				sum += share
				if got := float64(counts[i]) / picks; math.Abs(got-share) > 0.003 {
					t.Errorf("candidate %d was picked with %.4f, its share is %.4f", i, got, share)
				}
			}
			if math.Abs(sum-1) > 1e-9 {
				t.Errorf("the shares make %f", sum)
			}
		})
	}
}

func TestPickersWithoutCandidatesHaveNoShares(t *testing.T) {
	for _, p := range []Picker{NewRoundRobin(nil, nil), NewMaglev(nil), NewRingHash(nil), NewRendezvous(nil), NewLeastConnections(nil, nil)} {
		if shares := Shares(p); len(shares) > 0 {
			t.Errorf("%T has the shares %v", p, shares)
		}
	}
}

// sequence returns numbers that look random and are always the same.
func sequence(seed uint64) Random {
	return func() uint64 { seed += 0x9e3779b97f4a7c15; return mix(seed) }
}
