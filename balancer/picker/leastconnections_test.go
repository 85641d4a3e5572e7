package picker

import (
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func TestLeastConnectionsTakesTheLeastLoadedForItsWeight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 30).Draw(t, "n")
		candidates := make([]Candidate, n)
		var tried Set
		for i, c := range idle(make([]int, n)...) {
			candidates[i] = Candidate{Weight: rapid.IntRange(1, 1000).Draw(t, "weight"), Load: c.Load}
			c.Load.set(rapid.Int64Range(0, 50).Draw(t, "load"))
			if rapid.IntRange(0, 3).Draw(t, "tried") == 0 {
				tried.Add(i)
			}
		}
		got := NewLeastConnections(candidates, nil).Pick(&Request{Tried: &tried})
		if tried.Len() == n {
			if got != -1 {
				t.Fatalf("all were tried, got %d", got)
			}
			return
		}
		if got < 0 || tried.Has(got) {
			t.Fatalf("got %d, which is none or was tried", got)
		}
		for i, c := range candidates {
			ours, theirs := candidates[got].Load.Total()*int64(c.Weight), c.Load.Total()*int64(candidates[got].Weight)
			if !tried.Has(i) && theirs < ours {
				t.Fatalf("took %d, but %d has less in flight for its weight", got, i)
			}
		}
	})
}

func TestLeastConnectionsDrawsAmongEqualsByWeight(t *testing.T) {
	weights := []int{1, 5, 10, 3, 3, 1, 20}
	candidates := idle(weights...)
	candidates[2].Load.set(1) // not among the equals
	got := counts(NewLeastConnections(candidates, seeded(3)), len(weights), 200_000, nil)
	shares := floats(weights)
	shares[2] = 0
	wantShares(t, got, shares)
}

// Requests that never end must pile up in proportion to the weights, exactly.
func TestLeastConnectionsFillsInProportionToTheWeights(t *testing.T) {
	weights := []int{1, 2, 3, 4}
	candidates := idle(weights...)
	p := NewLeastConnections(candidates, nil)
	for range 1000 {
		candidates[p.Pick(nil)].Load.Add(0, 1)
	}
	for i, c := range candidates {
		if got, want := c.Load.Total(), int64(100*weights[i]); got < want-1 || got > want+1 {
			t.Errorf("candidate %d has %d in flight, want %d", i, got, want)
		}
	}
}

func TestLeastConnectionsUnderConcurrencyStraysByAtMostThePickersAtOnce(t *testing.T) {
	const goroutines, n, each = 8, 10, 1000
	candidates := equal(n)
	p := NewLeastConnections(candidates, nil)
	var pickers sync.WaitGroup
	for range goroutines {
		pickers.Go(func() {
			for range each {
				candidates[p.Pick(nil)].Load.Add(0, 1)
			}
		})
	}
	pickers.Wait()
	for i, c := range candidates {
		if got, want := c.Load.Total(), int64(goroutines*each/n); got < want-goroutines || got > want+goroutines {
			t.Errorf("candidate %d has %d in flight, want %d give or take %d", i, got, want, goroutines)
		}
	}
}
