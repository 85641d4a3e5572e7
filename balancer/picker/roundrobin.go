package picker

// RoundRobin takes turns in the order of the candidates, whatever their
// weights: the oldest strategy there is (Nagle, "On Packet Switches With
// Infinite Storage", RFC 970, 1985, for its fairness). A pick costs O(1).
// Over any n picks in a row of one loop, by however many goroutines, each of n
// candidates is chosen exactly once, retries aside. Loops take turns by
// themselves from random places on, so that over all of l loops, up to 16, two
// candidates differ by at most l.
//
// While candidates have but a share of their weights, see [Candidate], they get
// turns in proportion to the shares, as [SmoothWeighted] spreads them.
type RoundRobin struct{ *cycle }

// NewRoundRobin builds the picker; random may be nil.
func NewRoundRobin(candidates []Candidate, random Random) RoundRobin {
	if partial(candidates) {
		return RoundRobin{NewSmoothWeighted(sharesOf(candidates), random).cycle}
	}
	sequence := make([]uint32, len(candidates))
	weights := make([]uint32, len(candidates))
	for i := range candidates {
		sequence[i], weights[i] = uint32(i), 1
	}
	return RoundRobin{newCycle(sequence, weights, random)}
}

// sharesOf returns the candidates with equal weights, and their shares.
func sharesOf(candidates []Candidate) []Candidate {
	even := make([]Candidate, len(candidates))
	for i, c := range candidates {
		even[i] = Candidate{Weight: 1, Share: c.Share}
	}
	return even
}
