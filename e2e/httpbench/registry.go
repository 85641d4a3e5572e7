//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	registryPools = 1_000
	poolBackends  = 100
	registryBound = 1.03
	nameLarge     = "evenkeel-100k"
	fillers       = 128
	registryCheck = "1m" // with --registry-checks
	fillLimit     = 10 * time.Minute
)

// runRegistry repeats the cost cases on a node whose registry also has 1,000
// pools of 100 backends.
func (b *bench) runRegistry(ctx context.Context) (err error) {
	p := alone()
	servers, err := b.startAll(ctx, p, b.named(nameEvenkeel)...)
	defer func() { err = errors.Join(err, b.endAll(servers)) }()
	if err != nil {
		return err
	}
	large, err := b.largeNode(ctx)
	if err != nil {
		return err
	}
	bound := registryBound
	if b.options.registryChecks {
		bound = 0 // some 1,700 probes a second are in what the node uses
	}
	for _, c := range costCases() {
		t, err := b.costs(ctx, c, p, append(servers[:1:1], large))
		if err != nil {
			return err
		}
		c.name, c.title = "registry-"+c.name, fmt.Sprintf("%s; with %d pools of %d backends", c.title, registryPools, poolBackends)
		b.printCosts(c, t, nameLarge, func(string) float64 { return bound })
	}
	return nil
}

// largeNode returns the node with the large registry, which several cases
// share because it takes long to fill. It ends with the bench.
func (b *bench) largeNode(ctx context.Context) (*server, error) {
	if b.large != nil {
		return b.large, nil
	}
	s, err := startEvenkeel(ctx, b, alone())
	if err != nil {
		return nil, err
	}
	s.name = nameLarge
	begin := time.Now()
	if err := b.fill(ctx, s); err != nil {
		return nil, errors.Join(err, b.end(s.process))
	}
	took := time.Since(begin)
	b.out.print("\nregistered %d backends in %v, %.0f/s; the checks of their pools are %s", registryPools*poolBackends,
		took.Round(time.Second), registryPools*poolBackends/took.Seconds(), onOff(b.options.registryChecks))
	if err := b.waitRest(ctx, s); err != nil {
		return nil, errors.Join(err, b.end(s.process))
	}
	b.large = s
	return s, nil
}

// waitRest waits until a server uses next to nothing: after so many writes its
// garbage collector and its snapshots have more to do. On a machine with other
// work it gives up after a while.
func (b *bench) waitRest(ctx context.Context, s *server) error {
	const span, limit = 500 * time.Millisecond, 40
	for range limit {
		before, err := cpuTime(s.process.pid())
		if err != nil {
			return err
		}
		if err := pause(ctx, span); err != nil {
			return err
		}
		after, err := cpuTime(s.process.pid())
		if err != nil || after-before < span/50 {
			return err
		}
	}
	b.out.print("%s did not come to rest within %v", s.name, limit*span)
	return nil
}

// fill registers the pools and their backends, which are the bench's own: with
// checks on they are found up.
func (b *bench) fill(ctx context.Context, s *server) error {
	ctx, cancel := context.WithTimeout(ctx, fillLimit)
	defer cancel()
	pool := "{}"
	if b.options.registryChecks {
		pool = fmt.Sprintf(`{"check":{"type":"tcp","interval":%q}}`, registryCheck)
	}
	pools := putAll(ctx, s.api.Address, puts{workers: fillers, count: registryPools, item: func(n int) (string, string) {
		return fmt.Sprintf("/v1/pools/pool-%d", n), pool
	}})
	if err := pools.complete(registryPools); err != nil {
		return err
	}
	all := putAll(ctx, s.api.Address, puts{workers: fillers, count: registryPools * poolBackends, item: func(n int) (string, string) {
		if n%10_000 == 0 {
			b.out.progress("  registering backend %d of %d", n, registryPools*poolBackends)
		}
		return largeBackend(n), fmt.Sprintf(`{"address":%q}`, b.largeAddress(n))
	}})
	return all.complete(registryPools * poolBackends)
}

// largeBackend is the path of the n-th backend of the large registry.
func largeBackend(n int) string {
	return fmt.Sprintf("/v1/pools/pool-%d/backends/backend-%d", n%registryPools, n)
}

// largeAddress is the address of the n-th backend of the large registry. Those
// of one pool have different ones.
func (b *bench) largeAddress(n int) string { return b.everywhere[n/registryPools] }

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}
