package exchange

import (
	"evenkeel/balancer/table"
)

// queue is the requests of one loop that wait for a backend of one pool, the
// oldest first.
type queue struct {
	first, last *exchange
}

func (q *queue) push(x *exchange) {
	if x.before = q.last; q.last != nil {
		q.last.after = x
	} else {
		q.first = x
	}
	q.last = x
}

func (q *queue) remove(x *exchange) {
	if x.before != nil {
		x.before.after = x.after
	} else {
		q.first = x.after
	}
	if x.after != nil {
		x.after.before = x.before
	} else {
		q.last = x.before
	}
	x.before, x.after = nil, nil
}

// wait puts a request that found every backend at its bound into the queue. It
// is false if that is full.
func (x *exchange) wait() bool {
	waiting := x.pool.Shared.Waiting.Add(1)
	if waiting > int64(x.pool.Limits.Queue) {
		x.pool.Shared.Waiting.Add(-1)
		return false
	}
	l := x.loop
	q := l.queues[x.pool.Name]
	if q == nil {
		q = new(queue)
		l.queues[x.pool.Name] = q
	}
	q.push(x)
	x.set(queued)
	if !x.upload.Done() {
		x.client.pause()
	}
	x.clientDeadline(x.pool.Limits.QueueTimeout)
	// Another loop may have leased permits that it does not use.
	l.world.Wake(x.pool.Name)
	return true
}

// unqueue takes a request out of the queue.
func (x *exchange) unqueue() {
	if !x.has(queued) {
		return
	}
	x.clear(queued)
	x.pool.Shared.Waiting.Add(-1)
	q := x.loop.queues[x.pool.Name]
	q.remove(x)
	if q.first == nil {
		delete(x.loop.queues, x.pool.Name)
	}
}

// Serve sends requests that wait for a backend of the pool, if there are
// permits, and returns leased ones that nobody here needs. It is called on the
// loop after a permit was returned, or the pool changed.
func (l *Loop) Serve(name string) {
	pool := l.world.View().Table.PoolNamed(name)
	q := l.queues[name]
	if q == nil {
		if pool != nil && pool.Shared.Waiting.Load() > 0 && l.returnLeases(pool) {
			l.world.Wake(name)
		}
		return
	}
	for x := q.first; x != nil; x = q.first {
		if !x.resumeWith(pool) {
			return
		}
	}
}

// ServeAll is Serve for all pools with requests that wait.
func (l *Loop) ServeAll() {
	for name := range l.queues {
		l.Serve(name)
	}
}

// resumeWith goes on with a request that waited. It is false if it has to wait
// on.
func (x *exchange) resumeWith(pool *table.Pool) bool {
	if pool == nil {
		x.unqueue()
		x.answer(noBackend)
		return true
	}
	next := pool
	if next != x.pool && next.Shared == x.pool.Shared { // what was tried is known by its place in the old one
		x.tried.Reset()
		x.anyone = false
		x.pool = next
	}
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
