package picker

// unknownPenalty is the cost of a candidate to which a loop has requests in
// flight that never answered it: as if it took a second, so that a cold one is
// tried by one request at a time.
const unknownPenalty = 1e9

// PeakEWMA draws two candidates and takes the one that promises the sooner
// answer: its recent response time ([Latency]) times what is in flight to it
// and this request, relative to its weight (Finagle's peak EWMA over power of
// two choices). A candidate that the loop knows nothing of costs nothing until
// it has a request in flight to it, so that a newcomer is tried at once; one that
// was slow is tried again as the memory of it fades: after 23 s if it took ten
// times as long as the others, after 69 s if a thousand times. O(1).
//
// Over several loops it is as exact as [Load] and [Latency]: each loop judges
// by the responses that it saw. What never answers at all is never known to be
// slow; health checks and retries are what keep it away.
type PeakEWMA struct {
	first      *WeightedRandom
	candidates []paced
}

// paced is a candidate in the form in which promises are compared.
type paced struct {
	load *Load
	own  []ownLatency // of the candidate's Latency, by loop
	unit float64      // what one request costs: 1/weight
}

// NewPeakEWMA builds the picker; candidates need Load and Latency, random may
// be nil.
func NewPeakEWMA(candidates []Candidate, random Random) *PeakEWMA {
	p := &PeakEWMA{first: NewWeightedRandom(candidates, random), candidates: make([]paced, len(candidates))}
	for i, w := range p.first.weights {
		latency := candidates[i].Latency
		latency.Learn(len(candidates[i].Load.own))
		p.candidates[i] = paced{candidates[i].Load, *latency.own.Load(), 1 / float64(w)}
	}
	return p
}

// Pick implements [Picker].
func (p *PeakEWMA) Pick(r *Request) int {
	first := p.first.Pick(r)
	second := drawSecond(first, len(p.candidates), r.tried(), p.first.random)
	if second < 0 {
		return first
	}
	loop, now := r.loop(), r.now()
	if p.candidates[first].cost(loop, now) <= p.candidates[second].cost(loop, now) {
		return first
	}
	return second
}

// cost asks for the loop's own requests where nothing is known: those of other
// loops will never tell this one anything.
func (c *paced) cost(loop int, now int64) float64 {
	if uint(loop) >= uint(len(c.own)) {
		loop %= len(c.own)
	}
	latency := c.own[loop].faded(now)
	if latency == 0 {
		if c.load.of(loop).now.Load() <= 0 {
			return 0
		}
		latency = unknownPenalty
	}
	return latency * float64(c.load.At(loop)+1) * c.unit
}
