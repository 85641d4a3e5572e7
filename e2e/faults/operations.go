package faults

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

const (
	// keys is how many keys are in use at once, few so that clients meet.
	keys = 20
	// maxOpen is how many writes of unknown outcome a key may have: each of
	// them can have taken effect at any time since, and the checker's work
	// doubles with each. Then another key takes its place.
	maxOpen = 4
	// maxUses does the same for the memory of the checker, which grows with the
	// square of a key's operations.
	maxUses = 2500
	// checkLimit is how long porcupine may take. It takes milliseconds, unless
	// there is a violation.
	checkLimit = 60 * time.Second
)

// operationsOptions says how the API is used. What is 0 has a default.
type operationsOptions struct {
	seed    uint64 // of all that is random
	rate    int    // operations a second of all clients together, 250
	clients int    // at least 5, 8 by default
	apis    []harness.API
}

// withDefaults fills in what is 0.
func (o operationsOptions) withDefaults() operationsOptions {
	if o.rate == 0 {
		o.rate = 250
	}
	if o.clients == 0 {
		o.clients = 8
	}
	return o
}

// operations is a steady flow of reads and writes of some keys to the API by
// several clients, whose history is checked for linearizability. Its methods
// may be called concurrently.
//
// Each client uses one node, and another after it was not served there and now
// and then. A write without a known outcome is left open, and its client goes
// on under another number, as it would be two operations of one client at once.
type operations struct {
	options operationsOptions
	history *history
	slots   *slots
	pacer   *pacer
	ids     atomic.Int64 // numbers of clients given out
	values  atomic.Int64 // values given out
	quit    chan struct{}
	stopped time.Duration // when stop was done; read after quit
	once    func()
	workers sync.WaitGroup
}

// startOperations begins to use the APIs, until stop or the test's end.
func startOperations(t testing.TB, options operationsOptions) *operations {
	t.Helper()
	options = options.withDefaults()
	if options.clients < 5 || len(options.apis) == 0 {
		t.Fatalf("operations: %d clients of %d nodes: use at least 5 of at least 1", options.clients, len(options.apis))
	}
	o := &operations{options: options, history: newHistory(), slots: newSlots(), quit: make(chan struct{})}
	o.pacer = &pacer{interval: time.Second / time.Duration(options.rate), next: time.Now()}
	o.ids.Store(int64(options.clients))
	o.once = sync.OnceFunc(func() {
		close(o.quit)
		o.workers.Wait()
		o.stopped = o.history.now()
	})
	t.Cleanup(o.once)
	t.Logf("operations: seed %d, %d clients, %d a second", options.seed, options.clients, options.rate)
	for i := range options.clients {
		o.workers.Go(func() { newUser(o, i).run() })
	}
	return o
}

// stop ends the flow and returns when the last operation has.
func (o *operations) stop() { o.once() }

// count returns how many operations have come to an end that the model knows:
// answered, whether or not their condition held.
func (o *operations) count() int {
	return o.history.number(outcomeDone) + o.history.number(outcomeUnmet)
}

// rate returns count per second so far, or until stop.
func (o *operations) rate() float64 {
	elapsed := o.history.now()
	select {
	case <-o.quit:
		o.stop()
		elapsed = o.stopped
	default:
	}
	return float64(o.count()) / elapsed.Seconds()
}

// waitCount waits until that many more operations have come to an end.
func (o *operations) waitCount(t testing.TB, more int) {
	t.Helper()
	before := o.count()
	harness.Eventually(t, fmt.Sprintf("%d operations", more), func() error {
		if done := o.count() - before; done < more {
			return fmt.Errorf("%d so far", done)
		}
		return nil
	})
}

// check ends the flow, reads every key once more, and fails the test if the
// history is not linearizable or an answer was one that the API never gives.
// What is needed to find out why is left in the folder failed beside the test.
func (o *operations) check(t testing.TB) {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("failed", strings.ReplaceAll(t.Name(), "/", "_")))
	if err != nil {
		t.Fatal(err)
	}
	if err := o.conclude(t, dir); err != nil {
		t.Errorf("operations with seed %d: %v", o.options.seed, err)
	}
}

// conclude is check with the result as an error and the files in dir.
func (o *operations) conclude(t testing.TB, dir string) error {
	t.Helper()
	o.stop()
	rate := o.rate()
	o.readAll(t)
	all, faults := o.history.all()
	h := o.history
	t.Logf("operations: %.0f a second; %d done, %d with an unmet condition, %d refused, %d of unknown outcome, on %d keys", rate,
		h.number(outcomeDone), h.number(outcomeUnmet), h.number(outcomeRefused), h.number(outcomeUnknown), len(o.slots.all()))
	if len(faults) > 0 {
		return fmt.Errorf("%d answers that the API never gives:\n%s", len(faults), strings.Join(faults[:min(len(faults), maxFindings)], "\n"))
	}
	return verdict(all, checkLimit, dir)
}

// readAll reads every key that was ever used, from one node or the other.
func (o *operations) readAll(t testing.TB) {
	t.Helper()
	u := newUser(o, int(o.ids.Add(1)-1))
	defer u.client.close()
	for _, key := range o.slots.all() {
		harness.Eventually(t, "a last read of "+key, func() error {
			if done := u.perform(operation{Kind: kindRead, Key: key}); done.Outcome != outcomeDone {
				return fmt.Errorf("%v: %s", done, done.Detail)
			}
			return nil
		})
		u.node = (u.node + 1) % len(o.options.apis)
	}
}

// slots are the places of the keys in use.
type slots struct {
	prefix string

	mu    sync.Mutex // guards what follows
	now   [keys]slot
	names []string // of all keys so far
}

type slot struct {
	key        string
	uses, open int
}

// newSlots names the keys unlike those of any other flow, because the model
// begins with none.
func newSlots() *slots {
	s := &slots{prefix: fmt.Sprintf("op-%x", time.Now().UnixNano())}
	for i := range s.now {
		s.renew(i)
	}
	return s
}

// renew is called with the lock held, or before anybody else is there.
func (s *slots) renew(i int) {
	s.now[i] = slot{key: fmt.Sprintf("%s-%d", s.prefix, len(s.names))}
	s.names = append(s.names, s.now[i].key)
}

// use returns the key in a place, for one operation.
func (s *slots) use(i int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now[i].uses++; s.now[i].uses > maxUses || s.now[i].open >= maxOpen {
		s.renew(i)
	}
	return s.now[i].key
}

// leaveOpen counts a write of unknown outcome.
func (s *slots) leaveOpen(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.now {
		if s.now[i].key == key {
			s.now[i].open++
		}
	}
}

func (s *slots) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.names...)
}

// maxLag is how far the clients may be behind the rate and catch up.
const maxLag = 200 * time.Millisecond

// pacer gives all clients together one turn each interval, so that while some
// wait for a node the others make up for them.
type pacer struct {
	interval time.Duration

	mu   sync.Mutex // guards next
	next time.Time
}

// turn returns when the caller's turn is.
func (p *pacer) turn() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if earliest := time.Now().Add(-maxLag); p.next.Before(earliest) {
		p.next = earliest
	}
	turn := p.next
	p.next = turn.Add(p.interval)
	return turn
}

// source returns the randomness of one client.
func (o *operations) source(client int) *rand.Rand {
	return rand.New(rand.NewPCG(o.options.seed, uint64(client)))
}
