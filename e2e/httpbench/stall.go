//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

const (
	stallChanges = 1000 // a second
	stallWriters = 64
	stallShare   = 0.4 // of the highest rate; the changes need a share of the core, too
	changed      = ", changing"
)

// stalls are the outcomes of one mode by what was measured.
type stalls struct {
	outcomes map[string]map[int]Outcome
	changes  map[string][]float64 // a second
	images   map[string][]float64 // a second
	bytes    map[string][]float64 // MB a second
}

// runStall measures the latency of an open loop while the registry changes
// 1,000 times a second, with a small registry and with one of 100,000
// backends, whose image and snapshots the node writes meanwhile: first with all
// of the node on one core, as a machine of one core would have it, then with the
// core of the load, too, on which its other threads find room.
func (b *bench) runStall(ctx context.Context) (err error) {
	p := alone()
	servers, err := b.startAll(ctx, p, b.named(nameEvenkeel)...)
	defer func() { err = errors.Join(err, b.endAll(servers)) }()
	if err != nil {
		return err
	}
	highest, err := b.highestRates(ctx, p, servers)
	if err != nil {
		return err
	}
	large, err := b.largeNode(ctx)
	if err != nil {
		return err
	}
	both := append(servers[:1:1], large)
	err = b.stallOn(ctx, p, both, highest)
	return errors.Join(err, b.stallBeside(ctx, both, highest))
}

// stallBeside lets the threads of both nodes run on the core of the load, too.
func (b *bench) stallBeside(ctx context.Context, servers []*server, highest map[mode]map[string]float64) (err error) {
	p := placing{cores: []int{proxyCore, loadCore}, threads: 1}
	for _, s := range servers {
		if err := move(s.process.pid(), p.cores); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, move(s.process.pid(), alone().cores)) }()
	}
	return b.stallOn(ctx, p, servers, highest)
}

// stallOn measures the nodes, which run on the cores of the placing.
func (b *bench) stallOn(ctx context.Context, p placing, servers []*server, highest map[mode]map[string]float64) error {
	measured := map[mode]stalls{}
	for _, m := range []mode{modeAlone, modeSaturated} {
		measured[m] = stalls{map[string]map[int]Outcome{}, map[string][]float64{}, map[string][]float64{}, map[string][]float64{}}
	}
	// The load's core is never saturated: what is late there is not the balancer's.
	err := b.interleave(ctx, b.options.rounds, alone(), servers, func(round int, m mode, s *server) error {
		rate := stallShare * highest[m][nameEvenkeel]
		quiet, err := b.openLoop(ctx, p, s, rate)
		if err != nil {
			return err
		}
		measured[m].set(s.name, round, quiet)
		return b.underChanges(ctx, p, s, measured[m], round, rate)
	})
	if err != nil {
		return err
	}
	for _, m := range []mode{modeAlone, modeSaturated} {
		b.printStalls(p, m, servers, measured[m], stallShare*highest[m][nameEvenkeel])
	}
	return nil
}

func (s stalls) set(name string, round int, o Outcome) {
	if s.outcomes[name] == nil {
		s.outcomes[name] = map[int]Outcome{}
	}
	s.outcomes[name][round] = o
}

// underChanges measures one window while the writer changes the registry.
func (b *bench) underChanges(ctx context.Context, p placing, s *server, into stalls, round int, rate float64) (err error) {
	stop, err := b.startWriter(ctx, s)
	if err != nil {
		return err
	}
	disk := watchDisk(s.process.pid(), s.dataDir)
	o, err := b.openLoop(ctx, p, s, rate)
	name := s.name + changed
	into.set(name, round, o)
	writes, diskErr := disk()
	into.images[name] = append(into.images[name], writes.images)
	into.bytes[name] = append(into.bytes[name], writes.megabytes)
	written, stopErr := stop()
	into.changes[name] = append(into.changes[name], written.perSecond())
	if written.Failed > 0 {
		b.out.print("%s: %d changes were refused, the first: %s", name, written.Failed, written.First)
	}
	return errors.Join(err, diskErr, stopErr)
}

// startWriter starts the writer's process. Beside the load it is nice, so that
// what is measured waits for the balancer and not for it.
func (b *bench) startWriter(ctx context.Context, s *server) (stop func() (Written, error), err error) {
	job := WriterJob{API: s.api.Address, Rate: stallChanges, Workers: stallWriters}
	for i, address := range b.backends { // of the pool that has the traffic
		job.Backends = append(job.Backends, WriterBackend{fmt.Sprintf("/v1/pools/default/backends/b%d", i+1), address})
	}
	if s.name == nameLarge {
		for n := range 40 {
			job.Backends = append(job.Backends, WriterBackend{largeBackend(n), b.largeAddress(n)})
		}
	}
	content, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	input, hold := io.Pipe()
	var output bytes.Buffer
	c := b.modeCommand("writer", modeWriter, []int{loadCore})
	c.input, c.output, c.nice = io.MultiReader(bytes.NewReader(content), input), &output, 10
	writer, err := b.start(c)
	if err != nil {
		return nil, err
	}
	return func() (Written, error) {
		var w Written
		err := errors.Join(hold.Close(), b.wait(ctx, writer))
		if err == nil {
			err = json.Unmarshal(output.Bytes(), &w)
		}
		return w, err
	}, nil
}

func (b *bench) printStalls(p placing, m mode, servers []*server, measured stalls, rate float64) {
	b.out.title("stall: open loop, GET of 1 KB, %.0f/s, while the registry changes %d times a second; one loop, node on cores %v; %s",
		rate, stallChanges, p.cores, m)
	rows := [][]string{{"node", "p50", "p99", "longest", "", "changes/s", "images and snapshots/s", "MB written/s"}}
	for _, s := range servers {
		for _, name := range []string{s.name, s.name + changed} {
			cells := append([]string{name}, latencyCells(measured.outcomes[name])...)
			rows = append(rows, append(cells, whole(spreadOf(measured.changes[name]).median),
				one(spreadOf(measured.images[name]).median), one(spreadOf(measured.bytes[name]).median)))
		}
	}
	b.out.table(rows)
}
