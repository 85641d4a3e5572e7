//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	allocationRequests = 100_000
	// allocationBase is how many requests the run for comparison has: enough
	// that all connections, of both sides, have been used.
	allocationBase = 1000
	// allocationBound is what counts as none: a node at rest allocates for its
	// API, its checks and its cluster, and never quite the same.
	allocationBound = 0.02
)

// runAllocations counts what Evenkeel allocates per request: what it allocates
// over many, less what it does over few in the same time.
func (b *bench) runAllocations(ctx context.Context) (err error) {
	servers, err := b.startAll(ctx, alone(), b.named(nameEvenkeel)...)
	defer func() { err = errors.Join(err, b.endAll(servers)) }()
	if err != nil {
		return err
	}
	s := servers[0]
	if err := b.sendExactly(ctx, s, allocationRequests); err != nil { // what is allocated once
		return err
	}
	var net, gross []float64
	for round := range b.options.rounds {
		b.out.progress("  round %d of %d", round+1, b.options.rounds)
		many, took, err := b.mallocsDuring(s, func() error { return b.sendExactly(ctx, s, allocationBase+allocationRequests) })
		if err != nil {
			return err
		}
		few, _, err := b.mallocsDuring(s, func() error {
			begin := time.Now()
			return errors.Join(b.sendExactly(ctx, s, allocationBase), pause(ctx, took-time.Since(begin)))
		})
		if err != nil {
			return err
		}
		gross = append(gross, many/allocationRequests)
		net = append(net, max(0, many-few)/allocationRequests)
	}
	b.printAllocations(gross, net)
	return nil
}

// sendExactly sends so many requests on keep-alive connections.
func (b *bench) sendExactly(ctx context.Context, s *server, count int) error {
	o, err := b.measure(ctx, alone(), s, Job{Shape: GetSmall, Connections: 64, Requests: count, Window: startLimit})
	b.out.check("allocations", o)
	if err == nil && o.Requests < count {
		err = fmt.Errorf("send %d requests: %d were answered within %v", count, o.Requests, startLimit)
	}
	return err
}

func (b *bench) printAllocations(gross, net []float64) {
	b.out.title("allocations: over %d GETs of 1 KB on 64 keep-alive connections", allocationRequests)
	three := func(x float64) string { return number("%.4f", x) }
	b.out.table([][]string{
		{"allocations per request", "median", "range", "bound", ""},
		append([]string{"of the whole process"}, append(spreadCells(spreadOf(gross), three), "", "")...),
		append([]string{"less those of its connections and of the time"}, b.out.judge("allocations: per request", spreadOf(net), allocationBound, three)...),
	})
}

// mallocsDuring returns how much the node allocated while f ran, and how long
// that took.
func (b *bench) mallocsDuring(s *server, f func() error) (float64, time.Duration, error) {
	before, err := s.mallocs()
	if err != nil {
		return 0, 0, err
	}
	begin := time.Now()
	if err := f(); err != nil {
		return 0, 0, err
	}
	took := time.Since(begin)
	after, err := s.mallocs()
	return after - before, took, err
}
