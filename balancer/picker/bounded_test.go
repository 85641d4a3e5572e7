package picker

import (
	"testing"

	"pgregory.net/rapid"
)

// The theorem's promise, after each of any sequence of requests that begin and
// end: none has more than the factor times its share, rounded up.
func TestBoundedLoadKeepsItsBound(t *testing.T) {
	for _, h := range hashings {
		t.Run(h.name, func(t *testing.T) {
			pools := [][]int{{1}, {1, 1}, {3, 1, 1}, {1, 2, 3, 4, 5, 6}, equalWeights(12)}
			built := make([]Hashing, len(pools)) // once: Maglev takes a while
			for i, weights := range pools {
				built[i] = h.build(idle(weights...))
			}
			rapid.Check(t, func(t *rapid.T) {
				pool := rapid.IntRange(0, len(pools)-1).Draw(t, "pool")
				weights := pools[pool]
				percent := rapid.IntRange(101, 300).Draw(t, "percent")
				keys := rapid.IntRange(1, 5).Draw(t, "keys") // few: all want the same
				candidates := idle(weights...)
				p := NewBounded(built[pool], candidates, percent)
				var total int64
				for _, w := range weights {
					total += int64(w)
				}
				var inFlight []int
				for step := range 60 {
					if len(inFlight) > 0 && rapid.IntRange(0, 3).Draw(t, "ends") == 0 {
						at := rapid.IntRange(0, len(inFlight)-1).Draw(t, "which")
						candidates[inFlight[at]].Load.Add(0, -1)
						inFlight = append(inFlight[:at], inFlight[at+1:]...)
					}
					i := p.Pick(&Request{Hash: key(step % keys)})
					inFlight = append(inFlight, i)
					got := candidates[i].Load.Add(0, 1)
					most := (int64(percent)*int64(len(inFlight))*int64(weights[i]) + 100*total - 1) / (100 * total)
					if got > most {
						t.Fatalf("candidate %d has %d of %d in flight, want at most %d", i, got, len(inFlight), most)
					}
				}
			})
		})
	}
}

// 1.1 times 20 is a little more than 22 in floating point, which let a 23rd in.
func TestABoundThatIsAWholeNumberIsKeptExactly(t *testing.T) {
	candidates := equal(2)
	candidates[0].Load.set(22)
	candidates[1].Load.set(17) // 40 with the next one
	p := NewBounded(NewRendezvous(candidates), candidates, 110)
	for k := range 100 {
		if got := p.Pick(&Request{Hash: key(k)}); got != 1 {
			t.Fatalf("candidate 0 has its 22 of 40 and gets another one")
		}
	}
}

func TestBoundedLoadLeavesAKeyWhereItIsWhileThereIsRoom(t *testing.T) {
	for _, h := range hashings {
		t.Run(h.name, func(t *testing.T) {
			candidates := equal(8)
			for _, c := range candidates {
				c.Load.set(100)
			}
			inner := h.build(candidates)
			bounded := NewBounded(inner, candidates, 125)
			for k := range 500 {
				r := &Request{Hash: key(k)}
				own := inner.Pick(r)
				if got := bounded.Pick(r); got != own {
					t.Fatalf("key %d of candidate %d went to %d", k, own, got)
				}
				candidates[own].Load.set(150)
				next := inner.Pick(&Request{Hash: key(k), Tried: without(own)})
				if got := bounded.Pick(r); got != next {
					t.Fatalf("key %d of candidate %d, which is full, went to %d, want the next one, %d", k, own, got, next)
				}
				candidates[own].Load.set(100)
			}
		})
	}
}

func TestBoundedLoadFallsBackToTheOwnChoiceIfAllTheUntriedAreFull(t *testing.T) {
	candidates := equal(3)
	candidates[1].Load.set(50)
	p := NewBounded(NewMaglev(candidates), candidates, 101)
	for k := range 100 {
		if got := p.Pick(&Request{Hash: key(k), Tried: without(0, 2)}); got != 1 {
			t.Fatalf("got %d, want the only one that was not tried", got)
		}
	}
}

func TestBoundedLoadAllocatesNothingWhenCandidatesAreFull(t *testing.T) {
	for _, h := range hashings {
		candidates := equal(600)
		for i := range 300 {
			candidates[i].Load.set(10)
		}
		p := NewBounded(h.build(candidates), candidates, 101)
		r := &Request{Tried: without(599)}
		if n := testing.AllocsPerRun(1000, func() { r.Hash = mix(r.Hash + 1); p.Pick(r) }); n != 0 {
			t.Errorf("%s: a pick allocates %v times", h.name, n)
		}
	}
}
