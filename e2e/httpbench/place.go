//go:build linux

package main

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// The cores of the two sides.
const (
	proxyCore = 0
	loadCore  = 1
)

// wantedDescriptors is enough for 20,000 clients and as many connections to
// backends.
const wantedDescriptors = 65536

// checkCores makes sure that there are the two cores.
func checkCores() error {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return fmt.Errorf("read the cores of this process: %w", err)
	}
	if !set.IsSet(proxyCore) || !set.IsSet(loadCore) {
		return fmt.Errorf("place the programs: this process may not use the cores %d and %d", proxyCore, loadCore)
	}
	return nil
}

// onCores runs what starts a process on a thread with that affinity, because a
// process has that of the thread that started it.
func onCores(cores []int, start func() error) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("read the cores of a thread: %w", err)
	}
	for _, core := range cores {
		set.Set(core)
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("move a thread to cores %v: %w", cores, err)
	}
	defer func() { err = errors.Join(err, unix.SchedSetaffinity(0, &before)) }()
	return start()
}

// raiseDescriptors raises the limit of descriptors of this process and those
// that it starts as far as the machine lets it, and returns it.
func raiseDescriptors() (int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("read the limit of descriptors: %w", err)
	}
	raised := syscall.Rlimit{Cur: max(limit.Max, wantedDescriptors), Max: max(limit.Max, wantedDescriptors)}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err == nil {
		return int(min(raised.Cur, 1<<20)), nil
	}
	// Only a privileged process may raise the hard limit.
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("raise the limit of descriptors to %d: %w", limit.Max, err)
	}
	return int(min(limit.Cur, 1<<20)), nil
}
