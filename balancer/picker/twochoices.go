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
func (p *TwoChoices) Pick(tried *Set) int {
	first := p.first.Pick(tried)
	n := len(p.candidates)
	if first < 0 || n == 1 {
		return first
	}
	second := int(p.first.random.below(uint64(n - 1)))
	if second >= first {
		second++
	}
	if tried.Has(second) {
		second = p.nextUntried(second, first, tried)
	}
	if p.candidates[second].cost() < p.candidates[first].cost() {
		return second
	}
	return first
}

// nextUntried looks for a second choice from place i on; there may be none but
// first.
func (p *TwoChoices) nextUntried(i, first int, tried *Set) int {
	n := len(p.candidates)
	for range n {
		if i++; i == n {
			i = 0
		}
		if i != first && !tried.Has(i) {
			return i
		}
	}
	return first
}
