package picker

import "testing"

func TestTwoChoicesOfIdleCandidatesFollowsTheWeights(t *testing.T) {
	weights := []int{1, 5, 10, 3, 3, 1, 20}
	p := NewTwoChoices(idle(weights...), seeded(6))
	wantShares(t, counts(p, len(weights), 200_000, nil), floats(weights))
}

// Of n candidates of which each is busier than the one before, the one of rank
// r (from 0) is chosen if it is drawn with any of the n-1-r busier ones: with
// probability 2(n-1-r)/(n(n-1)), and the busiest never.
func TestTwoChoicesTakesTheLessBusyOfTwoDistinctDraws(t *testing.T) {
	const n = 10
	candidates := equal(n)
	shares := make([]float64, n)
	for r, c := range candidates {
		c.Load.set(int64(3 * r))
		shares[r] = float64(n - 1 - r)
	}
	wantShares(t, counts(NewTwoChoices(candidates, seeded(7)), n, 200_000, nil), shares)
}

func TestTwoChoicesComparesLoadsRelativeToWeights(t *testing.T) {
	candidates := idle(10, 1)
	candidates[0].Load.set(9) // 0.9 a unit
	candidates[1].Load.set(1)
	p := NewTwoChoices(candidates, nil)
	for range 100 {
		if got := p.Pick(nil); got != 0 {
			t.Fatalf("took %d, which is busier for its weight", got)
		}
	}
}

func TestTwoChoicesWithExclusionsStillTakesTheLessBusy(t *testing.T) {
	candidates := equal(6)
	for i, c := range candidates {
		c.Load.set(int64(i))
	}
	p := NewTwoChoices(candidates, nil)
	tried := without(0, 1, 3, 5)
	for range 200 {
		if got := p.Pick(&Request{Tried: tried}); got != 2 {
			t.Fatalf("took %d, want the less busy one of the only two left", got)
		}
	}
}

// Azar et al. (1994): of n requests on n candidates, the busiest gets about
// ln ln n / ln 2 with two choices, and about ln n / ln ln n with one.
func TestTwoChoicesKeepsTheBusiestCandidateLow(t *testing.T) {
	const n = 10_000
	busiest := func(pick func([]Candidate) Picker) int64 {
		candidates := equal(n)
		p := pick(candidates)
		var most int64
		for range n {
			most = max(most, candidates[p.Pick(nil)].Load.Add(0, 1))
		}
		return most
	}
	two := busiest(func(c []Candidate) Picker { return NewTwoChoices(c, seeded(9)) })
	one := busiest(func(c []Candidate) Picker { return NewWeightedRandom(c, seeded(9)) })
	if two > 4 || one < 6 {
		t.Fatalf("the busiest has %d with two choices (want at most 4) and %d with one (want 6 or more)", two, one)
	}
}
