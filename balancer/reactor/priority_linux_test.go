package reactor

import (
	"context"
	"os"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOtherThreadsAreNicer runs in a child process, because nobody may take a
// lower priority back.
func TestOtherThreadsAreNicer(t *testing.T) { inChild(t, "TestChildIsNice") }

func TestChildIsNice(t *testing.T) {
	if os.Getenv(childVariable) == "" {
		t.Skip("it is run by TestOtherThreadsAreNicer")
	}
	own, err := niceOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	const loops = 3
	r, err := New(Config{Loops: loops, Nice: 5})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := r.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	}()
	blockThreads(t, 40)
	eventually(t, func() string { return wrongPriorities(own, loops) })
	if raiseOne(t, own) { // as if it had escaped
		eventually(t, func() string { return wrongPriorities(own, loops) })
	}
	// On a loop, too, what makes threads is not the loop's thread.
	spawned := make(chan struct{})
	r.Loops()[0].Post(func() {
		var blocking sync.WaitGroup
		for range 40 {
			blocking.Go(func() { blockThreads(t, 1) })
		}
		go func() {
			blocking.Wait()
			close(spawned)
		}()
	})
	await(t, spawned, "the threads that a loop started")
	eventually(t, func() string { return wrongPriorities(own, loops) })
	stop()
	await(t, ended, "the end of the loops")
}

// raiseOne gives a lowered thread the priority back, and tells whether it may.
func raiseOne(t *testing.T, own int) bool {
	t.Helper()
	threads, err := threadIDs()
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		if nice, err := niceOf(thread); err == nil && nice != own {
			return unix.Setpriority(unix.PRIO_PROCESS, thread, own) == nil
		}
	}
	return false
}

// blockThreads has that many threads wait in the system until the test ends.
func blockThreads(t *testing.T, count int) {
	for range count {
		var ends [2]int
		if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
			t.Error(err)
			return
		}
		reading := make(chan struct{})
		go func() {
			close(reading)
			_, _ = syscall.Read(ends[0], make([]byte, 1))
		}()
		<-reading
		t.Cleanup(func() { _ = syscall.Close(ends[1]) })
	}
}

// wrongPriorities wants as many threads as there are loops at the priority of
// the process, and all others lower.
func wrongPriorities(own, loops int) string {
	threads, err := threadIDs()
	if err != nil {
		return err.Error()
	}
	first := 0
	for _, thread := range threads {
		switch nice, err := niceOf(thread); {
		case err != nil: // it has ended
		case nice == own:
			first++
		case nice != min(own+5, MaxNice):
			return "a thread is neither a loop's nor nicer by 5"
		}
	}
	if len(threads) < 40 || first != loops {
		return "not just the loops go first"
	}
	return ""
}
