package exchange

import (
	"strings"
	"testing"

	"evenkeel/fsm"
)

// A drain is reported as done once no table gives anything to the backend: a
// request that began by an older one must not be retried there.
func TestARetryPassesOverABackendThatWasRetiredMeanwhile(t *testing.T) {
	for name, retired := range map[string]bool{"one that is drained meanwhile": true, "one that is not": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, fsm.PoolSpec{}, 2)
			client := w.client()
			client.give(get)
			first := w.view.Table.PoolNamed("p").Backend("b0")
			other := "b1"
			if first.Stats.InFlight() == 0 {
				other = "b0"
			}
			if retired {
				w.retire(other)
			}
			w.dialled[0].events.Failed(errReset)
			got := client.take()
			if retired && (len(w.dialled) != 1 || !strings.HasPrefix(got, "HTTP/1.1 503 ")) {
				t.Errorf("%d dials, the client got %.40q", len(w.dialled), got)
			}
			if !retired && len(w.dialled) != 2 {
				t.Errorf("%d dials", len(w.dialled))
			}
		})
	}
}

// What is under way when a drain's time is over ends in every state that it may
// be in, and gives its place back.
func TestATimedOutDrainCutsWhatIsUnderWay(t *testing.T) {
	const upgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
	for name, c := range map[string]struct {
		request string
		reach   func(*wire)
		want    string // of what the client got
		aborted bool
	}{
		"a tunnel": {upgrade, func(b *wire) {
			b.events.Connected()
			b.give("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nbytes")
		}, "HTTP/1.1 101 ", true},
		"a body": {get, func(b *wire) {
			b.events.Connected()
			b.give("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
		}, "HTTP/1.1 200 ", true},
		"a wait for the head": {get, func(b *wire) { b.events.Connected() }, "HTTP/1.1 504 ", false},
		"a connect":           {get, func(*wire) {}, "HTTP/1.1 504 ", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, fsm.PoolSpec{Retries: &fsm.Retries{Attempts: 1}}, 1)
			client := w.client()
			client.give(c.request)
			c.reach(w.dialled[0])
			stats := w.view.Table.PoolNamed("p").Backend("b0").Stats
			conn := w.dialled[0].events.(*Backend)
			if conn.CutFor(nil); client.closed || w.dialled[0].closed {
				t.Fatal("another backend's drain cut it")
			}
			conn.CutFor(stats)
			if got := client.take(); !strings.HasPrefix(got, c.want) || client.aborted != c.aborted {
				t.Errorf("the client got %.40q, its connection was aborted: %v", got, client.aborted)
			}
			if !w.dialled[0].closed || stats.InFlight() != 0 {
				t.Errorf("the backend's connection is closed: %v; %d in flight", w.dialled[0].closed, stats.InFlight())
			}
			if len(w.suspected) > 0 {
				t.Errorf("the backend is blamed: %q", w.suspected)
			}
		})
	}
}
