package picker

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// strategies are all pickers, for what must hold of each.
var strategies = []struct {
	name  string
	build func([]Candidate, Random) Picker
}{
	{"round robin", func(c []Candidate, r Random) Picker { return NewRoundRobin(c, r) }},
	{"smooth weighted", func(c []Candidate, r Random) Picker { return NewSmoothWeighted(c, r) }},
	{"weighted random", func(c []Candidate, r Random) Picker { return NewWeightedRandom(c, r) }},
	{"least connections", func(c []Candidate, r Random) Picker { return NewLeastConnections(c, r) }},
	{"two choices", func(c []Candidate, r Random) Picker { return NewTwoChoices(c, r) }},
	{"peak EWMA", func(c []Candidate, r Random) Picker { return NewPeakEWMA(c, r) }},
	{"maglev", func(c []Candidate, _ Random) Picker { return NewMaglev(c) }},
	{"ring hash", func(c []Candidate, _ Random) Picker { return NewRingHash(c) }},
	{"rendezvous", func(c []Candidate, _ Random) Picker { return NewRendezvous(c) }},
	{"bounded", func(c []Candidate, _ Random) Picker { return NewBounded(NewRingHash(c), c, 125) }},
}

// isHash tells which strategies choose by the key.
func isHash(p Picker) bool {
	_, bounded := p.(*Bounded)
	_, hashing := p.(Hashing)
	return bounded || hashing
}

// isRing tells which strategies' shares are those of random points on a circle,
// for which they have tests of their own.
func isRing(p Picker) bool {
	_, bounded := p.(*Bounded)
	_, ring := p.(*RingHash)
	return bounded || ring
}

// key returns the hash of the i-th of many keys.
func key(i int) uint64 { return HashString(fmt.Sprint("key ", i)) }

// idle returns candidates of these weights with nothing in flight.
func idle(weights ...int) []Candidate {
	candidates := make([]Candidate, len(weights))
	for i, w := range weights {
		candidates[i] = Candidate{Weight: w, Load: NewLoad(1), Latency: NewLatency(1), Name: fmt.Sprint("c", i)}
	}
	return candidates
}

// equal returns n idle candidates of weight 1.
func equal(n int) []Candidate {
	weights := make([]int, n)
	for i := range weights {
		weights[i] = 1
	}
	return idle(weights...)
}

// seeded returns randomness that is the same in each run, so that a test of a
// distribution fails always or never.
func seeded(seed uint64) Random { return rand.New(rand.NewPCG(seed, seed)).Uint64 }

// without returns the set of these.
func without(members ...int) *Set {
	s := new(Set)
	for _, i := range members {
		s.Add(i)
	}
	return s
}

// counts picks k times.
func counts(p Picker, n, k int, tried *Set) []int {
	got := make([]int, n)
	for i := range k {
		got[p.Pick(&Request{Tried: tried, Hash: key(i)})]++
	}
	return got
}

// wantShares fails if the counts are not what independent draws with these
// probabilities would give: Pearson's chi-squared test at a level of 1e-4
// (quantile by Wilson and Hilferty's approximation).
func wantShares(t *testing.T, got []int, shares []float64) {
	t.Helper()
	total, sum := 0, 0.0
	for i := range got {
		total += got[i]
		sum += shares[i]
	}
	var statistic, freedom float64
	freedom = -1
	for i := range got {
		want := float64(total) * shares[i] / sum
		if want == 0 {
			if got[i] != 0 {
				t.Fatalf("candidate %d was chosen %d times, want never", i, got[i])
			}
			continue
		}
		statistic += (float64(got[i]) - want) * (float64(got[i]) - want) / want
		freedom++
	}
	const z = 3.719
	critical := freedom * math.Pow(1-2/(9*freedom)+z*math.Sqrt(2/(9*freedom)), 3)
	if statistic > critical {
		t.Fatalf("chi-squared is %.1f, above %.1f for %v degrees of freedom: got %v for shares %v",
			statistic, critical, freedom, got, shares)
	}
}

func floats(weights []int) []float64 {
	shares := make([]float64, len(weights))
	for i, w := range weights {
		shares[i] = float64(w)
	}
	return shares
}

func TestEveryStrategy(t *testing.T) {
	for _, s := range strategies {
		t.Run(s.name, func(t *testing.T) {
			t.Run("without candidates answers -1", func(t *testing.T) {
				p := s.build(nil, nil)
				if got := p.Pick(nil); got != -1 {
					t.Fatalf("got %d", got)
				}
				if got := p.Pick(&Request{Tried: without(0)}); got != -1 {
					t.Fatalf("with a tried set got %d", got)
				}
			})
			t.Run("with one candidate chooses it until it was tried", func(t *testing.T) {
				p := s.build(idle(7), nil)
				if got := p.Pick(nil); got != 0 {
					t.Fatalf("got %d", got)
				}
				if got := p.Pick(&Request{Tried: without(0)}); got != -1 {
					t.Fatalf("after it was tried got %d", got)
				}
			})
			t.Run("tries each candidate once and then none", func(t *testing.T) { exhausts(t, s.build) })
			t.Run("takes a weight that is out of range as the nearer bound", func(t *testing.T) {
				p := s.build(idle(-5, 0, 1<<50), seeded(3))
				if got := counts(p, 3, 1000, nil); s.name != "round robin" && got[2] < 990 {
					t.Fatalf("chose %v", got)
				}
			})
			t.Run("starts anywhere", func(t *testing.T) { startsAnywhere(t, s.build) })
			t.Run("allocates nothing", func(t *testing.T) { allocatesNothing(t, s.build) })
		})
	}
}

func exhausts(t *testing.T, build func([]Candidate, Random) Picker) {
	for _, n := range []int{2, 3, 64, 65, 700} {
		weights := make([]int, n)
		for i := range weights {
			weights[i] = 1 + i*i%10
		}
		candidates := idle(weights...)
		for i := range candidates {
			candidates[i].Load.set(int64(i % 5))
		}
		p := build(candidates, seeded(uint64(n)))
		var tried Set
		for range n {
			i := p.Pick(&Request{Tried: &tried})
			if i < 0 || i >= n || tried.Has(i) {
				t.Fatalf("of %d candidates, %d of them tried, it chose %d", n, tried.Len(), i)
			}
			tried.Add(i)
		}
		if got := p.Pick(&Request{Tried: &tried}); got != -1 {
			t.Fatalf("all %d were tried, and it chose %d", n, got)
		}
	}
}

// All nodes compile the same pool at the same moment: their first requests
// must not all meet the same backend.
func startsAnywhere(t *testing.T, build func([]Candidate, Random) Picker) {
	const n = 8
	if isHash(build(nil, nil)) {
		t.Skip("equal keys are to start at the same")
	}
	random := seeded(8)
	first := make([]int, n)
	for range 4000 {
		first[build(equal(n), random).Pick(nil)]++
	}
	wantShares(t, first, floats([]int{1, 1, 1, 1, 1, 1, 1, 1}))
}

func allocatesNothing(t *testing.T, build func([]Candidate, Random) Picker) {
	p := build(idle(1, 2, 3, 4, 5, 6, 7, 1000), nil)
	tried := without(1, 7)
	if n := testing.AllocsPerRun(1000, func() { p.Pick(nil) }); n != 0 {
		t.Errorf("a first pick allocates %v times", n)
	}
	again := &Request{Tried: tried}
	if n := testing.AllocsPerRun(1000, func() { p.Pick(again) }); n != 0 {
		t.Errorf("a retry allocates %v times", n)
	}
}

func TestExclusionsKeepTheSharesOfTheOthers(t *testing.T) {
	weights := []int{5, 1, 40, 3, 10, 1}
	tried := without(2, 3)
	for _, s := range strategies {
		t.Run(s.name, func(t *testing.T) {
			p := s.build(idle(weights...), seeded(4))
			if isRing(p) {
				t.Skip("its shares are near the weights, not exactly so")
			}
			got := counts(p, len(weights), 60_000, tried)
			if got[2] != 0 || got[3] != 0 {
				t.Fatalf("tried candidates were chosen again: %v", got)
			}
			if s.name == "round robin" {
				wantShares(t, got, []float64{1, 1, 0, 0, 1, 1})
			} else {
				wantShares(t, got, []float64{5, 1, 0, 0, 10, 1})
			}
		})
	}
}

// With one dead candidate, a request that met it takes a turn of its own
// elsewhere. Its neighbour in the order must not inherit all of its share.
func TestRetriesSpreadOverTheOthers(t *testing.T) {
	const n, dead, requests = 5, 2, 50_000
	for _, s := range strategies {
		t.Run(s.name, func(t *testing.T) {
			p := s.build(equal(n), seeded(5))
			if isRing(p) {
				t.Skip("its shares are near the weights, not exactly so")
			}
			served := make([]int, n)
			for k := range requests {
				i := p.Pick(&Request{Hash: key(k)})
				if i == dead {
					i = p.Pick(&Request{Hash: key(k), Tried: without(dead)})
				}
				served[i]++
			}
			for i, got := range served {
				want := requests / (n - 1)
				if i == dead {
					want = 0
				}
				if math.Abs(float64(got-want)) > 0.04*requests/(n-1) {
					t.Fatalf("served %v, want %d each but candidate %d", served, requests/(n-1), dead)
				}
			}
		})
	}
}

func BenchmarkPick(b *testing.B) {
	for _, s := range strategies {
		for _, n := range []int{10, 100, 1000} {
			candidates := make([]Candidate, n)
			for i := range candidates {
				candidates[i] = Candidate{Weight: 1 + i%10, Load: NewLoad(1), Latency: NewLatency(1), Name: fmt.Sprint("c", i)}
				candidates[i].Load.set(int64(i % 7))
				candidates[i].Latency.Observe(0, int64(1000+i), 0)
			}
			p := s.build(candidates, nil)
			b.Run(fmt.Sprintf("%s/%d", s.name, n), func(b *testing.B) {
				b.ReportAllocs()
				r := new(Request)
				for b.Loop() {
					r.Hash = mix(r.Hash + 1)
					r.Now += 1000
					p.Pick(r)
				}
			})
		}
	}
}

func BenchmarkPickParallel(b *testing.B) {
	for _, s := range strategies {
		p := s.build(equal(100), nil)
		b.Run(s.name, func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					p.Pick(nil)
				}
			})
		})
	}
}

func BenchmarkPickRetry(b *testing.B) {
	tried := without(3, 50, 99)
	for _, s := range strategies {
		p := s.build(equal(100), nil)
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Pick(&Request{Tried: tried})
			}
		})
	}
}
