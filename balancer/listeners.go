package balancer

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"syscall"
	"time"

	"evenkeel/balancer/exchange"
)

// server serves one listener at one address. It is the seam between which
// listeners there are and how their traffic is served.
type server interface {
	// Addr is the bound address.
	Addr() string
	// Run serves until ctx ends, then drains, and returns after its last
	// goroutine and connection. An error means that it could not go on.
	Run(ctx context.Context) error
	// Live returns how many connections and requests there are now.
	Live() (connections, requests int64)
	// LastCall makes each response from now on ask its client to close the
	// connection; it may be called while Run does anything.
	LastCall()
}

// opener binds an address for the listener of that name.
type opener func(ctx context.Context, name, address string, counters []exchange.Counters) (server, error)

// States of a listener on this node.
const (
	StateListening = "listening"
	StateFailed    = "failed"
	StateDraining  = "draining"
)

// ListenerStatus is how a listener is on this node.
type ListenerStatus struct {
	// State is [StateListening]; [StateFailed] if its address could not be
	// opened, which is tried again and again, or it refuses every handshake for want
	// of a certificate; or [StateDraining] if it was removed and has connections.
	State string `json:"state"`
	// Address is the bound address, or the wanted one of a failed listener.
	Address string `json:"address"`
	// Error says why a listener failed and what to do, or what of its certificates
	// this node cannot show.
	Error string `json:"error,omitempty"`
}

// Retries of an address that could not be opened begin after retryFirst, then
// each takes twice as long up to retryMax: a port that another program releases
// is in use within seconds, and waiting for it costs nothing.
const (
	retryFirst = 100 * time.Millisecond
	retryMax   = 5 * time.Second
)

// listeners keeps open what the registry wants open. One goroutine, run, opens
// and closes; mu guards what it shares with those who ask.
type listeners struct {
	open   opener
	count  func() []exchange.Counters // makes a listener's counters
	logger *slog.Logger
	wake   chan struct{}

	mu       sync.Mutex        // guards the fields below
	wanted   map[string]string // addresses by name; nil before the first registry
	entries  map[string]*entry
	draining map[*running]struct{}
	counters map[string][]exchange.Counters
	closing  bool
	settled  bool // everything that was wanted at first was tried
}

// entry is a listener that is wanted.
type entry struct {
	name    string
	address string   // wanted
	current *running // nil while nothing is open
	fault   error    // why address is not open; nil if it is, or was never tried
	retryAt time.Time
	backoff time.Duration
}

// running is an open socket.
type running struct {
	server  server
	name    string
	address string // as it was asked for
	stop    context.CancelFunc
}

func newListeners(open opener, count func() []exchange.Counters, logger *slog.Logger) *listeners {
	return &listeners{
		open: open, count: count, logger: logger, wake: make(chan struct{}, 1),
		entries: map[string]*entry{}, draining: map[*running]struct{}{}, counters: map[string][]exchange.Counters{},
	}
}

// want sets what is to be open. It does not wait for that.
func (l *listeners) want(addresses map[string]string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wanted != nil && maps.Equal(l.wanted, addresses) {
		return
	}
	l.wanted = addresses
	l.poke()
}

func (l *listeners) poke() {
	select {
	case l.wake <- struct{}{}:
	default: // a wake-up is due already, and it will see everything
	}
}

// run opens and closes until ctx ends, then returns when all sockets have
// drained.
func (l *listeners) run(ctx context.Context) {
	var sockets sync.WaitGroup
	defer sockets.Wait()
	defer l.closeAll()
	timer := time.NewTimer(retryMax)
	defer timer.Stop()
	for ctx.Err() == nil {
		l.closeUnwanted()
		for _, e := range l.due(time.Now()) {
			l.reopen(ctx, e, &sockets)
		}
		timer.Reset(l.rest(time.Now()))
		select {
		case <-l.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

// closeUnwanted ends listeners that were removed, and notes the addresses of
// the others.
func (l *listeners) closeUnwanted() {
	l.mu.Lock()
	defer l.mu.Unlock()
	freed := false
	for name, e := range l.entries {
		if _, ok := l.wanted[name]; !ok {
			freed = true
			delete(l.entries, name)
			l.retire(e.current)
			l.logger.Info("listener removed", "listener", name)
		}
	}
	for name, address := range l.wanted {
		e := l.entries[name]
		if e == nil {
			e = &entry{name: name}
			l.entries[name] = e
		}
		if e.address != address {
			freed = true
			e.address, e.fault, e.retryAt, e.backoff = address, nil, time.Time{}, 0
		}
	}
	if freed {
		l.retryAll()
	}
}

// retryAll is called when an address becomes free, perhaps what another
// listener waits for. l.mu is held.
func (l *listeners) retryAll() {
	for _, e := range l.entries {
		e.backoff, e.retryAt = 0, time.Time{}
	}
}

// closeAll makes everything drain.
func (l *listeners) closeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, e := range l.entries {
		delete(l.entries, name)
		l.retire(e.current)
	}
}

// due returns the listeners to open now, in the order of their names.
func (l *listeners) due(now time.Time) []*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	var due []*entry
	for _, name := range slices.Sorted(maps.Keys(l.entries)) {
		if e := l.entries[name]; !e.isOpen() && !now.Before(e.retryAt) {
			due = append(due, e)
		}
	}
	return due
}

// rest is how long nothing is due.
func (l *listeners) rest(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	rest, tried := retryMax, l.wanted != nil && len(l.entries) == len(l.wanted)
	for _, e := range l.entries {
		if !e.isOpen() {
			rest = min(rest, e.retryAt.Sub(now))
			tried = tried && e.fault != nil
		}
	}
	l.settled = l.settled || tried
	return rest
}

// reopen opens a listener's address and only then lets go of its last one.
func (l *listeners) reopen(ctx context.Context, e *entry, sockets *sync.WaitGroup) {
	opening, done := context.WithTimeout(ctx, retryMax) // a host name may have to be resolved
	server, err := l.open(opening, e.name, e.address, l.countersOf(e.name))
	done()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failed(e, err)
		return
	}
	life, stop := context.WithCancel(ctx)
	r := &running{server: server, name: e.name, address: e.address, stop: stop}
	l.retire(e.current)
	e.current, e.fault, e.backoff = r, nil, 0
	if l.closing {
		server.LastCall()
	}
	l.logger.Info("listener opened", "listener", e.name, "address", server.Addr())
	sockets.Go(func() {
		defer stop()
		l.ended(r, server.Run(life))
	})
}

// failed plans the next try. If the last address of the listener is in the way
// of the new one (":80" of "127.0.0.1:80"), or of a listener that is in its own
// way (two that swap addresses), it has to go first.
func (l *listeners) failed(e *entry, err error) {
	if e.current != nil && errors.Is(err, syscall.EADDRINUSE) && (overlap(e.current.address, e.address) || l.inCircle(e)) {
		l.retire(e.current)
		e.current = nil
		l.retryAll()
	}
	fault := openError(e.name, e.address, err)
	if e.fault == nil || e.fault.Error() != fault.Error() {
		l.logger.Warn("listener failed, will be tried again", "listener", e.name, "address", e.address, "error", fault)
	}
	e.fault = fault
	e.backoff = min(max(2*e.backoff, retryFirst), retryMax)
	e.retryAt = time.Now().Add(e.backoff)
}

// inCircle tells whether e waits for a listener that is about to move but waits
// for another one, and so on, the last of them for e. l.mu is held.
func (l *listeners) inCircle(e *entry) bool {
	at := e
	for range l.entries {
		if at = l.inTheWay(at); at == nil || at == e {
			break
		}
	}
	return at == e
}

// inTheWay returns the listener that has what e wants and is about to move, or
// nil.
func (l *listeners) inTheWay(e *entry) *entry {
	for _, other := range l.entries {
		if other != e && other.current != nil && !other.isOpen() && overlap(other.current.address, e.address) {
			return other
		}
	}
	return nil
}

// retire makes a socket drain. l.mu is held.
func (l *listeners) retire(r *running) {
	if r != nil {
		l.draining[r] = struct{}{}
		r.stop()
	}
}

// ended is called when a socket has drained, or broke.
func (l *listeners) ended(r *running, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.draining, r)
	e := l.entries[r.name]
	if e != nil && e.current == r {
		e.current = nil
		if err != nil {
			l.failed(e, err)
			l.poke()
		}
	}
	if e == nil && !l.isDraining(r.name) {
		delete(l.counters, r.name)
	}
}

func (l *listeners) isDraining(name string) bool {
	for r := range l.draining {
		if r.name == name {
			return true
		}
	}
	return false
}

func (l *listeners) countersOf(name string) []exchange.Counters {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counters[name] == nil {
		l.counters[name] = l.count()
	}
	return l.counters[name]
}

// lastCall makes every response ask for its connection to be closed.
func (l *listeners) lastCall() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closing = true
	for _, e := range l.entries {
		if e.current != nil {
			e.current.server.LastCall()
		}
	}
}

// tried tells whether every listener of the first registry was tried.
func (l *listeners) tried() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.settled
}

func (l *listeners) status() map[string]ListenerStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[string]ListenerStatus, len(l.entries))
	for r := range l.draining {
		all[r.name] = ListenerStatus{State: StateDraining, Address: r.server.Addr()}
	}
	for name, e := range l.entries {
		switch {
		case e.isOpen():
			all[name] = ListenerStatus{State: StateListening, Address: e.current.server.Addr()}
		case e.fault != nil:
			all[name] = ListenerStatus{State: StateFailed, Address: e.address, Error: e.describe()}
		}
	}
	return all
}

// isOpen tells whether the wanted address is open.
func (e *entry) isOpen() bool { return e.current != nil && e.current.address == e.address }

func (e *entry) describe() string {
	if e.current == nil {
		return e.fault.Error()
	}
	return e.fault.Error() + "; until then it serves on " + e.current.server.Addr()
}
