//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

const (
	memoryRounds = 3    // fresh processes of each program
	memoryBound  = 1024 // bytes
	// memorySettle is how long a program may give memory back.
	memorySettle = time.Second
	// secureSettle is the same after handshakes, each of which leaves some 60 KB of
	// garbage to programs that have a collector.
	secureSettle = 6 * time.Second
	// sideDescriptors is what a balancer needs beside its clients' connections.
	sideDescriptors = 300
)

// memoryCounts are how many idle connections the memory is measured with.
func memoryCounts() []int { return []int{5000, 20000} }

// runMemory measures what an idle keep-alive connection holds, after one
// request on each.
func (b *bench) runMemory(ctx context.Context) error {
	rounds := min(memoryRounds, b.options.rounds)
	counts := memoryCounts()
	for i := range counts {
		counts[i] = min(counts[i], b.descriptors-sideDescriptors)
	}
	measured := map[string][][]float64{} // by name and index of the count
	base := map[string][]float64{}
	programs := b.named()
	for round := range rounds {
		for _, program := range turned(programs, round) {
			b.out.progress("  round %d of %d: %s", round+1, rounds, program.name)
			at, each, err := b.memoryOf(ctx, program, counts)
			if err != nil {
				return fmt.Errorf("%s: %w", program.name, err)
			}
			base[program.name] = append(base[program.name], at)
			if measured[program.name] == nil {
				measured[program.name] = make([][]float64, len(counts))
			}
			for i, bytes := range each {
				measured[program.name][i] = append(measured[program.name][i], bytes)
			}
		}
	}
	b.out.title("memory: anonymous memory per idle keep-alive connection, %d fresh processes", rounds)
	for i, count := range counts {
		if wanted := memoryCounts()[i]; count < wanted {
			b.out.print("%d connections instead of %d: this process may have %d descriptors (ulimit -Hn)\n", count, wanted, b.descriptors)
		}
	}
	rows := [][]string{{"program", "MB without", "connections", "bytes each", "range", "bound", ""}}
	for _, program := range programs {
		for i, count := range counts {
			each := spreadOf(measured[program.name][i])
			cells := append(spreadCells(each, whole), "", "")
			if program.name == nameEvenkeel {
				cells = b.out.judge(fmt.Sprintf("memory: bytes per idle connection, %d of them", count), each, memoryBound, whole)
			}
			without := spreadOf(base[program.name]).median / 1e6
			rows = append(rows, append([]string{program.name, number("%.1f", without), fmt.Sprint(count)}, cells...))
		}
	}
	b.out.table(rows)
	return nil
}

// memoryOf starts a program and returns its memory before the connections and
// per connection at each of the counts, which grow.
func (b *bench) memoryOf(ctx context.Context, program program, counts []int) (base float64, each []float64, err error) {
	servers, err := b.startAll(ctx, alone(), program)
	defer func() { err = errors.Join(err, b.endAll(servers)) }()
	if err != nil {
		return 0, nil, err
	}
	s := servers[0]
	// What every program allocates once, with its first traffic, is not the
	// connections'.
	o, err := b.measure(ctx, alone(), s, Job{Shape: GetSmall, Connections: 64, Warmup: warmup, Window: warmup})
	if err != nil {
		return 0, nil, err
	}
	b.out.check(s.name+", before idle connections", o)
	if base, err = b.settledMemory(ctx, s, memorySettle); err != nil {
		return 0, nil, err
	}
	open := 0
	for _, count := range counts {
		h, err := b.hold(ctx, s, count-open)
		if err != nil {
			return 0, nil, err
		}
		defer func() { err = errors.Join(err, b.release(ctx, h)) }()
		open = count
		now, err := b.settledMemory(ctx, s, memorySettle)
		if err != nil {
			return 0, nil, err
		}
		each = append(each, (now-base)/float64(count))
	}
	return base, each, nil
}

// settledMemory returns the anonymous memory of a server, in bytes, after a while.
func (b *bench) settledMemory(ctx context.Context, s *server, settle time.Duration) (float64, error) {
	if err := pause(ctx, settle); err != nil {
		return 0, err
	}
	// Not RssAnon of status: that is kept per core and some hundred KB off.
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", s.process.pid()))
	if err != nil {
		return 0, err
	}
	bytes, err := parseKilobytes(string(text), "Pss_Anon")
	return float64(bytes), err
}
