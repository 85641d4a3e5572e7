package table

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"evenkeel/fsm"
)

// poolSource is what a pool is compiled from.
type poolSource struct {
	state    *fsm.State
	resolver Resolver
	options  *Options
	previous *Pool // of the last table; nil if there was none
}

// compile takes the counters of backends that it knew before from the previous
// pool. Nothing else refers to them but tables in use, so those of deleted
// backends go when the last of these does.
func (src poolSource) compile(object *fsm.Pool) *Pool {
	p := &Pool{Name: object.Name, uid: object.Meta.UID, strategy: object.Spec.Strategy}
	p.Timeouts, p.Limits = timeoutsOf(object.Spec), limitsOf(object.Spec)
	retries := object.Spec.EffectiveRetries()
	p.Attempts, p.Budget = retries.Attempts, RetryBudget{Percent: retries.BudgetPercent, Min: retries.BudgetMin}
	p.Shared = src.previous.shared(p.uid)
	p.backends = src.backends(object.Name)
	p.choose(object.Spec, src.options.Zone)
	p.random = rand.Uint64
	if src.options.Random != nil {
		p.random = src.options.Random
	}
	p.setPicker(object.Spec, src)
	p.sticky = compileSticky(object.Spec.Sticky, p.uid, p.backends, src.options.StickyKeys)
	p.hosts = hostsOf(p.backends)
	return p
}

// backends returns the pool's backends in the order of their names: those of
// the previous pool that did not change, and new ones, which have no place yet.
// A large pool of which one backend changes is the usual case.
func (src poolSource) backends(pool string) []*Backend {
	var last []*Backend // that may still come, in the order of their names
	if src.previous != nil {
		last = src.previous.backends
	}
	backends := make([]*Backend, 0, len(last)+1)
	for object := range src.state.PoolBackends(pool) {
		for len(last) > 0 && cmp.Less(last[0].Name, object.Name) {
			last = last[1:]
		}
		var before *Backend
		if len(last) > 0 && last[0].UID == object.Meta.UID {
			before = last[0]
		}
		backends = append(backends, src.backend(object, before))
	}
	return backends
}

// backend returns the backend as it was before if nothing of it changed. The
// addresses of a host name may have.
func (src poolSource) backend(object *fsm.Backend, before *Backend) *Backend {
	switch {
	case before == nil:
		return newBackend(object, newStats(src.options.Loops), src.resolver)
	case before.object == object && before.host == "":
		return before
	default:
		return newBackend(object, before.Stats, src.resolver)
	}
}

// choose settles which backends take new requests, and gives each its place:
// the usable ones of the lowest tier that has one. If the pool prefers this
// node's zone and one of them stands there, those come first, and near is how
// many they are; else near counts all.
func (p *Pool) choose(spec fsm.PoolSpec, zone string) {
	chosen := lowestTier(p.backends)
	p.near = len(chosen)
	if spec.PreferZone && zone != "" {
		elsewhere := func(i int) bool { return p.backends[i].spec().Zone != zone }
		here := slices.DeleteFunc(slices.Clone(chosen), elsewhere)
		if len(here) > 0 {
			there := slices.DeleteFunc(chosen, func(i int) bool { return !elsewhere(i) })
			chosen, p.near = append(here, there...), len(here)
		}
	}
	places := slices.Repeat([]int{noChoice}, len(p.backends))
	for place, i := range chosen {
		places[i] = place
	}
	for i, b := range p.backends {
		p.backends[i] = b.at(places[i])
	}
	p.choices = make([]*Backend, len(chosen))
	for place, i := range chosen {
		p.choices[place] = p.backends[i]
	}
}

// lowestTier returns the indexes of the usable backends of the lowest tier that
// has one.
func lowestTier(backends []*Backend) []int {
	chosen := make([]int, 0, len(backends))
	for i, b := range backends {
		if !b.usable() {
			continue
		}
		if len(chosen) > 0 && b.spec().Tier < backends[chosen[0]].spec().Tier {
			chosen = chosen[:0]
		}
		if len(chosen) == 0 || b.spec().Tier == backends[chosen[0]].spec().Tier {
			chosen = append(chosen, i)
		}
	}
	return chosen
}
