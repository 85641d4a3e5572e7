//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// patience is long beside what any answer takes, and short beside a timeout.
const patience = 5 * time.Second

// mode is what else the balancer's cores have to do.
type mode string

const (
	modeAlone     mode = "the core left to itself"
	modeSaturated mode = "the core saturated"
)

// loadCores returns where the load and the backends run.
func (p placing) loadCores() []int {
	if p.threads > 1 {
		return p.cores
	}
	return []int{loadCore}
}

// measure runs a job against a server.
func (b *bench) measure(ctx context.Context, p placing, s *server, job Job) (Outcome, error) {
	outcome, err := b.runJob(ctx, b.onFront(p.front, b.aimed(s, job)), p.loadCores())
	if err != nil {
		return outcome, fmt.Errorf("load %s: %w", s.name, errors.Join(err, s.process.running()))
	}
	if outcome.Requests == 0 && outcome.Faults == 0 {
		outcome.Faults, outcome.FirstFault = 1, "there was none at all in the window"
	}
	if len(p.cores) == 1 { // otherwise the balancer is on that core, too
		b.out.others = append(b.out.others, outcome.others())
	}
	return outcome, s.process.running()
}

// runJob runs the load generator.
func (b *bench) runJob(ctx context.Context, job Job, cores []int) (Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, job.Warmup+job.Window+job.Patience+startLimit)
	defer cancel()
	input, err := json.Marshal(job)
	if err != nil {
		return Outcome{}, err
	}
	var output bytes.Buffer
	c := b.modeCommand("load", modeLoad, cores)
	c.input, c.output = bytes.NewReader(input), &output
	load, err := b.start(c)
	if err != nil {
		return Outcome{}, err
	}
	if err := b.wait(ctx, load); err != nil {
		return Outcome{}, err
	}
	var outcome Outcome
	if err := json.Unmarshal(output.Bytes(), &outcome); err != nil {
		return outcome, fmt.Errorf("read what the load measured: %w", err)
	}
	return outcome, nil
}

// aimed completes a job with where the server is and what is to be watched.
func (b *bench) aimed(s *server, job Job) Job {
	job.Target, job.Core, job.Patience = s.address, loadCore, patience
	if job.TLS != nil {
		t := *job.TLS
		t.TicketFrom = s.tickets
		job.TLS = &t
	}
	job.Watch = []Watched{{watchProxy, s.process.pid()}, {watchBackend, b.backend.pid()}, {watchLoad, 0}}
	return job
}

// holder is a load generator that holds idle connections.
type holder struct {
	process *process
	input   *io.PipeWriter
	output  *json.Decoder
}

// hold opens idle connections on a server, one request on each.
func (b *bench) hold(ctx context.Context, s *server, connections int) (*holder, error) {
	job := Job{Shape: GetSmall, Connections: connections, Requests: connections, Hold: true, Window: startLimit}
	return b.holdJob(ctx, s.name, b.aimed(s, job), []int{loadCore})
}

// holdJob runs a load generator that holds connections, until it has them all.
func (b *bench) holdJob(ctx context.Context, name string, job Job, cores []int) (*holder, error) {
	fromUs, input := io.Pipe()
	output, toUs := io.Pipe()
	c := b.modeCommand("load", modeLoad, cores)
	c.input, c.output = fromUs, toUs
	load, err := b.start(c)
	if err != nil {
		return nil, err
	}
	go func() { // so that nobody reads or writes for ever
		<-load.done
		toUs.CloseWithError(fmt.Errorf("%s ended: %s", load.name, load.lastWords()))
		fromUs.Close()
	}()
	h := &holder{process: load, input: input, output: json.NewDecoder(output)}
	stop := context.AfterFunc(ctx, func() { input.CloseWithError(context.Cause(ctx)) })
	defer stop()
	var outcome Outcome
	if err := errors.Join(json.NewEncoder(input).Encode(job), h.output.Decode(&outcome)); err != nil {
		return nil, errors.Join(fmt.Errorf("open idle connections on %s: %w", name, err), b.end(load))
	}
	b.out.check(fmt.Sprintf("%s, %d idle connections", name, job.Connections), outcome)
	if outcome.Requests < job.Connections && outcome.Faults == 0 {
		err := fmt.Errorf("open idle connections on %s: %d of %d within %v", name, outcome.Requests, job.Connections, job.Window)
		return nil, errors.Join(err, b.end(load))
	}
	return h, nil
}

// release ends the connections, all of which must still be open.
func (b *bench) release(ctx context.Context, h *holder) error {
	var lost int
	if err := errors.Join(h.input.Close(), h.output.Decode(&lost)); err != nil {
		return errors.Join(fmt.Errorf("release idle connections: %w", err), b.end(h.process))
	}
	if lost > 0 {
		return errors.Join(fmt.Errorf("release idle connections: %d were not idle any more", lost), b.end(h.process))
	}
	return b.wait(ctx, h.process)
}

// interleave calls f for each server in each mode, round by round. The order
// of both is turned from round to round, so that none always comes first.
func (b *bench) interleave(ctx context.Context, rounds int, p placing, servers []*server, f func(round int, m mode, s *server) error) error {
	for round := range rounds {
		modes := []mode{modeAlone, modeSaturated}
		for _, m := range turned(modes, round) {
			var burning []int
			if m == modeSaturated {
				burning = p.cores
			}
			err := b.withBurners(burning, func() error {
				for _, s := range turned(servers, round) {
					b.out.progress("  round %d of %d, %s: %s", round+1, rounds, m, s.name)
					if err := f(round, m, s); err != nil {
						return err
					}
				}
				return ctx.Err()
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// turned returns the items from the n-th on, and then those before it.
func turned[T any](items []T, n int) []T {
	if len(items) == 0 {
		return nil
	}
	n %= len(items)
	return append(append([]T(nil), items[n:]...), items[:n]...)
}
