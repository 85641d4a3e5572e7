package picker

// Shares returns which part of all requests each candidate of a picker of this
// package gets, 0 to 1 and 1 in all: over a whole turn of the strategies that take
// turns, on average of those that draw, of all keys of those that hash, and of the
// ones that read loads or response times as long as these are equal. It is nil for
// a picker without candidates. It costs as much as the picker is large.
func Shares(p Picker) []float64 {
	switch p := p.(type) {
	case RoundRobin:
		return p.shares()
	case SmoothWeighted:
		return p.shares()
	case *WeightedRandom:
		return parts(p.weights)
	case *LeastConnections:
		return partsOf(p.candidates)
	case *TwoChoices:
		return parts(p.first.weights)
	case *PeakEWMA:
		return parts(p.first.weights)
	case *Maglev:
		return counted(p.table, len(p.next.names))
	case *RingHash:
		return p.shares()
	case *Rendezvous:
		return p.shares()
	case *Bounded:
		return Shares(p.inner)
	}
	return nil
}

// Pure tells whether the pick of a request depends on nothing but the request, or,
// of [Bounded], on that and the loads. Such a picker may be asked without any
// request being sent: nothing changes by it.
func Pure(p Picker) bool {
	_, hashes := p.(Hashing)
	_, bounded := p.(*Bounded)
	return hashes || bounded
}

func (c *cycle) shares() []float64 { return counted(c.sequence, len(c.weights)) }

// counted returns how often each of n candidates stands in a table.
func counted(table []uint32, n int) []float64 {
	counts := make([]uint32, n)
	for _, i := range table {
		counts[i]++
	}
	return parts(counts)
}

func partsOf(candidates []weighed) []float64 {
	weights := make([]uint32, len(candidates))
	for i := range candidates {
		weights[i] = candidates[i].weight
	}
	return parts(weights)
}

// parts divides weights by their sum.
func parts(weights []uint32) []float64 {
	sum := 0.0
	for _, w := range weights {
		sum += float64(w)
	}
	if sum == 0 {
		return nil
	}
	all := make([]float64, len(weights))
	for i, w := range weights {
		all[i] = float64(w) / sum
	}
	return all
}

// shares are the arcs of the circle that end at the candidates' points.
func (p *RingHash) shares() []float64 {
	if len(p.points) == 0 {
		return nil
	}
	n := 0
	for _, point := range p.points {
		n = max(n, int(point.index)+1)
	}
	all := make([]float64, n)
	last := p.points[len(p.points)-1].at
	for _, point := range p.points {
		all[point.index] += float64(point.at-last) / (1 << 64) // around the circle, so it may overflow
		last = point.at
	}
	if n == 1 {
		all[0] = 1
	}
	return all
}

func (p *Rendezvous) shares() []float64 {
	sum, start := 0.0, 0
	all := make([]float64, len(p.indexes))
	for _, g := range p.groups {
		for ; start < g.end; start++ {
			all[p.indexes[start]] = g.weight
			sum += g.weight
		}
	}
	for i := range all {
		all[i] /= sum
	}
	return all
}
