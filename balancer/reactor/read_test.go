package reactor

import (
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestWhatIsNotConsumedIsGivenAgainWithMore(t *testing.T) {
	w := start(t, 1)
	given := make(chan string, 10)
	s, client := w.accepted(func(s *script) {
		s.data = func(p []byte) int {
			given <- string(p)
			return strings.LastIndex(string(p), "\n") + 1
		}
	})
	for _, step := range []struct {
		sent, given string
		kept        int
	}{
		{"hel", "hel", 3},
		{"lo", "hello", 5},
		{"\nwor", "hello\nwor", 3},
		{"ld\n", "world\n", 0},
	} {
		client.send(step.sent)
		if got := await(t, given, "data"); got != step.given {
			t.Errorf("got %q, want %q", got, step.given)
		}
		w.on(0, func(*Loop) {
			if kept := s.c.Kept(); kept != step.kept {
				t.Errorf("%d bytes kept after %q, want %d", kept, step.sent, step.kept)
			}
		})
	}
	w.on(0, func(*Loop) {
		if s.c.in != nil {
			t.Error("a connection that keeps nothing owns a buffer")
		}
	})
}

func TestNothingComesWhilePaused(t *testing.T) {
	w := start(t, 1)
	var calls atomic.Int64
	ended := make(chan string, 1)
	s, client := w.accepted(func(s *script) {
		got := ""
		s.data = func(p []byte) int { calls.Add(1); got += string(p); return len(p) }
		s.eof = func() { ended <- got; s.close() }
		s.c.Pause()
	})
	client.send("before the pause ends")
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	for range 20 { // batches, in which the event has long come
		w.on(0, func(*Loop) {})
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("%d calls while paused", n)
	}
	w.on(0, func(*Loop) {
		s.c.Resume()
		if calls.Load() != 0 {
			t.Error("Data is called from inside Resume")
		}
	})
	if got := await(t, ended, "EOF"); got != "before the pause ends" {
		t.Errorf("got %q", got)
	}
}

// TestResumeWithinDataGivesTheRestAgain is how a handler takes pipelined
// requests one by one.
func TestResumeWithinDataGivesTheRestAgain(t *testing.T) {
	w := start(t, 1)
	lines := make(chan string, 10)
	_, client := w.accepted(func(s *script) {
		s.data = func(p []byte) int {
			line, _, whole := strings.Cut(string(p), "\n")
			if !whole {
				return 0
			}
			lines <- line
			s.c.Pause()
			s.c.Resume()
			return len(line) + 1
		}
	})
	client.send("one\ntwo\nthree\nfo")
	for _, want := range []string{"one", "two", "three"} {
		if got := await(t, lines, "a line"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	client.send("ur\n")
	if got := await(t, lines, "a line"); got != "four" {
		t.Errorf("got %q", got)
	}
}

// TestAHandlerThatConsumesNothingDoesNotStopTheLoop resumes in each call.
func TestAHandlerThatConsumesNothingDoesNotStopTheLoop(t *testing.T) {
	w := start(t, 1)
	var calls atomic.Int64
	s, client := w.accepted(func(s *script) {
		s.data = func([]byte) int { calls.Add(1); s.c.Resume(); return 0 }
	})
	client.send("stubborn")
	eventually(t, func() string {
		if calls.Load() < 100 {
			return "the handler is not called again and again"
		}
		return ""
	})
	w.on(0, func(*Loop) { s.abort() })
}

func TestAfterTheEndKeptBytesAreStillGiven(t *testing.T) {
	w := start(t, 1)
	ended, given := make(chan int, 1), make(chan string, 1)
	s, client := w.accepted(func(s *script) {
		s.data = func([]byte) int { return 0 }
		s.eof = func() { ended <- s.c.Kept() }
	})
	client.send("half a head")
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if kept := await(t, ended, "EOF"); kept != len("half a head") {
		t.Errorf("%d bytes kept at the end", kept)
	}
	w.on(0, func(*Loop) {
		s.data = func(p []byte) int { given <- string(p); return len(p) }
		s.c.Resume()
	})
	if got := await(t, given, "what was kept"); got != "half a head" {
		t.Errorf("got %q", got)
	}
	w.on(0, func(*Loop) { s.c.Write([]byte("bye"), false); s.close() })
	if got, err := client.end(); got != "bye" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// TestBackpressureLosesNothing takes streams slowly and in odd pieces, with
// pauses that others end.
func TestBackpressureLosesNothing(t *testing.T) {
	w := start(t, 1)
	const size = 12 << 20
	type result struct {
		got int64
		err error
	}
	results := make(chan result, 1)
	s, client := w.accepted(func(s *script) {
		var in, out stream
		calls, piece := 0, make([]byte, 100_000)
		write := func() {
			for s.c.Buffered() == 0 && out.at < size {
				p := piece[:min(int64(len(piece)), size-out.at)]
				out.fill(p)
				s.c.Write(p, false)
			}
		}
		s.drained = write
		s.data = func(p []byte) int {
			write()
			n := len(p)
			if calls++; calls%3 == 0 {
				n = n * 2 / 3
			}
			if calls%2 == 0 {
				s.c.Pause()
				s.c.SetDeadline(s.c.Loop().Now() + 1)
			}
			if err := in.check(p[:n]); err != nil {
				results <- result{in.at, err}
			}
			return n
		}
		s.expired = func() { s.c.Resume() }
		s.eof = func() {
			if kept := s.c.Kept(); kept > 0 { // what a last call left
				s.data = func(p []byte) int {
					err := in.check(p)
					results <- result{in.at, err}
					return len(p)
				}
				s.c.Resume()
				return
			}
			results <- result{in.at, nil}
		}
	})
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		client.sendStream(size)
		if err := client.CloseWrite(); err != nil {
			t.Error(err)
		}
	}()
	client.expectStream(size)
	await(t, sent, "all to be sent")
	if r := await(t, results, "the end of the stream"); r.err != nil || r.got != size {
		t.Errorf("got %d of %d bytes, %v", r.got, size, r.err)
	}
	w.on(0, func(*Loop) { s.close() })
}

func TestHalfCloseInBothOrders(t *testing.T) {
	t.Run("the peer first", func(t *testing.T) {
		w := start(t, 1)
		s, client := w.accepted(func(s *script) {
			s.eof = func() {
				s.write("after your end")
				s.c.CloseWrite()
			}
		})
		if err := client.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, err := client.end(); got != "after your end" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		w.on(0, func(*Loop) { s.close() })
	})
	t.Run("the connection first", func(t *testing.T) {
		w := start(t, 1)
		got, ended := "", make(chan string, 1)
		s, client := w.accepted(func(s *script) {
			s.data = func(p []byte) int { got += string(p); return len(p) }
			s.eof = func() { ended <- got; s.close() }
		})
		w.on(0, func(*Loop) { s.c.CloseWrite() })
		if rest, err := client.end(); rest != "" || err != nil {
			t.Errorf("%q, %v", rest, err)
		}
		client.send("after your end")
		if err := client.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got := await(t, ended, "EOF"); got != "after your end" {
			t.Errorf("got %q", got)
		}
	})
}

func TestAResetIsAFailureInEachState(t *testing.T) {
	for name, prepare := range map[string]func(w *world, s *script, client *peer){
		"idle": func(*world, *script, *peer) {},
		"with bytes kept": func(w *world, s *script, client *peer) {
			got := make(chan struct{})
			w.on(0, func(*Loop) { s.data = func([]byte) int { close(got); return 0 } })
			client.send("half")
			await(w.t, got, "data")
			w.on(0, func(*Loop) { s.data = func(p []byte) int { return len(p) } })
		},
		"after its own end": func(w *world, s *script, client *peer) {
			w.on(0, func(*Loop) { s.c.CloseWrite() })
			if rest, err := client.end(); rest != "" || err != nil {
				w.t.Errorf("%q, %v", rest, err)
			}
		},
		"paused, then resumed": func(w *world, s *script, client *peer) {
			w.on(0, func(*Loop) { s.c.Pause(); s.c.Resume() })
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, 1)
			failed := make(chan error, 1)
			s, client := w.accepted(func(s *script) {
				s.failed = func(err error) { failed <- err }
				s.eof = func() { t.Error("EOF") }
			})
			prepare(w, s, client)
			client.reset()
			if err := await(t, failed, "Failed"); !errors.Is(err, syscall.ECONNRESET) || IsLocal(err) {
				t.Errorf("failed with %v", err)
			}
			w.noneOpen()
		})
	}
}

func TestWhatArrivedBeforeAResetIsGivenFirst(t *testing.T) {
	w := start(t, 1)
	for range 50 {
		got, failed := "", make(chan string, 1)
		w.accepting(func(s *script) {
			s.data = func(p []byte) int { got += string(p); return len(p) }
			s.failed = func(error) { failed <- got }
		})
		client := w.client()
		client.send("the last words")
		client.reset()
		if got := await(t, failed, "Failed"); got != "the last words" {
			t.Fatalf("got %q before the reset", got)
		}
		await(t, w.listener.Stop(time.Millisecond, time.Second), "the listener's end")
	}
}

func TestAbortResets(t *testing.T) {
	w := start(t, 1)
	s, client := w.accepted(nil)
	w.on(0, func(*Loop) {
		s.c.Write(make([]byte, 8<<20), false)
		s.abort()
		if s.c.IsOpen() {
			t.Error("an aborted connection is open")
		}
	})
	if _, err := client.end(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
	w.noneOpen()
}

func TestAlive(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(t *testing.T, client *peer)
		want bool
	}{
		"an idle connection":           {func(*testing.T, *peer) {}, true},
		"one with bytes to be read":    {func(_ *testing.T, client *peer) { client.send("unasked") }, false},
		"one whose peer has ended":     {func(t *testing.T, client *peer) { _ = client.CloseWrite() }, false},
		"one that its peer has reset":  {func(_ *testing.T, client *peer) { client.reset() }, false},
		"one that its peer has closed": {func(_ *testing.T, client *peer) { _ = client.Close() }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, 1)
			s, client := w.accepted(func(s *script) { s.c.Pause() })
			alive := func() (alive bool) {
				w.on(0, func(*Loop) { alive = s.c.Alive() })
				return alive
			}
			if !alive() {
				t.Error("it is dead before anything happened")
			}
			c.do(t, client)
			if c.want {
				for range 3 {
					if !alive() {
						t.Error("a look at it has killed it")
					}
				}
			} else {
				eventually(t, func() string {
					if alive() {
						return "it is alive"
					}
					return ""
				})
			}
			w.on(0, func(*Loop) { s.abort() })
		})
	}
}

// TestAResetEndsAPausedConnectionThatIsToFail, also one of which something was
// read and not consumed, and not another one.
func TestAResetEndsAPausedConnectionThatIsToFail(t *testing.T) {
	for name, vigilant := range map[string]bool{"to fail": true, "to be read first": false} {
		t.Run(name, func(t *testing.T) {
			w := start(t, 1)
			failed, got := make(chan error, 1), make(chan string, 1)
			s, client := w.accepted(func(s *script) {
				if vigilant {
					s.c.FailWhilePaused()
				}
				paused := false
				s.data = func(p []byte) int {
					if !paused {
						paused = true
						s.c.Pause()
						return 1
					}
					got <- string(p)
					return len(p)
				}
				s.failed = func(err error) { failed <- err }
				s.eof = func() { failed <- io.EOF; s.close() }
			})
			client.send("hello")
			eventually(t, func() string {
				kept := 0
				w.on(0, func(*Loop) { kept = s.c.Kept() })
				if kept != 4 {
					return "nothing is kept"
				}
				return ""
			})
			client.reset()
			if vigilant {
				if err := await(t, failed, "Failed"); !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("failed with %v", err)
				}
				return
			}
			w.on(0, func(*Loop) { s.c.Resume() })
			if p := await(t, got, "what was kept"); p != "ello" {
				t.Errorf("got %q", p)
			}
			await(t, failed, "the end")
		})
	}
}
