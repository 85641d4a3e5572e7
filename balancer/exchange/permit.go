package exchange

import "evenkeel/balancer/table"

// A pool may bound the requests that a node has in flight to each backend. The
// bound is exact over all loops, and never exceeded. So that loops do not write
// the same memory at each request, each leases permits in blocks; where the
// bound is too small for that, a block is one permit. Pools without a bound
// take no part in any of this.

// smallestBlocks is how many permits there must be for each loop to lease more
// than one at a time.
const smallestBlocks = 8

// lease is the permits of one backend that this loop has leased and does not
// use.
type lease struct{ free int64 }

// blockOf is how many permits are leased at once.
func (l *Loop) blockOf(most int) int64 {
	if share := int64(most / l.loops); share >= smallestBlocks {
		return share / smallestBlocks
	}
	return 1
}

// acquire takes a permit for a request to the backend.
func (l *Loop) acquire(b *table.Backend, most int) bool {
	held := l.leases[b.Stats]
	if held == nil {
		held = new(lease)
		l.leases[b.Stats] = held
	}
	if held.free > 0 {
		held.free--
		return true
	}
	for {
		leased := b.Stats.Leased.Load()
		n := min(l.blockOf(most), int64(most)-leased)
		if n <= 0 {
			return false
		}
		if b.Stats.Leased.CompareAndSwap(leased, leased+n) {
			held.free = n - 1
			return true
		}
	}
}

// release gives a permit back. What the loop does not need is returned at once
// while somebody waits, and where a block is a single permit: one that this loop
// kept would be missed by the others.
func (l *Loop) release(b *table.Backend, pool *table.Pool) {
	held := l.leases[b.Stats]
	if held == nil { // the backend went meanwhile, and with it the lease
		held = new(lease)
	}
	held.free++
	waiting := pool.Shared.Waiting.Load() > 0
	block := l.blockOf(pool.Limits.BackendRequests)
	if waiting || l.leases[b.Stats] == nil || block == 1 || held.free > block {
		b.Stats.Leased.Add(-held.free)
		held.free = 0
	}
	if waiting {
		l.world.Wake(pool.Name)
	}
}

// returnLeases gives back what the loop has leased of a pool's backends and does
// not use, because another loop's requests wait.
func (l *Loop) returnLeases(pool *table.Pool) (any bool) {
	for _, b := range pool.Choices() {
		if held := l.leases[b.Stats]; held != nil && held.free > 0 {
			b.Stats.Leased.Add(-held.free)
			held.free, any = 0, true
		}
	}
	return any
}

// dropLease gives back what the loop has leased of a backend that is gone.
func (l *Loop) dropLease(stats *table.Stats) {
	if held := l.leases[stats]; held != nil {
		stats.Leased.Add(-held.free)
		delete(l.leases, stats)
	}
}
