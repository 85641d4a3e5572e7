package reactor

import (
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"
)

// accepted listens and returns the first connection with its peer.
func (w *world) accepted(prepare func(s *script)) (*script, *peer) {
	w.t.Helper()
	ready := make(chan *script, 1)
	w.accepting(func(s *script) {
		if prepare != nil {
			prepare(s)
		}
		ready <- s
	})
	client := w.client()
	return await(w.t, ready, "the accepted connection"), client
}

func TestWhatTheKernelDoesNotTakeIsKeptAndSentInOrder(t *testing.T) {
	w := start(t, 1)
	drained := make(chan int64, 10)
	s, client := w.accepted(func(s *script) { s.drained = func() { drained <- s.c.Sent() } })
	const size, piece = 24 << 20, 1 << 20
	w.on(0, func(*Loop) {
		var out stream
		p := make([]byte, piece)
		for range size / piece {
			if out.fill(p); !s.c.Write(p, false) {
				t.Error("write says that the connection is broken")
			}
		}
		if buffered := int64(s.c.Buffered()); buffered == 0 || buffered+s.c.Sent() != size {
			t.Errorf("%d sent and %d buffered of %d", s.c.Sent(), buffered, size)
		}
	})
	client.expectStream(size)
	if sent := await(t, drained, "Drained"); sent != size {
		t.Errorf("drained at %d of %d bytes", sent, size)
	}
	w.on(0, func(l *Loop) {
		if s.c.out != nil {
			t.Error("a drained connection owns a buffer")
		}
		select {
		case <-drained:
			t.Error("drained twice")
		default:
		}
	})
}

func TestAWriteThatTheKernelTakesDrainsNothing(t *testing.T) {
	w := start(t, 1)
	s, client := w.accepted(func(s *script) { s.drained = func() { t.Error("drained") } })
	for range 10 {
		w.on(0, func(*Loop) { s.write("hello") })
		client.expect("hello")
	}
}

// TestAWriterThatNeverDrainsOwnsNoMoreThanItKeeps has always something kept:
// what was sent of it has to be given up all the same.
func TestAWriterThatNeverDrainsOwnsNoMoreThanItKeeps(t *testing.T) {
	w := start(t, 1)
	s, client := w.accepted(nil)
	const piece, most, size = 256 << 10, 2 << 20, 48 << 20
	var out stream
	p := make([]byte, piece)
	for read := int64(0); out.at < size; read += piece {
		w.on(0, func(*Loop) {
			for s.c.Buffered() < most-piece {
				out.fill(p)
				s.c.Write(p, false)
			}
			if owned := cap(s.c.out); owned > 4*most {
				t.Errorf("the connection owns %d bytes for %d that it keeps", owned, s.c.Buffered())
				out.at = size
			}
		})
		if _, err := io.CopyN(&stream{read}, client, piece); err != nil {
			t.Fatal(err)
		}
	}
	w.on(0, func(*Loop) { s.abort() })
}

func TestMoreIsOneStreamWithWhatFollows(t *testing.T) {
	w := start(t, 1)
	s, client := w.accepted(nil)
	w.on(0, func(*Loop) {
		s.c.Write([]byte("head, "), true)
		s.c.Write([]byte("body"), false)
	})
	client.expect("head, body")
}

func TestCloseSendsWhatIsKeptAndThenTheEnd(t *testing.T) {
	w := start(t, 1)
	s, client := w.accepted(nil)
	const size = 16 << 20
	w.on(0, func(*Loop) {
		p := make([]byte, size)
		(&stream{}).fill(p)
		s.c.Write(p, false)
		s.close()
		if s.c.Write([]byte("late"), false) {
			t.Error("a closed connection takes a write")
		}
	})
	client.expectStream(size)
	if rest, err := client.end(); rest != "" || err != nil {
		t.Errorf("behind what was kept: %.20q, %v", rest, err)
	}
	w.noneOpen()
}

// noneOpen waits until loop 0 has no connection.
func (w *world) noneOpen() {
	w.t.Helper()
	eventually(w.t, func() string {
		open := 0
		w.on(0, func(l *Loop) {
			for i := range l.slots {
				if l.slots[i].conn != nil {
					open++
				}
			}
		})
		if open > 0 {
			return "connections are open"
		}
		return ""
	})
}

// TestAClosedConnectionWhosePeerDoesNotReadIsCut: with a reset, so that what
// was cut does not look complete.
func TestAClosedConnectionWhosePeerDoesNotReadIsCut(t *testing.T) {
	w := start(t, 1)
	s, client := w.accepted(nil)
	const size = 16 << 20
	w.on(0, func(l *Loop) {
		s.c.Write(make([]byte, size), false)
		s.close()
		s.c.SetDeadline(0) // what a handler does to its deadlines does not matter any more
		if at := s.c.timer.deadline; at <= l.Now() || at > l.Now()+int64(lingerMax) {
			t.Errorf("it lingers until %v from now", time.Duration(at-l.Now()))
		}
		l.wheel.remove(&s.c.timer) // do not wait for so long
		s.c.timer.deadline = l.Now() + 1
		l.wheel.move(&s.c.timer, tickOf(l.Now()+1))
	})
	w.noneOpen()
	got, err := client.end()
	if !errors.Is(err, syscall.ECONNRESET) || len(got) >= size {
		t.Errorf("read %d of %d bytes and %v, want a reset", len(got), size, err)
	}
}

func TestTheEndGoesBehindWhatIsKept(t *testing.T) {
	w := start(t, 1)
	ended := make(chan struct{})
	s, client := w.accepted(func(s *script) { s.eof = func() { close(ended) } })
	const size = 16 << 20
	w.on(0, func(*Loop) {
		p := make([]byte, size)
		(&stream{}).fill(p)
		s.c.Write(p, false)
		s.c.CloseWrite()
		if s.c.Write([]byte("late"), false) {
			t.Error("a connection takes a write behind its end")
		}
	})
	client.expectStream(size)
	if rest, err := client.end(); rest != "" || err != nil {
		t.Errorf("behind what was kept: %.20q, %v", rest, err)
	}
	if err := client.CloseWrite(); err != nil {
		t.Error(err)
	}
	await(t, ended, "EOF")
	w.on(0, func(*Loop) { s.close() })
}

func TestAWriteBeforeTheConnectIsKept(t *testing.T) {
	w := start(t, 1)
	addr, servers := server(t)
	drained := make(chan struct{}, 1)
	s := w.dial(addr, func(s *script) {
		s.drained = func() { drained <- struct{}{} }
		s.write("early ")
		if s.c.Buffered() != len("early ") || s.c.Sent() != 0 {
			t.Errorf("%d buffered, %d sent", s.c.Buffered(), s.c.Sent())
		}
		s.connected = func() { s.write("bird") }
	})
	peer := await(t, servers, "the connection")
	peer.expect("early bird")
	await(t, drained, "Drained")
	w.on(0, func(*Loop) { s.c.CloseWrite() })
	if rest, err := peer.end(); rest != "" || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
	w.on(0, func(*Loop) { s.close() })
}

// TestAResponseBeforeAResetIsReadAfterAFailedWrite is a backend that answers
// early and is gone before the request's body.
func TestAResponseBeforeAResetIsReadAfterAFailedWrite(t *testing.T) {
	w := start(t, 1)
	data, over := make(chan string, 10), make(chan struct{})
	s, client := w.accepted(func(s *script) {
		s.c.Pause()
		s.data = func(p []byte) int { data <- string(p); return len(p) }
		s.eof = func() { s.close(); close(over) }
		s.failed = func(error) { close(over) }
	})
	client.send("413 too large")
	client.reset()
	eventually(t, func() string {
		ok := true
		w.on(0, func(*Loop) { ok = s.c.Write([]byte("more of the body"), false) })
		if ok {
			return "a write after the reset succeeds"
		}
		return ""
	})
	w.on(0, func(*Loop) { s.c.Resume() })
	await(t, over, "the end")
	if got := await(t, data, "the response"); got != "413 too large" {
		t.Errorf("got %q", got)
	}
}

// TestWhatIsLostWithAResetIsAFailure: the handler was told that its bytes are
// kept, so the end of the input is not all that it has to learn.
func TestWhatIsLostWithAResetIsAFailure(t *testing.T) {
	for name, paused := range map[string]bool{"while it reads": false, "while it is paused": true} {
		t.Run(name, func(t *testing.T) {
			w := start(t, 1)
			failed := make(chan error, 1)
			s, client := w.accepted(func(s *script) {
				s.eof = func() { t.Error("EOF"); s.close() }
				s.failed = func(err error) { failed <- err }
				s.drained = func() { t.Error("drained") }
			})
			w.on(0, func(*Loop) {
				if paused {
					s.c.Pause()
				}
				s.write(strings.Repeat("x", 16<<20))
			})
			client.reset()
			err := await(t, failed, "Failed")
			if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
				t.Errorf("failed with %v", err)
			}
		})
	}
}
