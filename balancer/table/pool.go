package table

import (
	"slices"

	"evenkeel/balancer/picker"
	"evenkeel/fsm"
)

// Pool is a pool as one table sees it. It is immutable, but for the place in
// the rotation and the backends' counters.
type Pool struct {
	Name string
	// Timeouts, Limits, Attempts (how many backends one request tries) and Budget
	// are what the data path keeps to.
	Timeouts PoolTimeouts
	Limits   PoolLimits
	Attempts int
	Budget   RetryBudget
	// Shared outlives tables.
	Shared *PoolStats

	uid      string
	strategy string
	backends []*Backend // all that are registered, in the order of their names
	choices  []*Backend // the eligible ones
	picker   picker.Picker
	hosts    []string // the host names to resolve, sorted, each once
}

// Pick chooses a backend for an attempt, by the pool's strategy, among those
// that are eligible and not in tried; nil if there is none. tried may be nil,
// and is to be for the first attempt: a set that is passed lives on the heap.
// Pick neither adds to tried nor counts anything.
func (p *Pool) Pick(tried *Tried) *Backend {
	var set *picker.Set
	if tried != nil {
		set = &tried.places
	}
	place := p.picker.Pick(set)
	if place < 0 {
		return nil
	}
	return p.choices[place]
}

// Strategy is how the pool chooses, one of fsm's Strategy constants.
func (p *Pool) Strategy() string { return p.strategy }

// Backends returns all registered backends of the pool, eligible or not, in
// the order of their names. The slice must not be changed.
func (p *Pool) Backends() []*Backend { return p.backends }

// Eligible returns how many backends take new requests.
func (p *Pool) Eligible() int { return len(p.choices) }

// poolSource is what a pool is compiled from.
type poolSource struct {
	state    *fsm.State
	resolver Resolver
	random   picker.Random
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
	known := src.previous.stats()
	for b := range src.state.PoolBackends(object.Name) {
		stats := known[b.Meta.UID]
		if stats == nil {
			stats = new(Stats)
		}
		p.backends = append(p.backends, newBackend(b, stats, src.resolver))
	}
	p.choices = choose(p.backends)
	p.picker = newPicker(p.strategy, p.choices, src.random)
	p.hosts = hostsOf(p.backends)
	return p
}

func (p *Pool) stats() map[string]*Stats {
	if p == nil {
		return nil
	}
	stats := make(map[string]*Stats, len(p.backends))
	for _, b := range p.backends {
		stats[b.UID] = b.Stats
	}
	return stats
}

// choose returns the usable backends of the lowest tier that has one, and gives
// each its place.
func choose(backends []*Backend) []*Backend {
	var choices []*Backend
	for _, b := range backends {
		if !b.usable() {
			continue
		}
		if len(choices) > 0 && b.spec.Tier < choices[0].spec.Tier {
			choices = choices[:0]
		}
		if len(choices) == 0 || b.spec.Tier == choices[0].spec.Tier {
			choices = append(choices, b)
		}
	}
	for place, b := range choices {
		b.place = place
	}
	return choices
}

func hostsOf(backends []*Backend) []string {
	var hosts []string
	for _, b := range backends {
		if b.host != "" {
			hosts = append(hosts, b.host)
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// newPicker maps the registry's strategies to pickers. A strategy that this
// build does not know can only come from a state that it could not have
// decoded; the default stands in, because traffic goes on whatever happens.
func newPicker(strategy string, choices []*Backend, random picker.Random) picker.Picker {
	candidates := make([]picker.Candidate, len(choices))
	for i, b := range choices {
		candidates[i] = picker.Candidate{Weight: b.spec.Weight, Load: &b.Stats.InFlight}
	}
	switch strategy {
	case fsm.StrategyRoundRobin:
		return picker.NewRoundRobin(candidates, random)
	case fsm.StrategyRandom:
		return picker.NewWeightedRandom(candidates, random)
	case fsm.StrategyLeastConnections:
		return picker.NewLeastConnections(candidates, random)
	case fsm.StrategyPowerOfTwoChoices:
		return picker.NewTwoChoices(candidates, random)
	default:
		return picker.NewSmoothWeighted(candidates, random)
	}
}

// uses tells whether a backend of the pool has that host name; a nil pool uses
// none.
func (p *Pool) uses(host string) bool {
	if p == nil {
		return false
	}
	_, found := slices.BinarySearch(p.hosts, host)
	return found
}
