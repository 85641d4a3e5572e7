package picker

// Bounded keeps a hashing strategy from giving any candidate more than a factor
// times its share of the requests in flight; a key whose candidate is full goes
// to its next one (Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with
// Bounded Loads", SODA 2018). O(n), for the sum of the loads.
//
// It is as exact over several loops as [Load]. Nodes count for themselves, so
// they may differ in where they send a key whose candidate is full on one of
// them.
type Bounded struct {
	inner      Hashing
	candidates []weighed
	total      int64 // of the weights
	percent    int64
}

// Hashing is one of the hashing strategies, [Maglev], [RingHash] and
// [Rendezvous].
type Hashing interface {
	Picker
	// within picks the key's first candidate that was not tried and has room.
	within(r *Request, room room) int
}

// room is what candidates may have in flight. It is passed by value, so that no
// pick allocates; the zero value is no bound.
type room struct {
	of       *Bounded
	inFlight int64
	loop     int
}

// NewBounded bounds what inner, built from the same candidates, chooses; they
// need Load. percent is 101 or more: 125 means 1.25 times the share.
func NewBounded(inner Hashing, candidates []Candidate, percent int) *Bounded {
	b := &Bounded{inner: inner, candidates: weigh(candidates), percent: int64(percent)}
	for i := range b.candidates {
		b.total += int64(b.candidates[i].weight)
	}
	return b
}

// Pick implements [Picker]. If all that were not tried are full, the key's own
// choice stands.
func (b *Bounded) Pick(r *Request) int {
	limit := room{of: b, inFlight: 1, loop: r.loop()} // with this one
	for i := range b.candidates {
		limit.inFlight += b.candidates[i].load.At(limit.loop)
	}
	if i := b.inner.within(r, limit); i >= 0 {
		return i
	}
	return b.inner.Pick(r)
}

// at tells whether a candidate with one more request stays within its bound,
// rounded up. In integers, because at a bound that is a whole number a rounding
// error would let one more through.
func (m room) at(i int) bool {
	if m.of == nil {
		return true
	}
	c := &m.of.candidates[i]
	return c.load.At(m.loop)*100*m.of.total < m.of.percent*m.inFlight*int64(c.weight)
}
