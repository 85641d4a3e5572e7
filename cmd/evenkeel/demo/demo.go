// Package demo runs three nodes and three backends as processes of their own
// on this machine, sends them requests, and shows who answers what while one
// kills them.
//
// It owns those processes and their folder, and leaves neither behind. It
// refuses to own how a node works: it starts this same binary with flags that
// any user could type, and talks to it as any client does.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// Config is where a demo writes, the picture to Out and its progress to Err,
// and how long it shows the picture; 0 is until its context ends.
type Config struct {
	Out, Err io.Writer
	Duration time.Duration
	// TLS adds a listener that speaks TLS, with a certificate of an authority that
	// lasts as long as the demo.
	TLS bool
}

// Timings of the demo.
const (
	startTimeout = 45 * time.Second // until all is ready, on a slow machine
	pollInterval = 50 * time.Millisecond
	// restartDelay is long enough to see that the others go on, and short
	// enough to see the return.
	restartDelay = 10 * time.Second
	stopTimeout  = 10 * time.Second // until processes that do not end are killed
)

// Run shows the demo until ctx ends, which is no error, and then stops and
// removes all that it started.
func Run(ctx context.Context, config Config) (err error) {
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own binary: %w", err)
	}
	dir, err := os.MkdirTemp("", "evenkeel-demo-")
	if err != nil {
		return fmt.Errorf("make folder of the demo: %w", err)
	}
	ctx, release := whileParentLives(ctx)
	defer release()
	launcher := newLauncher()
	d := &demo{config: config, dir: dir, executable: executable, launcher: launcher}
	defer func() {
		d.progress("stopping; nothing is left behind")
		// ctx is over or about to be: the end has a time of its own.
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		err = errors.Join(err, d.stop(end))
		launcher.close()
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	err = d.show(ctx)
	if ctx.Err() != nil || errors.Is(err, syscall.EPIPE) {
		return nil // whatever broke was broken by the end, or nobody looks
	}
	return err
}

// demo is everything that runs. Its slices are made once; the processes of
// their members change.
type demo struct {
	config     Config
	dir        string
	executable string
	token      string // of the API, as anywhere but in a try
	authority  string // the file of whom clients have to believe; "" without Config.TLS
	launcher   *launcher
	nodes      []*node
	backends   []*backend
}

// node is a balancer's process and its addresses, each HOST:PORT.
type node struct {
	*process
	api, cluster, traffic string
	secure                string // where it speaks TLS; "" without Config.TLS
}

// backend is a sample backend's process.
type backend struct {
	*process
	address string
}

func (d *demo) show(ctx context.Context) error {
	if err := d.plan(); err != nil {
		return err
	}
	if err := d.start(ctx); err != nil {
		return err
	}
	follower, leader, err := d.register(ctx)
	if err != nil {
		return err
	}
	if d.config.TLS {
		if err := d.secure(ctx, follower); err != nil {
			return err
		}
	}
	if err := d.introduce(follower, leader); err != nil {
		return err
	}
	if d.config.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.config.Duration)
		defer cancel()
	}
	return d.live(ctx)
}

// progress tells a waiting person what goes on.
func (d *demo) progress(format string, args ...any) {
	fmt.Fprintf(d.config.Err, "demo: "+format+"\n", args...)
}

// processes returns all of them, the nodes first.
func (d *demo) processes() []*process {
	var all []*process
	for _, n := range d.nodes {
		all = append(all, n.process)
	}
	for _, b := range d.backends {
		all = append(all, b.process)
	}
	return all
}

// stop ends all processes: first in order, and when ctx ends by force.
func (d *demo) stop(ctx context.Context) error {
	var errs []error
	for _, p := range d.processes() {
		errs = append(errs, p.terminate())
	}
	for _, p := range d.processes() {
		errs = append(errs, p.await(ctx))
	}
	return errors.Join(errs...)
}

// whileParentLives returns a context that ends also when the process that
// started this one is gone, such as a `go run` that was killed: nobody would
// be there to end the demo. The function releases it.
func whileParentLives(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	parent := os.Getppid()
	var watch sync.WaitGroup
	watch.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if os.Getppid() != parent {
					cancel()
				}
			}
		}
	})
	return ctx, func() {
		cancel()
		watch.Wait()
	}
}
