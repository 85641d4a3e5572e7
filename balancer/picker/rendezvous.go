package picker

import (
	"cmp"
	"math"
	"slices"
)

// Rendezvous gives a key to the candidate whose name and the key together have
// the highest score (Thaler and Ravishankar, "Using Name-Based Mappings to
// Increase Hit Rates", IEEE/ACM Transactions on Networking 6, 1998), weighted by
// -weight/ln(hash) (Schindelhauer and Schomaker, "Weighted Distributed Hash
// Tables", SPAA 2005). A candidate that comes takes exactly its share of the
// keys, and one that goes leaves its own to the others in proportion. O(n).
//
// The answer depends on the key and on names and weights alone: it is the same
// on every loop and node. (Between machines of different kinds a logarithm may
// differ in its last bit: that matters to about one key in 10^15, and to none
// where all weights are equal.)
type Rendezvous struct {
	names   []uint64 // hashes of names
	indexes []uint32 // whose they are
	groups  []group
}

// group is the end of those of equal weight in names; the heaviest are first.
type group struct {
	end    int
	weight float64
}

// NewRendezvous builds the picker from candidates with names.
func NewRendezvous(candidates []Candidate) *Rendezvous {
	names, weights := namesOf(candidates), weightsOf(candidates)
	p := &Rendezvous{indexes: make([]uint32, len(candidates))}
	for i := range p.indexes {
		p.indexes[i] = uint32(i)
	}
	slices.SortFunc(p.indexes, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(weights[b], weights[a]), cmp.Compare(candidates[a].Name, candidates[b].Name))
	})
	for at, i := range p.indexes {
		p.names = append(p.names, names[i])
		if at+1 == len(p.indexes) || weights[p.indexes[at+1]] != weights[i] {
			p.groups = append(p.groups, group{at + 1, float64(weights[i])})
		}
	}
	return p
}

// Pick implements [Picker].
func (p *Rendezvous) Pick(r *Request) int { return p.within(r, room{}) }

// within takes few logarithms: among candidates of one weight the highest hash
// has the highest score, and as -ln(h) >= 1-h only one with a hash above
// 1-weight/top can beat a score of top.
func (p *Rendezvous) within(r *Request, room room) int {
	key, tried := r.hash(), r.tried()
	free := tried == nil && room.of == nil
	winner, least, start := -1, math.Inf(1), 0 // least is 1/top
	for i := range p.groups {
		g := &p.groups[i]
		names, indexes, bar := p.names[start:g.end], p.indexes[start:g.end], uint64(0)
		start = g.end
		if needed := 1 - g.weight*least; needed > 0 {
			bar = uint64(int64(needed*(1<<63))) << 1
		}
		var at int
		if free {
			at, bar = highest(names, key, bar)
		} else {
			at, bar = highestOf(names, key, bar, func(at int) bool {
				return !tried.Has(int(indexes[at])) && room.at(int(indexes[at]))
			})
		}
		if at < 0 {
			continue
		}
		if inverse := -math.Log(fraction(bar)) / g.weight; inverse < least {
			winner, least = int(indexes[at]), inverse
		}
	}
	return winner
}

// highest returns where the highest hash above a bar is, or -1. It is apart
// because all that it needs then fits into registers: that halves its time.
func highest(names []uint64, key, bar uint64) (at int, top uint64) {
	at, top = -1, bar
	for i, name := range names {
		if h := hashOf(name, key); h > top {
			at, top = i, h
		}
	}
	return at, top
}

// highestOf is highest among the allowed.
func highestOf(names []uint64, key, bar uint64, allowed func(at int) bool) (at int, top uint64) {
	at, top = -1, bar
	for i, name := range names {
		if h := hashOf(name, key); h > top && allowed(i) {
			at, top = i, h
		}
	}
	return at, top
}

// hashOf is never 0, which would be above no bar.
func hashOf(name, key uint64) uint64 { return mix(key^name) | 1 }

// fraction is a hash as a number in (0, 1).
func fraction(hash uint64) float64 { return (float64(hash>>11) + 0.5) / (1 << 53) }
