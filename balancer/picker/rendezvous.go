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
// on every loop and node.
type Rendezvous struct {
	entries []entry // those of equal weight together
}

// entry is a candidate by the hash of its name.
type entry struct {
	name   uint64
	index  int32
	weight uint32
}

// NewRendezvous builds the picker from candidates with names.
func NewRendezvous(candidates []Candidate) *Rendezvous {
	names, weights := namesOf(candidates), weightsOf(candidates)
	p := &Rendezvous{entries: make([]entry, len(candidates))}
	for i := range candidates {
		p.entries[i] = entry{names[i], int32(i), weights[i]}
	}
	slices.SortFunc(p.entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.weight, b.weight), cmp.Compare(a.name, b.name), cmp.Compare(a.index, b.index))
	})
	return p
}

// Pick implements [Picker]. Among candidates of one weight the highest hash has
// the highest score, so that one logarithm is taken for each weight.
func (p *Rendezvous) Pick(r *Request) int {
	key, tried := r.hash(), r.tried()
	winner, top := -1, math.Inf(-1)
	for at := 0; at < len(p.entries); {
		weight := p.entries[at].weight
		best, highest := -1, uint64(0)
		for ; at < len(p.entries) && p.entries[at].weight == weight; at++ {
			e := &p.entries[at]
			if h := mix(key ^ e.name); (h > highest || best < 0) && (tried == nil || !tried.has(int(e.index))) {
				best, highest = int(e.index), h
			}
		}
		if best < 0 {
			continue
		}
		if score := scoreOf(highest, weight); score > top {
			winner, top = best, score
		}
	}
	return winner
}

// scoreOf is -weight/ln(h), with h in (0, 1).
func scoreOf(h uint64, weight uint32) float64 {
	return -float64(weight) / math.Log((float64(h>>11)+0.5)/(1<<53))
}
