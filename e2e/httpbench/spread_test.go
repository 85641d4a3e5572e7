package main

import (
	"math"
	"slices"
	"testing"
)

func TestTheMedianIsTheMiddleOrBetweenTheTwoInTheMiddle(t *testing.T) {
	for name, c := range map[string]struct {
		values []float64
		want   spread
	}{
		"one":       {[]float64{2}, spread{2, 2, 2}},
		"odd":       {[]float64{9, 1, 2}, spread{2, 1, 9}},
		"even":      {[]float64{4, 1, 3, 2}, spread{2.5, 1, 4}},
		"identical": {[]float64{1, 1, 1, 1}, spread{1, 1, 1}},
	} {
		if got := spreadOf(c.values); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	if got := spreadOf(nil); !math.IsNaN(got.median) {
		t.Errorf("of nothing: %+v, want no number", got)
	}
}

func TestRatiosAreOfTheSameRound(t *testing.T) {
	a := map[int]float64{0: 1, 1: 10, 2: 100, 3: 5}
	b := map[int]float64{0: 2, 1: 40, 4: 7, 3: 0}
	got := slices.Sorted(slices.Values(ratios(a, b)))
	if want := []float64{0.25, 0.5}; !slices.Equal(got, want) {
		t.Errorf("ratios = %v, want %v: rounds that only one has, or without a figure, do not count", got, want)
	}
}

func TestWhoHasTheLeastRestIsTheLimit(t *testing.T) {
	for name, c := range map[string]struct {
		proxyAsleep, loadIdle float64
		want                  limit
	}{
		"the balancer never sleeps, the load waits for it": {0, 0.4, limitProxy},
		"the balancer sleeps, the load's core is full":     {0.3, 0, limitLoad},
		"both are full, the load more so":                  {0.01, 0, limitProxy},
		"both are full":                                    {0.01, 0.02, limitProxy},
		"the load is a little fuller":                      {0.08, 0.02, limitLoad},
		"both rest":                                        {0.5, 0.3, limitOther},
		"the balancer rests at the margin":                 {busy, 0.5, limitProxy},
		"the load rests just at the margin":                {0.5, busy, limitLoad},
	} {
		if got := limitOf(c.proxyAsleep, c.loadIdle); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestTheNoteCountsTheRoundsInWhichTheBalancerWasNotTheLimit(t *testing.T) {
	for want, limits := range map[string][]limit{
		"":                                 {limitProxy, limitProxy},
		"the load was the limit in 2 of 3": {limitLoad, limitProxy, limitLoad},
		"the load was the limit in 1 of 2; neither side was the limit in 1 of 2": {limitLoad, limitOther},
	} {
		if got := limitNote(limits); got != want {
			t.Errorf("note of %v: %q, want %q", limits, got, want)
		}
	}
}
