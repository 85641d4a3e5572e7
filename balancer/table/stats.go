package table

import (
	"math/bits"
	"sync/atomic"
	"time"

	"evenkeel/balancer/picker"
)

// Stats are this node's counters of one backend. They belong to the backend's
// UID: tables come and go, the counters stay until the backend is deleted and
// the last table that knew it is no longer in use.
//
// Each loop counts for itself, see [Stats.Local]; the methods that sum up may be
// called from any goroutine.
type Stats struct {
	// Load is the number of requests that the backend was picked for and that
	// are not done. Who picks adds 1 right after the pick and takes it back when
	// the exchange ends or the connect failed. Pickers read it.
	Load *picker.Load
	// Latency is how fast it answers. It learns nothing unless the pool's strategy
	// reads it, or did.
	Latency *picker.Latency

	locals   []atomic.Pointer[Local]
	ejecting ejecting

	_ [16]byte // what follows is written while all is well

	// Leased is how many permits for requests at once the loops have leased, if
	// the pool bounds those.
	Leased    atomic.Int64
	ejections ejections

	_ [32]byte // no two backends share a cache line
}

// Local is what one loop counts of a backend. Only that loop writes it; anybody
// may read.
type Local struct {
	// Requests counts attempts that began: one per pick that was acted upon.
	Requests atomic.Uint64
	// Retries counts those among them that were not a request's first.
	Retries atomic.Uint64
	// ConnectFailures counts attempts that ended without a connection.
	ConnectFailures atomic.Uint64
	// Failures counts attempts that got a connection and no complete response,
	// by the backend's fault.
	Failures atomic.Uint64
	// Broken counts those failures among them that came after a response below
	// 500 had begun, which is counted as well.
	Broken atomic.Uint64
	// Connects counts connections that were established.
	Connects atomic.Uint64
	// FirstByte is the time from a request's attempt to the head of its response,
	// Whole that from the request's head to the response's last byte.
	FirstByte, Whole Timing

	responses [6]atomic.Uint64
	rotation  uint32 // the next of several addresses; for the loop alone

	// succeeded is when the newest attempt began that succeeded, by the loops' clock.
	// No two Locals share a cache line: their size is a multiple of it.
	succeeded atomic.Int64
}

func newStats(loops int) *Stats {
	return &Stats{
		Load: picker.NewLoad(loops), Latency: new(picker.Latency),
		locals: make([]atomic.Pointer[Local], max(loops, 1)),
	}
}

// Local returns what a loop counts, 0 to the number of loops less one.
func (s *Stats) Local(loop int) *Local {
	slot := &s.locals[loop]
	if local := slot.Load(); local != nil {
		return local
	}
	fresh := new(Local)
	if slot.CompareAndSwap(nil, fresh) {
		return fresh
	}
	return slot.Load()
}

func (s *Stats) sum(of func(*Local) uint64) (n uint64) {
	for i := range s.locals {
		if local := s.locals[i].Load(); local != nil {
			n += of(local)
		}
	}
	return n
}

// InFlight returns how many requests are under way.
func (s *Stats) InFlight() int64 { return s.Load.Total() }

// Requests returns how many attempts began.
func (s *Stats) Requests() uint64 { return s.sum(func(l *Local) uint64 { return l.Requests.Load() }) }

// Retries returns how many of them were not a request's first.
func (s *Stats) Retries() uint64 { return s.sum(func(l *Local) uint64 { return l.Retries.Load() }) }

// ConnectFailures returns how many attempts got no connection.
func (s *Stats) ConnectFailures() uint64 {
	return s.sum(func(l *Local) uint64 { return l.ConnectFailures.Load() })
}

// Failures returns how many attempts got a connection and no complete response.
func (s *Stats) Failures() uint64 { return s.sum(func(l *Local) uint64 { return l.Failures.Load() }) }

// Outcomes returns how many attempts ended, and how many of them with a whole
// response below 500. Those are left out that failed and say nothing any more, as
// they began before the backend's present era.
func (s *Stats) Outcomes() (attempts, successes uint64) {
	for i := range s.locals {
		local := s.locals[i].Load()
		if local == nil {
			continue
		}
		answered := uint64(0)
		for class := range len(local.responses) - 1 {
			answered += local.responses[class].Load()
		}
		broken := min(local.Broken.Load(), answered)
		attempts += answered - broken + local.responses[5].Load() + local.ConnectFailures.Load() + local.Failures.Load()
		successes += answered - broken
	}
	return max(attempts-min(s.ejections.outdated.Load(), attempts), successes), successes
}

// Connects returns how many connections were established.
func (s *Stats) Connects() uint64 { return s.sum(func(l *Local) uint64 { return l.Connects.Load() }) }

// Responses returns how many responses were counted of a class: 1 to 5 for 1xx
// to 5xx, 0 for codes outside of those.
func (s *Stats) Responses(class int) uint64 {
	return s.sum(func(l *Local) uint64 { return l.responses[class].Load() })
}

// FirstByte and Whole return the timings of all loops, see [Local].
func (s *Stats) FirstByte() Distribution {
	return s.timings(func(l *Local) *Timing { return &l.FirstByte })
}

// Whole is like FirstByte.
func (s *Stats) Whole() Distribution { return s.timings(func(l *Local) *Timing { return &l.Whole }) }

func (s *Stats) timings(of func(*Local) *Timing) (all Distribution) {
	for i := range s.locals {
		if local := s.locals[i].Load(); local != nil {
			of(local).addTo(&all)
		}
	}
	return all
}

// CountResponse counts a response by its status code, 100 to 599.
func (l *Local) CountResponse(status int) { l.responses[class(status)].Add(1) }

func class(status int) int {
	if status < 100 || status > 599 {
		return 0
	}
	return status / 100
}

// timingBuckets is how many intervals of time are told apart: up to 2^18 ns, a
// quarter of a millisecond, then each twice as long as the one before, and the
// last one everything above 2^32 ns, about four seconds.
const timingBuckets = 16

// Timing is a distribution of durations that one loop writes.
type Timing struct {
	nanoseconds atomic.Int64
	buckets     [timingBuckets]atomic.Uint64
}

// Observe counts a duration in nanoseconds.
func (t *Timing) Observe(took int64) {
	t.nanoseconds.Add(took)
	bucket := min(max(bits.Len64(uint64(max(took, 0)))-18, 0), timingBuckets-1)
	t.buckets[bucket].Add(1)
}

func (t *Timing) addTo(d *Distribution) {
	d.Sum += time.Duration(t.nanoseconds.Load())
	for i := range t.buckets {
		n := t.buckets[i].Load()
		d.Buckets[i] += n
		d.Count += n
	}
}

// Distribution is a number of durations, by size: Buckets[i] are those below
// [BucketBound](i), and not below the one before.
type Distribution struct {
	Count   uint64
	Sum     time.Duration
	Buckets [timingBuckets]uint64
}

// BucketBound is where a bucket ends; the last one has no end.
func BucketBound(i int) time.Duration { return time.Duration(1) << (18 + i) }
