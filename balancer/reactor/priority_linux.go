package reactor

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// threadID is that of the calling thread.
func threadID() int { return unix.Gettid() }

// minNice is the highest priority there is, see sched(7).
const minNice = -20

// raise gives the threads of the loops up to that much more priority than the
// process has, as far as this process may: it takes CAP_SYS_NICE, or a limit on
// the niceness (RLIMIT_NICE, LimitNICE of systemd) that allows it.
//
// What raises the loops and not what lowers the rest is asked for first: Raft and
// gossip run on the rest, and beside other programs that keep all cores busy they
// would come too late for each other, had they less priority than those.
func raise(loops []int, by int) error {
	own, err := niceOf(loops[0])
	if err != nil {
		return fmt.Errorf("read the priority of a loop's thread: %w", err)
	}
	want := max(own-by, minNice)
	for _, thread := range loops {
		for {
			err := unix.Setpriority(unix.PRIO_PROCESS, thread, want)
			if err == nil {
				break
			}
			if !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EPERM) {
				return fmt.Errorf("raise the priority of thread %d to nice %d: %w", thread, want, err)
			}
			if want++; want >= own {
				return nil // it may not at all
			}
		}
	}
	return nil
}

// lowerOthers makes every thread of the process nicer than those of the loops,
// as far as the loops were not raised.
// Threads that come later have the priority of those that make them, and that
// is never a loop's: the runtime has a thread of its own make them for one that
// is locked to a goroutine.
//
// It is done when a look at all threads finds none that is not as it should be:
// one that was made meanwhile may have escaped the look before. One that is in
// the middle of being made escapes all the same; see lowerAgain.
func lowerOthers(loops []int, by int) error {
	own, err := niceOf(loops[0])
	if err != nil {
		return fmt.Errorf("read the priority of a loop's thread: %w", err)
	}
	want := min(own+by, MaxNice)
	for lowered := true; lowered; {
		threads, err := threadIDs()
		if err != nil {
			return err
		}
		lowered = false
		for _, thread := range threads {
			if slices.Contains(loops, thread) {
				continue
			}
			switch changed, err := lower(thread, want); {
			case errors.Is(err, unix.ESRCH): // it has ended
			case err != nil:
				return fmt.Errorf("lower the priority of thread %d to nice %d: %w", thread, want, err)
			default:
				lowered = lowered || changed
			}
		}
	}
	return nil
}

// lower tells whether it changed anything.
func lower(thread, nice int) (changed bool, err error) {
	now, err := niceOf(thread)
	if err != nil || now >= nice {
		return false, err
	}
	return true, unix.Setpriority(unix.PRIO_PROCESS, thread, nice)
}

// niceOf returns what nice(1) shows. The system call's answer is 20 more than
// its opposite, getpriority(2).
func niceOf(thread int) (int, error) {
	answer, err := unix.Getpriority(unix.PRIO_PROCESS, thread)
	return 20 - answer, err
}

func threadIDs() ([]int, error) {
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return nil, err
	}
	ids := make([]int, len(entries))
	for i, entry := range entries {
		if ids[i], err = strconv.Atoi(entry.Name()); err != nil {
			return nil, fmt.Errorf("read /proc/self/task: %w", err)
		}
	}
	return ids, nil
}
