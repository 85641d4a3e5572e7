package picker

// TwoChoices draws two candidates and takes the one with fewer requests in
// flight relative to its weight (Mitzenmacher, "The Power of Two Choices in
// Randomized Load Balancing", IEEE Transactions on Parallel and Distributed
// Systems 12, 2001): nearly as even as scanning all, in O(1), and without the
// herd that rushes to the one least loaded.
//
// The first is drawn in proportion to the weights and the second uniformly
// from the others; of equals the first is taken, so idle candidates get
// exactly their shares. With equal weights these are the two distinct choices
// of the paper. Under concurrency it is as exact as the loads that it reads,
// and picks that read the same loads rarely choose the same candidate.
type TwoChoices struct {
	first      *WeightedRandom
	candidates []weighed
}

// NewTwoChoices builds the picker; random may be nil.
func NewTwoChoices(candidates []Candidate, random Random) *TwoChoices {
	return &TwoChoices{first: NewWeightedRandom(candidates, random), candidates: weigh(candidates)}
}

// Pick implements [Picker].
func (p *TwoChoices) Pick(r *Request) int {
	first := p.first.Pick(r)
	second := drawSecond(first, len(p.candidates), r.tried(), p.first.random)
	if second >= 0 && p.candidates[second].cost(r.loop()) < p.candidates[first].cost(r.loop()) {
		return second
	}
	return first
}

// drawSecond draws another one of n candidates than first, or returns -1 if
// there is none that was not tried.
func drawSecond(first, n int, tried *Set, random Random) int {
	if first < 0 || n == 1 {
		return -1
	}
	second := int(random.below(uint64(n - 1)))
	if second >= first {
		second++
	}
	for range n {
		if second != first && !tried.Has(second) {
			return second
		}
		if second++; second == n {
			second = 0
		}
	}
	return -1
}
