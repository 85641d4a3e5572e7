package table

import "evenkeel/balancer/picker"

// Tried are the backends that one request was sent to in vain. Its zero value
// is empty. It belongs to one request and to one pool of one table, whose
// backends it knows by their places; for another pool, [Tried.Reset] it.
type Tried struct {
	places picker.Set
	// returned is the one that has no place among the pool's choices, as it takes
	// nothing new, and that the request's cookie named. There is one cookie.
	returned *Backend
}

// Add excludes the backend from further picks. It allocates only in pools of
// more than 512 eligible backends.
func (t *Tried) Add(b *Backend) {
	if b.place < 0 {
		t.returned = b
		return
	}
	t.places.Add(b.place)
}

// Has tells whether the backend was tried.
func (t *Tried) Has(b *Backend) bool {
	switch {
	case t == nil:
		return false
	case b.place < 0:
		return t.returned == b
	}
	return t.places.Has(b.place)
}

// Len returns how many backends were tried.
func (t *Tried) Len() int {
	if t == nil {
		return 0
	}
	n := t.places.Len()
	if t.returned != nil {
		n++
	}
	return n
}

// Reset makes the set empty.
func (t *Tried) Reset() {
	t.places.Reset()
	t.returned = nil
}
