package picker

import (
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// set makes the load what a test says.
func (l *Load) set(n int64) { l.Add(0, n-l.Total()) }

func TestALoopSeesItsOwnLoadAtOnceAndThatOfOthersAsPublished(t *testing.T) {
	l := NewLoad(3)
	l.Add(0, 5)
	l.Add(1, 2)
	want := func(when string, loads ...int64) {
		t.Helper()
		for loop, want := range loads {
			if got := l.At(loop); got != want {
				t.Errorf("%s loop %d sees %d, want %d", when, loop, got, want)
			}
		}
	}
	want("before anybody published", 5, 2, 0)
	l.Publish(0)
	want("after loop 0 did", 5, 7, 5)
	l.Add(0, -5)
	want("when loop 0 is done and has not said so", 0, 7, 5)
	l.Publish(0)
	l.Publish(0)
	want("when it has, twice", 0, 2, 0)
	if got := l.Total(); got != 2 {
		t.Errorf("the total is %d, want 2, published or not", got)
	}
}

func TestLoadsFollowTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		loops := rapid.IntRange(1, 5).Draw(t, "loops")
		l := NewLoad(loops)
		now, published := make([]int64, loops), make([]int64, loops)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			loop := rapid.IntRange(0, loops-1).Draw(t, "loop")
			if rapid.Bool().Draw(t, "publish") {
				l.Publish(loop)
				published[loop] = now[loop]
			} else {
				n := rapid.Int64Range(-now[loop], 9).Draw(t, "n")
				now[loop] += n
				l.Add(loop, n)
			}
			var total int64
			for i := range loops {
				total += now[i]
				seen := now[i]
				for other := range loops {
					if other != i {
						seen += published[other]
					}
				}
				if got := l.At(i); got != seen {
					t.Fatalf("loop %d sees %d, want %d", i, got, seen)
				}
			}
			if got := l.Total(); got != total {
				t.Fatalf("the total is %d, want %d", got, total)
			}
		}
	})
}

func TestLoopsThatCountAtOnceLoseNothing(t *testing.T) {
	const loops, each = 4, 5000
	l := NewLoad(loops)
	var running sync.WaitGroup
	for loop := range loops {
		running.Go(func() {
			for i := range each {
				if seen := l.Add(loop, 2); seen < int64(i+2) {
					t.Errorf("loop %d sees %d in flight, of which it has %d itself", loop, seen, i+2)
					return
				}
				l.Add(loop, -1)
				if i%16 == 0 {
					l.Publish(loop)
				}
				l.Total()
			}
			l.Publish(loop)
		})
	}
	running.Wait()
	for loop := range loops {
		if got := l.At(loop); got != loops*each {
			t.Errorf("loop %d sees %d, want %d", loop, got, loops*each)
		}
	}
	if got := l.Total(); got != loops*each {
		t.Errorf("the total is %d, want %d", got, loops*each)
	}
}

// Goroutines may share a loop's counters, as those of a server without loops do.
func TestGoroutinesThatShareALoopLoseNothing(t *testing.T) {
	const goroutines, each = 4, 20_000
	l := NewLoad(2)
	var running sync.WaitGroup
	for range goroutines {
		running.Go(func() {
			for range each {
				l.Add(0, 1)
				l.Publish(0)
			}
		})
	}
	running.Wait()
	if got := l.At(1); got != goroutines*each {
		t.Fatalf("the other loop sees %d, want %d", got, goroutines*each)
	}
}

// A load of fewer loops than there are is shared, not out of range.
func TestALoopBeyondThoseOfALoadSharesOne(t *testing.T) {
	l := NewLoad(2)
	l.Add(5, 3)
	if got := l.At(1); got != 3 {
		t.Fatalf("loop 1 sees %d, want what loop 5 added", got)
	}
}

// What loop 1 has in flight counts for loop 0 once it is published.
func TestLeastConnectionsReadsWhatOtherLoopsPublished(t *testing.T) {
	candidates := []Candidate{{Weight: 1, Load: NewLoad(2)}, {Weight: 1, Load: NewLoad(2)}}
	p := NewLeastConnections(candidates, nil)
	candidates[0].Load.Add(0, 1)
	candidates[1].Load.Add(1, 2)
	if got := p.Pick(&Request{Loop: 0}); got != 1 {
		t.Fatalf("before, loop 0 chose %d, want 1, idle as far as it knows", got)
	}
	candidates[1].Load.Publish(1)
	if got := p.Pick(&Request{Loop: 0}); got != 0 {
		t.Fatalf("after, loop 0 chose %d, want 0", got)
	}
}
