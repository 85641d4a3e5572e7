package picker

// unknownPenalty is the cost of a candidate that has requests in flight and has
// never answered: as if it took a second, so that a cold one is tried by one
// request at a time.
const unknownPenalty = 1e9

// PeakEWMA draws two candidates and takes the one that promises the sooner
// answer: its recent response time ([Latency]) times what is in flight to it
// and this request, relative to its weight (Finagle's peak EWMA over power of
// two choices). A candidate that nothing is known of and that is idle costs
// nothing, so that a newcomer is tried at once; one that was slow is tried again
// as the memory of it fades. O(1).
//
// Over several loops it is as exact as [Load] and [Latency]: each loop judges
// by the responses that it saw.
type PeakEWMA struct {
	first      *WeightedRandom
	candidates []Candidate
}

// NewPeakEWMA builds the picker; candidates need Load and Latency, random may
// be nil.
func NewPeakEWMA(candidates []Candidate, random Random) *PeakEWMA {
	return &PeakEWMA{first: NewWeightedRandom(candidates, random), candidates: candidates}
}

// Pick implements [Picker].
func (p *PeakEWMA) Pick(r *Request) int {
	first := p.first.Pick(r)
	second := drawSecond(first, len(p.candidates), r.tried(), p.first.random)
	if second < 0 || p.cost(first, r) <= p.cost(second, r) {
		return first
	}
	return second
}

func (p *PeakEWMA) cost(i int, r *Request) float64 {
	c := &p.candidates[i]
	load := float64(c.Load.At(r.loop()))
	latency := c.Latency.At(r.loop(), r.now())
	if latency == 0 && load > 0 {
		latency = unknownPenalty
	}
	return latency * (load + 1) / float64(min(max(c.Weight, 1), maxWeight))
}
