package exchange

import (
	"evenkeel/balancer/table"
)

// queue is what of one loop waits for a backend of one pool, the oldest first.
type queue struct {
	first, last *place
}

// place is where something waits; its zero value waits nowhere.
type place struct {
	before, after *place
	of            waiter // nil while it does not wait
}

// waiter is what waits.
type waiter interface {
	// resumeWith goes on by the pool as it is now, nil if that is gone. It is false
	// if there is nothing to go on with, and the place stays.
	resumeWith(pool *table.Pool) bool
}

func (q *queue) push(p *place) {
	if p.before = q.last; q.last != nil {
		q.last.after = p
	} else {
		q.first = p
	}
	q.last = p
}

func (q *queue) remove(p *place) {
	if p.before != nil {
		p.before.after = p.after
	} else {
		q.first = p.after
	}
	if p.after != nil {
		p.after.before = p.before
	} else {
		q.last = p.before
	}
	*p = place{}
}

// enqueue puts who found every backend at its bound into the queue. It is false
// if that is full.
func (s *seeker) enqueue(of waiter) bool {
	waiting := s.pool.Shared.Waiting.Add(1)
	if waiting > int64(s.pool.Limits.Queue) {
		s.pool.Shared.Waiting.Add(-1)
		return false
	}
	l := s.loop
	q := l.queues[s.pool.Name]
	if q == nil {
		q = new(queue)
		l.queues[s.pool.Name] = q
	}
	s.place.of = of
	q.push(&s.place)
	// Another loop may have leased permits that it does not use.
	l.world.Wake(s.pool.Name)
	return true
}

func (s *seeker) isQueued() bool { return s.place.of != nil }

// unqueue takes who waits out of the queue.
func (s *seeker) unqueue() {
	if !s.isQueued() {
		return
	}
	s.pool.Shared.Waiting.Add(-1)
	q := s.loop.queues[s.pool.Name]
	q.remove(&s.place)
	if q.first == nil {
		delete(s.loop.queues, s.pool.Name)
	}
}

// renew goes on by the pool as it is now.
func (s *seeker) renew(pool *table.Pool) {
	if pool != s.pool && pool.Shared == s.pool.Shared { // what was tried is known by its place in the old one
		s.tried.Reset()
		s.anyone = false
		s.pool = pool
	}
}

// Serve sends what waits for a backend of the pool, if there are permits, and
// returns leased ones that nobody here needs. It is called on the loop after a
// permit was returned, or the pool changed.
func (l *Loop) Serve(name string) {
	pool := l.world.View().Table.PoolNamed(name)
	q := l.queues[name]
	if q == nil {
		if pool != nil && pool.Shared.Waiting.Load() > 0 && l.returnLeases(pool) {
			l.world.Wake(name)
		}
		return
	}
	for p := q.first; p != nil; p = q.first {
		if !p.of.resumeWith(pool) {
			return
		}
	}
}

// ServeAll is Serve for all pools that something waits for.
func (l *Loop) ServeAll() {
	for name := range l.queues {
		l.Serve(name)
	}
}

// wait puts a request that found every backend at its bound into the queue. It
// is false if that is full.
func (x *exchange) wait() bool {
	if !x.enqueue(x) {
		return false
	}
	if !x.upload.Done() {
		x.client.pause()
	}
	x.clientDeadline(x.pool.Limits.QueueTimeout)
	return true
}

// resumeWith implements [waiter].
func (x *exchange) resumeWith(pool *table.Pool) bool {
	if pool == nil {
		x.unqueue()
		x.answer(noBackend)
		return true
	}
	x.renew(pool)
	b := x.pick()
	if b == nil && x.full {
		return false
	}
	x.unqueue()
	if x.upload.Done() {
		x.clientDeadline(0)
	} else {
		x.clientDeadline(x.settings.Body)
	}
	switch {
	case b == nil:
		x.answer(x.failure)
	case !x.begun(b):
		x.try()
	}
	return true
}
