package balancer

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"evenkeel/fsm"
	"evenkeel/internal/freeport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long tests wait for what should happen at once.
const patience = 20 * time.Second

// registry is a [Source] that a test changes.
type registry struct {
	t        testing.TB
	mu       sync.Mutex // guards the fields below
	state    *fsm.State
	replaced chan struct{}
	seq      uint64
}

func newRegistry(t testing.TB) *registry {
	return &registry{t: t, state: fsm.New(), replaced: make(chan struct{})}
}

func (r *registry) Watch() (*fsm.State, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state, r.replaced
}

// do applies the operations as one change of the state.
func (r *registry) do(ops ...fsm.Operation) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var commands []fsm.Command
	for _, op := range ops {
		op = r.withPort(op)
		r.seq++
		commands = append(commands, fsm.Command{ID: fsm.CommandID{Origin: "test", Seq: r.seq}, Op: op})
	}
	next, results := fsm.Apply(r.state, commands)
	for i, result := range results {
		if result.Err != nil {
			r.t.Fatalf("%#v: %v", ops[i], result.Err)
		}
	}
	r.state = next
	close(r.replaced)
	r.replaced = make(chan struct{})
}

// withPort replaces port 0, which the registry does not know, in listeners.
func (r *registry) withPort(op fsm.Operation) fsm.Operation {
	put, ok := op.(fsm.Put)
	if !ok {
		return op
	}
	if spec, ok := put.Spec.(fsm.ListenerSpec); ok && strings.HasSuffix(spec.Address, ":0") {
		spec.Address = strings.TrimSuffix(spec.Address, "0") + strconv.Itoa(freeport.Port(r.t))
		put.Spec = spec
	}
	return put
}

func listener(name, address string) fsm.Put {
	return fsm.Put{Name: name, Spec: fsm.ListenerSpec{Address: address, Protocol: fsm.ProtocolHTTP}}
}

func noListener(name string) fsm.Delete {
	return fsm.Delete{Ref: fsm.Ref{Kind: fsm.KindListener, Name: name}}
}

// withBackend returns a registry with one backend for all listeners, and none
// of the latter.
func withBackend(t testing.TB, address string) *registry {
	r := newRegistry(t)
	r.do(fsm.Init{ClusterID: "test", FeatureLevel: fsm.FeatureLevel,
		Objects: []fsm.Put{{Name: "p", Spec: fsm.PoolSpec{Strategy: fsm.StrategyRoundRobin}}}},
		fsm.SetNode{Node: fsm.Node{UID: "n1", Name: "n1", State: fsm.NodeAlive, FeatureLevel: fsm.FeatureLevel}},
		fsm.Put{Name: "r", Spec: fsm.RouteSpec{Pools: []fsm.WeightedPool{{Name: "p", Weight: 1}}}},
		fsm.Put{Pool: "p", Name: "b", Spec: fsm.BackendSpec{Address: address, Weight: 1, AdminState: fsm.AdminReady}})
	return r
}

// node is a balancer that runs.
type node struct {
	*Balancer
	t       testing.TB
	stop    context.CancelFunc
	stopped chan struct{}
	log     *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func run(t testing.TB, config Config, source Source) *node {
	t.Helper()
	n := &node{t: t, stopped: make(chan struct{}), log: new(lockedBuffer)}
	config.Logger = slog.New(slog.NewTextHandler(n.log, nil))
	if config.StopDelay == 0 {
		config.StopDelay = -1
	}
	var err error
	if n.Balancer, err = New(config); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	go func() {
		defer close(n.stopped)
		if err := n.Run(ctx, source); err != nil {
			t.Errorf("run: %v", err)
		}
	}()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		stop()
		await(t, n.stopped, "the end of Run")
		if t.Failed() {
			t.Logf("log:\n%s", n.log.String())
		}
	})
	return n
}

// listening waits until a listener is open and returns its address.
func (n *node) listening(name string) string {
	n.t.Helper()
	eventually(n.t, "listener "+name+" is open", func() bool { return n.Listeners()[name].State == StateListening })
	return n.Listeners()[name].Address
}

func (n *node) failed(name string) ListenerStatus {
	n.t.Helper()
	eventually(n.t, "listener "+name+" is failed", func() bool { return n.Listeners()[name].State == StateFailed })
	return n.Listeners()[name]
}

func await(t testing.TB, done <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
	}
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("never came true: %s", what)
		}
		<-ticker.C
	}
}

// backend starts a server and returns its address.
func backend(t testing.TB, handler http.HandlerFunc) string {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func hello(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }

// get returns status and body of a request, which may fail.
func get(client *http.Client, address string) (string, error) {
	response, err := client.Get("http://" + address + "/")
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return fmt.Sprintf("%d %s", response.StatusCode, body), err
}

func (n *node) serves(address string) {
	n.t.Helper()
	if got, err := get(http.DefaultClient, address); err != nil || got != "200 hello" {
		n.t.Fatalf("GET %s: %q, %v", address, got, err)
	}
}

// taken binds an address, as another program would; release frees it.
func taken(t testing.TB, address string) (bound string, release func()) {
	t.Helper()
	other, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	return other.Addr().String(), func() { other.Close() }
}
