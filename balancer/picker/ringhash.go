package picker

import (
	"cmp"
	"slices"
	"strconv"
)

// Bounds of a ring: points for a candidate of mean weight, and in all.
const (
	ringPoints = 160
	ringMost   = 1 << 20
)

// RingHash gives a key to the candidate with the next point on a circle of
// hashes (Karger and others, "Consistent Hashing and Random Trees", STOC 1997;
// points as in Ketama, 160 for a candidate of mean weight and in proportion).
// When a candidate comes or goes only keys next to its points move, about its
// share. Shares stray by about one in twelve. O(log n).
//
// The answer depends on the key and on names and weights alone: it is the same
// on every loop and node.
type RingHash struct {
	points     []point
	candidates int
}

// point is a place on the circle.
type point struct {
	at    uint64
	index uint32
}

// NewRingHash builds the picker from candidates with names.
func NewRingHash(candidates []Candidate) *RingHash {
	weights := weightsOf(candidates)
	total := 0.0
	for _, w := range weights {
		total += float64(w)
	}
	each := min(float64(ringPoints)*float64(len(candidates)), ringMost) / total // a unit of weight
	p := &RingHash{candidates: len(candidates)}
	for i, c := range candidates {
		for n := range max(int(each*float64(weights[i])+0.5), 1) {
			p.points = append(p.points, point{mix(HashString(c.Name + "\x00" + strconv.Itoa(n))), uint32(i)})
		}
	}
	slices.SortFunc(p.points, func(a, b point) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(candidates[a.index].Name, candidates[b.index].Name))
	})
	return p
}

// Pick implements [Picker]. A key whose candidate was tried goes on along the
// circle.
func (p *RingHash) Pick(r *Request) int {
	if len(p.points) == 0 {
		return -1
	}
	at, _ := slices.BinarySearchFunc(p.points, r.hash(), func(a point, key uint64) int { return cmp.Compare(a.at, key) })
	tried := r.tried()
	if tried.Len() >= p.candidates {
		return -1
	}
	for range p.points {
		if at == len(p.points) {
			at = 0
		}
		if i := int(p.points[at].index); !tried.Has(i) {
			return i
		}
		at++
	}
	return -1
}
