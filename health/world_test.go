package health

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"evenkeel/fsm"
)

// registry is a cluster of one state: source and proposer of an observer.
type registry struct {
	t testing.TB
	// propose, if not nil, is asked before each proposal; its error is given
	// instead of applying the command, an [fsm.Error] as a refusal.
	propose func(ctx context.Context, op fsm.CastVotes) error

	mu       sync.Mutex // guards what follows
	state    *fsm.State
	changed  chan struct{}
	seq      uint64
	commands []fsm.CastVotes // that were proposed
}

// newRegistry holds the default objects and the given nodes, alive.
func newRegistry(t testing.TB, nodes ...string) *registry {
	r := &registry{t: t, state: fsm.New(), changed: make(chan struct{})}
	r.must(fsm.Init{ClusterID: "c", FeatureLevel: fsm.FeatureLevel, Objects: fsm.DefaultObjects()})
	for _, uid := range nodes {
		r.must(fsm.SetNode{Node: fsm.Node{UID: uid, Name: uid, State: fsm.NodeAlive, FeatureLevel: fsm.FeatureLevel}})
	}
	return r
}

func (r *registry) Watch() (*fsm.State, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state, r.changed
}

func (r *registry) Propose(ctx context.Context, c fsm.Command) (fsm.Result, error) {
	votes := c.Op.(fsm.CastVotes)
	r.mu.Lock()
	r.commands = append(r.commands, votes)
	r.mu.Unlock()
	if r.propose != nil {
		err := r.propose(ctx, votes)
		if refusal, ok := errors.AsType[*fsm.Error](err); ok {
			return fsm.Result{Err: refusal}, nil
		}
		if err != nil {
			return fsm.Result{}, err
		}
	}
	return r.apply(c.Op)[0], nil
}

// apply applies operations as one entry.
func (r *registry) apply(ops ...fsm.Operation) []fsm.Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	commands := make([]fsm.Command, len(ops))
	for i, op := range ops {
		r.seq++
		commands[i] = fsm.Command{ID: fsm.CommandID{Origin: "test", Seq: r.seq}, Time: time.Now(), Actor: "test", Op: op}
	}
	next, results := fsm.Apply(r.state, commands)
	r.state = next
	close(r.changed)
	r.changed = make(chan struct{})
	return results
}

func (r *registry) must(ops ...fsm.Operation) {
	r.t.Helper()
	for i, result := range r.apply(ops...) {
		if result.Err != nil {
			r.t.Fatalf("%T: %v", ops[i], result.Err)
		}
	}
}

// sent returns the commands proposed so far and how many votes they carried.
func (r *registry) sent() (commands, votes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.commands {
		votes += len(c.Votes)
	}
	return len(r.commands), votes
}

func (r *registry) current() *fsm.State {
	state, _ := r.Watch()
	return state
}

func (r *registry) health(backend string) fsm.Health {
	if b := r.current().Backend("default", backend); b != nil {
		return b.Status.Health
	}
	return ""
}

// backends puts backends b<from> to b<to-1> into the default pool.
func backends(from, to int) []fsm.Operation {
	var ops []fsm.Operation
	for n := from; n < to; n++ {
		ops = append(ops, putBackend(fmt.Sprintf("b%d", n), fmt.Sprintf("10.%d.%d.%d:80", n>>16, n>>8&255, n&255), fsm.AdminReady))
	}
	return ops
}

func putBackend(name, address string, admin fsm.AdminState) fsm.Put {
	spec := fsm.BackendSpec{Address: address}
	spec.SetDefaults()
	spec.AdminState = admin
	return fsm.Put{Pool: "default", Name: name, Spec: spec}
}

// putCheck gives the default pool a check; nil takes it away.
func putCheck(edit func(*fsm.Check)) fsm.Put {
	spec := fsm.PoolSpec{}
	spec.SetDefaults()
	if edit != nil {
		spec.Check = &fsm.Check{}
		spec.Check.SetDefaults()
		edit(spec.Check)
	}
	return fsm.Put{Name: "default", Spec: spec}
}

// checkTimes reports probes that do not follow the interval from the first on.
func checkTimes(t *testing.T, address string, seen []time.Time, interval time.Duration) {
	t.Helper()
	for i, at := range seen {
		if drift := at.Sub(seen[0]) - time.Duration(i)*interval; drift.Abs() > tick {
			t.Fatalf("%s: probe %d is off by %s", address, i, drift)
		}
	}
}

// world is the backends as a fake prober meets them.
type world struct {
	t testing.TB

	mu      sync.Mutex // guards what follows
	errors  map[string]error
	all     error         // for those that have none of their own
	takes   time.Duration // each probe
	asked   int           // the reduction that backends ask for
	probes  map[string][]time.Time
	busy    map[string]int
	running int
	most    int // at once
}

func newWorld(t testing.TB) *world {
	return &world{t: t, errors: map[string]error{}, probes: map[string][]time.Time{}, busy: map[string]int{}}
}

// set makes probes of the address end with err; "" stands for all addresses.
func (w *world) set(address string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if address == "" {
		w.all = err
	} else {
		w.errors[address] = err
	}
}

func (w *world) slow(takes time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.takes = takes
}

// seen returns when the address was probed.
func (w *world) seen(address string) []time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]time.Time(nil), w.probes[address]...)
}

type fakeProber struct {
	*world
	address string
}

func (p fakeProber) Probe(ctx context.Context) (int, error) {
	takes := p.enter()
	defer p.leave()
	if takes > 0 {
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-time.After(takes):
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err, ok := p.errors[p.address]; ok {
		return p.asked, err
	}
	return p.asked, p.all
}

func (p fakeProber) enter() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.probes[p.address] = append(p.probes[p.address], time.Now())
	p.busy[p.address]++
	if p.busy[p.address] > 1 {
		p.t.Errorf("probes of %s overlap", p.address)
	}
	p.running++
	p.most = max(p.most, p.running)
	return p.takes
}

func (p fakeProber) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy[p.address]--
	p.running--
}

// observe runs an observer for node n1 until the test ends.
func observe(t testing.TB, r *registry, w *world) *Observer {
	o := newObserver(w)
	run(t, o, r)
	return o
}

func newObserver(w *world) *Observer {
	o := New(Config{Self: "n1"})
	o.newProber = func(_ *fsm.Pool, address string) (Prober, error) { return fakeProber{w, address}, nil }
	return o
}

// run returns a function that stops the observer, which the test's end does
// too.
func run(t testing.TB, o *Observer, r *registry) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- o.Run(ctx, r, r) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}
