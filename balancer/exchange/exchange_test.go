package exchange

import (
	"io"
	"strings"
	"testing"
	"time"

	"evenkeel/balancer/table"
	"evenkeel/fsm"
)

const (
	get      = "GET /x HTTP/1.1\r\nHost: a.example\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n"
	response = "HTTP/1.1 200 OK\r\nDate: Thu, 26 Nov 2026 12:00:00 GMT\r\nContent-Length: 5\r\n\r\nhello"
)

func TestARequestAndItsResponsePass(t *testing.T) {
	w := newWorld(t, fsm.PoolSpec{}, 1)
	client := w.client()
	client.give(get)
	backend := w.dialled[0]
	backend.events.Connected()
	if got := backend.take(); !strings.HasPrefix(got, "GET /x HTTP/1.1\r\nHost: a.example\r\n") || !strings.Contains(got, "\r\nX-Forwarded-For: 192.0.2.1\r\n") {
		t.Fatalf("the backend got %q", got)
	}
	backend.give(response)
	if got := client.take(); got != response {
		t.Fatalf("the client got %q", got)
	}
	w.atRest(t)
	if w.loop.Idle() != 1 {
		t.Errorf("%d connections are kept, want 1", w.loop.Idle())
	}
}

// atRest fails if a request is still accounted for.
func (w *world) atRest(t testing.TB) {
	t.Helper()
	if n := w.listener.Live[0].Requests.Load(); n != 0 {
		t.Fatalf("%d requests are under way", n)
	}
	for _, b := range w.view.Table.PoolNamed("p").Backends() {
		if n := b.Stats.InFlight(); n != 0 {
			t.Fatalf("%d requests are in flight to %s", n, b.Name)
		}
	}
}

func TestTheOutcomeDoesNotDependOnHowBytesAreSplit(t *testing.T) {
	const requests = "POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + get
	const answers = "HTTP/1.1 200 OK\r\nDate: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n"
	var want string
	for step := len(requests); step > 0; step-- {
		w := newWorld(t, fsm.PoolSpec{}, 1)
		client := w.client()
		got := ""
		for at := 0; at < len(requests); at += step {
			client.give(requests[at:min(at+step, len(requests))])
			got += w.serve(client, answers, step)
		}
		got += w.serve(client, answers, step)
		w.atRest(t)
		if want == "" {
			want = got
		}
		if got != want {
			t.Fatalf("in steps of %d:\ngot  %q\nwant %q", step, got, want)
		}
	}
	if strings.Count(want, "HTTP/1.1 200 OK") != 2 {
		t.Fatalf("got %q", want)
	}
}

// serve has the backend answer each whole request in pieces of step bytes, and
// returns what the client got.
func (w *world) serve(client *wire, answer string, step int) string {
	for _, b := range w.dialled {
		if conn := b.events.(*Backend); !conn.connected {
			b.events.Connected()
			client.settle()
		}
		for {
			x := b.events.(*Backend).x
			if x == nil || !x.upload.Done() {
				break
			}
			for at := 0; at < len(answer); at += step {
				b.give(answer[at:min(at+step, len(answer))])
			}
			client.settle()
		}
	}
	return client.take()
}

func TestAKeptAliveRequestAllocatesNothing(t *testing.T) {
	w := newWorld(t, fsm.PoolSpec{}, 2)
	client := w.client()
	request, answer := []byte(get), []byte(response)
	once := func() {
		client.events.Data(request)
		for _, b := range w.dialled {
			conn := b.events.(*Backend)
			if !conn.connected {
				conn.Connected()
			}
			if conn.x != nil {
				conn.Data(answer)
			}
			b.out = b.out[:0]
		}
		client.out = client.out[:0]
		w.loop.BatchEnded()
	}
	for range 10 {
		once()
	}
	if n := testing.AllocsPerRun(1000, once); n != 0 {
		t.Errorf("a request allocates %v times", n)
	}
	w.atRest(t)
}

func TestAPostThatMayHaveBeenSentIsNeverSentAgain(t *testing.T) {
	w := newWorld(t, fsm.PoolSpec{}, 2)
	client := w.client()
	client.give("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
	w.dialled[0].events.Connected()
	w.dialled[0].end()
	if len(w.dialled) != 1 {
		t.Fatalf("%d connections were made", len(w.dialled))
	}
	if got := client.take(); !strings.HasPrefix(got, "HTTP/1.1 502 ") {
		t.Fatalf("the client got %q", got)
	}
	w.atRest(t)
}

// keep has a connection serve one request, after which it is kept.
func (w *world) keep(client *wire) *wire {
	client.give(get)
	kept := w.dialled[0]
	kept.events.Connected()
	kept.give(response)
	client.take()
	kept.take()
	return kept
}

// TestAPostOfWhichNothingWasSentGoesToAnotherConnection has the kept connection
// break after Write took the request, and before the kernel did.
func TestAPostOfWhichNothingWasSentGoesToAnotherConnection(t *testing.T) {
	const head, first, second = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", "begin", "-end"
	for name, c := range map[string]struct {
		flushed bool // it breaks only after the kernel took something
		keeps   bool // the connection has it and still keeps it
		late    bool // the rest of the body comes after the break
		again   bool
	}{
		"the request is whole":              {again: true},
		"the rest comes behind the failure": {late: true, again: true},
		"something was sent":                {flushed: true},
		"something was sent, more follows":  {flushed: true, late: true},
		"the connection keeps it":           {keeps: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, fsm.PoolSpec{}, 1)
			client := w.client()
			kept := w.keep(client)
			kept.gathers, kept.keeps = true, c.keeps
			rest := ""
			if c.late {
				rest = second
			}
			client.give(head + strings.TrimSuffix(first+second, rest))
			if c.flushed {
				kept.flush()
			}
			kept.broken = true
			client.give(rest)
			if !c.keeps {
				kept.flush()
			}
			kept.closed = true
			kept.events.Failed(io.ErrUnexpectedEOF)
			client.settle()
			if !c.again {
				if got := client.take(); len(w.dialled) != 1 || !strings.HasPrefix(got, "HTTP/1.1 502 ") {
					t.Fatalf("%d connections were made; the client got %q", len(w.dialled), got)
				}
				return
			}
			if len(w.dialled) != 2 {
				t.Fatalf("%d connections were made, want 2; the client got %q", len(w.dialled), client.take())
			}
			fresh := w.dialled[1]
			fresh.events.Connected()
			client.settle()
			if got := fresh.take(); !strings.HasPrefix(got, "POST / HTTP/1.1\r\n") || !strings.HasSuffix(got, "\r\n\r\n"+first+second) {
				t.Fatalf("the fresh connection got %q", got)
			}
			fresh.give(response)
			if got := client.take(); got != response {
				t.Fatalf("the client got %q", got)
			}
			w.atRest(t)
		})
	}
}

func TestAGetGoesToAnotherBackendOnce(t *testing.T) {
	w := newWorld(t, fsm.PoolSpec{}, 3)
	client := w.client()
	client.give(get)
	for i := range 2 {
		w.dialled[i].events.Connected()
		w.dialled[i].end()
	}
	if len(w.dialled) != 2 {
		t.Fatalf("%d connections were made, want 2", len(w.dialled))
	}
	if got := client.take(); !strings.HasPrefix(got, "HTTP/1.1 502 ") {
		t.Fatalf("the client got %q", got)
	}
	w.atRest(t)
}

func TestAClientThatDoesNotReadIsLetGo(t *testing.T) {
	w := newWorld(t, fsm.PoolSpec{}, 1)
	client := w.client()
	client.full = true
	client.give(get)
	backend := w.dialled[0]
	backend.events.Connected()
	backend.give("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhello")
	client.expire(w)
	if !client.aborted || !backend.closed {
		t.Errorf("the client is aborted: %v, the backend closed: %v", client.aborted, backend.closed)
	}
	w.atRest(t)
	if n := w.listener.Counters[0].ClientLeft.Load(); n != 1 {
		t.Errorf("%d clients left", n)
	}
}

// TestAResponseThatNobodyAskedForIsNobodys: neither one that comes before the
// request was sent, nor one that lies behind a body that was relayed.
func TestAResponseThatNobodyAskedForIsNobodys(t *testing.T) {
	const unasked = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nunasked"
	for name, request := range map[string]string{"before a GET": get, "before a POST": "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, fsm.PoolSpec{}, 1)
			client := w.client()
			kept := w.keep(client)
			kept.gathers = true
			client.give(request)
			kept.give(unasked)
			if got := kept.take(); !kept.closed || got != "" || len(w.dialled) != 2 {
				t.Fatalf("closed: %v, it got %q, %d connections; the client got %q", kept.closed, got, len(w.dialled), client.take())
			}
			w.dialled[1].events.Connected()
			w.dialled[1].give(response)
			if got := client.take(); got != response {
				t.Errorf("the client got %q", got)
			}
			w.atRest(t)
		})
	}
	t.Run("before a GET that is too long to wait for others", func(t *testing.T) {
		w := newWorld(t, fsm.PoolSpec{}, 1)
		client := w.client()
		kept := w.keep(client)
		kept.in = append(kept.in, unasked...) // as the kernel has it
		client.give("GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", gatherBytes) + "\r\n\r\n")
		if !kept.closed || len(w.dialled) != 2 {
			t.Errorf("closed: %v, %d connections", kept.closed, len(w.dialled))
		}
	})
	t.Run("behind a relayed body", func(t *testing.T) {
		w := newWorld(t, fsm.PoolSpec{}, 1)
		client := w.client()
		client.give(get)
		first := w.dialled[0]
		first.events.Connected()
		first.give("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
		first.in = append(first.in, unasked...) // as the kernel has it
		first.events.Relayed(100_000, nil)
		if !first.closed || w.loop.Idle() != 0 {
			t.Errorf("closed: %v, %d connections are kept", first.closed, w.loop.Idle())
		}
		w.atRest(t)
	})
}

// TestTheWholeTimeOfAnAnsweredRequestEndsInNoSecondAnswer: its client is late
// with the rest of it.
func TestTheWholeTimeOfAnAnsweredRequestEndsInNoSecondAnswer(t *testing.T) {
	const upload, whole = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nbegin", fsm.Duration(500 * time.Millisecond)
	for name, c := range map[string]struct {
		backends int
		want     string
	}{
		"its answer was Evenkeel's":    {0, "HTTP/1.1 503 "},
		"its response was a backend's": {1, "HTTP/1.1 200 "},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, fsm.PoolSpec{Timeouts: &fsm.PoolTimeouts{Request: whole}}, c.backends)
			client := w.client()
			client.give(upload)
			for _, b := range w.dialled {
				b.events.Connected()
				b.give(response)
			}
			if got := client.take(); !strings.HasPrefix(got, c.want) {
				t.Fatalf("the client got %q", got)
			}
			client.expire(w)
			if got := client.take(); got != "" || client.aborted || !client.fin {
				t.Errorf("the client got %q more, a FIN: %v, a reset: %v", got, client.fin, client.aborted)
			}
			client.end()
			w.atRest(t)
		})
	}
}

// TestTheRestOfAnAnsweredRequestMayComeInPieces, each within the time for one.
func TestTheRestOfAnAnsweredRequestMayComeInPieces(t *testing.T) {
	w := newWorld(t, fsm.PoolSpec{}, 0)
	client := w.client()
	client.give("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
	for _, piece := range "123456789" {
		due := client.deadline
		w.now = due - 1
		if client.give(string(piece)); client.deadline <= due {
			t.Fatalf("behind piece %c the time is over after 1 ns", piece)
		}
	}
	if got := client.take(); !strings.HasPrefix(got, "HTTP/1.1 503 ") || client.fin {
		t.Fatalf("the client got %q, a FIN: %v", got, client.fin)
	}
	client.give(get)
	if got := client.take(); !strings.HasPrefix(got, "HTTP/1.1 503 ") {
		t.Errorf("to the next request the client got %q", got)
	}
}

func TestWhatLiesBehindADecodedBodyIsNobodys(t *testing.T) {
	for _, minor := range []string{"0", "1"} {
		t.Run("HTTP/1."+minor, func(t *testing.T) {
			w := newWorld(t, fsm.PoolSpec{}, 1)
			client := w.client()
			client.give("GET / HTTP/1." + minor + "\r\nHost: a\r\n\r\n")
			conn := w.dialled[0]
			conn.events.Connected()
			conn.give("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			conn.give("5\r\nhello\r\n0\r\n\r\n" + "HTTP/1.1 200 OK\r\nX: ")
			if !conn.closed || w.loop.Idle() != 0 {
				t.Errorf("closed: %v, %d connections are kept", conn.closed, w.loop.Idle())
			}
		})
	}
}

// TestAResponseThatNobodyAskedForIsNotALargeRequests, of which more came than
// is kept for sending it again, and nothing was sent.
func TestAResponseThatNobodyAskedForIsNotALargeRequests(t *testing.T) {
	w := newWorld(t, fsm.PoolSpec{}, 1)
	client := w.client()
	kept := w.keep(client)
	kept.gathers = true
	client.give("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n")
	kept.broken = true
	client.give(strings.Repeat("x", replayBytes))
	kept.give("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nunasked")
	if got := client.take(); !strings.HasPrefix(got, "HTTP/1.1 502 ") {
		t.Errorf("the client got %q", got)
	}
}

// TestTheEndOfAnEarlierRequestIsNoSignOfTheNext on the same connection.
func TestTheEndOfAnEarlierRequestIsNoSignOfTheNext(t *testing.T) {
	w := newWorld(t, fsm.PoolSpec{}, 1)
	first, second := w.client(), w.client()
	first.give("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nbegin")
	conn := w.dialled[0]
	conn.events.Connected()
	conn.give(response)
	conn.gathers = true
	first.give("-end")
	second.give(get)
	conn.give("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nunasked")
	if got := second.take(); got != "" || !conn.closed {
		t.Errorf("the second client got %q; the connection is closed: %v", got, conn.closed)
	}
	if !strings.HasSuffix(string(conn.out), "begin-end") {
		t.Errorf("the backend got %q", conn.out)
	}
}

func TestA405HasAllow(t *testing.T) {
	w := newWorld(t, fsm.PoolSpec{}, 1)
	next, results := fsm.Apply(w.view.Table.State(), []fsm.Command{{ID: fsm.CommandID{Origin: "test", Seq: 1000}, Op: fsm.Put{Name: "r", Spec: fsm.RouteSpec{
		Pools:          []fsm.WeightedPool{{Name: "p", Weight: 1}},
		ResponseFields: []fsm.FieldEdit{{Op: fsm.EditSet, Name: "X-Node", Value: "1"}},
	}}}})
	if results[0].Err != nil {
		t.Fatal(results[0].Err)
	}
	w.view.Table = table.NewBuilder(noNames{}, table.Options{}).Update(next)
	client := w.client()
	client.give("TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n")
	if got := client.take(); !strings.HasPrefix(got, "HTTP/1.1 405 ") || !strings.Contains(got, "\r\nAllow: ") {
		t.Errorf("the client got %q", got)
	}
}

func TestABugOfAQueuedClientLeavesTheQueue(t *testing.T) {
	w := newWorld(t, fsm.PoolSpec{Limits: &fsm.PoolLimits{BackendRequests: 1, Queue: 5}}, 1)
	first, second := w.client(), w.client()
	first.give(get)
	second.give(get)
	if w.loop.queues["p"] == nil {
		t.Fatal("the second request is not queued")
	}
	second.closed = true
	w.loop.Bug(second.events)
	if waiting := w.view.Table.PoolNamed("p").Shared.Waiting.Load(); w.loop.queues["p"] != nil || waiting != 0 {
		t.Errorf("the queue is %v, %d wait", w.loop.queues["p"], waiting)
	}
}

// TestTheEndOfAShortConnectionIsAwaitedWhereItsPlaceIsWanted: the end of the
// others may be found late.
func TestTheEndOfAShortConnectionIsAwaitedWhereItsPlaceIsWanted(t *testing.T) {
	for bound, late := range map[int]bool{0: true, 1: false} {
		w := newWorld(t, fsm.PoolSpec{}, 1)
		settings := *w.listener.Settings.Load()
		settings.Connections = bound
		w.listener.Settings.Store(&settings)
		client := w.client()
		client.give("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		if client.lastRead != late {
			t.Errorf("with a bound of %d connections it may be late: %v", bound, client.lastRead)
		}
	}
}
