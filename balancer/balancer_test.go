package balancer

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/fsm"
	"evenkeel/internal/freeport"
)

func TestListenersFollowTheRegistry(t *testing.T) {
	r := withBackend(t, backend(t, hello))
	n := run(t, Config{Bind: "127.0.0.1"}, r)

	r.do(listener("one", ":0"), listener("two", "127.0.0.1:0"))
	one, two := n.listening("one"), n.listening("two")
	n.serves(one)
	n.serves(two)

	r.do(noListener("one"))
	http.DefaultClient.CloseIdleConnections()
	eventually(t, "listener one is gone", func() bool { _, ok := n.Listeners()["one"]; return !ok })
	if got, err := get(http.DefaultClient, one); err == nil {
		t.Errorf("a removed listener answered %q", got)
	}
	n.serves(two)

	r.do(listener("one", ":"+portOf(t, one)))
	if again := n.listening("one"); again != one {
		t.Errorf("opened %s instead of %s", again, one)
	}
	n.serves(one)
}

func portOf(t testing.TB, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func TestTrafficFollowsTheRegistry(t *testing.T) {
	r := withBackend(t, backend(t, hello))
	n := run(t, Config{Bind: "127.0.0.1"}, r)
	r.do(listener("web", ":0"))
	address := n.listening("web")
	n.serves(address)
	r.do(fsm.Delete{Ref: fsm.Ref{Kind: fsm.KindBackend, Pool: "p", Name: "b"}})
	eventually(t, "no backend is left", func() bool {
		got, err := get(http.DefaultClient, address)
		return err == nil && strings.HasPrefix(got, "503 Evenkeel")
	})
	r.do(fsm.Delete{Ref: fsm.Ref{Kind: fsm.KindRoute, Name: "r"}})
	eventually(t, "no route is left", func() bool {
		got, err := get(http.DefaultClient, address)
		return err == nil && strings.HasPrefix(got, "404 Evenkeel")
	})
}

func TestHostNamesOfBackendsAreResolved(t *testing.T) {
	_, port, err := net.SplitHostPort(backend(t, hello))
	if err != nil {
		t.Fatal(err)
	}
	r := withBackend(t, "backend.test:"+port)
	n := run(t, Config{Bind: "127.0.0.1", Lookup: func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}}, r)
	r.do(listener("web", ":0"))
	address := n.listening("web")
	eventually(t, "the name is resolved", func() bool {
		got, err := get(http.DefaultClient, address)
		return err == nil && got == "200 hello"
	})
}

func TestAddressOfThisNode(t *testing.T) {
	r := withBackend(t, backend(t, hello))
	n := run(t, Config{Bind: "127.0.0.2", ListenerAddrs: map[string]string{"moved": "127.0.0.1:0"}}, r)
	r.do(listener("bound", ":0"), listener("fixed", "127.0.0.3:0"), listener("moved", "192.0.2.1:80"))
	for name, host := range map[string]string{"bound": "127.0.0.2:", "fixed": "127.0.0.3:", "moved": "127.0.0.1:"} {
		if got := n.listening(name); !strings.HasPrefix(got, host) {
			t.Errorf("listener %s is on %s, want %s", name, got, host)
		}
	}
}

func TestPortTakenThenFreed(t *testing.T) {
	address, release := taken(t, "127.0.0.1:0")
	r := withBackend(t, backend(t, hello))
	n := run(t, Config{}, r)
	r.do(listener("web", address), listener("other", "127.0.0.1:0"))
	status := n.failed("web")
	for _, want := range []string{`"web"`, address, "address already in use", "--listener-addr web=HOST:PORT"} {
		if !strings.Contains(status.Error, want) {
			t.Errorf("error %q does not name %s", status.Error, want)
		}
	}
	if status.Address != address {
		t.Errorf("address %q", status.Address)
	}
	n.serves(n.listening("other"))
	eventually(t, "ready although a listener failed", n.Ready)
	release()
	n.serves(n.listening("web"))
	if got := strings.Count(n.log.String(), "listener failed"); got != 1 {
		t.Errorf("the same fault was logged %d times", got)
	}
}

func TestListenerMoves(t *testing.T) {
	t.Run("to another port, and its request under way ends in peace", func(t *testing.T) {
		began, release := make(chan struct{}), make(chan struct{})
		var once sync.Once
		r := withBackend(t, backend(t, func(w http.ResponseWriter, q *http.Request) {
			once.Do(func() { close(began) })
			<-release
			hello(w, q)
		}))
		n := run(t, Config{Bind: "127.0.0.1"}, r)
		r.do(listener("web", freeport.Address(t, "")))
		before := n.listening("web")
		answer := make(chan string, 1)
		go func() {
			got, err := get(http.DefaultClient, before)
			if err != nil {
				got = err.Error()
			}
			answer <- got
		}()
		await(t, began, "the request at the backend")
		r.do(listener("web", freeport.Address(t, "")))
		eventually(t, "the new address is open", func() bool {
			status := n.Listeners()["web"]
			return status.State == StateListening && status.Address != before
		})
		close(release)
		if got := <-answer; got != "200 hello" {
			t.Errorf("the request at the old address got %q", got)
		}
		n.serves(n.listening("web"))
	})
	t.Run("to a port that is taken, and serves on where it was until then", func(t *testing.T) {
		r := withBackend(t, backend(t, hello))
		n := run(t, Config{}, r)
		r.do(listener("web", "127.0.0.1:0"))
		before := n.listening("web")
		address, release := taken(t, "127.0.0.1:0")
		r.do(listener("web", address))
		if status := n.failed("web"); !strings.Contains(status.Error, before) {
			t.Errorf("error %q does not say that %s still serves", status.Error, before)
		}
		n.serves(before)
		release()
		n.serves(n.listening("web"))
		if got := n.Listeners()["web"].Address; got != address {
			t.Errorf("serves on %s, want %s", got, address)
		}
	})
	t.Run("to a wider address of its own port", func(t *testing.T) {
		r := withBackend(t, backend(t, hello))
		n := run(t, Config{}, r)
		port := strconv.Itoa(freeport.Port(t))
		r.do(listener("web", "127.0.0.1:"+port))
		n.listening("web")
		r.do(listener("web", "0.0.0.0:"+port))
		eventually(t, "the wide address is open", func() bool {
			return n.Listeners()["web"] == ListenerStatus{State: StateListening, Address: "0.0.0.0:" + port}
		})
		n.serves("127.0.0.1:" + port)
	})
	t.Run("and back before the new address could be opened", func(t *testing.T) {
		r := withBackend(t, backend(t, hello))
		n := run(t, Config{}, r)
		before := freeport.Address(t, "127.0.0.1")
		r.do(listener("web", before))
		n.listening("web")
		address, _ := taken(t, "127.0.0.1:0")
		r.do(listener("web", address))
		n.failed("web")
		r.do(listener("web", before))
		if got := n.listening("web"); got != before {
			t.Errorf("serves on %s, want %s", got, before)
		}
		n.serves(before)
	})
}

func TestRemovedListenerDrains(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	r := withBackend(t, backend(t, func(w http.ResponseWriter, q *http.Request) {
		close(began)
		<-release
		hello(w, q)
	}))
	n := run(t, Config{Bind: "127.0.0.1"}, r)
	r.do(listener("web", ":0"))
	address := n.listening("web")
	answer := make(chan string, 1)
	go func() {
		got, err := get(http.DefaultClient, address)
		if err != nil {
			got = err.Error()
		}
		answer <- got
	}()
	await(t, began, "the request at the backend")
	r.do(noListener("web"))
	eventually(t, "the listener drains", func() bool {
		return n.Listeners()["web"] == ListenerStatus{State: StateDraining, Address: address}
	})
	close(release)
	if got := <-answer; got != "200 hello" {
		t.Errorf("the request under way got %q", got)
	}
	eventually(t, "the listener is gone, and its counters", func() bool {
		return len(n.Listeners()) == 0 && len(n.Stats().Listeners) == 0
	})
}

func TestDrainTimeoutBoundsTheStop(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	r := withBackend(t, backend(t, func(http.ResponseWriter, *http.Request) {
		close(began)
		<-release
	}))
	n := run(t, Config{Bind: "127.0.0.1", DrainTimeout: 50 * time.Millisecond}, r)
	r.do(listener("web", ":0"))
	address := n.listening("web")
	answer := make(chan error, 1)
	go func() {
		_, err := get(http.DefaultClient, address)
		answer <- err
	}()
	await(t, began, "the request at the backend")
	n.stop()
	await(t, n.stopped, "the end of Run")
	if err := <-answer; err == nil {
		t.Error("a request that outlasts the drain timeout was answered")
	}
}

func TestListenersSwapAddresses(t *testing.T) {
	for _, count := range []int{2, 3} {
		t.Run(fmt.Sprintf("%d of them, one change at a time", count), func(t *testing.T) {
			r := withBackend(t, backend(t, hello))
			n := run(t, Config{}, r)
			var addresses []string
			for i := range count {
				addresses = append(addresses, freeport.Address(t, "127.0.0.1"))
				r.do(listener(fmt.Sprint("l", i), addresses[i]))
				n.listening(fmt.Sprint("l", i))
			}
			for i := range count {
				name := fmt.Sprint("l", i)
				r.do(listener(name, addresses[(i+1)%count]))
				if i < count-1 {
					n.failed(name)
				}
			}
			for i := range count {
				name, want := fmt.Sprint("l", i), addresses[(i+1)%count]
				eventually(t, name+" is where it is wanted", func() bool {
					return n.Listeners()[name] == ListenerStatus{State: StateListening, Address: want}
				})
				n.serves(want)
			}
		})
	}
}

func TestListenerTakesTheAddressOfARemovedOne(t *testing.T) {
	r := withBackend(t, backend(t, hello))
	n := run(t, Config{}, r)
	one, two := freeport.Address(t, "127.0.0.1"), freeport.Address(t, "127.0.0.1")
	r.do(listener("a", one), listener("b", two))
	n.listening("a")
	n.listening("b")
	r.do(noListener("a"), listener("b", one))
	eventually(t, "b has the address that was a's", func() bool {
		return n.Listeners()["b"] == ListenerStatus{State: StateListening, Address: one}
	})
	n.serves(one)
}

// TestOneListenersEndLeavesAnothersConnectionsAlone also covers that a client
// of the removed listener, which reuses connections, sees no failed request.
func TestOneListenersEndLeavesAnothersConnectionsAlone(t *testing.T) {
	r := withBackend(t, backend(t, hello))
	n := run(t, Config{Bind: "127.0.0.1"}, r)
	r.do(listener("goes", ":0"), listener("stays", ":0"))
	goes, stays := n.listening("goes"), n.listening("stays")

	var served [2]atomic.Int64
	end := make(chan struct{})
	var clients sync.WaitGroup
	clients.Go(func() { steady(t, goes, &served[0], end, true) })
	clients.Go(func() {
		if connects := steady(t, stays, &served[1], end, false); connects != 1 {
			t.Errorf("the other listener's client needed %d connections", connects)
		}
	})
	busy := func(more int64) func() bool {
		at := [2]int64{served[0].Load(), served[1].Load()}
		return func() bool { return served[0].Load() > at[0]+more && served[1].Load() > at[1]+more }
	}
	eventually(t, "there is traffic", busy(50))
	r.do(noListener("goes"))
	eventually(t, "the listener is gone", func() bool { return len(n.Listeners()) == 1 })
	at := served[1].Load()
	eventually(t, "the other goes on", func() bool { return served[1].Load() > at+50 })
	close(end)
	clients.Wait()
}

// steady sends requests one by one, by as few connections as it can, until end
// or until a connect is refused, if it may be. It returns how many connects
// there were.
func steady(t testing.TB, address string, served *atomic.Int64, end <-chan struct{}, mayBeRefused bool) (connects int64) {
	var count atomic.Int64
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		count.Add(1)
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: onceOnly{transport}, Timeout: patience}
	for {
		select {
		case <-end:
			return count.Load()
		default:
		}
		got, err := get(client, address)
		if err != nil && mayBeRefused && strings.Contains(err.Error(), "connection refused") {
			return count.Load()
		}
		if err != nil || got != "200 hello" {
			t.Errorf("a request failed: %q, %v", got, err)
			return count.Load()
		}
		served.Add(1)
	}
}

// onceOnly keeps the transport from hiding a failure by a retry: it takes
// requests for not replayable.
type onceOnly struct{ http.RoundTripper }

func (o onceOnly) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Method = http.MethodPost
	return o.RoundTripper.RoundTrip(request)
}

func TestCleanStop(t *testing.T) {
	r := withBackend(t, backend(t, hello))
	n := run(t, Config{Bind: "127.0.0.1", StopDelay: 300 * time.Millisecond}, r)
	r.do(listener("web", ":0"))
	address := n.listening("web")
	eventually(t, "ready", n.Ready)
	var clients sync.WaitGroup
	var served atomic.Int64
	end := make(chan struct{})
	defer close(end)
	for range 4 {
		clients.Go(func() { steady(t, address, &served, end, true) })
	}
	idle, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	eventually(t, "there is traffic", func() bool { return served.Load() > 100 })

	n.stop()
	eventually(t, "not ready", func() bool { return !n.Ready() })
	n.serves(address) // by a new connection, during the delay
	clients.Wait()
	await(t, n.stopped, "the end of Run")
	t.Logf("%d requests served", served.Load())
}

func TestReadyNeedsARegistry(t *testing.T) {
	r := newRegistry(t)
	n := run(t, Config{Bind: "127.0.0.1"}, r)
	eventually(t, "the empty table is in use", func() bool { return n.Table() != nil })
	if n.Ready() {
		t.Error("ready without a registry")
	}
	r.do(fsm.Init{ClusterID: "test", FeatureLevel: fsm.FeatureLevel, Objects: []fsm.Put{{Name: "p", Spec: fsm.PoolSpec{Strategy: fsm.StrategyRoundRobin}}}},
		listener("web", ":0"))
	eventually(t, "ready", n.Ready)
	n.listening("web")
}

func TestStats(t *testing.T) {
	r := withBackend(t, backend(t, hello))
	n := run(t, Config{Bind: "127.0.0.1"}, r)
	r.do(listener("web", ":0"))
	address := n.listening("web")
	n.serves(address)
	n.serves(address)
	r.do(listener("web", freeport.Address(t, "")))
	eventually(t, "the listener moved", func() bool { return n.listening("web") != address })
	n.serves(n.listening("web"))
	stats := n.Stats()
	if len(stats.Listeners) != 1 || stats.Listeners[0].Name != "web" || stats.Listeners[0].Requests != 3 || stats.Listeners[0].BytesOut != 15 {
		t.Errorf("listeners: %+v", stats.Listeners)
	}
	if len(stats.Backends) != 1 || stats.Backends[0].Requests != 3 || stats.Backends[0].Responses[2] != 3 || stats.Backends[0].InFlight != 0 {
		t.Errorf("backends: %+v", stats.Backends)
	}
}
