package tlslink

import (
	"time"

	"evenkeel/balancer/exchange"
)

// World is what TLS needs of the loop that it is on.
type World interface {
	// Now is a monotonic time in nanoseconds.
	Now() int64
	// Later has a task run at the end of the present batch of events.
	Later(t exchange.Task)
	// Post has f called on the loop. Any goroutine may call it. It returns false
	// once the loop has ended.
	Post(f func()) bool
}

// Bounds are what is not for users to set. Tests shorten them; nothing else does.
type Bounds struct {
	// Handshakes is how many are at work at once on a loop. Each takes some 30 KiB,
	// mostly its stack. Those beyond wait, with their deadline running.
	Handshakes int
	// Begins is how many that were accepted begin in one batch of events. With
	// P-256 each delays the rest of the batch by some 300 µs.
	Begins int
	// Stalled is for how long a handshake may wait for its peer before it gives way
	// to one that waits for its turn: many round trips.
	Stalled time.Duration
	// Bytes is how much a peer may send before its handshake is done: two messages
	// as large as crypto/tls takes them, 64 KiB, and a chain of certificates.
	Bytes int
	// Owed is how much of what crypto/tls has to say by itself (alerts, updates of
	// keys) is kept for a peer that does not read.
	Owed int
	// Linger is how long what comes after a refusal is read, so that no reset
	// destroys that; LingerBytes bounds it too.
	Linger      time.Duration
	LingerBytes int
}

// DefaultBounds returns the bounds that are in force.
func DefaultBounds() Bounds {
	return Bounds{
		Handshakes: 2048, Begins: 8, Stalled: time.Second, Bytes: 256 << 10, Owed: 64 << 10,
		Linger: time.Second, LingerBytes: 256 << 10,
	}
}

const (
	// plainSize is how much is decrypted before it is given on.
	plainSize = 256 << 10
	// keptSealed is the largest buffer for what is sent that a loop keeps.
	keptSealed = 1 << 20
)

// Loop is what the TLS connections of one loop share. It belongs to one thread.
type Loop struct {
	world   World
	bounds  *Bounds
	workers *Workers

	plain  []byte // what was decrypted and goes to who is above
	sealed []byte // what was encrypted and goes to the link below
	owner  *Link  // whose that is between two writes; nil if nobody's

	working     int     // handshakes at work
	begun       int     // of those, in this batch
	planned     bool    // Run is due
	queue       []*Link // who waits for a turn to begin
	first, last *Link   // handshakes that wait for their peer, the longest first
	ended       bool
}

// NewLoop returns the TLS part of a loop.
func NewLoop(world World, workers *Workers, bounds *Bounds) *Loop {
	return &Loop{world: world, workers: workers, bounds: bounds}
}

// End ends the handshakes under way, whose connections the loop closes by itself.
// It is the last call, on the loop's thread: a coroutine cannot be left to the
// garbage collector.
func (s *Loop) End() {
	s.ended = true
	for s.first != nil {
		s.first.give()
	}
	s.queue = nil
}

// plan has Run called at the end of the batch.
func (s *Loop) plan() {
	if !s.planned {
		s.planned = true
		s.world.Later(s)
	}
}

// Run implements [exchange.Task]: it sends what was left for another write that
// did not come, and lets the next handshakes begin. Those get what they have to
// read with the next batch.
func (s *Loop) Run() {
	s.planned, s.begun = false, 0
	if s.owner != nil {
		s.owner.passOn(false)
	}
	for turns := s.bounds.Begins; turns > 0 && len(s.queue) > 0; turns-- {
		if !s.hasRoom() {
			return
		}
		next := s.queue[0]
		s.queue[0], s.queue = nil, s.queue[1:]
		next.turn()
	}
}
