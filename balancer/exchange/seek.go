package exchange

import (
	"errors"
	"time"

	"evenkeel/balancer/table"
)

// seeker is what looks for a backend: a request, or a connection that is
// forwarded. It holds what the present attempt counts for, and what the next one
// has to pass over.
type seeker struct {
	loop      *Loop
	pool      *table.Pool
	target    *table.Backend // of the present attempt
	tries     table.Attempt  // which that is
	permit    *table.Backend // whose permit the attempt holds
	began     int64          // when the seeking did
	key       uint64         // what the pool hashes, once picked
	attempts  int            // how many backends may be tried
	tried     table.Tried
	attempt   int16 // how many there were
	addresses int16 // of the present backend that were tried in vain
	anyone    bool  // tried is not empty
	picked    bool  // the key of the choice is known
	full      bool  // the last pick found backends, all at their bound
	place     place // in the queue
}

var errTimeout = errors.New("the connect timed out")

// exhausted tells that no further backend may be tried.
func (s *seeker) exhausted() bool {
	s.full = false
	return s.anyone && (s.tried.Len() >= s.attempts || s.loop.now()-s.began >= int64(s.loop.bounds.ConnectAll))
}

// triedBefore is for a [table.Choice].
func (s *seeker) triedBefore() *table.Tried {
	if !s.anyone {
		return nil
	}
	return &s.tried
}

// next picks. After the first time it passes over those that were retired since.
func (s *seeker) next(q *table.Choice) *table.Backend {
	b := s.pool.Pick(q)
	for b != nil && s.picked && s.loop.retired(b) {
		s.tried.Add(b)
		s.anyone, q.Tried = true, &s.tried
		b = s.pool.Pick(q)
	}
	s.key, s.picked = q.Key, true
	return b
}

// permitted returns the backend, or another one that is below its bound if that
// is not; nil if none is. Those that wait come first.
func (s *seeker) permitted(b *table.Backend) *table.Backend {
	most := s.pool.Limits.BackendRequests
	if b == nil || most == 0 {
		return b
	}
	s.full = true
	if !s.isQueued() && s.loop.queues[s.pool.Name] != nil {
		return nil
	}
	if s.loop.acquire(b, most) {
		s.permit = b
		return b
	}
	for _, other := range s.pool.Choices() {
		if other != b && !s.tried.Has(other) && !s.pool.Avoids(other) && !s.loop.retired(other) && s.loop.acquire(other, most) {
			s.permit = other
			return other
		}
	}
	return nil
}

// aim begins an attempt at a backend.
func (s *seeker) aim(b *table.Backend) {
	s.target = b
	s.loop.load(s.pool, b, 1)
	local := s.local()
	local.Requests.Add(1)
	if s.attempt++; s.attempt > 1 {
		local.Retries.Add(1)
	}
	s.tries = b.Stats.Attempt(s.loop.now())
}

// notConnected notes a connect that failed. Nothing was sent, so another
// address of the backend is tried, or another backend, in any case.
func (s *seeker) notConnected(err error) {
	if s.addresses++; int(s.addresses) < len(s.target.Endpoints()) && s.loop.now()-s.began < int64(s.loop.bounds.ConnectAll) {
		return
	}
	if !s.loop.world.IsLocal(err) {
		s.local().ConnectFailures.Add(1)
		s.disappoint()
		s.fault(connectFault(err))
	}
	s.exclude(s.target)
}

// exclude ends an attempt, and keeps further ones from the same backend.
func (s *seeker) exclude(b *table.Backend) {
	s.addresses = 0
	s.tried.Add(b)
	s.anyone = true
	s.settle()
}

// settle ends the account of an attempt that came to nothing.
func (s *seeker) settle() {
	if s.target != nil {
		s.unload()
		s.returnPermit()
		s.target = nil
	}
}

func (s *seeker) returnPermit() {
	if b := s.permit; b != nil {
		s.permit = nil
		s.loop.release(b, s.pool)
	}
}

// local is what this loop counts of the present attempt's backend.
func (s *seeker) local() *table.Local { return s.target.Stats.Local(s.loop.index) }

// unload counts the present attempt as done.
func (s *seeker) unload() { s.loop.load(s.pool, s.target, -1) }

// fault counts the present attempt as failed.
func (s *seeker) fault(fault string) { s.loop.failed(s.pool, s.target, s.tries, fault) }

// failureTakes is what a failed attempt counts as, where response times decide:
// otherwise a backend that fails at once would seem the fastest of all.
const failureTakes = int64(time.Second)

// disappoint notes a failure as a long response time.
func (s *seeker) disappoint() {
	now := s.loop.now()
	s.target.Stats.Latency.Observe(s.loop.index, max(now-s.tries.Began, failureTakes), now)
}
