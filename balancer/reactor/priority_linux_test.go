package reactor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// nicer is by how much the other threads are to be nicer in these tests.
const nicer = 5

// TestOtherThreadsAreNicer runs in a child process, because nobody may take a
// lower priority back.
func TestOtherThreadsAreNicer(t *testing.T) { inChild(t, "TestChildIsNice") }

// TestOtherThreadsAreNicerWhereLoopsMayNotBeRaised, or only by some of it, as
// the limit on the niceness has it, of which 20 stands for nice 0.
func TestOtherThreadsAreNicerWhereLoopsMayNotBeRaised(t *testing.T) {
	for name, limit := range map[string]uint64{"not at all": 0, "by 2": 22} {
		t.Run(name, func(t *testing.T) {
			var before unix.Rlimit
			if err := unix.Getrlimit(unix.RLIMIT_NICE, &before); err != nil {
				t.Fatal(err)
			}
			if err := unix.Setrlimit(unix.RLIMIT_NICE, &unix.Rlimit{Cur: limit, Max: max(limit, before.Max)}); err != nil {
				t.Skip("the limit on the niceness may not be set: ", err)
			}
			defer func() {
				if err := unix.Setrlimit(unix.RLIMIT_NICE, &before); err != nil {
					t.Error(err)
				}
			}()
			inChildWithoutRights(t, "TestChildIsNice")
		})
	}
}

// TestOtherThreadsAreNicerWherePrioritiesEnd: what the loops cannot be raised by,
// the others are lowered.
func TestOtherThreadsAreNicerWherePrioritiesEnd(t *testing.T) {
	runtime.LockOSThread() // a child has the priority of the thread that starts it
	defer runtime.UnlockOSThread()
	own, err := niceOf(unix.Gettid())
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), minNice+2); err != nil {
		t.Skip("priorities may not be raised: ", err)
	}
	defer func() {
		if err := unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), own); err != nil {
			t.Error(err)
		}
	}()
	inChild(t, "TestChildIsNice")
}

// inChildWithoutRights runs a test in a process whose rights are those of a
// user namespace of its own, which says nothing about priorities.
func inChildWithoutRights(t *testing.T, test string) {
	t.Helper()
	without := &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}},
	}
	probe := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^$")
	probe.SysProcAttr = without
	if err := probe.Run(); err != nil {
		t.Skip("there may be no user namespaces here: ", err)
	}
	child := childOf(t, test)
	child.SysProcAttr = without
	runChild(t, child)
}

func TestChildIsNice(t *testing.T) {
	if os.Getenv(childVariable) == "" {
		t.Skip("it is run by TestOtherThreadsAreNicer")
	}
	own, err := niceOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	const loops = 3
	want := priorities{loops: own - mayRaise(t, own, nicer), count: loops}
	want.others = want.loops + nicer
	r, err := New(Config{Loops: loops, Nice: nicer})
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
	eventually(t, want.wrong)
	if raiseOne(t, want) { // as if it had escaped
		eventually(t, want.wrong)
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
	eventually(t, want.wrong)
	stop()
	await(t, ended, "the end of the loops")
}

// mayRaise tries on a thread of its own by how much this process may raise one.
func mayRaise(t *testing.T, own, most int) int {
	t.Helper()
	raised := make(chan int)
	go func() {
		runtime.LockOSThread() // and ends with the thread
		for by := min(most, own-minNice); by > 0; by-- {
			if unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), own-by) == nil {
				raised <- by
				return
			}
		}
		raised <- 0
	}()
	return <-raised
}

// raiseOne gives a thread that was lowered some priority back, and tells whether
// there is one and it may.
func raiseOne(t *testing.T, now priorities) bool {
	t.Helper()
	threads, err := threadIDs()
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		if nice, err := niceOf(thread); err == nil && nice == now.others {
			return unix.Setpriority(unix.PRIO_PROCESS, thread, nice-1) == nil
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

// priorities are the niceness of so many loops' threads, and that of all others.
type priorities struct{ loops, count, others int }

// wrong tells what is not as it should be.
func (p priorities) wrong() string {
	threads, err := threadIDs()
	if err != nil {
		return err.Error()
	}
	first := 0
	for _, thread := range threads {
		switch nice, err := niceOf(thread); {
		case err != nil: // it has ended
		case nice == p.loops:
			first++
		case nice != p.others:
			return fmt.Sprintf("a thread has nice %d, neither %d as a loop nor %d", nice, p.loops, p.others)
		}
	}
	if len(threads) < 40 || first != p.count {
		return fmt.Sprintf("of %d threads %d go first", len(threads), first)
	}
	return ""
}
