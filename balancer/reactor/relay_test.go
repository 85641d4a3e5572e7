package reactor

import (
	"errors"
	"io"
	"testing"
)

// relayed is a connection that relays all that comes to another one's peer.
type relayed struct {
	w            *world
	from         *script
	to           *script
	source, sink *peer
	done         chan error
	moved        int64
	unpiped      bool
}

func newRelayed(t testing.TB) *relayed {
	r := &relayed{w: start(t, 1), done: make(chan error, 1)}
	r.to, r.sink = r.w.accepted(func(s *script) { s.failed = func(error) {}; s.drained = func() { t.Error("drained") } })
	r.from, r.source = r.w.accepted(func(s *script) {
		s.c.Pause()
		s.failed = func(err error) { r.done <- err }
	})
	return r
}

// begin relays n bytes; done gets what ends that.
func (r *relayed) begin(n int64) {
	r.w.on(0, func(*Loop) {
		r.from.relayed = func(moved int64, err error) {
			if r.moved += moved; r.moved == n || err != nil {
				r.from.relaying = false
				r.done <- err
			}
		}
		r.from.relay(r.to.c, n)
		r.from.c.relay.unpiped = r.unpiped
		r.from.c.Resume()
	})
}

// stall waits until the relay waits for the sink, which does not read yet.
func (r *relayed) stall() {
	eventually(r.w.t, func() string {
		waits := false
		r.w.on(0, func(*Loop) {
			relay := r.from.c.relay
			waits = relay != nil && (relay.inPipe > 0 || r.to.c.Buffered() > 0)
		})
		if !waits {
			return "the relay does not wait for its destination"
		}
		return ""
	})
}

func (r *relayed) end() {
	r.w.on(0, func(*Loop) { r.from.abort(); r.to.abort() })
}

func TestARelayMovesExactlyWhatIsAsked(t *testing.T) {
	for name, pipes := range map[string]bool{"through a pipe": true, "by copying": false} {
		t.Run(name, func(t *testing.T) {
			r := newRelayed(t)
			r.unpiped = !pipes
			const size = 24 << 20
			behind := make(chan string, 1)
			r.w.on(0, func(*Loop) { r.from.data = func(p []byte) int { behind <- string(p); return len(p) } })
			r.begin(size)
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				r.source.sendStream(size)
				r.source.send("behind it")
			}()
			r.stall()
			r.sink.expectStream(size)
			if err := await(t, r.done, "the end of the relay"); err != nil {
				t.Error(err)
			}
			await(t, sent, "all to be sent")
			if got := await(t, behind, "what is behind"); got != "behind it" {
				t.Errorf("got %q behind the relay", got)
			}
			r.w.on(0, func(*Loop) {
				if r.moved != size || r.to.c.Sent() != size {
					t.Errorf("moved %d and sent %d of %d bytes", r.moved, r.to.c.Sent(), size)
				}
			})
			r.end()
		})
	}
}

func TestARelayGivesWhatWasKeptFirst(t *testing.T) {
	r := newRelayed(t)
	kept := make(chan struct{})
	r.w.on(0, func(*Loop) {
		r.from.data = func(p []byte) int {
			if len(p) == len("head body") {
				close(kept)
				return len("head ")
			}
			return 0
		}
		r.from.c.Resume()
	})
	r.source.send("head body")
	await(t, kept, "what is kept")
	r.begin(int64(len("body and more")))
	r.source.send(" and more")
	r.sink.expect("body and more")
	if err := await(t, r.done, "the end of the relay"); err != nil {
		t.Error(err)
	}
	r.end()
}

func TestARelayEndsWithItsSource(t *testing.T) {
	r := newRelayed(t)
	r.begin(1 << 20)
	r.source.send("too little")
	if err := r.source.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	r.sink.expect("too little")
	if err := await(t, r.done, "the end of the relay"); !errors.Is(err, io.EOF) {
		t.Errorf("it ended with %v", err)
	}
	r.end()
}

func TestARelayEndsWithItsDestination(t *testing.T) {
	r := newRelayed(t)
	r.begin(1 << 40)
	go func() { _, _ = io.Copy(r.source, &stream{}) }()
	r.sink.expectStream(1 << 20)
	r.sink.reset()
	var write *WriteError
	if err := await(t, r.done, "the end of the relay"); !errors.As(err, &write) {
		t.Errorf("it ended with %v", err)
	}
	r.end()
}
