package reactor

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestPostedCallsRunInOrderOnTheLoop(t *testing.T) {
	w := start(t, 2)
	const goroutines, calls = 16, 2000
	type tally struct{ next [goroutines]int }
	tallies := make([]tally, len(w.Loops())) // the loops' own, so the race detector looks
	var group sync.WaitGroup
	var ran atomic.Int64
	for g := range goroutines {
		group.Go(func() {
			for i := range calls {
				l := w.Loops()[(g+i/100)%2]
				if !l.Post(func() {
					if mine := &tallies[l.Index()]; i%100 != mine.next[g]%100 {
						t.Errorf("call %d of goroutine %d comes as %d", i, g, mine.next[g])
					} else {
						mine.next[g]++
					}
					ran.Add(1)
				}) {
					t.Error("post says that the loop has ended")
				}
			}
		})
	}
	group.Wait()
	for i := range w.Loops() {
		w.on(i, func(*Loop) {})
	}
	if n := ran.Load(); n != goroutines*calls {
		t.Errorf("%d of %d calls ran", n, goroutines*calls)
	}
}

// TestWhatPostPromisesIsDone ends loops while calls are posted.
func TestWhatPostPromisesIsDone(t *testing.T) {
	for range 20 {
		w := start(t, 2)
		var group sync.WaitGroup
		var promised, ran atomic.Int64
		began := make(chan struct{}, 8)
		for g := range 4 {
			group.Go(func() {
				for w.Loops()[g%2].Post(func() { ran.Add(1) }) {
					if promised.Add(1) == 100 {
						close(began)
					}
				}
			})
		}
		await(t, began, "the first calls")
		w.stop()
		await(t, w.ended, "the end of the loops")
		group.Wait()
		if promised.Load() != ran.Load() {
			t.Fatalf("%d calls were promised, %d ran", promised.Load(), ran.Load())
		}
	}
}

func TestACallMayPostAnother(t *testing.T) {
	w := start(t, 1)
	done := make(chan struct{})
	left := 1000
	l := w.Loops()[0]
	var next func()
	next = func() {
		if left--; left == 0 {
			close(done)
			return
		}
		l.Post(next)
	}
	l.Post(next)
	await(t, done, "a thousand calls that post each other")
}

func TestABatchEnds(t *testing.T) {
	w := start(t, 1)
	ended := make(chan int64, 1000)
	w.on(0, func(l *Loop) {
		n := int64(0)
		l.OnBatchEnd(func() {
			select {
			case ended <- n:
			default:
			}
			n++
		})
	})
	for range 3 {
		w.on(0, func(*Loop) {})
		await(t, ended, "the end of a batch")
	}
}
