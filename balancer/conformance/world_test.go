package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"evenkeel/balancer"
	"evenkeel/fsm"
	"evenkeel/internal/freeport"
)

// world is one balancer with a listener for each slot.
type world struct {
	registry *registry
	balancer *balancer.Balancer
	slots    map[string]chan *slot // free ones, by profile
	all      []*slot
	sockets  []int // bound, but nobody listens
	blocked  []net.Conn
	log      *logBuffer
	atStart  descriptors // when no connection had been made
	stop     context.CancelFunc
	stopped  chan error
}

// slot is a listener with a route, a pool and backends of its own, on which one
// run takes place at a time.
type slot struct {
	name     string
	address  string
	backends []*backend
	current  atomic.Pointer[exchange]
}

// registry is a [balancer.Source].
type registry struct {
	mu       sync.Mutex // guards the fields below
	state    *fsm.State
	replaced chan struct{}
	seq      uint64
}

func (r *registry) Watch() (*fsm.State, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state, r.replaced
}

// do applies the operations as one change of the state.
func (r *registry) do(operations ...fsm.Operation) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var commands []fsm.Command
	for _, op := range operations {
		r.seq++
		commands = append(commands, fsm.Command{ID: fsm.CommandID{Origin: "test", Seq: r.seq}, Op: op})
	}
	next, results := fsm.Apply(r.state, commands)
	for i, result := range results {
		if result.Err != nil {
			return fmt.Errorf("apply %#v: %w", operations[i], result.Err)
		}
	}
	r.state = next
	close(r.replaced)
	r.replaced = make(chan struct{})
	return nil
}

func newRegistry() *registry {
	return &registry{state: fsm.New(), replaced: make(chan struct{})}
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// newWorld starts a balancer with the given profiles and waits until all its
// listeners are open.
func newWorld(all map[string]profile) (*world, error) {
	w := &world{registry: newRegistry(), slots: map[string]chan *slot{},
		log: new(logBuffer), stopped: make(chan error, 1)}
	operations := []fsm.Operation{fsm.Init{ClusterID: "test", FeatureLevel: fsm.FeatureLevel,
		Objects: []fsm.Put{{Name: "none", Spec: fsm.PoolSpec{Strategy: fsm.StrategyRoundRobin}}}}}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		p := all[name]
		w.slots[name] = make(chan *slot, p.slots)
		for range p.slots {
			s, more, err := w.addSlot(p)
			if err != nil {
				return nil, err
			}
			w.slots[name] <- s
			operations = append(operations, more...)
		}
	}
	if err := w.registry.do(operations...); err != nil {
		return nil, err
	}
	if err := w.start(); err != nil {
		return nil, err
	}
	err := w.awaitListeners()
	w.atStart = openNow()
	return w, err
}

func (w *world) start() (err error) {
	w.balancer, err = balancer.New(balancer.Config{
		Bind: "127.0.0.1", StopDelay: -1, DrainTimeout: patience, Logger: slog.New(slog.NewTextHandler(w.log, nil))})
	if err != nil {
		return err
	}
	var ctx context.Context
	ctx, w.stop = context.WithCancel(context.Background())
	go func() { w.stopped <- w.balancer.Run(ctx, w.registry) }()
	return nil
}

// addSlot makes a slot and returns what the registry must hold for it.
func (w *world) addSlot(p profile) (*slot, []fsm.Operation, error) {
	s := &slot{name: fmt.Sprintf("s%d", len(w.all))}
	w.all = append(w.all, s)
	port, err := freeport.Take()
	if err != nil {
		return nil, nil, err
	}
	s.address = fmt.Sprintf("127.0.0.1:%d", port)
	p.listener.Address, p.listener.Protocol = fmt.Sprintf(":%d", port), fsm.ProtocolHTTP
	p.pool.Strategy = fsm.StrategyRoundRobin
	operations := []fsm.Operation{fsm.Put{Name: s.name, Spec: p.listener}, fsm.Put{Name: s.name, Spec: p.pool}}
	if !p.noRoute {
		p.route.Listeners = []string{s.name}
		p.route.Pools = []fsm.WeightedPool{{Name: s.name, Weight: 1}}
		operations = append(operations, fsm.Put{Name: s.name, Spec: p.route})
	}
	addresses, err := w.backendsOf(s, p)
	for i, address := range addresses {
		operations = append(operations, fsm.Put{Pool: s.name, Name: "b" + strconv.Itoa(i),
			Spec: fsm.BackendSpec{Address: address, Weight: 1, AdminState: fsm.AdminReady}})
	}
	return s, operations, err
}

func (w *world) backendsOf(s *slot, p profile) (addresses []string, err error) {
	for range p.backends {
		b, err := newBackend(&s.current)
		if err != nil {
			return nil, err
		}
		s.backends = append(s.backends, b)
		addresses = append(addresses, b.listener.Addr().String())
	}
	for range p.refusing {
		address, err := w.refusing()
		if err != nil {
			return nil, err
		}
		addresses = append(addresses, address)
	}
	if p.full {
		address, err := w.full()
		if err != nil {
			return nil, err
		}
		addresses = append(addresses, address)
	}
	return addresses, nil
}

// refusing returns an address that nobody listens at and that nobody else gets.
func (w *world) refusing() (string, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		return "", err
	}
	w.sockets = append(w.sockets, fd)
	return bind(fd)
}

// full returns an address at which connects are never answered, because the
// queue of what is to be accepted is full.
func (w *world) full() (string, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		return "", err
	}
	w.sockets = append(w.sockets, fd)
	address, err := bind(fd)
	if err != nil {
		return "", err
	}
	if err := syscall.Listen(fd, 0); err != nil {
		return "", err
	}
	for range 8 {
		conn, err := net.DialTimeout("tcp", address, 100*time.Millisecond)
		if err != nil {
			return address, nil
		}
		w.blocked = append(w.blocked, conn)
	}
	return "", errors.New("an accept queue that should be full took 8 connections")
}

func bind(fd int) (string, error) {
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return "", err
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return "", err
	}
	return "127.0.0.1:" + strconv.Itoa(name.(*syscall.SockaddrInet4).Port), nil
}

// awaitListeners waits until every slot's listener is open, with its table.
func (w *world) awaitListeners() error {
	deadline := time.Now().Add(patience)
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		open := 0
		for _, status := range w.balancer.Listeners() {
			if status.State == balancer.StateListening {
				open++
			}
		}
		if open == len(w.all) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("only %d of %d listeners opened: %v", open, len(w.all), w.balancer.Listeners())
		}
		<-ticker.C
	}
}

// close stops everything.
func (w *world) close() error {
	w.stop()
	errs := []error{<-w.stopped}
	for _, s := range w.all {
		for _, b := range s.backends {
			errs = append(errs, b.close())
		}
	}
	for _, conn := range w.blocked {
		errs = append(errs, conn.Close())
	}
	for _, fd := range w.sockets {
		errs = append(errs, syscall.Close(fd))
	}
	if log := w.log.String(); strings.Contains(log, "panic") {
		errs = append(errs, fmt.Errorf("the balancer logged a panic:\n%s", log))
	}
	return errors.Join(errs...)
}

// failures is how often the slot's backends were blamed.
func (w *world) failures(s *slot) (n uint64) {
	for _, b := range w.balancer.Stats().Backends {
		if b.Pool == s.name {
			n += b.Failures + b.ConnectFailures
		}
	}
	return n
}

// active is how many connections and requests the slot's listener has.
func (w *world) active(s *slot) (n int64) {
	for _, l := range w.balancer.Stats().Listeners {
		if l.Name == s.name {
			n += l.Active + l.Connections
		}
	}
	return n
}
