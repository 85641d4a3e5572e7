package engine

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/fsm"
)

func TestRefusedConnectIsRetriedWithTheWholeBody(t *testing.T) {
	bodies := map[string]string{
		"of a known length": "Content-Length: 11\r\n\r\nhello world",
		"in chunks":         "Transfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n",
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			var got atomic.Value
			w := newWorld(t, nil, refusing(t), refusing(t), scripted(t, func(p *peerConn) {
				for {
					if _, err := p.r.Peek(1); err != nil {
						return
					}
					text, err := io.ReadAll(p.request().Body)
					if err != nil {
						t.Error(err)
					}
					got.Store(string(text))
					p.send("HTTP/1.1 204 No Content\r\n\r\n")
				}
			}))
			for range 6 { // whatever backend is the first to be tried
				p := w.dial()
				p.send("POST / HTTP/1.1\r\nHost: example.com\r\n" + body)
				if status := p.response("POST").StatusCode; status != 204 || got.Swap("") != "hello world" {
					t.Fatalf("status %d, or not the whole body", status)
				}
				p.Close()
			}
			for i := range 3 {
				stats := w.backend(fmt.Sprintf("b%d", i)).Stats
				if got, want := stats.ConnectFailures() > 0, i < 2; got != want {
					t.Errorf("backend %d: connect failures: %v, want %v", i, got, want)
				}
				eventually(t, "nothing is in flight", func() bool { return stats.InFlight() == 0 })
			}
		})
	}
}

func TestAllBackendsRefuse(t *testing.T) {
	w := newWorld(t, nil, refusing(t), refusing(t), refusing(t))
	status, body := w.get("/")
	if status != 503 || !strings.HasPrefix(body, "Evenkeel: ") {
		t.Errorf("%d %q", status, body)
	}
	for i := range 3 {
		if got := w.backend(fmt.Sprintf("b%d", i)).Stats.ConnectFailures(); got != 1 {
			t.Errorf("backend %d was tried %d times", i, got)
		}
	}
}

func TestAttemptsAreBounded(t *testing.T) {
	var addresses []string
	for range 20 {
		addresses = append(addresses, refusing(t))
	}
	w := newWorld(t, nil, addresses...)
	if status, _ := w.get("/"); status != 503 {
		t.Errorf("status %d", status)
	}
	tried := uint64(0)
	for i := range addresses {
		tried += w.backend(fmt.Sprintf("b%d", i)).Stats.ConnectFailures()
	}
	if tried != uint64(w.engine.Table().PoolNamed("p").Attempts) {
		t.Errorf("tried %d backends, want %d", tried, w.engine.Table().PoolNamed("p").Attempts)
	}
}

func TestEveryAddressOfAHostNameIsTried(t *testing.T) {
	_, port, err := net.SplitHostPort(answering(t, "hello")) // on 127.0.0.1 alone
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, nil, "two.test:"+port)
	for range 4 {
		if status, body := w.get("/"); status != 200 || body != "hello" {
			t.Fatalf("%d %q", status, body)
		}
	}
	if got := w.backend("b0").Stats.ConnectFailures(); got != 0 {
		t.Errorf("%d connect failures of a backend that has an address that works", got)
	}
}

func TestAddressesOfAHostNameShareTheTimeForConnects(t *testing.T) {
	_, port, err := net.SplitHostPort(answering(t, "hello")) // on 127.0.0.1 alone
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(l *tuning) { l.ConnectAll = time.Nanosecond }, "two.test:"+port)
	for i, want := range []int{503, 200} { // each dial begins with the next address
		if status, _ := w.get("/"); status != want {
			t.Errorf("request %d: status %d, want %d", i, status, want)
		}
	}
}

// closingOnce answers the first request of each connection, then closes it as
// soon as the next one has begun to arrive.
func closingOnce(t testing.TB, connections *atomic.Int32) string {
	return scripted(t, func(p *peerConn) {
		connections.Add(1)
		p.head()
		p.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		_, _ = p.r.Peek(1)
	})
}

func TestPooledConnectionThatDies(t *testing.T) {
	t.Run("a GET is sent again", func(t *testing.T) {
		var connections atomic.Int32
		w := newWorld(t, nil, closingOnce(t, &connections))
		p := w.dial()
		for range 2 {
			p.send("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
			if response := p.response("GET"); response.StatusCode != 200 {
				t.Fatalf("status %d", response.StatusCode)
			} else if _, err := io.Copy(io.Discard, response.Body); err != nil {
				t.Fatal(err)
			}
		}
		if got := connections.Load(); got != 2 {
			t.Errorf("%d connections", got)
		}
	})
	t.Run("a POST that the backend may have begun is not", func(t *testing.T) {
		var connections atomic.Int32
		w := newWorld(t, nil, closingOnce(t, &connections))
		p := w.dial()
		for _, want := range []int{200, 502} {
			p.send("POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 0\r\n\r\n")
			response := p.response("POST")
			if response.StatusCode != want {
				t.Fatalf("status %d, want %d", response.StatusCode, want)
			}
			if _, err := io.Copy(io.Discard, response.Body); err != nil {
				t.Fatal(err)
			}
		}
		if got := connections.Load(); got != 1 {
			t.Errorf("%d connections", got)
		}
		if got := w.backend("b0").Stats.Failures(); got != 1 {
			t.Errorf("%d failures", got)
		}
	})
}

func TestBackendThatDiesWithTheRequest(t *testing.T) {
	dying := func(t testing.TB) string { return scripted(t, func(p *peerConn) { p.head() }) }
	t.Run("a GET is sent to another one", func(t *testing.T) {
		w := newWorld(t, nil, dying(t), answering(t, "hello"))
		for range 4 {
			if status, body := w.get("/"); status != 200 || body != "hello" {
				t.Fatalf("%d %q", status, body)
			}
		}
		if got := w.backend("b0").Stats.Failures(); got == 0 {
			t.Error("nobody is blamed")
		}
	})
	t.Run("but once only", func(t *testing.T) {
		w := newWorld(t, nil, dying(t), dying(t), dying(t))
		if status, _ := w.get("/"); status != 502 {
			t.Errorf("status %d", status)
		}
		sent := uint64(0)
		for i := range 3 {
			sent += w.backend(fmt.Sprintf("b%d", i)).Stats.Requests()
		}
		if sent != 2 {
			t.Errorf("sent to %d backends", sent)
		}
	})
	t.Run("a POST is not", func(t *testing.T) {
		w := newWorld(t, nil, dying(t), dying(t))
		p := w.dial()
		p.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
		if status := p.response("POST").StatusCode; status != 502 {
			t.Errorf("status %d", status)
		}
		if sent := w.backend("b0").Stats.Requests() + w.backend("b1").Stats.Requests(); sent != 1 {
			t.Errorf("sent to %d backends", sent)
		}
	})
}

// TestIdleConnectionsAreClosedByUsFirst is why a POST rarely meets the case
// above.
func TestIdleConnectionsAreClosedByUsFirst(t *testing.T) {
	ended := make(chan struct{})
	w := newWorld(t, func(l *tuning) { l.pool.Timeouts = &fsm.PoolTimeouts{Idle: fsm.Duration(20 * time.Millisecond)} }, scripted(t, func(p *peerConn) {
		defer close(ended)
		p.head()
		p.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		if rest, err := p.end(); rest != "" || err != nil {
			t.Errorf("after the response: %q, %v", rest, err)
		}
	}))
	w.get("/")
	await(t, ended, "the end of the idle connection")
}

func TestConnectionsToGoneBackendsAreClosed(t *testing.T) {
	changes := map[string]func(w *world){
		"when it is removed": func(w *world) {
			w.do(fsm.Delete{Ref: fsm.Ref{Kind: fsm.KindBackend, Pool: "p", Name: "b0"}})
		},
		"when it is agreed to be down": func(w *world) {
			check := new(fsm.Check)
			check.SetDefaults()
			w.do(put("", "p", fsm.PoolSpec{Strategy: fsm.StrategyRoundRobin, Check: check, Timeouts: &fsm.PoolTimeouts{Idle: fsm.Duration(time.Hour)}}))
			w.do(fsm.SetNode{Node: fsm.Node{UID: "n1", Name: "n1", State: fsm.NodeAlive, FeatureLevel: fsm.FeatureLevel}})
			b := w.state.Backend("p", "b0")
			w.do(fsm.CastVotes{Observer: "n1", Votes: []fsm.BackendVote{{
				Pool: "p", Name: "b0", UID: b.Meta.UID, Generation: w.state.CheckGeneration(b), Health: fsm.HealthDown,
			}}})
		},
		"when its address changes": func(w *world) { w.register("b0", refusing(w.t)) },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			ended := make(chan struct{})
			w := newWorld(t, func(l *tuning) { l.pool.Timeouts = &fsm.PoolTimeouts{Idle: fsm.Duration(time.Hour)} }, scripted(t, func(p *peerConn) {
				defer close(ended)
				p.head()
				p.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				_, _ = p.end()
			}), answering(t, "other"))
			for range 2 {
				w.get("/")
			}
			change(w)
			await(t, ended, "the end of the idle connection")
			if status, body := w.get("/"); status != 200 || body != "other" {
				t.Errorf("%d %q", status, body)
			}
		})
	}
}

func TestRemovedBackendFinishesWhatItHas(t *testing.T) {
	began, removed, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	w := newWorld(t, func(l *tuning) { l.pool.Timeouts = &fsm.PoolTimeouts{Idle: fsm.Duration(time.Hour)} }, scripted(t, func(p *peerConn) {
		defer close(ended)
		p.head()
		close(began)
		p.wait(removed, "the removal")
		p.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		_, _ = p.end()
	}))
	p := w.dial()
	p.send("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
	await(t, began, "the request at the backend")
	w.do(fsm.Delete{Ref: fsm.Ref{Kind: fsm.KindBackend, Pool: "p", Name: "b0"}})
	close(removed)
	if response := p.response("GET"); response.StatusCode != 200 {
		t.Errorf("status %d", response.StatusCode)
	}
	await(t, ended, "the end of a connection that was busy when its backend went")
}

func TestBrokenAnswers(t *testing.T) {
	tests := map[string]string{
		"nothing at all":         "",
		"no HTTP":                "SSH-2.0-OpenSSH\r\n",
		"half a head":            "HTTP/1.1 200 OK\r\nContent-",
		"a status of no meaning": "HTTP/1.1 000 Nothing\r\n\r\n",
		"two lengths":            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
		"a head without end":     "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<19) + "\r\n\r\n",
	}
	for name, answer := range tests {
		t.Run(name+" is 502", func(t *testing.T) {
			w := newWorld(t, nil, scripted(t, func(p *peerConn) {
				p.head()
				_, _ = io.WriteString(p.Conn, answer)
			}))
			status, body := w.get("/")
			if status != 502 || !strings.HasPrefix(body, "Evenkeel: ") {
				t.Errorf("%d %q", status, body)
			}
			if got := w.backend("b0").Stats.Failures(); got != 1 {
				t.Errorf("%d failures", got)
			}
		})
	}
}

func TestSilentBackendIs504(t *testing.T) {
	w := newWorld(t, func(l *tuning) { l.pool.Timeouts = &fsm.PoolTimeouts{FirstByte: fsm.Duration(20 * time.Millisecond)} }, scripted(t, func(p *peerConn) {
		p.head()
		_, _ = p.end()
	}))
	status, body := w.get("/")
	if status != 504 || !strings.HasPrefix(body, "Evenkeel: ") {
		t.Errorf("%d %q", status, body)
	}
}

func TestCutResponseIsNeverTakenForComplete(t *testing.T) {
	tests := map[string]struct{ version, head string }{
		"in chunks":                             {"1.1", "Transfer-Encoding: chunked\r\n\r\n7\r\npartial\r\n"},
		"within a chunk":                        {"1.1", "Transfer-Encoding: chunked\r\n\r\n70\r\npartial"},
		"of a known length":                     {"1.1", "Content-Length: 100\r\n\r\npartial"},
		"of a known length to HTTP/1.0":         {"1.0", "Content-Length: 100\r\n\r\npartial"},
		"in chunks, to HTTP/1.0, by a reset":    {"1.0", "Transfer-Encoding: chunked\r\n\r\n7\r\npartial\r\n"},
		"at the first byte, of a known length":  {"1.1", "Content-Length: 100\r\n\r\n"},
		"at the first byte, in chunks":          {"1.1", "Transfer-Encoding: chunked\r\n\r\n"},
		"at the first byte, chunks to HTTP/1.0": {"1.0", "Transfer-Encoding: chunked\r\n\r\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil, scripted(t, func(p *peerConn) {
				p.head()
				p.send("HTTP/1.1 200 OK\r\n" + test.head)
			}))
			p := w.dial()
			p.send("GET / HTTP/" + test.version + "\r\nHost: example.com\r\n\r\n")
			response, err := http.ReadResponse(p.r, &http.Request{Method: "GET"})
			if err == nil {
				var body []byte
				body, err = io.ReadAll(response.Body)
				if err == nil {
					t.Errorf("the client got %q as if that were all", body)
				}
			}
			eventually(t, "the backend's failure is counted", func() bool { return w.backend("b0").Stats.Failures() == 1 })
		})
	}
}

func TestClientThatLeavesIsNotBlamedOnTheBackend(t *testing.T) {
	tests := map[string]struct{ request, response string }{
		"before the response":    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", ""},
		"amid the response":      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"},
		"amid its own body":      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf", ""},
		"amid its body's chunks": {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			began, ended := make(chan struct{}), make(chan struct{})
			w := newWorld(t, nil, scripted(t, func(p *peerConn) {
				defer close(ended)
				p.head()
				p.send(test.response)
				close(began)
				_, _ = p.end()
			}))
			p := w.dial()
			p.send(test.request)
			await(t, began, "the request at the backend")
			// A mere end would leave it waiting for a response.
			if err := p.Conn.(*net.TCPConn).SetLinger(0); err != nil {
				t.Fatal(err)
			}
			p.Close()
			await(t, ended, "the end of the backend's connection")
			stats := w.backend("b0").Stats
			eventually(t, "nothing is in flight", func() bool { return stats.InFlight() == 0 && w.requests() == 0 })
			if stats.Failures() != 0 || stats.ConnectFailures() != 0 || w.counters.ClientLeft.Load() != 1 {
				t.Errorf("%d failures, %d connect failures, %d clients left",
					stats.Failures(), stats.ConnectFailures(), w.counters.ClientLeft.Load())
			}
		})
	}
}

func TestBadBodies(t *testing.T) {
	backend := func(t testing.TB) string {
		return scripted(t, func(p *peerConn) { _, _ = p.end() })
	}
	t.Run("a malformed chunk is 400", func(t *testing.T) {
		w := newWorld(t, nil, backend(t))
		p := w.dial()
		p.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
		if response := p.response("POST"); response.StatusCode != 400 || !response.Close {
			t.Errorf("%d, close %v", response.StatusCode, response.Close)
		}
		if got := w.backend("b0").Stats.Failures(); got != 0 {
			t.Errorf("%d failures of the backend", got)
		}
	})
	t.Run("one that stands still is 408", func(t *testing.T) {
		w := newWorld(t, func(l *tuning) { l.listener.Body = fsm.Duration(50 * time.Millisecond) }, backend(t))
		p := w.dial()
		p.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
		if response := p.response("POST"); response.StatusCode != 408 || !response.Close {
			t.Errorf("%d, close %v", response.StatusCode, response.Close)
		}
	})
}

func TestPanicEndsOneConnectionOnly(t *testing.T) {
	w := newWorld(t, nil, answering(t, "hello"))
	view := w.engine.view.Load()
	w.engine.view.Store(nil) // any bug would do
	p := w.dial()
	p.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if rest, _ := p.end(); rest != "" {
		t.Errorf("got %q", rest)
	}
	w.engine.view.Store(view)
	if status, _ := w.get("/"); status != 200 {
		t.Errorf("status %d", status)
	}
	if w.counters.Panics.Load() != 1 || !strings.Contains(w.log.String(), "connection met a bug") {
		t.Errorf("the panic is not told: %d", w.counters.Panics.Load())
	}
}
