package picker

// due is a candidate and the time at which its next turn is due: turns divided
// by weight. Both are far below 2^26, so equal quotients round alike and
// unequal ones stay apart, and floats compare as exactly as fractions would.
type due struct {
	at    float64
	index uint32
}

func (d due) before(other due) bool {
	return d.at < other.at || d.at == other.at && d.index < other.index
}

// dueHeap is a binary heap, the earliest first, the lower index first among
// equals. container/heap would cost an allocation per push.
type dueHeap []due

func (h *dueHeap) push(d due) {
	s := append(*h, d)
	i := len(s) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !d.before(s[parent]) {
			break
		}
		s[i] = s[parent]
		i = parent
	}
	s[i] = d
	*h = s
}

func (h *dueHeap) pop() due {
	s := *h
	first, last := s[0], s[len(s)-1]
	s = s[:len(s)-1]
	i := 0
	for {
		child := 2*i + 1
		if child >= len(s) {
			break
		}
		if child+1 < len(s) && s[child+1].before(s[child]) {
			child++
		}
		if !s[child].before(last) {
			break
		}
		s[i] = s[child]
		i = child
	}
	if len(s) > 0 {
		s[i] = last
	}
	*h = s
	return first
}
