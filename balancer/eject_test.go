package balancer

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/fsm"
	"evenkeel/internal/freeport"
)

// said is this node's own word about backends, as a test gives it.
type said struct {
	mu      sync.Mutex // guards the fields below
	health  map[string]fsm.Health
	changed chan struct{}
}

func newSaid() *said { return &said{changed: make(chan struct{})} }

func (s *said) local() (map[string]fsm.Health, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.health, s.changed
}

func (s *said) say(health map[string]fsm.Health) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.health = health
	close(s.changed)
	s.changed = make(chan struct{})
}

// withTwo is a registry with a backend "b" at an address and "good", which
// answers, of a pool "p".
func withTwo(t testing.TB, address string, spec fsm.PoolSpec) *registry {
	r := withBackend(t, address)
	spec.Strategy = fsm.StrategyRoundRobin
	r.do(fsm.Put{Name: "p", Spec: spec},
		fsm.Put{Pool: "p", Name: "good", Spec: fsm.BackendSpec{Address: backend(t, hello), Weight: 1, AdminState: fsm.AdminReady}},
		listener("web", ":0"))
	return r
}

func (n *node) uses(names ...string) bool {
	choices := n.Table().PoolNamed("p").Choices()
	if len(choices) != len(names) {
		return false
	}
	for i, b := range choices {
		if b.Name != names[i] {
			return false
		}
	}
	return true
}

func TestARefusedConnectEjectsAndIsToldOnce(t *testing.T) {
	spec := fsm.Ejection{Failures: 1, Hold: fsm.Duration(300 * time.Millisecond), MaxHold: fsm.Duration(time.Hour), MaxPercent: 50}
	r := withTwo(t, freeport.Address(t, "127.0.0.1"), fsm.PoolSpec{Ejection: &spec})
	evidence := make(chan Evidence, 100)
	n := run(t, Config{Bind: "127.0.0.1", Evidence: func(e Evidence) { evidence <- e }}, r)
	address := n.listening("web")
	eventually(t, "the refused connect ejects", func() bool {
		n.serves(address)
		return len(n.Ejections()) == 1
	})
	eventually(t, "the table is without it", func() bool { return n.uses("good") || len(n.Ejections()) == 0 })
	if e := <-evidence; e.Name != "b" || e.Pool != "p" || e.UID == "" || e.Kind != "connect" {
		t.Errorf("evidence %+v", e)
	}
	for range 20 {
		n.serves(address)
	}
	eventually(t, "the hold ends", func() bool { return n.uses("b", "good") || len(evidence) > 0 })
	eventually(t, "a further failure holds for longer", func() bool {
		n.serves(address)
		for _, e := range n.Ejections() {
			return e.Since+e.For >= 600*time.Millisecond
		}
		return false
	})
	for _, stats := range n.Stats().Backends {
		if stats.Name == "b" && stats.Ejections < 2 {
			t.Errorf("%d ejections are counted", stats.Ejections)
		}
	}
}

func TestAVetoCountsAtOnceAndEnds(t *testing.T) {
	words := newSaid()
	r := withTwo(t, backend(t, hello), fsm.PoolSpec{})
	n := run(t, Config{Bind: "127.0.0.1", Local: words.local}, r)
	n.listening("web")
	eventually(t, "both are used", func() bool { return n.uses("b", "good") })
	state, _ := r.Watch()
	words.say(map[string]fsm.Health{state.Backend("p", "b").Meta.UID: fsm.HealthDown})
	eventually(t, "the veto counts", func() bool { return n.uses("good") })
	words.say(nil)
	eventually(t, "the veto has ended", func() bool { return n.uses("b", "good") })
}

// proposer takes drain reports and puts them into the registry's state.
type proposer struct {
	r       *registry
	refuse  atomic.Int32
	reports atomic.Int32
}

func (p *proposer) Propose(_ context.Context, _ string, op fsm.Operation) (fsm.Result, error) {
	if p.refuse.Add(-1) >= 0 {
		return fsm.Result{}, context.DeadlineExceeded
	}
	report := op.(fsm.ReportIdle)
	p.reports.Add(1)
	for _, b := range report.Backends {
		p.r.set(b.Pool, b.Name, func(s *fsm.BackendStatus) {
			s.Drain = &fsm.Drain{State: fsm.DrainUnderWay, Epoch: b.Epoch, Idle: []string{report.Node}}
		})
	}
	return fsm.Result{}, nil
}

// set gives a backend a status, as operations would.
func (r *registry) set(pool, name string, change func(*fsm.BackendStatus)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.state.Backend(pool, name)
	r.seq++
	next, _ := fsm.Apply(r.state, []fsm.Command{{ID: fsm.CommandID{Origin: "test", Seq: r.seq},
		Op: fsm.Put{Pool: pool, Name: name, Labels: map[string]string{"n": fmt.Sprint(r.seq)}, Spec: old.Spec}}})
	change(&next.Backend(pool, name).Status) // a new object that nobody has yet
	r.state = next
	close(r.replaced)
	r.replaced = make(chan struct{})
}

func (r *registry) drain(name, address string, state fsm.DrainState) {
	r.do(fsm.Put{Pool: "p", Name: name, Spec: fsm.BackendSpec{Address: address, Weight: 1, AdminState: fsm.AdminDrain}})
	r.set("p", name, func(s *fsm.BackendStatus) { s.Drain = &fsm.Drain{State: state, Epoch: 3} })
}

func (n *node) reportsDrains(r *registry, p *proposer) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := n.ReportDrains(ctx, r, p); err != nil {
			n.t.Errorf("report drains: %v", err)
		}
	}()
	n.t.Cleanup(func() { stop(); await(n.t, ended, "the end of ReportDrains") })
}

func TestADrainIsReportedOnceNothingIsInFlight(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	address := backend(t, func(w http.ResponseWriter, q *http.Request) {
		began <- struct{}{}
		<-release
		hello(w, q)
	})
	r := withBackend(t, address)
	r.do(listener("web", ":0"))
	n, p := run(t, Config{Bind: "127.0.0.1", Self: "n1"}, r), &proposer{r: r}
	p.refuse.Store(2)
	n.reportsDrains(r, p)
	web := n.listening("web")
	answer := make(chan string, 1)
	go func() {
		got, err := get(http.DefaultClient, web)
		if err != nil {
			got = err.Error()
		}
		answer <- got
	}()
	await(t, began, "the request at the backend")
	r.drain("b", address, fsm.DrainUnderWay)
	eventually(t, "the table gives it nothing", func() bool { return n.Table().PoolNamed("p").Eligible() == 0 })
	if _, err := get(http.DefaultClient, web); err != nil || p.reports.Load() != 0 {
		t.Fatalf("reported %d times with a request in flight, %v", p.reports.Load(), err)
	}
	close(release)
	if got := <-answer; got != "200 hello" {
		t.Errorf("the request in flight got %q", got)
	}
	eventually(t, "it is reported, in spite of errors", func() bool { return p.reports.Load() == 1 })
}

// TestAReportThatIsTakenIsNoFailure: otherwise each drain would wait for longer.
func TestAReportThatIsTakenIsNoFailure(t *testing.T) {
	address := backend(t, hello)
	r := withBackend(t, address)
	n, p := run(t, Config{Bind: "127.0.0.1", Self: "n1"}, r), &proposer{r: r}
	r.drain("b", address, fsm.DrainUnderWay)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := n.ReportDrains(ctx, r, p); err != nil {
			t.Errorf("report drains: %v", err)
		}
	}()
	eventually(t, "it is reported", func() bool { return p.reports.Load() == 1 })
	stop()
	await(t, ended, "the end of ReportDrains")
	if log := n.log.String(); strings.Contains(log, "could not be reported") {
		t.Errorf("it logged %s", log)
	}
}

func TestATimedOutDrainCutsWhatIsInFlight(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	address := backend(t, func(http.ResponseWriter, *http.Request) { began <- struct{}{}; <-release })
	t.Cleanup(func() { close(release) })
	r := withBackend(t, address)
	r.do(listener("web", ":0"))
	n := run(t, Config{Bind: "127.0.0.1"}, r)
	web := n.listening("web")
	answer := make(chan string, 1)
	go func() {
		got, err := get(http.DefaultClient, web)
		if err != nil {
			got = err.Error()
		}
		answer <- got[:min(len(got), 3)]
	}()
	await(t, began, "the request at the backend")
	r.drain("b", address, fsm.DrainUnderWay)
	eventually(t, "the drain has begun", func() bool { return n.Table().PoolNamed("p").Eligible() == 0 })
	select {
	case got := <-answer:
		t.Fatalf("the request was cut while the drain lasts: %q", got)
	default:
	}
	r.set("p", "b", func(s *fsm.BackendStatus) { s.Drain = &fsm.Drain{State: fsm.DrainTimedOut, Epoch: 3} })
	if got := <-answer; got != "504" {
		t.Errorf("the request got %q", got)
	}
	eventually(t, "nothing is in flight", func() bool { return n.Table().PoolNamed("p").Backend("b").Stats.InFlight() == 0 })
}
