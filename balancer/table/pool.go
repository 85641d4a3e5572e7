package table

import (
	"slices"
	"strings"
	"time"

	"evenkeel/balancer/certificates"
	"evenkeel/balancer/picker"
	"evenkeel/balancer/proxyproto"
	"evenkeel/fsm"
)

// Pool is a pool as one table sees it. It is immutable, but for the place in
// the rotation and the backends' counters.
//
// Chosen from are the backends of the lowest tier in which enough of them are
// usable, as standing.go and choose.go say.
type Pool struct {
	Name string
	// Timeouts, Limits, Attempts (how many backends one request tries) and Budget
	// are what the data path keeps to.
	Timeouts PoolTimeouts
	Limits   PoolLimits
	Attempts int
	Budget   RetryBudget
	Ejection Ejection
	// HTTP2: the backends are spoken to in HTTP/2, by prior knowledge or as ALPN
	// has it. Requests then share connections.
	HTTP2 bool
	// TLS is how the backends are spoken to by TLS; nil: they are not.
	TLS *certificates.Upstream
	// ProxyProtocol is the version of the PROXY header that each connection to a
	// backend begins with; 0: none does.
	ProxyProtocol proxyproto.Version
	// Shared outlives tables.
	Shared *PoolStats

	uid      string
	strategy string
	backends []*Backend // all that are registered, in the order of their names
	choices  []*Backend // the eligible ones
	random   func() uint64
	near     int // how many of them, the first, the strategy chooses among
	picker   picker.Picker
	factor   int // how far above the mean a load may be, in percent; 0: no bound
	// candidates are what the picker was made of.
	candidates []picker.Candidate
	hosts      []string      // the host names to resolve, sorted, each once
	hashing    *hashing      // nil unless the strategy hashes
	sticky     *sticky       // nil without a cookie
	panics     bool          // it chooses among all that are ready
	heedless   bool          // ejections do not count: nothing else is left
	nextStep   time.Duration // when a slow start goes on, 0 if none is under way
}

// Pick chooses a backend for an attempt among those that are eligible and were
// not tried: the one that a sticky cookie names, else by the pool's strategy;
// nil if there is none. It neither adds to what was tried nor counts anything.
// One that was ejected after the table was made is chosen only if no other is
// left.
func (p *Pool) Pick(q *Choice) *Backend {
	if p.sticky != nil {
		if b := p.sticky.named(q); b != nil && !p.Avoids(b) {
			return b
		}
	}
	r := &q.request
	*r = picker.Request{Loop: q.Loop, Now: q.Now}
	if q.Tried != nil {
		r.Tried = &q.Tried.places
	}
	if p.hashing != nil {
		if !q.Keyed {
			q.Key, _ = p.hashing.key(q)
			q.Keyed = true
		}
		r.Hash = q.Key
	}
	place := p.picker.Pick(r)
	if place < 0 {
		return p.pickFar(q.Tried)
	}
	if b := p.choices[place]; !p.Avoids(b) {
		return b
	}
	return p.pickAgain(q, place)
}

// Avoids tells whether a backend is not to be chosen if there is another, as it
// was ejected.
func (p *Pool) Avoids(b *Backend) bool { return b.Stats.Ejected() && !p.heedless }

// pickAgain chooses once more, without those that were ejected since the table
// was made; place is what the strategy chose, and stands if nothing else is
// left. It looks at all of the pool, which happens until the next table is
// there.
func (p *Pool) pickAgain(q *Choice, place int) *Backend {
	if q.Tried == nil {
		q.avoided.Reset()
	} else {
		q.avoided.CopyFrom(&q.Tried.places)
	}
	for i, b := range p.choices[:p.near] {
		if p.Avoids(b) {
			q.avoided.Add(i)
		}
	}
	q.request.Tried = &q.avoided
	if again := p.picker.Pick(&q.request); again >= 0 {
		return p.choices[again]
	}
	if b := p.pickFar(q.Tried); b != nil && !p.Avoids(b) {
		return b
	}
	return p.choices[place]
}

// pickFar returns a backend beyond this node's zone, once all within it were
// tried in vain or ejected; nil if there is none.
func (p *Pool) pickFar(tried *Tried) *Backend {
	far := p.choices[p.near:]
	if len(far) == 0 {
		return nil
	}
	var avoided *Backend
	start := int(p.random() % uint64(len(far))) // not all of them to the same one
	for i := range far {
		switch b := far[(start+i)%len(far)]; {
		case tried.Has(b):
		case !p.Avoids(b):
			return b
		case avoided == nil:
			avoided = b
		}
	}
	return avoided
}

// ReadsLoads tells whether the strategy looks at what is in flight from other
// loops, which then have to publish it.
func (p *Pool) ReadsLoads() bool {
	switch p.strategy {
	case fsm.StrategyLeastConnections, fsm.StrategyPowerOfTwoChoices, fsm.StrategyPeakEWMA:
		return true
	}
	return p.factor > 0
}

// Strategy is how the pool chooses, one of fsm's Strategy constants.
func (p *Pool) Strategy() string { return p.strategy }

// Backends returns all registered backends of the pool, eligible or not, in
// the order of their names. The slice must not be changed.
func (p *Pool) Backends() []*Backend { return p.backends }

// Backend returns the registered backend of that name, or nil.
func (p *Pool) Backend(name string) *Backend {
	i, found := slices.BinarySearchFunc(p.backends, name, func(b *Backend, name string) int { return strings.Compare(b.Name, name) })
	if !found {
		return nil
	}
	return p.backends[i]
}

// Panics tells whether too few backends are usable, so that the pool chooses
// among all that are ready.
func (p *Pool) Panics() bool { return p.panics }

// Eligible returns how many backends take new requests.
func (p *Pool) Eligible() int { return len(p.choices) }

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

// setPicker settles how the pool chooses. As long as the strategy and its
// candidates stay, so does the picker of the previous table, with its place in
// the rotation and what it has computed.
func (p *Pool) setPicker(spec fsm.PoolSpec, src *poolSource) {
	p.candidates = make([]picker.Candidate, p.near)
	for i, b := range p.choices[:p.near] {
		if p.strategy == fsm.StrategyPeakEWMA {
			b.Stats.Latency.Learn(src.options.Loops)
		}
		p.candidates[i] = picker.Candidate{Name: b.Name, Weight: b.spec().Weight, Share: b.own.share, Load: b.Stats.Load, Latency: b.Stats.Latency}
	}
	switch p.strategy {
	case fsm.StrategyMaglev, fsm.StrategyRingHash, fsm.StrategyRendezvous:
		hash := spec.EffectiveHash()
		p.hashing, p.factor = &hashing{on: hash.On, name: hash.Name}, hash.BalanceFactor
	}
	if last := src.previous; last != nil && last.strategy == p.strategy && last.factor == p.factor && slices.Equal(last.candidates, p.candidates) {
		p.picker = last.picker
		return
	}
	p.picker = p.newPicker(src.options.Random)
}

// newPicker maps the registry's strategies to pickers. A strategy that this
// build does not know can only come from a state that it could not have
// decoded; the default stands in, because traffic goes on whatever happens.
func (p *Pool) newPicker(random picker.Random) picker.Picker {
	switch p.strategy {
	case fsm.StrategyRoundRobin:
		return picker.NewRoundRobin(p.candidates, random)
	case fsm.StrategyRandom:
		return picker.NewWeightedRandom(p.candidates, random)
	case fsm.StrategyLeastConnections:
		return picker.NewLeastConnections(p.candidates, random)
	case fsm.StrategyPowerOfTwoChoices:
		return picker.NewTwoChoices(p.candidates, random)
	case fsm.StrategyPeakEWMA:
		return picker.NewPeakEWMA(p.candidates, random)
	case fsm.StrategyMaglev:
		return p.bound(picker.NewMaglev(p.candidates))
	case fsm.StrategyRingHash:
		return p.bound(picker.NewRingHash(p.candidates))
	case fsm.StrategyRendezvous:
		return p.bound(picker.NewRendezvous(p.candidates))
	default:
		return picker.NewSmoothWeighted(p.candidates, random)
	}
}

// bound bounds the loads, if that is asked for.
func (p *Pool) bound(inner picker.Hashing) picker.Picker {
	if p.factor == 0 {
		return inner
	}
	return picker.NewBounded(inner, p.candidates, p.factor)
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
