//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"evenkeel/e2e/harness"

	"golang.org/x/sys/unix"
)

// TestMain lets the test binary be started again as the bench's binary is: the
// first argument of a test run begins with a dash, a mode does not.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1][0] != '-' {
		if err := run(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "httpbench:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// benches counts the benches of this run, so that those of parallel tests look
// for free ports in different places.
var benches atomic.Int64

// newBurningBench is newTestBench for a test that uses up whole cores. No
// scenario with a cluster runs beside it.
func newBurningBench(t *testing.T) *bench {
	t.Helper()
	harness.Lock(t)
	return newTestBench(t)
}

// newTestBench returns a bench without programs. Its processes end with the
// test.
func newTestBench(t *testing.T) *bench {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{
		self: self, dir: filepath.Join(t.TempDir(), "bench"), port: firstPort + 20*int(benches.Add(1)%500),
		processes: map[*process]struct{}{}, out: newReport(io.Discard, options{}),
	}
	if err := os.Mkdir(b.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// anyCore returns a core that this process may use.
func anyCore(t *testing.T) int {
	t.Helper()
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}
	for core := range 1024 {
		if set.IsSet(core) {
			return core
		}
	}
	t.Fatal("this process may use no core")
	return 0
}
