package engine

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/fsm"
)

// mirrorTo registers a pool "m" with one backend.
func (w *world) mirrorTo(spec fsm.PoolSpec, address string) {
	w.t.Helper()
	spec.Strategy = fsm.StrategyRoundRobin
	w.do(put("", "m", spec))
	w.do(put("m", "m0", fsm.BackendSpec{Address: address, Weight: 1, AdminState: fsm.AdminReady}))
}

// copiesInFlight is how many requests the mirror's backend has.
func (w *world) copiesInFlight() int64 {
	return w.engine.Table().PoolNamed("m").Backends()[0].Stats.InFlight()
}

func mirrored(percent int) fsm.RouteSpec {
	return toPool(func(r *fsm.RouteSpec) { r.Mirror = &fsm.Mirror{Pool: "m", Percent: percent} })
}

// collecting is a backend that passes on every request that it got, as text,
// and answers it.
func collecting(t testing.TB, into chan<- string) string {
	return scripted(t, func(p *peerConn) {
		for {
			if _, err := p.r.Peek(1); err != nil {
				return
			}
			request := p.request()
			body, err := io.ReadAll(request.Body)
			if err != nil {
				return
			}
			into <- fmt.Sprintf("%s %s %s %s", request.Method, request.RequestURI, request.Header.Get("X-A"), body)
			p.send("HTTP/1.1 500 Mirror\r\nContent-Length: 6\r\n\r\nmirror")
		}
	})
}

func TestMirrorGetsACopyAndItsResponseIsThrownAway(t *testing.T) {
	for _, strategy := range []string{fsm.StrategyRoundRobin, fsm.StrategyMaglev, fsm.StrategyPeakEWMA} {
		t.Run(strategy, func(t *testing.T) {
			copies := make(chan string, 1)
			w := newWorld(t, nil, answering(t, "hello"))
			w.mirrorTo(fsm.PoolSpec{}, collecting(t, copies))
			w.do(put("", "m", fsm.PoolSpec{Strategy: strategy}))
			w.route(mirrored(100))
			p := w.dial()
			for request, want := range map[string]string{
				"GET /a?b HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n\r\n":                         "GET /a?b 1 ",
				"POST /a HTTP/1.1\r\nHost: a\r\nX-A: 2\r\nContent-Length: 4\r\n\r\nbody": "POST /a 2 body",
			} {
				p.send(request)
				if response, body := p.answer(request); response.StatusCode != 200 || body != "hello" {
					t.Fatalf("%d %q", response.StatusCode, body)
				}
				select {
				case got := <-copies:
					if got != want {
						t.Errorf("the mirror got %q, want %q", got, want)
					}
				case <-time.After(patience):
					t.Fatalf("the mirror did not get %q", want)
				}
			}
			eventually(t, "the copies are done", func() bool { return w.copiesInFlight() == 0 })
			if got := w.counters.Panics.Load(); got != 0 {
				t.Errorf("%d panics", got)
			}
		})
	}
}

func TestMirrorGetsBodiesUpToItsBound(t *testing.T) {
	copies := make(chan string, 8)
	w := newWorld(t, nil, answering(t, "hello"))
	w.mirrorTo(fsm.PoolSpec{}, collecting(t, copies))
	w.route(mirrored(100))
	p := w.dial()
	const most = 64 << 10
	for i, framed := range []string{
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s", most+1, strings.Repeat("x", most+1)),
		"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s", most, strings.Repeat("x", most)),
	} {
		request := fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: a\r\n%s", i, framed)
		p.send(request)
		if response, _ := p.answer(request); response.StatusCode != 200 {
			t.Fatalf("status %d", response.StatusCode)
		}
	}
	// Copies are sent in order, so that of the third alone came.
	if got := <-copies; !strings.HasPrefix(got, "POST /2 ") || len(got) != len("POST /2  ")+most {
		t.Errorf("the mirror got %.20q of %d bytes", got, len(got))
	}
}

// Two routes take turns, so that a count of all requests alike would give one of
// them everything.
func TestEachRouteMirrorsItsShare(t *testing.T) {
	copies := make(chan string, 1000)
	w := newWorld(t, nil, answering(t, "hello"))
	w.mirrorTo(fsm.PoolSpec{}, collecting(t, copies))
	w.route(mirrored(50))
	other := mirrored(50)
	other.Match.PathPrefix = "/other"
	w.do(put("", "other", other))
	p := w.dial()
	const rounds = 100
	for range rounds {
		for _, path := range []string{"/", "/other"} {
			request := "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n"
			p.send(request)
			p.answer(request)
			eventually(t, "the copy is done", func() bool { return w.copiesInFlight() == 0 })
		}
	}
	got := map[string]int{}
	for range len(copies) {
		got[strings.Fields(<-copies)[1]]++
	}
	for _, path := range []string{"/", "/other"} {
		if n := got[path]; n < rounds*2/5 || n > rounds*3/5 {
			t.Errorf("%d of %d requests for %q were copied, want about half", n, rounds, path)
		}
	}
}

func TestABadMirrorCostsNobodyAnything(t *testing.T) {
	for name, mirror := range map[string]string{
		"that refuses":             refusing(t),
		"that is silent":           scripted(t, func(p *peerConn) { _, _ = p.end() }),
		"that breaks off":          scripted(t, func(p *peerConn) { p.head() }),
		"that answers nonsense":    scripted(t, func(p *peerConn) { p.head(); p.send("nonsense\r\n\r\n") }),
		"that answers without end": scripted(t, func(p *peerConn) { p.head(); p.send("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx"); _, _ = p.end() }),
		"that switches protocols": scripted(t, func(p *peerConn) {
			p.head()
			p.send("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
			_, _ = p.end()
		}),
		"that answers more than once":   scripted(t, func(p *peerConn) { p.head(); p.send(strings.Repeat("HTTP/1.1 204 X\r\n\r\n", 3)) }),
		"that says to go on for a time": scripted(t, func(p *peerConn) { p.head(); p.send(strings.Repeat("HTTP/1.1 100 X\r\n\r\n", 100)); _, _ = p.end() }),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil, answering(t, "hello"))
			short := fsm.Duration(50 * time.Millisecond)
			w.mirrorTo(fsm.PoolSpec{Timeouts: &fsm.PoolTimeouts{FirstByte: short, Body: short}}, mirror)
			w.route(mirrored(100))
			p := w.dial()
			for range 5 {
				if body, closing, err := exchangeOnce(p); body != "hello" || closing || err != nil {
					t.Fatalf("%q, close %v, %v", body, closing, err)
				}
			}
			eventually(t, "the copies are done", func() bool { return w.copiesInFlight() == 0 })
			if got := w.counters.Panics.Load(); got != 0 {
				t.Errorf("%d panics", got)
			}
		})
	}
}

// A copy is not worth waiting for: above the bound it is left out, and its
// permit comes back.
func TestMirrorKeepsToTheBoundOfItsPool(t *testing.T) {
	var now, most, all atomic.Int64
	let := make(chan struct{})
	w := newWorld(t, nil, answering(t, "hello"))
	w.mirrorTo(fsm.PoolSpec{Limits: &fsm.PoolLimits{BackendRequests: 2}}, scripted(t, func(p *peerConn) {
		p.head()
		defer now.Add(-1)
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		all.Add(1)
		p.wait(let, "the end of the test")
		p.send("HTTP/1.1 204 No Content\r\n\r\n")
	}))
	w.route(mirrored(100))
	p := w.dial()
	for range 10 {
		if body, _, err := exchangeOnce(p); body != "hello" || err != nil {
			t.Fatalf("%q, %v", body, err)
		}
	}
	eventually(t, "two copies are there", func() bool { return all.Load() == 2 })
	close(let)
	eventually(t, "the copies are done", func() bool { return w.copiesInFlight() == 0 })
	if _, _, err := exchangeOnce(p); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a permit came back", func() bool { return all.Load() == 3 })
	if most.Load() > 2 {
		t.Errorf("%d copies at once, the bound is 2", most.Load())
	}
}

func TestMirrorThatIsGoneIsLeftOut(t *testing.T) {
	w := newWorld(t, nil, answering(t, "hello"))
	w.do(put("", "m", fsm.PoolSpec{Strategy: fsm.StrategyRoundRobin})) // without a backend
	w.route(mirrored(100))
	if status, body := w.get("/"); status != 200 || body != "hello" {
		t.Errorf("%d %q", status, body)
	}
}
