package reactor

import (
	"context"
	"os"
	"runtime"
	"testing"
)

// threads is how many the process has, or 0 where the system does not tell.
func threads() int {
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return 0
	}
	return len(entries)
}

// TestAStopLeavesNothing runs many loops one after the other. That no
// descriptor and no goroutine is left, start and TestMain look themselves.
func TestAStopLeavesNothing(t *testing.T) {
	before := threads()
	for range 20 {
		t.Run("round", func(t *testing.T) {
			w := start(t, 8)
			w.accepting(echo)
			client := w.client()
			client.send("hello")
			client.expect("hello")
			w.stop()
			await(t, w.ended, "the end of the loops")
			if rest, err := client.end(); rest != "" || err != nil {
				t.Errorf("the end of the loops is seen as %q, %v", rest, err)
			}
			if w.Loops()[0].Post(func() {}) {
				t.Error("a loop that has ended takes calls")
			}
		})
	}
	if now := threads(); now > before+40 {
		t.Errorf("%d threads became %d over 160 loops", before, now)
	}
	if n := runtime.GOMAXPROCS(0); n < 9 {
		t.Errorf("GOMAXPROCS is %d, with 8 loops", n)
	}
}

func TestAReactorThatNeverRanLeavesNothing(t *testing.T) {
	before := descriptors(t)
	r, err := New(Config{Loops: 4})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := r.Listen(t.Context(), "127.0.0.1:0", []Acceptor{acceptFunc(nil), acceptFunc(nil), acceptFunc(nil), acceptFunc(nil)})
	if err != nil {
		t.Fatal(err)
	}
	listener.Start()
	r.Close()
	if what := left(before, descriptors(t)); what != "" {
		t.Error(what)
	}
}

func TestAStopThatWasAskedForBeforeTheStart(t *testing.T) {
	r, err := New(Config{Loops: 2})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := r.Run(ctx); err != nil {
		t.Error(err)
	}
}

func TestLoopsHaveBounds(t *testing.T) {
	for _, loops := range []int{-1, MaxLoops + 1} {
		if r, err := New(Config{Loops: loops}); err == nil {
			r.Close()
			t.Errorf("%d loops are allowed", loops)
		}
	}
	r, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n := len(r.Loops()); n != runtime.NumCPU() {
		t.Errorf("%d loops on %d cores", n, runtime.NumCPU())
	}
}
