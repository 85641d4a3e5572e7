package conformance

import (
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"evenkeel/fsm"
)

var (
	modelDuration = flag.Duration("model.duration", 4*time.Second, "how long the model runs")
	modelSeed     = flag.Uint64("model.seed", 0, "the model's first seed; 0 takes one from the clock")
)

// modelClients is how many connections a round has at once.
const modelClients = 16

// TestModel sends random pipelines to backends that fail at random, and checks
// that what happened could have happened. Each round has a seed, which makes
// what clients and backends do, though not when they do it.
func TestModel(t *testing.T) {
	seed := *modelSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	m := newModel(t)
	m.churn(t, seed)
	var total modelCount
	for began := time.Now(); time.Since(began) < *modelDuration && !t.Failed(); seed++ {
		m.round(t, seed, &total)
	}
	t.Logf("%+v", total)
	if total.Rounds < 20 {
		return // too few to have met everything
	}
	if total.Whole == 0 || total.Own == 0 || total.Repeated == 0 || total.Cut == 0 {
		t.Errorf("the model did not meet all that it is for: %+v", total)
	}
}

// TestModelWithoutFaults shows that nothing fails that need not.
func TestModelWithoutFaults(t *testing.T) {
	m := newModel(t)
	m.faultless = true
	m.churn(t, 0)
	var total modelCount
	for seed := range uint64(10) {
		m.round(t, seed, &total)
	}
	if total.Repeated > 0 || total.Whole < total.Requests/2 {
		t.Errorf("without faults there were some: %+v", total)
	}
}

// modelCount counts what the rounds met.
type modelCount struct {
	Rounds, Requests, Seen, Repeated, Whole, Cut, Own, Left int
}

// model is a balancer with one pool of backends that fail at random.
type model struct {
	world     *world
	slot      *slot
	backends  []*modelBackend
	faultless bool
}

func newModel(t *testing.T) *model {
	t.Helper()
	m := &model{}
	var addresses []string
	for range 3 {
		b := newModelBackend(t)
		m.backends = append(m.backends, b)
		addresses = append(addresses, b.listener.Addr().String())
	}
	// A client is never late for long but where the machine stands still; then
	// its connection would end without a word, as it should.
	const wait, clients = fsm.Duration(2 * time.Second), fsm.Duration(patience)
	m.world, m.slot = listen(t, profile{
		refusing: 1,
		listener: fsm.ListenerSpec{Timeouts: &fsm.ListenerTimeouts{ClientHead: clients, Body: clients}},
		pool: fsm.PoolSpec{
			Timeouts: &fsm.PoolTimeouts{FirstByte: wait, Body: wait},
			Retries:  &fsm.Retries{Attempts: attempts, BudgetPercent: 100, BudgetMin: 10_000}}}, addresses...)
	return m
}

// churn takes a backend away and brings it back, again and again, until the
// test ends. That is no fault: what is under way at the backend goes on.
func (m *model) churn(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 0))
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			if err := m.world.registry.do(m.change(random)); err != nil {
				t.Error(err)
				return
			}
			select {
			case <-time.After(time.Duration(1+random.IntN(10)) * time.Millisecond):
			case <-stop:
				return
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-stopped
	})
}

// change is one change of the model's last backend.
func (m *model) change(random *rand.Rand) fsm.Operation {
	name := "m" + strconv.Itoa(len(m.backends)-1)
	spec := fsm.BackendSpec{Address: m.backends[len(m.backends)-1].listener.Addr().String(), Weight: 1, AdminState: fsm.AdminReady}
	switch random.IntN(5) {
	case 0:
		return fsm.Delete{Ref: fsm.Ref{Kind: fsm.KindBackend, Pool: m.slot.name, Name: name}}
	case 1:
		spec.AdminState = fsm.AdminDrain
	case 2:
		spec.AdminState = fsm.AdminMaint
	case 3:
		spec.Weight = 0
	}
	return fsm.Put{Pool: m.slot.name, Name: name, Spec: spec}
}

// round runs some clients at once and checks what they and the backends saw.
func (m *model) round(t *testing.T, seed uint64, total *modelCount) {
	t.Helper()
	h := newHistory()
	for _, b := range m.backends {
		b.begin(h, seed, m.faultless)
	}
	var clients sync.WaitGroup
	for n := range uint64(modelClients) {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(seed, n))
			runModelClient(h, m.slot.address, random, fmt.Sprintf("%d-%d", seed, n), m.faultless)
		})
	}
	clients.Wait()
	if !m.world.awaitQuiet(m.slot) {
		t.Errorf("seed %d: all clients have gone, and the listener still has %d requests and connections", seed, m.world.active(m.slot))
	}
	for _, b := range m.backends {
		b.end()
	}
	if faults := h.check(); len(faults) > 0 {
		t.Errorf("seed %d:\n  %s", seed, strings.Join(faults, "\n  "))
	}
	if m.faultless {
		for _, fault := range h.needless() {
			t.Errorf("seed %d: %s", seed, fault)
		}
	}
	total.add(h)
}

func (c *modelCount) add(h *history) {
	c.Rounds++
	c.Requests += len(h.sent)
	c.Seen += len(h.seen)
	for _, times := range h.times {
		c.Repeated += times - 1
	}
	for _, conn := range h.conns {
		if conn.left {
			c.Left++
		}
		for _, got := range conn.got {
			switch {
			case !got.whole:
				c.Cut++
			case got.id == "":
				c.Own++
			default:
				c.Whole++
			}
		}
	}
}

// answer is what every backend answers to a request: it follows from the id, so
// that a response tells whose it is to the last byte.
type answer struct{ status, body string }

func answerTo(method, id string) answer {
	n := hashOf(id)
	a := answer{status: []string{"200", "200", "201", "404", "500", "204"}[n%6]}
	if method != "HEAD" && a.status != "204" {
		a.body = bytesOf(id, 1+int(n/6%300))
		if n%23 == 0 {
			a.body = bytesOf(id, 100_000+int(n%100_000))
		}
	}
	return a
}

func hashOf(id string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(id))
	return h.Sum64() >> 3
}

// bytesOf is n bytes that follow from the id, each unlike its neighbours.
func bytesOf(id string, n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%s.%d ", id, i)
	}
	return b.String()[:n]
}
