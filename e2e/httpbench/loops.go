//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// runLoops compares two loops with two threads of HAProxy, all with the load
// and the backends on the same two cores.
func (b *bench) runLoops(ctx context.Context) (err error) {
	p := placing{cores: []int{proxyCore, loadCore}, threads: 2}
	if err := move(b.backend.pid(), p.cores); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, move(b.backend.pid(), []int{loadCore})) }()
	servers, err := b.startAll(ctx, p, b.named(nameEvenkeel, nameHAProxy)...)
	defer func() { err = errors.Join(err, b.endAll(servers)) }()
	if err != nil {
		return err
	}
	c := costCase{name: "loops", title: "GET of 1 KB, 64 keep-alive connections; two loops or threads on the cores of the load",
		job: Job{Shape: GetSmall, Connections: 64}, shared: true}
	t, err := b.costs(ctx, c, p, servers)
	if err != nil {
		return err
	}
	b.printCosts(c, t, nameEvenkeel, func(string) float64 { return 1 })
	return nil
}

// move gives all threads of a process other cores.
func move(pid int, cores []int) error {
	var set unix.CPUSet
	for _, core := range cores {
		set.Set(core)
	}
	names, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/[0-9]*", pid))
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return fmt.Errorf("move process %d to cores %v: %w", pid, cores, os.ErrProcessDone)
	}
	for _, name := range names {
		id, err := strconv.Atoi(filepath.Base(name))
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(id, &set); err != nil {
			return fmt.Errorf("move thread %d to cores %v: %w", id, cores, err)
		}
	}
	return nil
}
