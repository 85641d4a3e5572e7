package table

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"evenkeel/balancer/picker"
	"evenkeel/fsm"
)

// maxExplained bounds the backends that an explanation lists of one pool.
const maxExplained = 1000

// How a pool's choice is made, in [ChoiceExplained].
const (
	ChosenSticky = "sticky"     // the request's cookie names the backend
	ChosenHash   = "hash"       // its key leads there
	ChosenOnly   = "only"       // there is no other
	ChosenAny    = "one_of"     // the strategy decides when the request is there
	ChosenNone   = "no_backend" // there is none to choose
)

// PoolExplained is what a pool does with a request.
type PoolExplained struct {
	Name     string `json:"name"`
	Strategy string `json:"strategy"`
	// Hash is nil unless the strategy hashes, Sticky without a cookie.
	Hash   *HashExplained   `json:"hash,omitempty"`
	Sticky *StickyExplained `json:"sticky,omitempty"`
	// Registered is how many backends the pool has, and Candidates how many of them
	// it chooses among for new requests.
	Registered int `json:"registered"`
	Candidates int `json:"candidates"`
	// Tier is that of the candidates, nil if there are none or the pool panics.
	Tier *int `json:"tier,omitempty"`
	// Panics tells that too few backends are usable, so that all that are ready are
	// candidates; Heedless that ejections do not count, for nothing else is left.
	Panics   bool `json:"panic"`
	Heedless bool `json:"heedless"`
	// Choice is what is chosen for a first attempt.
	Choice ChoiceExplained `json:"choice"`
	// Backends are at most 1,000, in the order of their names; of more the candidates
	// come first. LeftOff counts the others by their use.
	Backends []BackendExplained `json:"backends"`
	LeftOff  map[Use]int        `json:"left_off,omitempty"`
}

// HashExplained is what a pool hashes of requests.
type HashExplained struct {
	On            string `json:"on"`
	Name          string `json:"name,omitempty"`
	BalanceFactor int    `json:"balance_factor,omitempty"`
	// Fallback tells that the request has no such key, and is hashed by its
	// client's address.
	Fallback bool `json:"fallback,omitempty"`
}

// StickyExplained is the cookie of a pool.
type StickyExplained struct {
	Cookie string `json:"cookie"`
	// Sent tells that the request has it, Known that it names a backend that takes
	// the client back. The response sets it otherwise.
	Sent  bool `json:"sent"`
	Known bool `json:"known"`
}

// ChoiceExplained is which backend a request gets.
type ChoiceExplained struct {
	// How is one of the Chosen constants. Backend is "" with the last two.
	How     string `json:"how"`
	Backend string `json:"backend,omitempty"`
	// Why says it for people.
	Why string `json:"why"`
}

// BackendExplained is how one backend of a pool stands.
type BackendExplained struct {
	Name    string `json:"name"`
	UID     string `json:"uid"`
	Address string `json:"address"`
	// Use is whether it is given new requests, and if not why; Reason is what more
	// is known of that, which others than the table know.
	Use    Use    `json:"use"`
	Reason string `json:"reason,omitempty"`
	// Candidate tells whether the pool chooses from it.
	Candidate  bool           `json:"candidate"`
	AdminState fsm.AdminState `json:"admin_state"`
	Health     fsm.Health     `json:"health"`
	Tier       int            `json:"tier"`
	Zone       string         `json:"zone,omitempty"`
	// Weight is as it is registered; EffectiveWeight what a slow start and its own
	// wish to be spared leave of it.
	Weight          int     `json:"weight"`
	EffectiveWeight float64 `json:"effective_weight"`
	// Share is which part of the pool's new requests it gets, 0 to 1: of all keys
	// where they are hashed; where loads or response times count, if these are equal.
	Share float64 `json:"share"`
	// InFlight is how many requests this node has under way there.
	InFlight int64 `json:"in_flight"`
}

// Explain returns what the pool does with a request, and changes nothing. q is as
// for a first [Pool.Pick] of the request.
func (p *Pool) Explain(q *Choice) PoolExplained {
	e := PoolExplained{
		Name: p.Name, Strategy: p.strategy, Registered: len(p.backends), Candidates: len(p.choices),
		Panics: p.panics, Heedless: p.heedless && !p.panics,
	}
	if len(p.choices) > 0 && !p.panics {
		tier := tierOf(p.choices[0])
		e.Tier = &tier
	}
	if p.hashing != nil {
		_, has := p.hashing.key(q)
		e.Hash = &HashExplained{On: p.hashing.on, Name: p.hashing.name, BalanceFactor: p.factor, Fallback: !has}
	}
	if p.sticky != nil {
		_, sent := cookieOf(q.Fields, p.sticky.spec.Cookie)
		e.Sticky = &StickyExplained{Cookie: p.sticky.spec.Cookie, Sent: sent, Known: p.sticky.named(q) != nil}
	}
	e.Choice = p.explainChoice(q, e.Hash)
	e.Backends, e.LeftOff = p.explainBackends()
	return e
}

// explainChoice picks where a pick depends on the request alone.
func (p *Pool) explainChoice(q *Choice, hash *HashExplained) ChoiceExplained {
	if p.sticky != nil {
		if b := p.sticky.named(q); b != nil && !p.Avoids(b) {
			return ChoiceExplained{ChosenSticky, p.Pick(q).Name, "the request's cookie " + p.sticky.spec.Cookie + " names it"}
		}
	}
	open := p.open()
	switch {
	case len(open) == 0:
		return ChoiceExplained{How: ChosenNone, Why: p.whyNone()}
	case len(open) == 1:
		return ChoiceExplained{ChosenOnly, open[0].Name, "there is no other to choose"}
	case picker.Pure(p.picker) && open[0].place < p.near:
		return ChoiceExplained{ChosenHash, p.Pick(q).Name, hash.why()}
	case open[0].place >= p.near:
		return ChoiceExplained{How: ChosenAny, Why: fmt.Sprintf("one of %d backends beyond this node's zone, whose own were ejected", len(open))}
	}
	return ChoiceExplained{How: ChosenAny, Why: fmt.Sprintf("%s decides among %d backends when the request is there", p.strategy, len(open))}
}

// open returns whom the first attempt of a new request may go to: the backends
// near by that are not ejected, else those beyond, and if all are ejected those
// near by all the same.
func (p *Pool) open() []*Backend {
	for _, part := range [][]*Backend{p.choices[:p.near], p.choices[p.near:]} {
		if open := slices.DeleteFunc(slices.Clone(part), p.Avoids); len(open) > 0 {
			return open
		}
	}
	return p.choices[:p.near]
}

func (h *HashExplained) why() string {
	by := "the hash of "
	switch {
	case h.On == fsm.HashSource:
		by += "the client's address"
	case h.Fallback:
		by += fmt.Sprintf("the client's address, as the request has no %s %s,", h.On, h.Name)
	default:
		by += strings.TrimSpace("the " + h.On + " " + h.Name)
	}
	if by += " leads there"; h.BalanceFactor > 0 {
		by += ", as long as it has no more than its share of what is in flight"
	}
	return by
}

// whyNone counts the backends by what keeps them from being chosen.
func (p *Pool) whyNone() string {
	if len(p.backends) == 0 {
		return "the pool has no backends"
	}
	counts := map[Use]int{}
	for _, b := range p.backends {
		counts[p.Use(b)]++
	}
	var parts []string
	for _, use := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[use], use))
	}
	return fmt.Sprintf("none of the pool's %d backends takes new requests: %s", len(p.backends), strings.Join(parts, ", "))
}

func (p *Pool) explainBackends() (list []BackendExplained, leftOff map[Use]int) {
	shares := p.shares()
	room := maxExplained - min(len(p.choices), maxExplained)
	list = []BackendExplained{}
	candidates := 0
	for _, b := range p.backends {
		use := p.Use(b)
		kept := room > 0
		if b.Eligible() {
			candidates++
			kept = candidates <= maxExplained
		} else if kept {
			room--
		}
		if !kept {
			if leftOff == nil {
				leftOff = map[Use]int{}
			}
			leftOff[use]++
			continue
		}
		e := BackendExplained{
			Name: b.Name, UID: b.UID, Address: b.Address, Use: use, Candidate: b.Eligible(),
			AdminState: b.AdminState(), Health: b.Health(), Tier: tierOf(b), Zone: b.spec().Zone,
			Weight: b.Weight(), EffectiveWeight: float64(b.Weight()*b.own.share) / wholeShare, InFlight: b.Stats.InFlight(),
		}
		if b.Eligible() {
			e.Share = shares[b.place]
		}
		list = append(list, e)
	}
	return list, leftOff
}

// shares returns by place which part of new requests each choice gets, as
// [picker.Shares] has it, and as [Pool.Pick] deals with ejections since the table
// was made: what those ejected would get falls to the others in proportion.
func (p *Pool) shares() []float64 {
	all := make([]float64, len(p.choices))
	copy(all, picker.Shares(p.picker))
	open := p.open()
	if len(open) == 0 {
		return all
	}
	sum := 0.0
	kept := make([]float64, len(all))
	for _, b := range open {
		if b.place >= p.near {
			all[b.place] = 1
		}
		kept[b.place] = all[b.place]
		sum += all[b.place]
	}
	for i := range kept {
		kept[i] /= sum
	}
	return kept
}
