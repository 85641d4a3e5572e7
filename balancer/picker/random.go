package picker

import (
	"math"
	"math/bits"
)

// WeightedRandom draws in proportion to the weights, in O(1), by the alias
// method (Walker 1977) with the table of Vose ("A Linear Algorithm for
// Generating Random Numbers with a Given Distribution", IEEE Transactions on
// Software Engineering 17, 1991). Draws are independent and share nothing, so
// they are as exact under concurrency as without: the count of a candidate
// with share p after k picks strays from kp by about the root of kp(1-p).
type WeightedRandom struct {
	columns []column
	weights []uint32
	random  Random
}

// column is one equally likely column of the alias table: a number below the
// threshold stands for the column's own candidate, any other for alias.
type column struct {
	threshold uint64
	alias     uint32
}

// NewWeightedRandom builds the picker; random may be nil.
func NewWeightedRandom(candidates []Candidate, random Random) *WeightedRandom {
	weights := weightsOf(candidates)
	return &WeightedRandom{columns: aliasTable(weights), weights: weights, random: random.orDefault()}
}

// Pick implements [Picker].
func (p *WeightedRandom) Pick(r *Request) int {
	if len(p.columns) == 0 {
		return -1
	}
	i := p.draw()
	if tried := r.tried(); tried.Has(i) {
		return drawUntried(p.weights, tried, p.random)
	}
	return i
}

// draw uses one random number for both the column (the integer part of it
// times n) and the place within the column (the fraction).
func (p *WeightedRandom) draw() int {
	i, fraction := bits.Mul64(p.random(), uint64(len(p.columns)))
	if c := &p.columns[i]; fraction >= c.threshold {
		return int(c.alias)
	}
	return int(i)
}

// aliasTable computes in integers, so that no share suffers from rounding
// before the last step: column i holds weights[i]·n of a height of sum.
func aliasTable(weights []uint32) []column {
	n := uint64(len(weights))
	var sum uint64
	for _, w := range weights {
		sum += uint64(w)
	}
	filled := make([]uint64, n)
	columns := make([]column, n)
	var small, large []uint32
	for i, w := range weights {
		filled[i] = uint64(w) * n
		columns[i] = column{threshold: math.MaxUint64, alias: uint32(i)}
		if filled[i] < sum {
			small = append(small, uint32(i))
		} else {
			large = append(large, uint32(i))
		}
	}
	for len(small) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		threshold, _ := bits.Div64(filled[s], 0, sum)
		columns[s] = column{threshold: threshold, alias: l}
		if filled[l] -= sum - filled[s]; filled[l] < sum {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	return columns
}
