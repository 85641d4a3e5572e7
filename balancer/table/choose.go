package table

import (
	"slices"

	"evenkeel/fsm"
)

// tiers is how many tiers a pool may have.
const tiers = 16

// census counts backends of a pool, or of one of its tiers.
type census struct {
	ready  int // not kept out of use by an operator
	fit    int // of those the healthy ones
	usable int // of those the ones that are not ejected
}

// enough tells whether so many are usable that they can be left to themselves.
func (c census) enough(panicPercent int) bool {
	return c.usable > 0 && c.usable*100 >= panicPercent*c.ready
}

// choose settles which backends take new requests, and gives each its place.
//
// It is the usable ones of the lowest tier in which enough are usable: one, and
// the pool's panic threshold of those that are ready. Only if there is no such
// tier the pool panics: it chooses among all that are ready, of all tiers,
// whatever is known of their health. So a tier in trouble is left for a sound
// one before it panics, and no threshold keeps a sound tier from being used.
// (Envoy's priorities fail over before they panic, too.)
//
// Ejections never leave a pool without a backend: where all that are healthy are
// ejected, they are used all the same.
//
// If the pool prefers this node's zone and one of the chosen stands there, those
// come first, and near is how many they are; else near counts all.
func (p *Pool) choose(spec fsm.PoolSpec, zone string) {
	chosen := p.chosen(spec.PanicPercent)
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

// chosen returns the indexes of the backends to choose from.
func (p *Pool) chosen(panicPercent int) []int {
	all, byTier := p.count()
	p.Ejection.limit = p.Ejection.most(all)
	if p.heedless = all.usable == 0 && all.fit > 0; p.heedless {
		for t := range byTier {
			byTier[t].usable = byTier[t].fit
		}
	}
	for t, c := range byTier {
		if c.enough(panicPercent) {
			return p.indexes(func(b *Backend) bool {
				return tierOf(b) == t && b.ready() && b.healthy() && (p.heedless || !b.own.ejected)
			})
		}
	}
	if panicPercent == 0 || all.ready == 0 {
		return nil
	}
	p.panics, p.heedless = true, true
	return p.indexes((*Backend).ready)
}

func (p *Pool) count() (all census, byTier [tiers]census) {
	for _, b := range p.backends {
		if !b.ready() {
			continue
		}
		of := &byTier[tierOf(b)]
		of.ready++
		if b.healthy() {
			of.fit++
			if !b.own.ejected {
				of.usable++
			}
		}
	}
	for _, c := range byTier {
		all.ready += c.ready
		all.fit += c.fit
		all.usable += c.usable
	}
	return all, byTier
}

func tierOf(b *Backend) int { return min(max(b.spec().Tier, 0), tiers-1) }

func (p *Pool) indexes(of func(*Backend) bool) []int {
	var chosen []int
	for i, b := range p.backends {
		if of(b) {
			chosen = append(chosen, i)
		}
	}
	return chosen
}
