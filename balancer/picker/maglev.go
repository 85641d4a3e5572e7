package picker

import (
	"cmp"
	"slices"
)

// maglevSizes are primes: the table has at least a hundred places for each
// candidate, as the paper advises, up to 65,000 of them, and fewer beyond.
var maglevSizes = [...]uint64{1009, 10007, 65537, 655373, 6553577}

// Maglev gives a key to the candidate that holds the key's place in a table,
// which the candidates fill in turn, each in the order of a permutation of its
// own (Eisenbud and others, "Maglev: A Fast and Reliable Software Network Load
// Balancer", NSDI 2016, section 3.4; weights as turns in proportion). A pick is
// O(1). Shares are even to within about one in a hundred; when a candidate comes
// or goes, a little more than its share moves.
//
// The answer depends on the key and on names and weights alone: it is the same
// on every loop and node. A key whose candidate was tried goes to its next one
// by [Rendezvous].
type Maglev struct {
	table []uint32
	next  *Rendezvous
}

// NewMaglev builds the picker from candidates with names. It takes about 20 ms
// for a hundred candidates, so it belongs on no event loop.
func NewMaglev(candidates []Candidate) *Maglev {
	p := &Maglev{next: NewRendezvous(candidates)}
	if len(candidates) > 0 {
		p.table = populate(candidates)
	}
	return p
}

// Pick implements [Picker].
func (p *Maglev) Pick(r *Request) int {
	if len(p.table) == 0 {
		return -1
	}
	i := int(p.table[r.hash()%uint64(len(p.table))])
	if r.tried().Has(i) {
		return p.next.Pick(r)
	}
	return i
}

// permutation is the order in which a candidate wants the places: offset,
// offset+skip, and so on.
type permutation struct {
	index       uint32
	at, skip    uint64
	name        uint64
	weight, due uint64
}

func populate(candidates []Candidate) []uint32 {
	size := tableSize(len(candidates))
	all, heaviest := permutations(candidates, size)
	const free = ^uint32(0)
	table := make([]uint32, size)
	for i := range table {
		table[i] = free
	}
	for filled := uint64(0); ; {
		for i := range all {
			p := &all[i]
			// One turn a round for the heaviest, others in proportion.
			if p.due += p.weight; p.due < heaviest {
				continue
			}
			p.due -= heaviest
			for table[p.at] != free {
				p.at = (p.at + p.skip) % size
			}
			table[p.at] = p.index
			if filled++; filled == size {
				return table
			}
		}
	}
}

// permutations are in the order of names, so that the candidates' own order
// does not matter.
func permutations(candidates []Candidate, size uint64) (all []permutation, heaviest uint64) {
	weights := weightsOf(candidates)
	for i, c := range candidates {
		name := HashString(c.Name)
		all = append(all, permutation{
			index: uint32(i), name: name, weight: uint64(weights[i]),
			at: mix(name) % size, skip: mix(name^0x9e3779b97f4a7c15)%(size-1) + 1,
		})
		heaviest = max(heaviest, uint64(weights[i]))
	}
	slices.SortFunc(all, func(a, b permutation) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(candidates[a.index].Name, candidates[b.index].Name))
	})
	return all, heaviest
}

func tableSize(n int) uint64 {
	for _, size := range maglevSizes {
		if size >= 100*uint64(n) {
			return size
		}
	}
	return maglevSizes[len(maglevSizes)-1]
}
