package exchange

import (
	"strings"
	"testing"
	"time"

	"evenkeel/fsm"
)

const call = "POST /a.B/C HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc+proto\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n"

func TestCallsGetAnswersOfGRPC(t *testing.T) {
	w := newWorld(t, fsm.PoolSpec{}, 1)
	w.refuse = true
	c := w.client()
	c.give(call + "\r\n0\r\n\r\n")
	got := c.take()
	if !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") || !strings.Contains(got, "\r\nContent-Type: application/grpc\r\n") ||
		!strings.Contains(got, "\r\nGrpc-Status: 14\r\nGrpc-Message: no backend is available for this request\r\n") ||
		!strings.HasSuffix(got, "\r\nContent-Length: 0\r\n\r\n") {
		t.Errorf("%q", got)
	}
	if n := w.listener.Counters[0].NoBackend.Load(); n != 1 {
		t.Errorf("%d counted as 503", n)
	}
	c.give("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n")
	if got := c.take(); !strings.HasPrefix(got, "HTTP/1.1 503 ") {
		t.Errorf("another request: %q", got)
	}
}

func TestACallEndsWithItsTime(t *testing.T) {
	w := newWorld(t, fsm.PoolSpec{}, 1)
	c := w.client()
	c.give(call + "grpc-timeout: 250m\r\n\r\n0\r\n\r\n")
	b := w.dialled[0]
	b.events.Connected()
	if !strings.Contains(b.take(), "\r\ngrpc-timeout: 250m\r\n") {
		t.Error("the backend is not told the time")
	}
	if want := w.now + int64(250*time.Millisecond); c.deadline != want {
		t.Errorf("due at %d, want %d", c.deadline, want)
	}
	c.expire(w)
	if got := c.take(); !strings.Contains(got, "\r\nGrpc-Status: 4\r\n") {
		t.Errorf("%q", got)
	}
	if !b.closed || len(w.suspected) > 0 {
		t.Errorf("closed %v, blamed %v", b.closed, w.suspected)
	}
}

// A backend that ends a call when its time is over is not at fault, and the caller is
// told why.
func TestABackendMayBeTheFirstToEndACallInTime(t *testing.T) {
	const timed = call + "grpc-timeout: 250m\r\n\r\n0\r\n\r\n"
	for name, c := range map[string]struct {
		after  time.Duration
		begun  bool
		status string // or a reset, if ""
		blamed int
	}{
		"before it answers":  {250 * time.Millisecond, false, "4", 0},
		"amid its answer":    {250 * time.Millisecond, true, "", 0},
		"before it is time":  {249 * time.Millisecond, false, "14", 1},
		"long before, begun": {time.Millisecond, true, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, fsm.PoolSpec{}, 1)
			client := w.client()
			client.give(timed)
			b := w.dialled[0]
			b.events.Connected()
			if c.begun {
				b.give("HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n")
				client.take()
			}
			w.now += int64(c.after)
			b.closed = true
			b.events.Failed(&ResetError{Code: resetCancel})
			if got := client.take(); c.status != "" && !strings.Contains(got, "\r\nGrpc-Status: "+c.status+"\r\n") {
				t.Errorf("%q, want status %s", got, c.status)
			}
			if c.status == "" && (!client.aborted || client.code != resetCancel) {
				t.Errorf("aborted %v with code %d", client.aborted, client.code)
			}
			if len(w.suspected) != c.blamed {
				t.Errorf("blamed %v, want %d", w.suspected, c.blamed)
			}
		})
	}
}

func TestTheShorterTimeCounts(t *testing.T) {
	w := newWorld(t, fsm.PoolSpec{Timeouts: &fsm.PoolTimeouts{Request: fsm.Duration(time.Second)}}, 1)
	c := w.client()
	c.give(call + "grpc-timeout: 1M\r\n\r\n0\r\n\r\n")
	if want := w.now + int64(time.Second); c.deadline != want {
		t.Errorf("due at %d, want %d", c.deadline, want)
	}
}

func TestTimesOfCalls(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1S": time.Second, "99999999n": 99999999, "2H": 2 * time.Hour, "3M": 3 * time.Minute, "5m": 5 * time.Millisecond,
		"7u": 7 * time.Microsecond, "0S": 0, "99999999H": longestCall / time.Hour * time.Hour,
		"": -1, "S": -1, "1": -1, "1s": -1, "-1S": -1, "1 S": -1, "123456789S": -1, "1.5S": -1,
	} {
		got, ok := callTimeout([]byte(text))
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func TestMessagesOfCallsAreEncoded(t *testing.T) {
	if got := callMessage("100% ä\r\n~ "); got != "100%25 %C3%A4%0D%0A~ " {
		t.Errorf("%q", got)
	}
}

func TestStatusOfCalls(t *testing.T) {
	for status, want := range map[int]int{400: 13, 401: 16, 403: 7, 404: 12, 408: 4, 429: 14, 502: 14, 503: 14, 504: 4, 405: 2, 414: 2, 500: 2} {
		if got := callStatus(status); got != want {
			t.Errorf("%d: %d, want %d", status, got, want)
		}
	}
}
