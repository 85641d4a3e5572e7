package picker

import (
	"cmp"
	"slices"
)

// maglevSizes are primes: the table has at least a hundred places for each
// candidate, as the paper advises, up to 65,000 of them, and fewer beyond. The
// first is large enough for nearly all pools, because a table of another size
// has nearly all keys elsewhere.
var maglevSizes = [...]uint64{65537, 655373, 6553577}

// Maglev gives a key to the candidate that holds the key's place in a table,
// which the candidates fill in turn, each in the order of a permutation of its
// own (Eisenbud and others, "Maglev: A Fast and Reliable Software Network Load
// Balancer", NSDI 2016, section 3.4; weights as turns in proportion). A pick is
// O(1). A share is exact to about one place of the table, of which there are
// 65,537 for up to 655 candidates, 256 KB. When a candidate comes or goes, a
// little more than its share moves; and nearly everything when their number
// crosses 655 or 6,553, as the table then has another size.
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
func (p *Maglev) Pick(r *Request) int { return p.within(r, room{}) }

func (p *Maglev) within(r *Request, room room) int {
	if len(p.table) == 0 {
		return -1
	}
	i := int(p.table[r.hash()%uint64(len(p.table))])
	if r.tried().Has(i) || !room.at(i) {
		return p.next.within(r, room)
	}
	return i
}

// permutation is the order in which a candidate wants the places: offset,
// offset+skip, and so on.
type permutation struct {
	index         uint32
	at, skip      uint64
	turns, weight float64
}

// populate gives turns by the weights: one that had k turns is due again at
// k/weight. So each has its first at once, and none, however light, gets
// nothing.
func populate(candidates []Candidate) []uint32 {
	size := tableSize(len(candidates))
	const free = ^uint32(0)
	table := make([]uint32, size)
	for i := range table {
		table[i] = free
	}
	all := permutations(candidates, size)
	next := make(dueHeap, 0, len(all))
	for i := range all {
		next.push(due{0, uint32(i)})
	}
	for range size {
		turn := next.pop()
		p := &all[turn.index]
		for table[p.at] != free {
			if p.at += p.skip; p.at >= size {
				p.at -= size
			}
		}
		table[p.at] = p.index
		p.turns++
		next.push(due{p.turns / p.weight, turn.index})
	}
	return table
}

// permutations are in the order of names, so that the candidates' own order
// does not matter.
func permutations(candidates []Candidate, size uint64) []permutation {
	weights := weightsOf(candidates)
	all := make([]permutation, len(candidates))
	for i, c := range candidates {
		name := HashString(c.Name)
		all[i] = permutation{
			index: uint32(i), weight: float64(weights[i]),
			at: mix(name) % size, skip: mix(name^0x9e3779b97f4a7c15)%(size-1) + 1,
		}
	}
	slices.SortFunc(all, func(a, b permutation) int {
		return cmp.Compare(candidates[a.index].Name, candidates[b.index].Name)
	})
	return all
}

func tableSize(n int) uint64 {
	for _, size := range maglevSizes {
		if size >= 100*uint64(n) {
			return size
		}
	}
	return maglevSizes[len(maglevSizes)-1]
}
