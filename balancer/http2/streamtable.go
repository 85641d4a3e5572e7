package http2

// streamTable finds the open streams of a connection by id: open addressing
// with linear probing. Ids are odd and given in order, so each has mostly a
// slot of its own. A Go map would be dearer, and grow now and then for keys
// that only increase.
type streamTable struct {
	slots []*Stream // their number is a power of two
	n     int
}

func (t *streamTable) home(id uint32) int { return int(id>>1) & (len(t.slots) - 1) }

// get returns the stream of an id, nil if it is not open.
func (t *streamTable) get(id uint32) *Stream {
	if t.n == 0 {
		return nil
	}
	for i := t.home(id); t.slots[i] != nil; i = (i + 1) & (len(t.slots) - 1) {
		if t.slots[i].id == id {
			return t.slots[i]
		}
	}
	return nil
}

// add puts in a stream whose id is not there.
func (t *streamTable) add(s *Stream) {
	if 2*(t.n+1) > len(t.slots) {
		old := t.slots
		t.slots = make([]*Stream, max(8, 2*len(old)))
		for _, o := range old {
			if o != nil {
				t.place(o)
			}
		}
	}
	t.place(s)
	t.n++
}

func (t *streamTable) place(s *Stream) {
	i := t.home(s.id)
	for t.slots[i] != nil {
		i = (i + 1) & (len(t.slots) - 1)
	}
	t.slots[i] = s
}

// remove takes out a stream that is there, and moves those up that had to make
// way for it: Knuth, The Art of Computer Programming, volume 3, 6.4, algorithm R.
func (t *streamTable) remove(s *Stream) {
	mask := len(t.slots) - 1
	i := t.home(s.id)
	for t.slots[i] != s {
		i = (i + 1) & mask
	}
	t.n--
	for hole := i; ; {
		t.slots[hole] = nil
		for {
			i = (i + 1) & mask
			if t.slots[i] == nil {
				return
			}
			if home := t.home(t.slots[i].id); (i-home)&mask >= (i-hole)&mask {
				break
			}
		}
		t.slots[hole], hole = t.slots[i], i
	}
}

// above returns one of the streams whose id is higher, nil if there is none.
func (t *streamTable) above(id uint32) *Stream {
	for _, s := range t.slots {
		if s != nil && s.id > id {
			return s
		}
	}
	return nil
}
