package reactor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"
)

// Bounds and defaults of [Config].
const (
	MaxLoops          = 256
	MaxNice           = 19 // the lowest priority there is, see sched(7)
	DefaultReadBuffer = 256 << 10
)

// Config is what a [Reactor] is made from.
type Config struct {
	// Loops is the number of event loops, 1 to [MaxLoops]; 0 means one for each
	// core.
	Loops int
	// ReadBuffer is the size of each loop's read buffer in bytes; 0 means
	// [DefaultReadBuffer].
	ReadBuffer int
	// Nice is by how much the process's other threads are nicer than those of the
	// loops, 0 to [MaxNice], so that the operating system lets the loops go first; see
	// nice(2) and sched(7). The loops are raised as far as the process may, and the
	// others lowered by what is left. Nobody may take that back, so at most one reactor
	// of a process has it. Only Linux has priorities of threads; elsewhere it does
	// nothing.
	Nice int
	// Logger gets what goes wrong with listening sockets; nil means nobody.
	Logger *slog.Logger
}

// Reactor is a set of event loops. Its methods may be called from any
// goroutine.
type Reactor struct {
	loops  []*Loop
	nice   int
	logger *slog.Logger

	stopping sync.WaitGroup // goroutines that end listeners

	mu        sync.Mutex // guards the fields below
	listeners map[*Listener]struct{}
	ended     bool
}

// New opens the loops' pollers. [Reactor.Run] starts the loops; without it,
// [Reactor.Close] frees the descriptors.
func New(config Config) (*Reactor, error) {
	if config.Loops == 0 {
		config.Loops = min(runtime.NumCPU(), MaxLoops)
	}
	if config.Loops < 0 || config.Loops > MaxLoops {
		return nil, fmt.Errorf("open reactor: %d loops: use 1 to %d, or 0 for one a core", config.Loops, MaxLoops)
	}
	if config.Nice < 0 || config.Nice > MaxNice {
		return nil, fmt.Errorf("open reactor: other threads nicer by %d: use 0 to %d", config.Nice, MaxNice)
	}
	if config.ReadBuffer == 0 {
		config.ReadBuffer = DefaultReadBuffer
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Reactor{nice: config.Nice, logger: config.Logger, listeners: make(map[*Listener]struct{})}
	start := time.Now()
	for i := range config.Loops {
		l, err := newLoop(i, config, start)
		if err != nil {
			r.Close()
			return nil, fmt.Errorf("open poller of loop %d: %w", i, err)
		}
		r.loops = append(r.loops, l)
	}
	return r, nil
}

// Loops returns the loops in the order of their indexes.
func (r *Reactor) Loops() []*Loop { return r.loops }

// Run runs the loops until ctx ends, then closes every connection and listening
// socket, and returns after the last loop's thread has ended. It is called once.
//
// It raises GOMAXPROCS to twice the number of loops, and 4 at least, so that the
// rest of the process does not wait for the loops, nor they for it, and gives the
// loops priority over all other threads as configured.
func (r *Reactor) Run(ctx context.Context) error {
	if want := places(len(r.loops)); runtime.GOMAXPROCS(0) < want {
		runtime.GOMAXPROCS(want)
	}
	var loops sync.WaitGroup
	threads := make(chan int)
	for _, l := range r.loops {
		loops.Go(func() { l.run(threads) })
	}
	loops.Go(r.goFirst(ctx, threads))
	<-ctx.Done()
	for _, l := range r.loops {
		l.Post(l.end)
	}
	loops.Wait()
	r.end()
	return nil
}

// places is GOMAXPROCS: as many places for the rest as there are loops. Of 2, 3
// or 6 the garbage collector has no whole number for its quarter of them, and
// takes a part of the time of each, mgcpacer.go: a loop that begins a new time
// slice then may wait for it for 20 ms and more.
func places(loops int) int {
	switch n := 2 * loops; n {
	case 2:
		return 4
	case 6:
		return 7
	default:
		return n
	}
}

// lowerAgain is when it is looked again for threads that go as the loops do: a
// thread that is just being made has the priority that its maker had, and is
// not found before it is whole.
var lowerAgain = [...]time.Duration{10 * time.Millisecond, 100 * time.Millisecond, time.Second, 10 * time.Second}

// goFirst waits until all loops run, and gives them precedence. What it returns
// sees to those threads that escaped, until ctx ends.
func (r *Reactor) goFirst(ctx context.Context, threads <-chan int) (later func()) {
	var ids []int
	for range r.loops {
		ids = append(ids, <-threads)
	}
	if r.nice == 0 {
		return func() {}
	}
	raised := raise(ids, r.nice)
	lower := func() (ok bool) {
		err := errors.Join(raised, lowerOthers(ids, r.nice))
		if err != nil && ctx.Err() == nil { // else the loops' threads may have ended
			r.logger.Warn("the loops do not go first when the machine is busy", "error", err)
		}
		return err == nil
	}
	if !lower() {
		return func() {}
	}
	return func() {
		for _, pause := range lowerAgain {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
			if !lower() {
				return
			}
		}
	}
}

// Close frees the descriptors of a reactor that never ran.
func (r *Reactor) Close() {
	for _, l := range r.loops {
		l.ended = true
		l.release()
	}
	r.end()
}

// end closes, when no loop runs any more, what no loop has closed: sockets of
// listeners that were never started.
func (r *Reactor) end() {
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	r.stopping.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for ln := range r.listeners {
		ln.closeSockets()
	}
	clear(r.listeners)
}

// watch remembers a listener until it is forgotten. It returns false after the
// end.
func (r *Reactor) watch(ln *Listener) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		r.listeners[ln] = struct{}{}
	}
	return !r.ended
}

func (r *Reactor) forget(ln *Listener) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.listeners, ln)
}

// spawn runs f in a goroutine that Run waits for. It returns false after the
// end.
func (r *Reactor) spawn(f func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		r.stopping.Go(f)
	}
	return !r.ended
}
