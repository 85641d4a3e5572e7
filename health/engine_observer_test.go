package health

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/fsm"
)

// keepConnections gives the default pool a check that does.
func keepConnections(interval time.Duration) fsm.Put {
	return putCheck(func(c *fsm.Check) {
		c.Type, c.ReuseConnection, c.Rise = fsm.CheckHTTP, true, 1
		c.Interval, c.Timeout = fsm.Duration(interval), fsm.Duration(interval)
	})
}

// awaitCount waits until a count is as wanted.
func awaitCount(t *testing.T, what string, count func() int64, want func(int64) bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !want(count()) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: %d", what, count())
		}
		<-time.After(5 * time.Millisecond)
	}
}

func TestAnObserverKeepsItsConnections(t *testing.T) {
	s := openSite(t, says(good))
	r := newRegistry(t, "n1")
	r.must(keepConnections(100 * time.Millisecond))
	r.must(putBackend("web", s.address, fsm.AdminReady))
	o := New(Config{Self: "n1"})
	needEngine(t)
	stop := run(t, o, r)
	r.await("web", fsm.HealthUp)
	before, asked := s.connections.Load(), s.requests.Load()
	awaitCount(t, "requests", s.requests.Load, func(n int64) bool { return n >= asked+5 })
	if got := s.connections.Load() - before; got > 2 {
		t.Errorf("5 probes made %d connections", got)
	}

	// One that is not probed any more is not held either.
	r.must(putBackend("web", s.address, fsm.AdminMaint))
	awaitCount(t, "open connections", s.open.Load, func(n int64) bool { return n == 0 })
	r.must(putBackend("web", s.address, fsm.AdminReady))
	awaitCount(t, "open connections", s.open.Load, func(n int64) bool { return n == 1 })
	stop()
	awaitCount(t, "open connections", s.open.Load, func(n int64) bool { return n == 0 })
}

// However far probes have come when the observer stops, it waits for none of them
// and leaves none behind.
func TestAnObserverThatStopsLeavesNoProbeBehind(t *testing.T) {
	needEngine(t)
	s := openSite(t, says(good))
	answers := map[string]func(net.Conn){
		"silent":   hang,
		"begun":    func(c net.Conn) { answer("HTTP/1.1 200 OK\r\n")(c); hang(c) },
		"unusual":  func(c net.Conn) { answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\n")(c); hang(c) },
		"redirect": func(c net.Conn) { redirects(map[string]string{"/": "/a"})(c); hang(c) },
	}
	r := newRegistry(t, "n1")
	r.must(keepConnections(30 * time.Second))
	r.must(putBackend("kept", s.address, fsm.AdminReady))
	var asked, open atomic.Int64
	for name, act := range answers {
		var once atomic.Bool
		r.must(putBackend(name, serve(t, func(conn net.Conn) {
			open.Add(1)
			defer open.Add(-1)
			asked.Add(1)
			if name == "redirect" && once.Swap(true) {
				hang(conn) // the next hop
				return
			}
			act(conn)
		}), fsm.AdminReady))
	}
	o := New(Config{Self: "n1"})
	stop := run(t, o, r)
	for _, name := range []string{"kept", "silent", "begun", "unusual", "redirect"} {
		o.Suspect(Evidence{Pool: "default", Name: name, UID: r.current().Backend("default", name).Meta.UID})
	}
	awaitCount(t, "connections", asked.Load, func(n int64) bool { return n >= int64(len(answers))+1 })
	began := time.Now()
	stop()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s to stop", took)
	}
	awaitCount(t, "open connections", func() int64 { return open.Load() + s.open.Load() }, func(n int64) bool { return n == 0 })
}

func TestEvidenceIsAnsweredOverANewConnection(t *testing.T) {
	s := openSite(t, says(good))
	r := newRegistry(t, "n1")
	r.must(keepConnections(20 * time.Second)) // only evidence makes it probe
	r.must(putBackend("web", s.address, fsm.AdminReady))
	needEngine(t)
	o := New(Config{Self: "n1"})
	run(t, o, r)
	uid := r.current().Backend("default", "web").Meta.UID
	for n := range int64(3) {
		o.Suspect(Evidence{Pool: "default", Name: "web", UID: uid})
		awaitCount(t, "connections", s.connections.Load, func(got int64) bool { return got == n+1 })
		awaitCount(t, "passed probes", func() int64 { return int64(o.Counters().Passed) }, func(got int64) bool { return got == n+1 })
	}
}
