package picker

import (
	"cmp"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// Bounds of a ring: points for a unit of weight, and about how many in all, 4 MB
// of them.
const (
	ringPoints = 160
	ringMost   = 1 << 18
)

// RingHash gives a key to the candidate with the next point on a circle of
// hashes (Karger and others, "Consistent Hashing and Random Trees", STOC 1997;
// points as in Ketama, 160 for a unit of weight). When a candidate comes or goes
// exactly the keys next to its points move: those that it gets, or had. Shares
// stray by about one in twelve, less for weights above 1. O(1).
//
// Points are halved as often as is needed where the sum of the weights makes
// more than 2^18: beyond sums of 1,638, 3,276 and so on. A candidate that makes
// the sum cross one of these moves up to half of all keys.
//
// A candidate with but a share of its weight has that share of its points, and
// all others keep theirs.
//
// The answer depends on the key and on names and weights alone: it is the same
// on every loop and node.
type RingHash struct {
	points []point
	// first[s] is the first point that is not before the s-th of equal sectors of
	// the circle, about one for each point; all sectors end at shift bits.
	first []uint32
	shift int
}

// point is a place on the circle.
type point struct {
	at    uint64
	index uint32
}

// NewRingHash builds the picker from candidates with names. It takes about 0.3
// µs a point, so it belongs on no event loop.
func NewRingHash(candidates []Candidate) *RingHash {
	each := pointsEach(candidates)
	p := new(RingHash)
	for i, c := range candidates {
		for n := range max(int(each*whole(c)*float64(share(c))/wholeShare), 1) {
			p.points = append(p.points, point{mix(HashString(c.Name + "\x00" + strconv.Itoa(n))), uint32(i)})
		}
	}
	slices.SortFunc(p.points, func(a, b point) int {
		return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(candidates[a.index].Name, candidates[b.index].Name))
	})
	p.divide()
	return p
}

// divide makes the sectors.
func (p *RingHash) divide() {
	p.shift = 64 - bits.Len(uint(len(p.points)))
	p.first = make([]uint32, 1<<(64-p.shift))
	at := 0
	for s := range p.first {
		for at < len(p.points) && p.points[at].at < uint64(s)<<p.shift {
			at++
		}
		p.first[s] = uint32(at)
	}
}

// pointsEach is how many points a unit of weight has. It must not follow the sum
// of the weights smoothly, or each candidate that comes would move the points of
// all others. Shares do not count, for the same reason.
func pointsEach(candidates []Candidate) float64 {
	total := 0.0
	for _, c := range candidates {
		total += whole(c)
	}
	each := float64(ringPoints)
	for each*total > ringMost {
		each /= 2
	}
	return each
}

// whole is a candidate's weight, whatever its share.
func whole(c Candidate) float64 { return float64(min(max(c.Weight, 1), maxWeight)) }

// Pick implements [Picker]. A key whose candidate was tried goes on along the
// circle.
func (p *RingHash) Pick(r *Request) int { return p.within(r, room{}) }

func (p *RingHash) within(r *Request, room room) int {
	start, tried := p.search(r.hash()), r.tried()
	for _, part := range [2][]point{p.points[start:], p.points[:start]} {
		for n := range part {
			if i := int(part[n].index); (tried == nil || !tried.has(i)) && room.at(i) {
				return i
			}
		}
	}
	return -1
}

// search returns the first point that is not before the key, or their number.
func (p *RingHash) search(key uint64) int {
	at := int(p.first[key>>p.shift])
	for at < len(p.points) && p.points[at].at < key {
		at++
	}
	return at
}
