package balancer

import (
	"context"
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

// proposer takes drain reports and puts them into the registry's state, as the
// cluster does.
type proposer struct {
	r       *registry
	refuse  atomic.Int32
	reports atomic.Int32
}

func (p *proposer) Propose(_ context.Context, c fsm.Command) (fsm.Result, error) {
	if p.refuse.Add(-1) >= 0 {
		return fsm.Result{}, context.DeadlineExceeded
	}
	p.r.do(c.Op)
	p.reports.Add(1)
	return fsm.Result{}, nil
}

// drain begins the drain of a backend.
func (r *registry) drain(name string) {
	state, _ := r.Watch()
	spec := state.Backend("p", name).Spec
	spec.AdminState = fsm.AdminDrain
	r.do(fsm.Put{Pool: "p", Name: name, Spec: spec})
}

func (r *registry) drainOf(name string) *fsm.Drain {
	state, _ := r.Watch()
	return state.Backend("p", name).Status.Drain
}

// expireDrain ends it as the leader does when its time is over.
func (r *registry) expireDrain(name string) {
	state, _ := r.Watch()
	b := state.Backend("p", name)
	r.do(fsm.Expire{Items: []fsm.Expiry{{What: fsm.ExpireDrain, Pool: "p", Name: name, UID: b.Meta.UID, Epoch: b.Status.Drain.Epoch}}})
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
	r.drain("b")
	eventually(t, "the table gives it nothing", func() bool { return n.Table().PoolNamed("p").Eligible() == 0 })
	if _, err := get(http.DefaultClient, web); err != nil || p.reports.Load() != 0 {
		t.Fatalf("reported %d times with a request in flight, %v", p.reports.Load(), err)
	}
	close(release)
	if got := <-answer; got != "200 hello" {
		t.Errorf("the request in flight got %q", got)
	}
	eventually(t, "it is reported, in spite of errors", func() bool { return p.reports.Load() == 1 })
	if drain := r.drainOf("b"); drain.State != fsm.DrainDone {
		t.Errorf("the drain is %+v", drain)
	}
}

// Clients return to a backend of a sticky pool for as long as it drains, with new
// requests too: only its timeout or maintenance ends that.
func TestADrainOfAStickyPoolLastsForItsTimeout(t *testing.T) {
	r := withBackend(t, backend(t, hello))
	r.do(fsm.Put{Name: "p", Spec: fsm.PoolSpec{Strategy: fsm.StrategyRoundRobin, Sticky: &fsm.Sticky{Cookie: "lb"}}}, listener("web", ":0"),
		fsm.Put{Pool: "p", Name: "other", Spec: fsm.BackendSpec{Address: backend(t, hello), Weight: 1, AdminState: fsm.AdminReady}})
	n, p := run(t, Config{Bind: "127.0.0.1", Self: "n1", StickyKeys: [][]byte{[]byte("key")}}, r), &proposer{r: r}
	n.reportsDrains(r, p)
	web := n.listening("web")
	eventually(t, "both are used", func() bool { return n.Table().PoolNamed("p").Eligible() == 2 })
	pool := n.Table().PoolNamed("p")
	cookie, _, _ := strings.Cut(pool.Cookie(pool.Backend("b")), ";")
	served := func(name string) uint64 { return n.Table().PoolNamed("p").Backend(name).Stats.Requests() }
	ask := func(cookie string) {
		request, err := http.NewRequest("GET", "http://"+web+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Cookie", cookie)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	r.drain("b")
	eventually(t, "the drain has begun", func() bool { return n.Table().PoolNamed("p").Eligible() == 1 })
	before := served("b")
	ask(cookie)
	ask("")
	if got := served("b") - before; got != 1 || p.reports.Load() != 0 {
		t.Errorf("the one that drains got %d requests, want that of its client; reported %d times", got, p.reports.Load())
	}
	r.expireDrain("b")
	eventually(t, "the table has its end", func() bool { return !n.Table().PoolNamed("p").Takes(n.Table().PoolNamed("p").Backend("b")) })
	before = served("b")
	if ask(cookie); served("b") != before {
		t.Error("it got a request after its drain")
	}
}

// A drain that lasts must not cost a look 40 times a second.
func TestALongDrainIsLookedAtSeldom(t *testing.T) {
	d := drainReports{last: fsm.New(), open: map[fsm.Ref]drainSeen{}}
	if d.pace() < time.Minute {
		t.Error("it looks although nothing drains")
	}
	b := &fsm.Backend{Pool: "p", Name: "b"}
	b.Meta.UID, b.Status.Drain = "u", &fsm.Drain{State: fsm.DrainUnderWay, Epoch: 1}
	looks := func(span time.Duration) (n int) {
		for waited := d.pace(); waited <= span; waited += d.pace() {
			n++
		}
		return n
	}
	d.consider(b)
	if first := looks(100 * time.Millisecond); first < 2 {
		t.Errorf("%d looks in the first tenth of a second", first)
	}
	if n := looks(10 * time.Second); n > 30 {
		t.Errorf("%d looks in ten seconds", n)
	}
	d.returning = true
	if n := looks(10 * time.Second); n > 2 {
		t.Errorf("%d looks in ten seconds at a drain that clients keep", n)
	}
	r := withBackend(t, "192.0.2.1:80")
	d.follow(r.state)
	d.open[b.Ref()] = drainSeen{uid: "u", epoch: 1}
	looks(10 * time.Second)
	r.do(fsm.Put{Name: "p", Spec: fsm.PoolSpec{Strategy: fsm.StrategyRandom}})
	if d.follow(r.state); d.pace() != firstLook {
		t.Error("a pool that changes, and may be sticky no more, is not looked at soon")
	}
	b.Status.Drain = &fsm.Drain{State: fsm.DrainUnderWay, Epoch: 2}
	if d.consider(b); d.pace() != firstLook {
		t.Error("a drain that begins anew is not looked at at once")
	}
}

// TestAReportThatIsTakenIsNoFailure: otherwise each drain would wait for longer.
func TestAReportThatIsTakenIsNoFailure(t *testing.T) {
	address := backend(t, hello)
	r := withBackend(t, address)
	n, p := run(t, Config{Bind: "127.0.0.1", Self: "n1"}, r), &proposer{r: r}
	r.drain("b")
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
	r.drain("b")
	eventually(t, "the drain has begun", func() bool { return n.Table().PoolNamed("p").Eligible() == 0 })
	select {
	case got := <-answer:
		t.Fatalf("the request was cut while the drain lasts: %q", got)
	default:
	}
	r.expireDrain("b")
	if got := <-answer; got != "504" {
		t.Errorf("the request got %q", got)
	}
	eventually(t, "nothing is in flight", func() bool { return n.Table().PoolNamed("p").Backend("b").Stats.InFlight() == 0 })
}
