package exchange

import (
	"strings"
	"testing"
	"time"

	"evenkeel/fsm"
)

// A backend that hangs fails no request that another one may answer.
func TestARequestThatIsNotAnsweredInTimeGoesToAnotherBackendOnce(t *testing.T) {
	const post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"
	soon := &fsm.PoolTimeouts{FirstByte: fsm.Duration(time.Second)}
	for name, c := range map[string]struct {
		request string
		spec    fsm.PoolSpec
		began   string // of the response
		late    int    // backends that do not answer
		dials   int
		want    string
	}{
		"a GET":                              {get, fsm.PoolSpec{Timeouts: soon}, "", 1, 2, "HTTP/1.1 200 "},
		"a GET that two do not answer":       {get, fsm.PoolSpec{Timeouts: soon}, "", 2, 2, "HTTP/1.1 504 "},
		"a GET whose head began":             {get, fsm.PoolSpec{Timeouts: soon}, "HTTP/1.1 200 OK\r\n", 1, 1, "HTTP/1.1 504 "},
		"a POST":                             {post, fsm.PoolSpec{Timeouts: soon}, "", 1, 1, "HTTP/1.1 504 "},
		"a GET in a pool without retries":    {get, fsm.PoolSpec{Timeouts: soon, Retries: &fsm.Retries{Attempts: 1}}, "", 1, 1, "HTTP/1.1 504 "},
		"a GET without a budget":             {get, fsm.PoolSpec{Timeouts: soon, Retries: &fsm.Retries{Attempts: 8}}, "", 1, 1, "HTTP/1.1 504 "},
		"a GET that has waited for a minute": {get, fsm.PoolSpec{}, "", 1, 1, "HTTP/1.1 504 "},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.spec, 3)
			client := w.client()
			client.give(c.request)
			for n := 0; n < len(w.dialled); n++ {
				backend := w.dialled[n]
				backend.events.Connected()
				switch {
				case n >= c.late:
					backend.give(response)
				default:
					backend.give(c.began)
					backend.expire(w)
				}
			}
			if len(w.dialled) != c.dials {
				t.Errorf("%d backends were tried, want %d", len(w.dialled), c.dials)
			}
			if got := client.take(); !strings.HasPrefix(got, c.want) {
				t.Errorf("the client got %.100q, want %q", got, c.want)
			}
		})
	}
}
