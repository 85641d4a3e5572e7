package engine

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/fsm"
)

// bounded makes the pool bound the requests to each backend.
func bounded(requests, queue int, timeout time.Duration) func(*tuning) {
	return func(with *tuning) {
		with.pool.Limits = &fsm.PoolLimits{BackendRequests: requests, Queue: queue, QueueTimeout: fsm.Duration(timeout)}
	}
}

func (w *world) waiting() int64 { return w.engine.Table().PoolNamed("p").Shared.Waiting.Load() }

// gauge counts the requests that a backend has at once.
type gauge struct{ now, most, all atomic.Int64 }

func (g *gauge) enter() {
	g.all.Add(1)
	n := g.now.Add(1)
	for most := g.most.Load(); n > most && !g.most.CompareAndSwap(most, n); most = g.most.Load() {
	}
}

// holding is a backend that passes on the path of each request, and answers it
// when the test says so.
func holding(t testing.TB, g *gauge, paths chan<- string, let <-chan struct{}) string {
	return scripted(t, func(p *peerConn) {
		for {
			if _, err := p.r.Peek(1); err != nil {
				return
			}
			request := p.request()
			if _, err := io.Copy(io.Discard, request.Body); err != nil {
				return
			}
			g.enter()
			paths <- request.URL.Path
			p.wait(let, "the test's word")
			g.now.Add(-1)
			p.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
}

// The bound holds over two loops whatever becomes of the permits, and everybody
// is served in the end.
func TestBoundOfABackendIsNeverExceeded(t *testing.T) {
	for _, c := range []struct{ bound, backends, clients int }{{1, 1, 12}, {3, 2, 24}, {64, 1, 100}} {
		t.Run(fmt.Sprintf("%d for each of %d", c.bound, c.backends), func(t *testing.T) {
			gauges := make([]gauge, c.backends)
			var addresses []string
			for i := range gauges {
				addresses = append(addresses, scripted(t, func(p *peerConn) {
					for {
						if _, err := p.r.Peek(1); err != nil {
							return
						}
						p.head()
						gauges[i].enter()
						<-time.After(time.Millisecond) // so that requests meet
						gauges[i].now.Add(-1)
						p.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
					}
				}))
			}
			w := newWorld(t, func(with *tuning) {
				with.loops = 2
				bounded(c.bound, 1000, patience)(with)
			}, addresses...)
			var clients sync.WaitGroup
			for range c.clients {
				p := w.dial()
				clients.Go(func() {
					for range 20 {
						if body, _, err := exchangeOnce(p); body != "ok" || err != nil {
							t.Errorf("%q, %v", body, err)
							return
						}
					}
				})
			}
			clients.Wait()
			all := int64(0)
			for i := range gauges {
				all += gauges[i].all.Load()
				if most := gauges[i].most.Load(); most > int64(c.bound) {
					t.Errorf("backend %d had %d requests at once, the bound is %d", i, most, c.bound)
				}
			}
			if want := int64(c.clients) * 20; all != want || w.waiting() != 0 {
				t.Errorf("%d requests at backends, want %d; %d wait", all, want, w.waiting())
			}
		})
	}
}

// Without a bound the same backend has more at once: the gauge would see it.
func TestWithoutABoundThereIsNone(t *testing.T) {
	var g gauge
	paths, let := make(chan string, 4), make(chan struct{})
	w := newWorld(t, nil, holding(t, &g, paths, let))
	for range 4 {
		w.dial().send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	}
	for range 4 {
		<-paths
	}
	if got := g.most.Load(); got != 4 {
		t.Errorf("%d at once", got)
	}
	close(let)
	eventually(t, "all are answered", func() bool { return w.requests() == 0 })
}

// held is a world whose only backend has the only request that it may have.
type held struct {
	*world
	gauge gauge
	paths chan string
	let   chan struct{}
	first *peerConn
}

func newHeld(t *testing.T, queue int, timeout time.Duration, tunes ...func(*tuning)) *held {
	h := &held{paths: make(chan string, 100), let: make(chan struct{}, 100)}
	h.world = newWorld(t, func(with *tuning) {
		bounded(1, queue, timeout)(with)
		for _, tune := range tunes {
			tune(with)
		}
	}, holding(t, &h.gauge, h.paths, h.let))
	h.first = h.ask("/first", 0)
	if got := <-h.paths; got != "/first" {
		t.Fatalf("got %q", got)
	}
	return h
}

// ask sends a request and returns when that many wait.
func (h *held) ask(path string, waiting int64) *peerConn {
	h.t.Helper()
	p := h.dial()
	p.send("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n")
	if waiting > 0 {
		eventually(h.t, fmt.Sprintf("%d wait", waiting), func() bool { return h.waiting() == waiting })
	}
	return p
}

// release lets n requests be answered.
func (h *held) release(n int) {
	for range n {
		h.let <- struct{}{}
	}
}

func (h *held) expectStatus(p *peerConn, want int) {
	h.t.Helper()
	response := p.response("GET")
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		h.t.Error(err)
	}
	if response.StatusCode != want {
		h.t.Errorf("status %d, want %d", response.StatusCode, want)
	}
}

func TestQueueIsServedInOrder(t *testing.T) {
	h := newHeld(t, 10, patience)
	const n = 5
	var clients []*peerConn
	for i := range n {
		clients = append(clients, h.ask(fmt.Sprintf("/%d", i), int64(i)+1))
	}
	h.release(n + 1)
	for i := range n {
		if got, want := <-h.paths, fmt.Sprintf("/%d", i); got != want {
			t.Errorf("%q was served, want %q", got, want)
		}
	}
	for _, p := range append(clients, h.first) {
		h.expectStatus(p, 200)
	}
	if h.gauge.most.Load() != 1 || h.waiting() != 0 {
		t.Errorf("%d at once, %d wait", h.gauge.most.Load(), h.waiting())
	}
}

func TestQueueThatIsFullIs503(t *testing.T) {
	for _, queue := range []int{0, 2} {
		t.Run(fmt.Sprint(queue), func(t *testing.T) {
			h := newHeld(t, queue, patience)
			var waiting []*peerConn
			for i := range queue {
				waiting = append(waiting, h.ask("/", int64(i)+1))
			}
			h.expectStatus(h.ask("/over", 0), 503)
			h.release(queue + 1)
			for _, p := range append(waiting, h.first) {
				h.expectStatus(p, 200)
			}
			if got := h.gauge.all.Load(); got != int64(queue)+1 {
				t.Errorf("the backend got %d requests", got)
			}
			if got := h.counters.NoBackend.Load(); got != 1 {
				t.Errorf("%d counted as without a backend", got)
			}
			// And there is room again.
			h.release(1)
			h.expectStatus(h.ask("/", 0), 200)
		})
	}
}

func TestWaitingEndsWithItsTimeout(t *testing.T) {
	h := newHeld(t, 10, 30*time.Millisecond)
	p := h.ask("/late", 0)
	h.expectStatus(p, 503)
	if got := h.waiting(); got != 0 {
		t.Errorf("%d wait", got)
	}
	h.release(2)
	h.expectStatus(h.first, 200)
	p.send("GET /again HTTP/1.1\r\nHost: a\r\n\r\n") // the connection lives on
	h.expectStatus(p, 200)
	if got := <-h.paths; got != "/again" {
		t.Errorf("the backend got %q, whose client was told that there is none", got)
	}
}

// A pool's bound of the whole request counts the time in the queue.
func TestWaitingEndsWithTheWholeRequest(t *testing.T) {
	h := newHeld(t, 10, patience)
	h.route(toPool(func(r *fsm.RouteSpec) { r.Timeouts = &fsm.RouteTimeouts{Request: fsm.Duration(30 * time.Millisecond)} }))
	h.expectStatus(h.ask("/late", 0), 503)
	h.release(1)
	h.expectStatus(h.first, 200)
}

func TestClientThatLeavesWhileItWaits(t *testing.T) {
	h := newHeld(t, 10, patience)
	left, next := h.ask("/left", 1), h.ask("/next", 2)
	h.reset(left)
	eventually(t, "it waits no more", func() bool { return h.waiting() == 1 })
	h.release(2)
	h.expectStatus(h.first, 200)
	h.expectStatus(next, 200)
	if got := <-h.paths; got != "/next" {
		t.Errorf("the backend got %q", got)
	}
	if stats := h.backend("b0").Stats; stats.Failures() != 0 || h.counters.ClientLeft.Load() != 1 {
		t.Errorf("%d failures, %d clients left", stats.Failures(), h.counters.ClientLeft.Load())
	}
}

func (h *held) reset(p *peerConn) {
	h.t.Helper()
	if err := p.Conn.(*net.TCPConn).SetLinger(0); err != nil {
		h.t.Fatal(err)
	}
	p.Close()
}

// Nothing is read of a client that sends more than can be passed on; it frees
// its place in the queue all the same when it resets.
func TestClientThatLeavesWhileNothingIsReadOfItGivesItsPlaceUp(t *testing.T) {
	for name, request := range map[string]string{
		"amid its body":      "POST /left HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf",
		"amid its chunks":    "POST /left HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1",
		"with more requests": "GET /left HTTP/1.1\r\nHost: a\r\n\r\nGET /left HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			h := newHeld(t, 10, patience)
			p := h.dial()
			p.send(request)
			eventually(t, "it waits", func() bool { return h.waiting() == 1 })
			h.reset(p)
			eventually(t, "it waits no more", func() bool { return h.waiting() == 0 })
			eventually(t, "it is gone", func() bool { return h.connections() == 1 && h.requests() == 1 })
			h.release(1)
			h.expectStatus(h.first, 200)
			if got := h.gauge.all.Load(); got != 1 || h.backend("b0").Stats.Failures() != 0 {
				t.Errorf("the backend got %d requests and had %d failures", got, h.backend("b0").Stats.Failures())
			}
		})
	}
}

func TestUploadWaitsAndComesWhole(t *testing.T) {
	h := newHeld(t, 10, patience)
	p := h.dial()
	p.send("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
	eventually(t, "it waits", func() bool { return h.waiting() == 1 })
	p.send("s rest")
	h.release(2)
	h.expectStatus(h.first, 200)
	h.expectStatus(p, 200)
}

func TestNewBackendServesThoseWhoWait(t *testing.T) {
	h := newHeld(t, 10, patience)
	p := h.ask("/", 1)
	h.register("b1", answering(t, "ok"))
	h.expectStatus(p, 200)
	h.release(1)
	h.expectStatus(h.first, 200)
}

func TestHigherBoundServesThoseWhoWait(t *testing.T) {
	h := newHeld(t, 10, patience)
	p := h.ask("/", 1)
	h.do(put("", "p", fsm.PoolSpec{Strategy: fsm.StrategyRoundRobin, Limits: &fsm.PoolLimits{BackendRequests: 2, Queue: 10}}))
	h.release(2)
	h.expectStatus(p, 200)
	h.expectStatus(h.first, 200)
}

func TestThoseWhoWaitForABackendThatGoesAreAnswered(t *testing.T) {
	h := newHeld(t, 10, patience)
	p := h.ask("/", 1)
	h.do(fsm.Delete{Ref: fsm.Ref{Kind: fsm.KindBackend, Pool: "p", Name: "b0"}})
	h.expectStatus(p, 503)
	h.release(1)
	h.expectStatus(h.first, 200)
}

// What fails gives its permit back.
func TestPermitsComeBack(t *testing.T) {
	for name, backend := range map[string]string{
		"of connects that are refused": refusing(t),
		"of backends that die":         scripted(t, func(p *peerConn) { p.head() }),
		"of cut responses":             scripted(t, func(p *peerConn) { p.head(); p.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf") }),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, bounded(1, 0, patience), backend)
			for range 3 {
				p := w.dial()
				p.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
				if response, err := http.ReadResponse(p.r, &http.Request{Method: "POST"}); err == nil {
					if _, err := io.Copy(io.Discard, response.Body); err == nil && response.StatusCode == 200 {
						t.Error("a cut response was taken for whole")
					}
				}
			}
			w.register("b0", answering(t, "ok"))
			for range 3 {
				if status, body := w.get("/"); status != 200 {
					t.Fatalf("%d %q: the permit is gone", status, body)
				}
			}
		})
	}
}
