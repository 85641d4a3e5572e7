package picker

import (
	"math"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const millisecond = int64(time.Millisecond)

func TestLatencyTakesPeaksAtOnceAndForgetsThemByItsMemory(t *testing.T) {
	l := NewLatency(1)
	l.Observe(0, 10*millisecond, 0)
	l.Observe(0, 500*millisecond, 0)
	if got := l.At(0, 0); got != 500e6 {
		t.Fatalf("after a peak the average is %v, want all of it", got)
	}
	after := int64(latencyMemory)
	if got, want := l.At(0, after), 500e6/math.E; math.Abs(got-want) > 1 {
		t.Fatalf("a memory later %v is left, want %v", got, want)
	}
	l.Observe(0, 10*millisecond, after)
	if got, want := l.At(0, after), 500e6/math.E+10e6*(1-1/math.E); math.Abs(got-want) > 1 {
		t.Fatalf("a faster response makes it %v, want %v", got, want)
	}
}

// A response of 51 ms counted as a peak over the faded average, and made a
// lower average than one of 49 ms.
func TestASlowerResponseNeverLeadsToALowerAverage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Int64Range(1, 1e10).Draw(t, "first")
		wait := rapid.Int64Range(0, 1e11).Draw(t, "wait")
		fast := rapid.Int64Range(0, 1e10).Draw(t, "fast")
		slow := rapid.Int64Range(fast, 2e10).Draw(t, "slow")
		after := func(took int64) float64 {
			l := NewLatency(1)
			l.Observe(0, first, 0)
			l.Observe(0, took, wait)
			return l.At(0, wait)
		}
		if one, other := after(fast), after(slow); one > other*(1+1e-12) {
			t.Fatalf("%d ns lead to %v, %d ns to %v", fast, one, slow, other)
		}
	})
	l, m := NewLatency(1), NewLatency(1)
	for _, l := range []*Latency{l, m} {
		l.Observe(0, 1000, 0)
	}
	now := int64(latencyMemory) // 368 are left
	l.Observe(0, 360, now)
	m.Observe(0, 376, now)
	if one, other := l.At(0, now), m.At(0, now); one > other {
		t.Fatalf("360 ns lead to %v, 376 ns to %v", one, other)
	}
}

// Goroutines that share a loop's state may bring times out of order.
func TestATimeBeforeTheLastCountsAsThat(t *testing.T) {
	l := NewLatency(1)
	l.Observe(0, millisecond, math.MaxInt64/2)
	if got := l.At(0, 0); got != 1e6 {
		t.Fatalf("the average is %v, want 1e6", got)
	}
	l.Observe(0, millisecond/2, 0)
	if got := l.At(0, math.MaxInt64/2); got != 1e6 {
		t.Fatalf("after an observation from the past it is %v, want 1e6", got)
	}
}

func TestLatencyLearnsNothingUntilItIsToldTo(t *testing.T) {
	l := new(Latency)
	l.Observe(0, 5, 5)
	if got := l.At(0, 5); got != 0 {
		t.Fatalf("knows %v", got)
	}
	l.Learn(2)
	l.Observe(1, 5, 5)
	l.Learn(2)
	if got := l.At(1, 5); got != 5 {
		t.Fatalf("being told again, it knows %v, want 5", got)
	}
	if got := l.At(0, 5); got != 0 {
		t.Fatalf("the other loop knows %v", got)
	}
}

func TestLatencyMayBeToldToLearnWhileLoopsUseIt(t *testing.T) {
	l := new(Latency)
	var running sync.WaitGroup
	for loop := range 4 {
		running.Go(func() {
			for i := range int64(1000) {
				l.Observe(loop, 7, i)
				l.At(loop, i)
				if i == 500 {
					l.Learn(4)
				}
			}
		})
	}
	running.Wait()
	if got := l.At(2, 1000); got == 0 {
		t.Fatal("it learnt nothing")
	}
}

// simulation has requests begin at even times and end as their backends say.
type simulation struct {
	p          *PeakEWMA
	candidates []Candidate
	takes      []int64 // ns, by candidate
	now        int64
	ends       []simulated
}

type simulated struct {
	at, began int64
	on        int
}

// request begins one request after a gap and returns who has it.
func (s *simulation) request(gap int64) int {
	s.now += gap
	kept := s.ends[:0]
	for _, e := range s.ends {
		if e.at > s.now {
			kept = append(kept, e)
			continue
		}
		s.candidates[e.on].Load.Add(0, -1)
		s.candidates[e.on].Latency.Observe(0, e.at-e.began, e.at)
	}
	s.ends = kept
	i := s.p.Pick(&Request{Now: s.now})
	s.candidates[i].Load.Add(0, 1)
	s.ends = append(s.ends, simulated{s.now + s.takes[i], s.now, i})
	return i
}

func simulate(seed uint64, takes ...int64) *simulation {
	candidates := equal(len(takes))
	return &simulation{p: NewPeakEWMA(candidates, seeded(seed)), candidates: candidates, takes: takes}
}

func TestPeakEWMAPrefersTheFast(t *testing.T) {
	s := simulate(1, millisecond, millisecond, 20*millisecond, millisecond)
	served := make([]int, 4)
	for range 20_000 {
		served[s.request(millisecond/2)]++
	}
	if served[2] > 20_000/100 || served[2] == 0 {
		t.Fatalf("the one 20 times slower served %d of 20,000, want some, at most 1 %%: %v", served[2], served)
	}
}

func TestPeakEWMAComparesPromisesRelativeToWeights(t *testing.T) {
	candidates := idle(10, 1)
	for _, c := range candidates {
		c.Latency.Observe(0, millisecond, 0)
	}
	candidates[0].Load.set(8) // 0.9 a unit with the next one
	p := NewPeakEWMA(candidates, nil)
	for range 100 {
		if got := p.Pick(nil); got != 0 {
			t.Fatal("took the one that promises a later answer for its weight")
		}
	}
	candidates[0].Load.set(10)
	for range 100 {
		if got := p.Pick(nil); got != 1 {
			t.Fatal("took the one that promises a later answer for its weight")
		}
	}
}

// A newcomer among known ones is tried by the first request that draws it, and
// by one at a time until it has answered.
func TestPeakEWMATriesANewcomerByOneRequestAtATime(t *testing.T) {
	s := simulate(2, millisecond, millisecond, millisecond, 900*millisecond)
	s.candidates[3].Load.set(1) // keeps it away at first
	for range 100 {
		s.request(millisecond / 2)
	}
	s.candidates[3].Load.set(0)
	tried := 0
	for range 100 { // 50 ms
		if s.request(millisecond/2) == 3 {
			tried++
		}
	}
	if tried != 1 {
		t.Fatalf("%d requests went to it before it answered, want 1", tried)
	}
}

// One that was slow at first, or broke down and recovered, gets a good part of
// its share again once the memory has faded: of a thousandfold peak after 69 s.
func TestPeakEWMADoesNotStarveWhatWasSlowOnce(t *testing.T) {
	const gap = 4 * millisecond
	s := simulate(3, 10*millisecond, 10*millisecond, 10_000*millisecond)
	for range 100 {
		s.request(gap)
	}
	s.takes[2] = 10 * millisecond
	s.request(20_000 * millisecond)
	recovered, early, late := s.now, 0, 0
	for s.now < recovered+90_000*millisecond {
		if s.request(gap) != 2 {
			continue
		}
		if s.now < recovered+20_000*millisecond {
			early++
		}
		if s.now > recovered+80_000*millisecond {
			late++
		}
	}
	if early > 0 || late < 2500/10 {
		t.Fatalf("in the first 20 of 90 s it served %d, in the last 10 %d of 2,500, want none and a tenth or more", early, late)
	}
}

// What other loops have in flight tells this loop nothing, and must not keep it
// from finding out.
func TestPeakEWMATriesWhatOnlyOtherLoopsUse(t *testing.T) {
	candidates := make([]Candidate, 2)
	for i := range candidates {
		candidates[i] = Candidate{Weight: 1, Load: NewLoad(2), Latency: NewLatency(2)}
		candidates[i].Latency.Observe(0, millisecond, 0)
	}
	candidates[0].Latency.Observe(1, millisecond, 0)
	candidates[1].Load.Add(0, 3)
	candidates[1].Load.Publish(0)
	if got := NewPeakEWMA(candidates, nil).Pick(&Request{Loop: 1}); got != 1 {
		t.Fatal("loop 1 does not try the one that loop 0 keeps busy")
	}
}

func TestPeakEWMAOfWhatNothingIsKnownFollowsTheWeights(t *testing.T) {
	weights := []int{1, 5, 10, 3, 20}
	wantShares(t, counts(NewPeakEWMA(idle(weights...), seeded(4)), len(weights), 200_000, nil), floats(weights))
}

func BenchmarkLatencyObserve(b *testing.B) {
	l, now := NewLatency(1), int64(0)
	for b.Loop() {
		now += 1000
		l.Observe(0, now%977, now)
	}
}
