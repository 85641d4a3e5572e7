//go:build linux

package main

import "context"

// runCase runs one of [caseNames].
func (b *bench) runCase(ctx context.Context, name string) error {
	b.out.progress("case %s", name)
	for _, c := range append(costCases(), protocolCases()...) {
		if c.name == name {
			return b.runCost(ctx, c)
		}
	}
	return map[string]func(context.Context) error{
		"p99":         b.runTail,
		"memory":      b.runMemory,
		"memory-tls":  b.runMemoryTLS,
		"allocations": b.runAllocations,
		"registry":    b.runRegistry,
		"stall":       b.runStall,
		"loops":       b.runLoops,
	}[name](ctx)
}
