package reactor

import (
	"io"
	"net/netip"
	"testing"
)

// TestTwoConnectionsRelayToEachOther: both directions at once, each of which ends
// on its own.
func TestTwoConnectionsRelayToEachOther(t *testing.T) {
	w := start(t, 1)
	const size = 8 << 20
	ends := make(chan error, 2)
	note := func(s *script) {
		s.c.Pause()
		s.failed = func(err error) { ends <- err }
		s.relayed = func(_ int64, err error) {
			if err != nil {
				ends <- err
			}
		}
	}
	one, left := w.accepted(note)
	two, right := w.accepted(note)
	w.on(0, func(*Loop) {
		one.relay(two.c, 1<<40)
		two.relay(one.c, 1<<40)
		one.c.Resume()
		two.c.Resume()
	})
	sent := make(chan struct{}, 2)
	for _, p := range []*peer{left, right} {
		go func() {
			p.sendStream(size)
			sent <- struct{}{}
		}()
	}
	read := make(chan struct{})
	go func() { left.expectStream(size); close(read) }()
	right.expectStream(size)
	await(t, read, "what the right one sent")
	await(t, sent, "the end of the first")
	await(t, sent, "the end of the second")
	eventually(t, func() string {
		pipes := false
		w.on(0, func(*Loop) { pipes = one.c.relay.pipe != pipe{} || two.c.relay.pipe != pipe{} })
		if pipes {
			return "a relay that waits holds a pipe"
		}
		return ""
	})
	if err := left.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if err := await(t, ends, "the end of the first direction"); err != io.EOF {
		t.Errorf("the first direction ended by %v", err)
	}
	right.send("still")
	left.expect("still")
	w.on(0, func(*Loop) { one.abort(); two.abort() })
}

func TestAConnectionKnowsItsEnds(t *testing.T) {
	w := start(t, 1)
	s, p := w.accepted(func(*script) {})
	var theirs, own netip.AddrPort
	w.on(0, func(*Loop) { theirs, own = s.c.Ends() })
	if theirs.String() != p.LocalAddr().String() || own.String() != p.RemoteAddr().String() {
		t.Errorf("%v and %v, want %v and %v", theirs, own, p.LocalAddr(), p.RemoteAddr())
	}
	w.on(0, func(*Loop) {
		s.abort()
		theirs, own = s.c.Ends()
	})
	if theirs.IsValid() || own.IsValid() {
		t.Errorf("%v and %v of a connection that is closed", theirs, own)
	}
}
