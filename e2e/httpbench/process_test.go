//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestClosingTheBenchEndsEveryProcessAndRemovesEveryFile(t *testing.T) {
	b := newBurningBench(t)
	var pids []int
	for range 3 {
		p, err := b.again("burner", modeBurner, []int{anyCore(t)})
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, p.pid())
	}
	if err := b.close(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process %d: %v, want that there is none", pid, err)
		}
	}
	if _, err := os.Stat(b.dir); !os.IsNotExist(err) {
		t.Errorf("the directory: %v, want that there is none", err)
	}
}

func TestAProcessRunsOnTheCoresThatItWasGiven(t *testing.T) {
	b, core := newBurningBench(t), anyCore(t)
	p, err := b.again("burner", modeBurner, []int{core})
	if err != nil {
		t.Fatal(err)
	}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(p.pid(), &set); err != nil {
		t.Fatal(err)
	}
	if set.Count() != 1 || !set.IsSet(core) {
		t.Errorf("%d cores, core %d %v; want that one alone", set.Count(), core, set.IsSet(core))
	}
}

func TestAProcessThatFailsSaysWhy(t *testing.T) {
	b := newTestBench(t)
	p, err := b.again("backend", modeBackend, []int{anyCore(t)}, "127.0.0.1:nonsense")
	if err != nil {
		t.Fatal(err)
	}
	if fault := fmt.Sprint(b.wait(t.Context(), p)); !strings.Contains(fault, "nonsense") {
		t.Errorf("fault %q, want one with what the process printed", fault)
	}
	if err := p.running(); err == nil {
		t.Error("it still counts as running")
	}
}

func TestWaitingEndsWithTheContextAndTakesTheProcessAlong(t *testing.T) {
	b := newBurningBench(t)
	p, err := b.again("burner", modeBurner, []int{anyCore(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := b.wait(ctx, p); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("wait: %v, want the deadline", err)
	}
	if err := syscall.Kill(p.pid(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d: %v, want that there is none", p.pid(), err)
	}
}

func TestBurnersRunOnlyAsLongAsTheyAreNeeded(t *testing.T) {
	b := newTestBench(t)
	planted := errors.New("planted")
	err := b.withBurners([]int{anyCore(t)}, func() error {
		if len(b.processes) != 1 {
			t.Errorf("%d processes, want the burner", len(b.processes))
		}
		return planted
	})
	if !errors.Is(err, planted) || len(b.processes) != 0 {
		t.Errorf("error %v, %d processes; want the planted one and none", err, len(b.processes))
	}
}

func TestPortsAreGivenOutOnceAndOutsideOfTheRangeOfClients(t *testing.T) {
	b := newTestBench(t)
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		t.Fatal(err)
	}
	low, high, err := parsePortRange(string(text))
	if err != nil {
		t.Fatal(err)
	}
	b.port = low - 3
	seen := map[string]bool{}
	for range 10 {
		address, err := b.freeAddress()
		if err != nil {
			t.Fatal(err)
		}
		if seen[address] || b.port >= low && b.port <= high {
			t.Errorf("%s was given out before, or is within %d to %d", address, low, high)
		}
		seen[address] = true
	}
}

func TestTheOrderIsTurnedFromRoundToRound(t *testing.T) {
	items := []string{"a", "b", "c"}
	for round, want := range [][]string{{"a", "b", "c"}, {"b", "c", "a"}, {"c", "a", "b"}, {"a", "b", "c"}} {
		if got := turned(items, round); !slices.Equal(got, want) {
			t.Errorf("round %d: %v, want %v", round, got, want)
		}
	}
}
