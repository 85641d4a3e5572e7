package health

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"evenkeel/fsm"
)

// openEngine returns an engine that works until the test ends, or nil where there
// is none.
func openEngine(t testing.TB) *engine {
	t.Helper()
	e := newEngine()
	if err := e.open(); err != nil {
		return nil
	}
	var group sync.WaitGroup
	group.Go(e.listen)
	t.Cleanup(func() {
		e.close()
		group.Wait()
	})
	return e
}

// needEngine is openEngine for tests that are about it.
func needEngine(t testing.TB) *engine {
	t.Helper()
	e := openEngine(t)
	if e == nil {
		t.Skip("this system has no engine")
	}
	return e
}

// probeDirectly probes once by an engine; false where there is none, or the check
// takes the general way from the start.
func probeDirectly(t testing.TB, check fsm.Check, address string, timeout time.Duration) (r result, ok bool) {
	t.Helper()
	check.Timeout = fsm.Duration(timeout)
	e := openEngine(t)
	target := targetOf(t, check, address)
	if e == nil || target.prober.(direct).line() == nil {
		return r, false
	}
	return e.probe(t, target, false), true
}

func targetOf(t testing.TB, check fsm.Check, address string) *target {
	t.Helper()
	prober, err := NewProber(check, address, "", "evenkeel/test")
	if err != nil {
		t.Fatalf("new prober: %v", err)
	}
	return &target{check: &check, prober: prober}
}

// probe runs one probe to its end, as an observer does.
func (e *engine) probe(t testing.TB, target *target, fresh bool) result {
	t.Helper()
	if _, ok := e.begin(result{target: target}, fresh); !ok {
		t.Fatal("the engine does not run it")
	}
	return e.end(t)
}

// end waits for the one probe that is under way.
func (e *engine) end(t testing.TB) result {
	t.Helper()
	for {
		e.expire()
		switch {
		case len(e.ended) == 1:
			x := e.ended[0]
			r := x.result
			e.recycle(x)
			e.ended = e.ended[:0]
			return r
		case len(e.handed) == 1:
			h := e.handed[0]
			e.handed = nil
			ctx, cancel := context.WithDeadlineCause(t.Context(), h.deadline(), timeoutError(h.timeout))
			defer cancel()
			return h.run(ctx)
		}
		at, _ := e.next()
		select {
		case <-e.ready:
			e.poll()
		case <-time.After(time.Until(at)):
		}
	}
}

// site is a server of HTTP that counts connections and requests.
type site struct {
	address                     string
	connections, requests, open atomic.Int64
	// act says what happens to the n-th request over a connection, from 1 on.
	act func(conn net.Conn, n int) (goOn bool)
}

const good = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"

func openSite(t testing.TB, act func(conn net.Conn, n int) bool) *site {
	s := &site{act: act}
	s.address = serve(t, s.talk)
	return s
}

// talk answers requests over a connection.
func (s *site) talk(conn net.Conn) {
	s.connections.Add(1)
	s.open.Add(1)
	defer s.open.Add(-1)
	reader := bufio.NewReader(conn)
	for n := 1; ; n++ {
		request, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		s.requests.Add(1)
		if !s.act(conn, n) || request.Close {
			return
		}
	}
}

func says(text string) func(net.Conn, int) bool {
	return func(conn net.Conn, _ int) bool {
		_, _ = io.WriteString(conn, text)
		return true
	}
}

func reusing() fsm.Check {
	return fsm.Check{Type: fsm.CheckHTTP, ReuseConnection: true, Interval: fsm.Duration(time.Second), Timeout: fsm.Duration(20 * time.Second)}
}

func TestAProbeThatTheEngineGivesUpIsVoid(t *testing.T) {
	e := needEngine(t)
	target := targetOf(t, reusing(), serve(t, hang))
	cancel, ok := e.begin(result{target: target}, false)
	if !ok {
		t.Fatal("the engine does not run it")
	}
	cancel()
	cancel()
	if r := e.end(t); !Void(r.err) {
		t.Errorf("got %v", r.err)
	}
	cancel() // too late: nothing happens
	if len(e.running) != 0 || len(e.ended) != 0 || len(e.free) != 1 {
		t.Errorf("%d run, %d ended, %d free", len(e.running), len(e.ended), len(e.free))
	}
}

func TestAnAnswerThatCameInTimeCountsHoweverLateItIsRead(t *testing.T) {
	e, s := needEngine(t), openSite(t, says(good))
	target := targetOf(t, reusing(), s.address)
	if _, ok := e.begin(result{target: target}, false); !ok {
		t.Fatal("the engine does not run it")
	}
	x := e.running[0]
	deadline := time.Now().Add(20 * time.Second)
	for came := 0; came < len(good); {
		if x.stage == connecting {
			e.poll()
		}
		if time.Now().After(deadline) {
			t.Fatal("no answer came")
		}
		came, _, _ = syscall.Recvfrom(int(x.fd), make([]byte, len(good)), syscall.MSG_PEEK|syscall.MSG_DONTWAIT) // or not yet
		<-time.After(time.Millisecond)
	}
	x.timeout = 0 // as after a while in which this node did nothing
	e.earliest = time.Now()
	judge(t, e.end(t).err, "")
}

// What drips is not looked at from its beginning for each drop.
func TestAnAnswerOfManyPiecesTakesTheGeneralWay(t *testing.T) {
	e := needEngine(t)
	s := openSite(t, func(conn net.Conn, _ int) bool {
		text := "HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n" + strings.Repeat("x", 200)
		for i := range len(text) {
			_, _ = io.WriteString(conn, text[i:i+1])
			<-time.After(time.Millisecond)
		}
		return true
	})
	if _, ok := e.begin(result{target: targetOf(t, reusing(), s.address)}, false); !ok {
		t.Fatal("the engine does not run it")
	}
	for len(e.handed) == 0 && len(e.ended) == 0 {
		<-e.ready
		e.poll()
	}
	if len(e.handed) == 0 {
		t.Error("the engine read it to its end")
	}
	judge(t, e.end(t).err, "")
}

func TestAnAnswerInPiecesIsPutTogether(t *testing.T) {
	e := needEngine(t)
	s := openSite(t, func(conn net.Conn, _ int) bool {
		for _, piece := range strings.SplitAfter("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n17\n42", "\n") {
			_, _ = io.WriteString(conn, piece)
			<-time.After(time.Millisecond) // a packet each, most likely; it passes either way
		}
		return true
	})
	check := reusing()
	check.ExpectText = "17\n42"
	target := targetOf(t, check, s.address)
	for range 3 {
		judge(t, e.probe(t, target, false).err, "")
	}
}

func TestALongRequestIsSentInPieces(t *testing.T) {
	e, s := needEngine(t), openSite(t, says(good))
	check := reusing()
	for n := range 32 {
		check.Fields = append(check.Fields, fsm.CheckField{Name: fmt.Sprintf("X-%d", n), Value: strings.Repeat("x", 4096)})
	}
	judge(t, e.probe(t, targetOf(t, check, s.address), false).err, "")
}

// Probing leaves nothing open, whatever came of it.
func TestTheEngineLeaksNoDescriptors(t *testing.T) {
	e, s := needEngine(t), openSite(t, says(good))
	chunked := serve(t, answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"))
	check := reusing()
	check.Timeout = fsm.Duration(20 * time.Millisecond)
	before := openDescriptors(t)
	for _, address := range []string{s.address, chunked, serve(t, hang), closedAddress(t)} {
		for range 20 {
			target := targetOf(t, check, address)
			e.probe(t, target, false)
			e.forget(target.prober)
		}
	}
	const listeners = 1 // that of hang
	deadline := time.Now().Add(20 * time.Second)
	for openDescriptors(t) > before+listeners { // the servers' ends are closed a little later
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors are open, %d were", openDescriptors(t), before)
		}
		<-time.After(5 * time.Millisecond)
	}
	if e.kept != 0 || len(e.slots) != 1 {
		t.Errorf("%d connections kept, %d errands", e.kept, len(e.slots))
	}
}

func openDescriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestAProbeOverAKeptConnectionAllocatesNothing(t *testing.T) {
	e := needEngine(t)
	address := serve(t, func(conn net.Conn) {
		request, text := make([]byte, 4096), []byte(good)
		for {
			if _, err := conn.Read(request); err != nil {
				return
			}
			_, _ = conn.Write(text)
		}
	})
	target := targetOf(t, reusing(), address)
	line := target.prober.(direct).line()
	run := func() {
		line.uses = 1 // it goes on for ever
		if _, ok := e.begin(result{target: target}, false); !ok {
			t.Fatal("the engine does not run it")
		}
		for len(e.ended) == 0 {
			<-e.ready
			e.poll()
		}
		if err := e.ended[0].err; err != nil {
			t.Fatal(err)
		}
		e.recycle(e.ended[0])
		e.ended = e.ended[:0]
	}
	if got := testing.AllocsPerRun(100, run); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// An answer in two pieces may be read whole at the first one's event. What the
// second one's then says is only that the connection can be written.
func TestAConnectionIsKeptThoughItsAnswerCameFasterThanItsEvents(t *testing.T) {
	e := needEngine(t)
	on := make(chan struct{})
	s := openSite(t, func(conn net.Conn, n int) bool {
		says(good[:20])(conn, n)
		<-on
		return says(good[20:])(conn, n)
	})
	target := targetOf(t, reusing(), s.address)
	target.prober.(direct).line().uses = freshEvery
	if _, ok := e.begin(result{target: target}, false); !ok {
		t.Fatal("the engine does not run it")
	}
	x := e.running[0]
	var first event
	for first = (event{}); !first.readable; {
		<-e.ready
		for _, first = range e.poller.poll() {
			if !first.readable {
				e.react(x, first)
			}
		}
	}
	close(on)
	for whole, seen := len(good), make([]byte, len(good)); whole > 0; {
		n, _, err := syscall.Recvfrom(int(x.fd), seen, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		if err != nil {
			t.Fatal(err)
		}
		whole = len(good) - n
	}
	e.react(x, first)
	if len(e.ended) != 1 || e.ended[0].err != nil || e.kept != 1 {
		t.Fatalf("%d probes ended, %d connections kept", len(e.ended), e.kept)
	}
	if e.poll(); e.kept != 1 {
		t.Error("the connection was not kept")
	}
}
