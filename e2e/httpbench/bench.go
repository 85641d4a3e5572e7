//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	firstPort    = 20000
	backendCount = 2
	// warmup is long enough for caches, connection pools and a scheduler's
	// idea of who is interactive.
	warmup = 300 * time.Millisecond
)

// bench is one run of the bench and all that it has to clean up. One goroutine
// owns it.
type bench struct {
	options     options
	self        string // this binary
	dir         string
	descriptors int
	evenkeel    string // path of the binary
	port        int    // the last one given out
	started     int
	processes   map[*process]struct{}
	backend     *process
	backends    []string // addresses
	everywhere  []string // addresses of the backends of a pool of the large registry
	out         *report
	identity    *identity

	programs []program // those that are there
	large    *server   // Evenkeel with the large registry, once a case needed it
}

// runBench runs the cases and leaves nothing behind.
func runBench(ctx context.Context, o options) (err error) {
	if err := checkCores(); err != nil {
		return err
	}
	b := &bench{options: o, port: firstPort + rand.IntN(5000), processes: map[*process]struct{}{}, out: newReport(os.Stdout, o)}
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.descriptors, err = raiseDescriptors(); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "evenkeel-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if b.identity, err = newIdentity(b.dir); err != nil {
		return err
	}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	begin := time.Now()
	var faults []error
	for _, name := range o.cases {
		if err := b.runCase(ctx, name); err != nil {
			faults = append(faults, fmt.Errorf("case %s: %w", name, err))
		}
		if ctx.Err() != nil {
			return errors.Join(faults...)
		}
	}
	return errors.Join(append(faults, b.out.finish(time.Since(begin)))...)
}

// prepare builds Evenkeel, finds the other programs and starts the backends.
func (b *bench) prepare(ctx context.Context) error {
	if b.evenkeel = b.options.evenkeel; b.evenkeel == "" {
		if err := b.build(ctx); err != nil {
			return err
		}
	}
	var err error
	if b.evenkeel, err = filepath.Abs(b.evenkeel); err != nil {
		return err
	}
	if err := b.findPrograms(ctx); err != nil {
		return err
	}
	for range backendCount {
		address, err := b.freeAddress()
		if err != nil {
			return err
		}
		b.backends = append(b.backends, address)
	}
	for i := range poolBackends { // on their ports, but of more loopback addresses
		_, port, _ := strings.Cut(b.backends[i%backendCount], ":")
		b.everywhere = append(b.everywhere, fmt.Sprintf("127.0.0.%d:%s", 1+i/backendCount, port))
	}
	b.backend, err = b.again("backend", modeBackend, []int{loadCore}, b.everywhere...)
	return err
}

// build builds Evenkeel of this tree as it is shipped.
func (b *bench) build(ctx context.Context) error {
	b.out.progress("building evenkeel")
	b.evenkeel = filepath.Join(b.dir, "evenkeel")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", b.evenkeel, "evenkeel/cmd/evenkeel")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build evenkeel: %w\n%s", err, out)
	}
	return nil
}

// again starts this binary in one of its modes.
func (b *bench) again(name, mode string, cores []int, args ...string) (*process, error) {
	return b.start(b.modeCommand(name, mode, cores, args...))
}

// modeCommand is this binary in one of its modes. See [soloThread] for the
// environment.
func (b *bench) modeCommand(name, mode string, cores []int, args ...string) command {
	return command{name: name, argv: append([]string{b.self, mode}, args...), env: []string{"GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1"}, cores: cores}
}

// withBurners runs f while each of the cores also has a burner.
func (b *bench) withBurners(cores []int, f func() error) (err error) {
	for _, core := range cores {
		burner, startErr := b.again("burner", modeBurner, []int{core})
		if startErr != nil {
			return startErr
		}
		defer func() { err = errors.Join(err, b.end(burner)) }()
	}
	return f()
}

// close ends all processes and removes the directory.
func (b *bench) close() error {
	var faults []error
	for p := range b.processes {
		faults = append(faults, b.end(p))
	}
	return errors.Join(append(faults, os.RemoveAll(b.dir))...)
}

// pause waits, for a figure that is about time going by.
func pause(ctx context.Context, span time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(span):
		return nil
	}
}
