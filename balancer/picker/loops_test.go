package picker

import (
	"sync"
	"testing"
)

// Each loop takes its own turns, and all use the same picker at once.
func TestEachLoopTakesItsOwnExactTurns(t *testing.T) {
	const loops, cycles = 20, 50 // more loops than counters
	weights := []int{1, 2, 3, 4}
	p := NewSmoothWeighted(idle(weights...), nil)
	var running sync.WaitGroup
	for loop := range turnCounters {
		running.Go(func() {
			got := make([]int, len(weights))
			for range 10 * cycles {
				got[p.Pick(&Request{Loop: loop})]++
			}
			for i, w := range weights {
				if got[i] != cycles*w {
					t.Errorf("loop %d chose candidate %d %d times, want exactly %d", loop, i, got[i], cycles*w)
				}
			}
		})
	}
	running.Wait()
	if got := p.Pick(&Request{Loop: loops - 1}); got < 0 {
		t.Error("a loop beyond the counters got nothing")
	}
}

func TestAllStrategiesServeAllLoopsAtOnce(t *testing.T) {
	const loops, n, each = 4, 9, 1000
	for _, s := range strategies {
		t.Run(s.name, func(t *testing.T) {
			candidates := make([]Candidate, n)
			for i := range candidates {
				candidates[i] = Candidate{Name: string(rune('a' + i)), Weight: 1 + i, Load: NewLoad(loops), Latency: NewLatency(loops)}
			}
			p := s.build(candidates, nil)
			var running sync.WaitGroup
			for loop := range loops {
				running.Go(func() {
					r := Request{Loop: loop}
					for k := range each {
						r.Hash, r.Now = key(k), int64(k)
						i := p.Pick(&r)
						if i < 0 || i >= n {
							t.Errorf("chose %d", i)
							return
						}
						candidates[i].Load.Add(loop, 1)
						candidates[i].Latency.Observe(loop, 1000, r.Now)
						candidates[i].Load.Publish(loop)
						candidates[i].Load.Add(loop, -1)
					}
				})
			}
			running.Wait()
		})
	}
}
