package exchange

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"evenkeel/fsm"
)

var errReset = errors.New("connection reset by peer")

// What counts against a backend, and what never does. The pool has one backend,
// so that nothing but what happens here is told; the last of what failed in a
// row is not told again.
func TestWhatCountsAgainstABackend(t *testing.T) {
	type talk struct {
		*world
		client, backend *wire
	}
	used := func(s *talk) { // a first request, whose connection is kept
		s.client.give(get)
		s.backend = s.dialled[0]
		s.backend.events.Connected()
		s.backend.give(response)
		s.client.give(get)
	}
	fresh := func(s *talk) {
		s.client.give(get)
		s.backend = s.dialled[0]
		s.backend.events.Connected()
	}
	for name, c := range map[string]struct {
		talk func(s *talk)
		want string // "" for nothing
	}{
		"a response": {func(s *talk) { fresh(s); s.backend.give(response) }, ""},
		"a refused connect": {func(s *talk) {
			s.client.give(get)
			s.dialled[0].events.Failed(errReset)
		}, "connect"},
		"no port for a connect": {func(s *talk) {
			s.client.give(get)
			s.dialled[0].events.Failed(errLocal)
		}, ""},
		"a connect that hangs":        {func(s *talk) { s.client.give(get); s.dialled[0].expire(s.world) }, "timeout"},
		"no answer in time":           {func(s *talk) { fresh(s); s.backend.expire(s.world) }, "timeout"},
		"a body that stops":           {func(s *talk) { fresh(s); s.backend.give(response[:len(response)-2]); s.backend.expire(s.world) }, "timeout"},
		"a reset before the response": {func(s *talk) { fresh(s); s.backend.events.Failed(errReset) }, "reset"},
		"an end within the body":      {func(s *talk) { fresh(s); s.backend.give(response[:len(response)-2]); s.backend.end() }, "reset"},
		"no memory within the body": {func(s *talk) {
			fresh(s)
			s.backend.give(response[:len(response)-2])
			s.backend.events.Failed(errLocal)
		}, ""},
		"what is no response":                      {func(s *talk) { fresh(s); s.backend.give("SSH-2.0-x\r\n\r\n") }, "protocol"},
		"a kept connection that ends before use":   {func(s *talk) { used(s); s.backend.end() }, ""},
		"a kept connection that resets before use": {func(s *talk) { used(s); s.backend.events.Failed(errReset) }, ""},
		"a client that leaves":                     {func(s *talk) { fresh(s); s.client.events.Failed(errReset) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := &talk{world: newWorld(t, fsm.PoolSpec{}, 1)}
			s.client = s.world.client()
			c.talk(s)
			var want []string
			if c.want != "" {
				want = []string{fmt.Sprint("b0 ", c.want, " false")}
			}
			if !slices.Equal(s.suspected, want) {
				t.Errorf("told %q, want %q", s.suspected, want)
			}
		})
	}
}

func TestAFailureEjectsAndASuccessForgivesIt(t *testing.T) {
	spec := fsm.Ejection{Failures: 2, Hold: fsm.Duration(time.Second), MaxHold: fsm.Duration(time.Second), MaxPercent: 100}
	w := newWorld(t, fsm.PoolSpec{Ejection: &spec, Retries: &fsm.Retries{Attempts: 1}}, 2)
	attempt := func(ok bool) {
		client := w.client()
		n := len(w.dialled)
		client.give(get)
		if len(w.dialled) == n {
			t.Fatal("no connection was made")
		}
		at := w.dialled[n]
		if !ok {
			at.events.Failed(errReset)
			return
		}
		at.events.Connected()
		at.give("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
	}
	// Each failure of both, then a success of both: nobody failed twice in a row.
	attempt(false)
	attempt(false)
	attempt(true)
	attempt(true)
	attempt(false)
	attempt(false)
	if want := 4; len(w.suspected) != want {
		t.Fatalf("told %q, want %d first failures", w.suspected, want)
	}
	w.suspected = nil
	attempt(false)
	if len(w.suspected) != 1 || w.suspected[0][3:] != "connect true" {
		t.Errorf("told %q, want an ejection", w.suspected)
	}
}

// A backend hung, and came back before its requests timed out: those that are
// still stuck are neither evidence nor a reason to eject it.
func TestARequestThatIsStuckSinceBeforeARecoveryIsNoEvidence(t *testing.T) {
	for name, of := range map[string]string{"a request": get, "a copy of one": ""} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, fsm.PoolSpec{}, 1)
			stuck := w.client()
			stuck.give(get)
			w.dialled[0].events.Connected()
			if of == "" { // the same, on a mirror's connection
				pool := w.view.Table.PoolNamed("p")
				b := pool.Backend("b0")
				m := &mirror{loop: w.loop, pool: pool, target: b, tries: b.Stats.Attempt(w.now), request: []byte(get)}
				m.link = &wire{events: m, deadline: w.now + int64(time.Minute)}
				w.dialled[0] = m.link.(*wire)
				w.loop.load(pool, b, 1)
				w.loop.mirrors++
			}
			w.now += int64(10 * time.Second)
			w.client().give(get)
			back := w.dialled[len(w.dialled)-1]
			back.events.Connected()
			back.give(response)
			w.dialled[0].expire(w)
			if len(w.suspected) > 0 {
				t.Errorf("told %q", w.suspected)
			}
			w.client().give(get)
			w.dialled[len(w.dialled)-1].expire(w)
			if len(w.suspected) != 1 {
				t.Errorf("of one that is stuck now it told %q", w.suspected)
			}
		})
	}
}
