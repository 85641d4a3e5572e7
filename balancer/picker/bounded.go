package picker

// Bounded keeps a hashing strategy from giving any candidate more than a factor
// times its share of the requests in flight; a key whose candidate is full goes
// to its next one (Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with
// Bounded Loads", SODA 2018). O(n), for the sum of the loads.
//
// It is as exact over several loops as [Load]. Where all loads are known, two
// nodes may differ in the choice for a full candidate alone.
type Bounded struct {
	inner      Picker
	candidates []Candidate
	weights    []uint32
	total      float64 // of the weights
	factor     float64
}

// NewBounded bounds what inner, built from the same candidates, chooses; they
// need Load. percent is 101 or more: 125 means 1.25 times the share.
func NewBounded(inner Picker, candidates []Candidate, percent int) *Bounded {
	b := &Bounded{inner: inner, candidates: candidates, weights: weightsOf(candidates), factor: float64(percent) / 100}
	for _, w := range b.weights {
		b.total += float64(w)
	}
	return b
}

// Pick implements [Picker].
func (b *Bounded) Pick(r *Request) int {
	i := b.inner.Pick(r)
	if i < 0 {
		return i
	}
	inFlight := int64(1) // with this one
	for n := range b.candidates {
		inFlight += b.candidates[n].Load.At(r.loop())
	}
	if b.hasRoom(i, inFlight, r) {
		return i
	}
	return b.further(i, inFlight, r)
}

// hasRoom tells whether one more request keeps a candidate within its bound,
// rounded up.
func (b *Bounded) hasRoom(i int, inFlight int64, r *Request) bool {
	share := b.factor * float64(inFlight) * float64(b.weights[i]) / b.total
	return float64(b.candidates[i].Load.At(r.loop())) < share
}

// further follows the key's order behind a candidate that is full. If all that
// were not tried are, the first choice stands.
func (b *Bounded) further(first int, inFlight int64, r *Request) int {
	next := Request{}
	if r != nil {
		next = *r
	}
	var full Set
	if tried := r.tried(); tried != nil {
		full.inline = tried.inline
		full.spill = append(full.spill, tried.spill...)
	}
	next.Tried = &full
	for i := first; ; {
		full.Add(i)
		if i = b.inner.Pick(&next); i < 0 {
			return first
		}
		if b.hasRoom(i, inFlight, r) {
			return i
		}
	}
}
