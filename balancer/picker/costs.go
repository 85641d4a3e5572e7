package picker

// weighed is a candidate in the form in which loads are compared.
type weighed struct {
	load   *Load
	weight uint32
	// unit is what one request costs, inversely proportional to the weight.
	unit uint32
}

// cost is the candidate's load, as a loop sees it, relative to its weight.
func (w *weighed) cost(loop int) int64 { return w.load.At(loop) * int64(w.unit) }

// maxUnit leaves room for 2^32 requests in flight.
const maxUnit = 1 << 31

// weigh chooses the units such that equal loads relative to the weights cost
// exactly the same: the weights' least common multiple over the weight. Where
// that is too large, costs are off by less than a millionth.
func weigh(candidates []Candidate) []weighed {
	weights := weightsOf(candidates)
	multiple := uint64(1)
	for _, w := range weights {
		if multiple = multiple / gcd(multiple, uint64(w)) * uint64(w); multiple > maxUnit {
			multiple = maxUnit
			break
		}
	}
	all := make([]weighed, len(candidates))
	for i, w := range weights {
		all[i] = weighed{load: candidates[i].Load, weight: w, unit: uint32(multiple / uint64(w))}
	}
	return all
}
