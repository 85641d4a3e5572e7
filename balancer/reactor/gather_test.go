package reactor

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestAWriteWaitsForTheBatchAndIsSentBeforeTheNext(t *testing.T) {
	w := start(t, 1)
	s, client := w.accepted(nil)
	w.on(0, func(*Loop) {
		s.write("one ")
		if sent := s.c.Sent(); sent != 0 {
			t.Errorf("%d bytes were sent at once", sent)
		}
		s.write("two ")
		if sent := s.c.Sent(); sent != 4 {
			t.Errorf("%d bytes were sent before the second write", sent)
		}
		s.c.Write([]byte("three "), true)
		if sent := s.c.Sent(); sent != 14 {
			t.Errorf("%d bytes were sent with the write that says that more follows", sent)
		}
		s.write("four ")
		s.write(strings.Repeat("x", gatherSize+1))
		if sent := s.c.Sent(); sent != 20+gatherSize {
			t.Errorf("%d bytes were sent with the write that is too long to wait", sent)
		}
	})
	client.expect("one two three four ")
	client.expect(strings.Repeat("x", gatherSize+1))
}

// TestMoreWritesThanAreGathered has one callback write to many connections, of
// lengths that fill the room before the number and the other way round.
func TestMoreWritesThanAreGathered(t *testing.T) {
	for _, length := range []int{1, gatherSize} {
		t.Run(fmt.Sprintf("%d bytes each", length), func(t *testing.T) {
			w := start(t, 1)
			const connections = 2*gatherMost + 7
			scripts, clients := make(chan *script, connections), make([]*peer, connections)
			w.accepting(func(s *script) { scripts <- s })
			for i := range clients {
				clients[i] = w.client()
			}
			all := make([]*script, connections)
			for i := range all {
				all[i] = await(t, scripts, "a connection")
			}
			message := func(s *script) string {
				return strings.Repeat(string(rune('a'+s.c.fd%26)), length)
			}
			w.on(0, func(*Loop) {
				for i, s := range all {
					s.write(message(s))
					if i%3 == 0 { // which has the others keep their places
						s.close()
					}
				}
			})
			got := map[string]int{}
			for _, client := range clients {
				p := make([]byte, length)
				client.readFull(p)
				got[string(p)]++
			}
			for _, s := range all {
				got[message(s)]--
			}
			for text, n := range got {
				if n != 0 {
					t.Errorf("%d clients too many got %.5q", n, text)
				}
			}
		})
	}
}

// TestWhatIsGatheredComesBeforeWhatFollows: no way to end a connection, or to
// have others write to it, overtakes its last write.
func TestWhatIsGatheredComesBeforeWhatFollows(t *testing.T) {
	for name, c := range map[string]struct {
		then func(w *world, s *script)
		want string
	}{
		"close":          {func(_ *world, s *script) { s.close() }, "last words"},
		"flush, close":   {func(_ *world, s *script) { s.c.Flush(true); s.close() }, "last words"},
		"close write":    {func(_ *world, s *script) { s.c.CloseWrite() }, "last words"},
		"abort":          {func(_ *world, s *script) { s.abort() }, "last words"},
		"the loop's end": {func(w *world, _ *script) { w.stop() }, "last words"},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, 1)
			s, client := w.accepted(nil)
			w.on(0, func(*Loop) {
				s.write("last words")
				c.then(w, s)
			})
			if got, _ := client.end(); got != c.want { // a reset is an error, behind the bytes
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestARelayComesAfterWhatIsGathered(t *testing.T) {
	w := start(t, 1)
	addr, servers := server(t)
	s, client := w.accepted(nil)
	from := w.dial(addr, func(from *script) {
		from.data = func([]byte) int { return 0 } // it is for the relay
		from.relayed = func(int64, error) {}
	})
	source := await(t, servers, "the connection")
	source.send("body")
	w.on(0, func(*Loop) {
		s.write("head ")
		from.relay(s.c, 4)
	})
	client.expect("head body")
}

// TestAGatheredWriteThatFailsIsFoundByReading: nothing counts as sent, and the
// handler learns of the end.
func TestAGatheredWriteThatFailsIsFoundByReading(t *testing.T) {
	w := start(t, 1)
	over := make(chan int64, 1)
	s, client := w.accepted(func(s *script) {
		s.c.Pause()
		s.eof = func() { over <- s.c.Sent(); s.close() }
		s.failed = func(error) { over <- s.c.Sent() }
	})
	client.reset()
	eventually(t, func() string {
		broken := false
		w.on(0, func(*Loop) { broken = !s.write("lost") })
		if !broken {
			return "the connection is not found to be broken"
		}
		return ""
	})
	w.on(0, func(*Loop) { s.c.Resume() })
	if sent := await(t, over, "the end"); sent != 0 {
		t.Errorf("%d bytes count as sent", sent)
	}
}

// TestAFailedWriteIsAFailureForTheReaderToo: a send takes the error from the
// socket, and reading would find a proper end.
func TestAFailedWriteIsAFailureForTheReaderToo(t *testing.T) {
	for name, size := range map[string]int{"gathered": 100, "sent at once": gatherSize + 1} {
		t.Run(name, func(t *testing.T) {
			w := start(t, 1)
			over := make(chan error, 1)
			s, client := w.accepted(func(s *script) {
				s.eof = func() { over <- io.EOF; s.close() }
				s.failed = func(err error) { over <- err }
			})
			w.on(0, func(*Loop) {
				client.send("part")
				client.reset()
				awaitReset(t, s)
				s.write(strings.Repeat("x", size))
			})
			if err := await(t, over, "the end"); err == io.EOF {
				t.Error("the reset looks like a proper end")
			}
		})
	}
}

// awaitReset waits, on the loop, until the peer's reset has arrived. It leaves
// the error where it is.
func awaitReset(t *testing.T, s *script) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		fds := []unix.PollFd{{Fd: s.c.fd}}
		if _, err := unix.Poll(fds, 10); err == nil && fds[0].Revents&unix.POLLERR != 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Error("the reset does not arrive")
			return
		}
	}
}

func TestAWriteThatMeetsTheResetDoesNotHideItFromAPausedConnection(t *testing.T) {
	for name, writes := range map[string]bool{"nothing is written": false, "a write is gathered": true} {
		t.Run(name, func(t *testing.T) {
			w := start(t, 1)
			failed := make(chan error, 1)
			s, client := w.accepted(func(s *script) {
				s.c.FailWhilePaused()
				s.c.Pause()
				s.failed = func(err error) { failed <- err }
			})
			w.on(0, func(*Loop) {
				client.reset()
				awaitReset(t, s)
				if writes && !s.write("a piece of a response") {
					t.Error("the write failed at once")
				}
			})
			if err := await(t, failed, "the reset"); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
				t.Error(err)
			}
		})
	}
}

// TestWhatIsWrittenAtTheLoopsEndIsSent by a call that Post has promised.
func TestWhatIsWrittenAtTheLoopsEndIsSent(t *testing.T) {
	w := start(t, 1)
	s, client := w.accepted(nil)
	w.on(0, func(l *Loop) {
		s.write("first, ")
		l.Post(l.end)
		l.Post(func() { l.Post(func() { s.write("second") }) })
	})
	if got, err := client.end(); got != "first, second" {
		t.Errorf("got %q, %v", got, err)
	}
}
