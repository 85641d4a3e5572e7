package picker

import "sync/atomic"

// Load is how many requests are in flight to a candidate, from all loops of
// this process. Each loop counts its own; what the others have is known as they
// last published it, once per batch of events. So loops share no memory that
// they write per request, and see their own exactly.
//
// Any goroutine may use any loop's methods, but two that use the same one
// contend for it.
type Load struct {
	published atomic.Int64
	own       []ownLoad
}

// ownLoad is what one loop counts.
type ownLoad struct {
	now     atomic.Int64
	private atomic.Int64 // what of it is not in published
	_       [cacheLine - 16]byte
}

// NewLoad returns the load of a candidate that nothing is in flight to, for so
// many loops, at least 1.
func NewLoad(loops int) *Load { return &Load{own: make([]ownLoad, max(loops, 1))} }

func (l *Load) of(loop int) *ownLoad {
	if uint(loop) >= uint(len(l.own)) { // a division costs more than all the rest
		loop %= len(l.own)
	}
	return &l.own[loop]
}

// Add counts n more requests of a loop, fewer if n is negative, and returns
// what the loop sees then.
func (l *Load) Add(loop int, n int64) int64 {
	own := l.of(loop)
	own.now.Add(n)
	return l.published.Load() + own.private.Add(n)
}

// At is the load as a loop sees it.
func (l *Load) At(loop int) int64 {
	return l.published.Load() + l.of(loop).private.Load()
}

// Publish shows the other loops what the loop has in flight.
func (l *Load) Publish(loop int) {
	own := l.of(loop)
	if change := own.private.Load(); change != 0 {
		own.private.Add(-change)
		l.published.Add(change)
	}
}

// Total is what all loops have in flight now.
func (l *Load) Total() int64 {
	n := int64(0)
	for i := range l.own {
		n += l.own[i].now.Load()
	}
	return n
}
