package engine

import (
	"slices"
	"strings"

	"evenkeel/balancer/table"
	"evenkeel/fsm"
)

// goneBetween compares two tables, pool by pool where the registry knows which
// changed, and returns the backends whose idle connections are of no use any
// more: they went, moved, or are down.
func goneBetween(last, next *table.Table) []*table.Stats {
	var gone []*table.Stats
	for name := range touchedPools(last, next) {
		before, after := last.PoolNamed(name), next.PoolNamed(name)
		if before == nil || before == after {
			continue
		}
		for _, b := range before.Backends() {
			now := find(after, b)
			if now == nil || now.Health() == fsm.HealthDown && b.Health() != fsm.HealthDown {
				gone = append(gone, b.Stats)
			}
		}
	}
	return gone
}

func touchedPools(last, next *table.Table) map[string]struct{} {
	names := map[string]struct{}{}
	refs, known := next.State().ChangedSince(last.State().Version())
	if !known || last.State().ClusterID() != next.State().ClusterID() {
		for pool := range last.Pools() {
			names[pool.Name] = struct{}{}
		}
		return names
	}
	for _, ref := range refs {
		switch ref.Kind {
		case fsm.KindPool:
			names[ref.Name] = struct{}{}
		case fsm.KindBackend:
			names[ref.Pool] = struct{}{}
		}
	}
	return names
}

// find returns the same registration of a backend, at the same address, in
// another table's pool; nil if it is gone.
func find(pool *table.Pool, b *table.Backend) *table.Backend {
	if pool == nil {
		return nil
	}
	backends := pool.Backends()
	i, found := slices.BinarySearchFunc(backends, b.Name, func(other *table.Backend, name string) int {
		return strings.Compare(other.Name, name)
	})
	if found && backends[i].Stats == b.Stats && backends[i].Address == b.Address {
		return backends[i]
	}
	return nil
}

// poolsGone returns the pools that the next table does not have.
func poolsGone(last, next *table.Table) []*table.PoolStats {
	var gone []*table.PoolStats
	for name := range touchedPools(last, next) {
		before, after := last.PoolNamed(name), next.PoolNamed(name)
		if before != nil && (after == nil || after.Shared != before.Shared) {
			gone = append(gone, before.Shared)
		}
	}
	return gone
}
