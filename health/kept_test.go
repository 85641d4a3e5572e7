package health

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"evenkeel/fsm"
)

func TestAConnectionTakesTenRequests(t *testing.T) {
	e := needEngine(t)
	s := openSite(t, func(conn net.Conn, n int) bool {
		if n%2 == 0 {
			return says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")(conn, n)
		}
		return says(good)(conn, n)
	})
	target := targetOf(t, reusing(), s.address)
	target.prober.(direct).line().uses = freshEvery // as if there had been one
	for range 3 * int(freshEvery) {
		if r := e.probe(t, target, false); r.err != nil || r.latency <= 0 {
			t.Fatalf("result %+v", r)
		}
	}
	if got := s.connections.Load(); got != 3 || s.requests.Load() != 3*int64(freshEvery) {
		t.Errorf("%d requests over %d connections, want 3", s.requests.Load(), got)
	}
}

func TestTheFirstConnectionsOfBackendsEndAtDifferentTimes(t *testing.T) {
	e, s := needEngine(t), openSite(t, says(good))
	for range freshEvery {
		target := targetOf(t, reusing(), s.address)
		for range freshEvery {
			if r := e.probe(t, target, false); r.err != nil {
				t.Fatal(r.err)
			}
		}
	}
	// One of them takes all of its first ten requests over its first connection.
	if got := s.connections.Load(); got != 2*int64(freshEvery)-1 {
		t.Errorf("%d connections", got)
	}
}

func TestAConnectionIsNotUsedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		edit   func(*fsm.Check)
		fresh  bool
	}{
		"that the check does not reuse":        {answer: good, edit: func(c *fsm.Check) { c.ReuseConnection = false }},
		"of a POST":                            {answer: good, edit: func(c *fsm.Check) { c.Method = "POST" }},
		"at a long interval":                   {answer: good, edit: func(c *fsm.Check) { c.Interval = fsm.Duration(time.Minute) }},
		"if a new one is asked for":            {answer: good, fresh: true},
		"that the backend will close":          {answer: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"},
		"of HTTP/1.0":                          {answer: "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"},
		"on which more came than was asked":    {answer: good + "x"},
		"whose answer took the general way":    {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0;x\r\n\r\n"},
		"after a failure":                      {answer: "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"},
		"whose answer does not hold the text":  {answer: good, edit: func(c *fsm.Check) { c.ExpectText = "well" }},
		"that an expression took from the way": {answer: good, edit: func(c *fsm.Check) { c.ExpectRegexp = "ok" }},
	} {
		t.Run(name, func(t *testing.T) {
			e, s := needEngine(t), openSite(t, says(c.answer))
			check := reusing()
			if c.edit != nil {
				c.edit(&check)
			}
			target := targetOf(t, check, s.address)
			target.prober.(direct).line().uses = freshEvery
			for range 3 {
				e.probe(t, target, c.fresh)
			}
			if got := s.connections.Load(); got != 3 {
				t.Errorf("3 probes made %d connections", got)
			}
		})
	}
}

// What a backend does to a connection between two probes, or when it gets the
// second request, says nothing about the backend: the probe goes on over
// another one.
func TestAKeptConnectionThatEndsIsNoFailure(t *testing.T) {
	for name, second := range map[string]func(net.Conn){
		"it is closed": func(net.Conn) {},
		"it is reset":  func(conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0) },
	} {
		t.Run(name, func(t *testing.T) {
			e := needEngine(t)
			s := openSite(t, func(conn net.Conn, n int) bool {
				if n == 2 {
					second(conn)
					return false
				}
				return says(good)(conn, n)
			})
			target := targetOf(t, reusing(), s.address)
			target.prober.(direct).line().uses = freshEvery
			for range 5 {
				if r := e.probe(t, target, false); r.err != nil {
					t.Fatal(r.err)
				}
			}
			if got := s.connections.Load(); got != 5 {
				t.Errorf("%d connections, want one for each probe", got)
			}
		})
	}
}

func TestAKeptConnectionThatIsClosedBetweenProbesIsLetGo(t *testing.T) {
	e := needEngine(t)
	closed := make(chan struct{})
	s := openSite(t, func(conn net.Conn, n int) bool {
		says(good)(conn, n)
		<-closed
		return false
	})
	target := targetOf(t, reusing(), s.address)
	target.prober.(direct).line().uses = freshEvery
	if r := e.probe(t, target, false); r.err != nil || e.kept != 1 {
		t.Fatalf("error %v, %d connections kept", r.err, e.kept)
	}
	close(closed)
	<-e.ready
	e.poll()
	if e.kept != 0 || target.prober.(direct).line().kept != nil || len(e.free) != len(e.slots) {
		t.Errorf("%d connections kept, %d errands of %d free", e.kept, len(e.free), len(e.slots))
	}
}

func TestAKeptConnectionWithoutAnswerFailsInTime(t *testing.T) {
	e := needEngine(t)
	s := openSite(t, func(conn net.Conn, n int) bool {
		return n == 2 || says(good)(conn, n)
	})
	check := reusing()
	check.Timeout = fsm.Duration(300 * time.Millisecond)
	target := targetOf(t, check, s.address)
	target.prober.(direct).line().uses = freshEvery
	judge(t, e.probe(t, target, false).err, "")
	judge(t, e.probe(t, target, false).err, "GET / at "+s.address+": no answer within 300ms")
	judge(t, e.probe(t, target, false).err, "")
}

func TestABackendThatAcceptsNoMoreIsNoticedOverAKeptConnection(t *testing.T) {
	e := needEngine(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })}
	var group sync.WaitGroup
	group.Go(func() { _ = server.Serve(listener) }) // ends with the listener
	t.Cleanup(func() {
		server.Close()
		group.Wait()
	})
	target := targetOf(t, reusing(), listener.Addr().String())
	target.prober.(direct).line().uses = freshEvery
	judge(t, e.probe(t, target, false).err, "")
	listener.Close() // the connection lives
	group.Wait()
	for range freshEvery - 1 {
		judge(t, e.probe(t, target, false).err, "")
	}
	judge(t, e.probe(t, target, false).err, "connection refused")
}

func TestKeptConnectionsAreBounded(t *testing.T) {
	e, s := needEngine(t), openSite(t, says(good))
	e.keeps = 2
	targets := make([]*target, 4)
	for i := range targets {
		targets[i] = targetOf(t, reusing(), s.address)
		targets[i].prober.(direct).line().uses = freshEvery
	}
	for range 3 {
		for _, target := range targets {
			if r := e.probe(t, target, false); r.err != nil || e.kept > 2 {
				t.Fatalf("error %v, %d connections kept", r.err, e.kept)
			}
		}
	}
	for _, target := range targets {
		e.forget(target.prober)
	}
	if e.kept != 0 || len(e.free) != len(e.slots) || len(e.running) != 0 {
		t.Errorf("%d connections kept, %d errands of %d free, %d running", e.kept, len(e.free), len(e.slots), len(e.running))
	}
}

// Servers of some kinds say 408 to a connection that rests, and close it.
func TestAKeptConnectionOnWhichSomethingCameUnaskedIsNotUsed(t *testing.T) {
	e := needEngine(t)
	speak := make(chan struct{})
	s := openSite(t, func(conn net.Conn, n int) bool {
		says(good)(conn, n)
		<-speak
		return says("HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n")(conn, n)
	})
	target := targetOf(t, reusing(), s.address)
	line := target.prober.(direct).line()
	line.uses = freshEvery
	judge(t, e.probe(t, target, false).err, "")
	close(speak)
	deadline := time.Now().Add(20 * time.Second)
	for silent(line.kept.fd) { // the poller is not asked
		if time.Now().After(deadline) {
			t.Fatal("nothing came")
		}
		<-time.After(time.Millisecond)
	}
	judge(t, e.probe(t, target, false).err, "")
	if got := s.connections.Load(); got != 2 {
		t.Errorf("%d connections", got)
	}
}
