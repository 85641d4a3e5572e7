package engine

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/fsm"
)

const soon = fsm.Duration(50 * time.Millisecond)

// silent reads requests, and says the beginning of a response, if any.
func silent(t testing.TB, beginning string) string {
	return scripted(t, func(p *peerConn) {
		p.head()
		p.send(beginning)
		_, _ = p.end()
	})
}

func TestWholeRequestTimeout(t *testing.T) {
	settings := map[string]func(w *world){
		"of the pool": func(w *world) {
			w.do(put("", "p", fsm.PoolSpec{Strategy: fsm.StrategyRoundRobin, Timeouts: &fsm.PoolTimeouts{Request: soon}}))
		},
		"of the route": func(w *world) {
			w.route(toPool(func(r *fsm.RouteSpec) { r.Timeouts = &fsm.RouteTimeouts{Request: soon} }))
		},
	}
	for name, set := range settings {
		t.Run(name+", before the response, is 504", func(t *testing.T) {
			w := newWorld(t, nil, silent(t, ""))
			set(w)
			if status, body := w.get("/"); status != 504 || !strings.HasPrefix(body, "Evenkeel: ") {
				t.Errorf("%d %q", status, body)
			}
			if got := w.counters.Timeout.Load(); got != 1 {
				t.Errorf("%d timeouts counted", got)
			}
		})
		t.Run(name+", amid the response, is a visible cut", func(t *testing.T) {
			for _, head := range []string{"Content-Length: 100\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "Connection: close\r\n\r\nhalf"} {
				w := newWorld(t, nil, silent(t, "HTTP/1.1 200 OK\r\n"+head))
				set(w)
				p := w.dial()
				p.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				response, err := http.ReadResponse(p.r, &http.Request{Method: "GET"})
				if err != nil {
					continue // a reset may overtake the head
				}
				body, err := io.ReadAll(response.Body)
				if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%q: the client got %q, %v", head, body, err)
				}
			}
		})
	}
	t.Run("of a client that sends slowly is 504", func(t *testing.T) {
		w := newWorld(t, nil, silent(t, ""))
		settings["of the route"](w)
		p := w.dial()
		p.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
		if response := p.response("POST"); response.StatusCode != 504 {
			t.Errorf("status %d", response.StatusCode)
		}
	})
}

func TestRouteReplacesThePoolsWaitForTheFirstByte(t *testing.T) {
	w := newWorld(t, nil, silent(t, ""))
	w.route(toPool(func(r *fsm.RouteSpec) { r.Timeouts = &fsm.RouteTimeouts{FirstByte: soon} }))
	if status, _ := w.get("/"); status != 504 {
		t.Errorf("status %d", status)
	}
	if got := w.backend("b0").Stats.Failures(); got != 1 {
		t.Errorf("%d failures of the backend", got)
	}
}

func TestClientTimeouts(t *testing.T) {
	w := newWorld(t, func(with *tuning) { with.listener.ClientHead, with.listener.ClientIdle = soon, soon }, answering(t, "hello"))
	t.Run("a head that does not come to its end is 408", func(t *testing.T) {
		p := w.dial()
		p.send("GET / HTTP/1.1\r\nHos")
		if response := p.response("GET"); response.StatusCode != 408 || !response.Close {
			t.Errorf("%d, close %v", response.StatusCode, response.Close)
		}
	})
	t.Run("a connection that says nothing is closed", func(t *testing.T) {
		if rest, err := w.dial().end(); rest != "" || err != nil {
			t.Errorf("%q, %v", rest, err)
		}
	})
	t.Run("an idle connection is closed", func(t *testing.T) {
		p := w.dial()
		if body, _, err := exchangeOnce(p); body != "hello" || err != nil {
			t.Fatalf("%q, %v", body, err)
		}
		if rest, err := p.end(); rest != "" || err != nil {
			t.Errorf("%q, %v", rest, err)
		}
	})
	t.Run("a head that trickles is not given more time by its bytes", func(t *testing.T) {
		p := w.dial()
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		_, err := io.WriteString(p.Conn, "GET / HTTP/1.1\r\nX: ")
		for n := 0; err == nil; n++ {
			if n == int(patience/(5*time.Millisecond)) {
				t.Fatal("the connection lives on")
			}
			<-ticker.C
			_, err = io.WriteString(p.Conn, "x")
		}
	})
}

func TestHeadLimits(t *testing.T) {
	w := newWorld(t, nil, answering(t, "hello"))
	w.listen(func(l *fsm.ListenerSpec) {
		l.Limits = &fsm.ListenerLimits{HeadBytes: 2048, LineBytes: 512, Fields: 8}
	})
	for name, c := range map[string]struct {
		head string
		want int
	}{
		"within all of them":      {"GET / HTTP/1.1\r\nHost: a\r\n", 200},
		"a target that is longer": {"GET /" + strings.Repeat("x", 600) + " HTTP/1.1\r\nHost: a\r\n", 414},
		"a field that is longer":  {"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 600) + "\r\n", 431},
		"more fields":             {"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: x\r\n", 8), 431},
		"a head that is longer":   {"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: "+strings.Repeat("x", 400)+"\r\n", 6), 431},
	} {
		t.Run(name, func(t *testing.T) {
			response, _ := w.ask(c.head + "\r\n")
			if response.StatusCode != c.want || response.Close != (c.want != 200) {
				t.Errorf("%d, close %v; want %d", response.StatusCode, response.Close, c.want)
			}
		})
	}
}

func TestConnectionsOfAListenerAreBounded(t *testing.T) {
	for _, loops := range []int{1, 2} {
		w := newWorld(t, func(with *tuning) { with.loops = loops }, answering(t, "hello"))
		w.listen(func(l *fsm.ListenerSpec) { l.Limits = &fsm.ListenerLimits{Connections: 1} })
		first := w.dial()
		if _, _, err := exchangeOnce(first); err != nil {
			t.Fatal(err)
		}
		const others = 4
		answers := make(chan error, others)
		for range others {
			p := w.dial()
			go func() {
				_, _, err := exchangeOnce(p)
				p.Close()
				answers <- err
			}()
		}
		for range 5 { // the first is served all the while, nobody else is
			if _, _, err := exchangeOnce(first); err != nil {
				t.Fatal(err)
			}
			if n := w.connections(); n != 1 || len(answers) > 0 {
				t.Fatalf("%d loops: %d connections, %d further clients answered", loops, n, len(answers))
			}
		}
		first.Close()
		for range others {
			if err := <-answers; err != nil {
				t.Errorf("%d loops: a client that waited: %v", loops, err)
			}
		}
	}
}

// TestTheBoundOfConnectionsHoldsWhenLoopsRace has clients come and go as fast as
// they can. Those that were answered and have not closed are among the
// connections for certain.
func TestTheBoundOfConnectionsHoldsWhenLoopsRace(t *testing.T) {
	const most, clients, rounds = 3, 24, 40
	w := newWorld(t, func(with *tuning) { with.loops = 8 }, answering(t, "hello"))
	w.listen(func(l *fsm.ListenerSpec) { l.Limits = &fsm.ListenerLimits{Connections: most} })
	var open atomic.Int64
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for range rounds {
				p := w.dial()
				if _, _, err := exchangeOnce(p); err != nil {
					t.Error(err)
				}
				if n := open.Add(1); n > most {
					t.Errorf("%d connections are served, more than %d", n, most)
				}
				open.Add(-1)
				p.Close()
			}
		})
	}
	group.Wait()
}

// TestConnectionsThatAreAboutToBeAcceptedCount: loops that look at the same time
// do not share the last place.
func TestConnectionsThatAreAboutToBeAcceptedCount(t *testing.T) {
	const most = 3
	w := newWorld(t, func(with *tuning) { with.loops = most + 2 }, answering(t, "hello"))
	w.listen(func(l *fsm.ListenerSpec) { l.Limits = &fsm.ListenerLimits{Connections: most} })
	acceptors := w.server.acceptors
	for i, a := range acceptors {
		if got, want := a.Reserve(), i < most; got != want {
			t.Errorf("loop %d may accept: %v, want %v", i, got, want)
		}
	}
	for _, a := range acceptors[:most] {
		a.Release()
	}
	for i, a := range acceptors {
		eventually(t, fmt.Sprintf("loop %d has tried again", i), func() bool { return !a.refused.Load() })
	}
	eventually(t, "no place is held", func() bool { return w.server.connections.Load() == 0 })
}

func TestHigherBoundOfConnectionsLetsThoseInWhoWait(t *testing.T) {
	w := newWorld(t, nil, answering(t, "hello"))
	w.listen(func(l *fsm.ListenerSpec) { l.Limits = &fsm.ListenerLimits{Connections: 1} })
	if _, _, err := exchangeOnce(w.dial()); err != nil {
		t.Fatal(err)
	}
	second := w.dial()
	second.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	w.listen(func(l *fsm.ListenerSpec) { l.Limits = &fsm.ListenerLimits{Connections: 2} })
	if status := second.response("GET").StatusCode; status != 200 {
		t.Errorf("status %d", status)
	}
}
