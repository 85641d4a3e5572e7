package picker

import "math/bits"

// inlineWords is how much of a set needs no memory besides the set itself: 512
// members. Only larger pools make Add allocate.
const inlineWords = 8

// Set is a set of candidates by index. Its zero value is empty, and so is a
// nil *Set to those who only read it. It belongs to one goroutine at a time.
type Set struct {
	inline [inlineWords]uint64
	spill  []uint64
}

// Has tells whether i is in the set.
func (s *Set) Has(i int) bool { return s != nil && s.has(i) }

func (s *Set) has(i int) bool {
	word, bit := i/64, uint(i)%64
	if word < inlineWords {
		return s.inline[word]&(1<<bit) != 0
	}
	word -= inlineWords
	return word < len(s.spill) && s.spill[word]&(1<<bit) != 0
}

// Add puts i, which must not be negative, into the set.
func (s *Set) Add(i int) {
	word, bit := i/64, uint(i)%64
	if word < inlineWords {
		s.inline[word] |= 1 << bit
		return
	}
	word -= inlineWords
	for len(s.spill) <= word {
		s.spill = append(s.spill, 0)
	}
	s.spill[word] |= 1 << bit
}

// Len returns the number of members.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	n := 0
	for _, word := range s.inline {
		n += bits.OnesCount64(word)
	}
	for _, word := range s.spill {
		n += bits.OnesCount64(word)
	}
	return n
}

// Reset empties the set and keeps its memory for the next use.
func (s *Set) Reset() {
	s.inline = [inlineWords]uint64{}
	s.spill = s.spill[:0]
}

// CopyFrom makes the set equal to another one, which may be nil. It allocates
// only if it never had as many members beyond 512.
func (s *Set) CopyFrom(other *Set) {
	if other == nil {
		s.Reset()
		return
	}
	s.inline = other.inline
	s.spill = append(s.spill[:0], other.spill...)
}
