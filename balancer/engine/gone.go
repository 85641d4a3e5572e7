package engine

import (
	"maps"
	"slices"
	"strings"

	"evenkeel/balancer/table"
	"evenkeel/fsm"
)

// difference is what of one table the next one does not have.
type difference struct {
	// gone are the backends whose idle connections are of no use any more: they
	// went, moved, are down or drained, or are spoken to in another manner.
	gone []*table.Stats
	// overdue are those whose drain has come to its timeout.
	overdue []*table.Stats
	pools   []*table.PoolStats // that are gone
}

// compare compares two tables, pool by pool where it is known which changed.
func compare(last, next *table.Table) (d difference) {
	for name := range touchedPools(last, next) {
		before, after := last.PoolNamed(name), next.PoolNamed(name)
		if before == nil || before == after {
			continue
		}
		if after == nil || after.Shared != before.Shared {
			d.pools = append(d.pools, before.Shared)
		}
		for _, b := range before.Backends() {
			now := find(after, b)
			if now == nil || now.Useless() && !b.Useless() || after.Manner() != before.Manner() {
				d.gone = append(d.gone, b.Stats)
			}
			if now != nil && timedOut(now) && !timedOut(b) {
				d.overdue = append(d.overdue, b.Stats)
			}
		}
	}
	return d
}

func timedOut(b *table.Backend) bool {
	return b.AdminState() == fsm.AdminDrain && b.Drain() != nil && b.Drain().State == fsm.DrainTimedOut
}

// touchedPools are the pools that may differ: by the registry, or by what this
// node alone knows.
func touchedPools(last, next *table.Table) map[string]struct{} {
	names := maps.Clone(next.Compiled())
	if names == nil {
		names = map[string]struct{}{}
	}
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
