package peer

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// guest is a connection of an address of the test's choice.
type guest struct{ *budgetConn }

// pipeFrom is one end of a pipe with an address of its own.
type pipeFrom struct {
	net.Conn
	ip net.IP
}

func (p pipeFrom) RemoteAddr() net.Addr { return &net.TCPAddr{IP: p.ip, Port: 1} }

// knock makes a connection whose handshake never ends by itself.
func knock(t testing.TB, ip string) guest {
	ours, theirs := net.Pipe()
	t.Cleanup(func() {
		ours.Close()
		theirs.Close()
	})
	return guest{newBudgetConn(pipeFrom{ours, net.ParseIP(ip)}, nil)}
}

// out tells whether the guest's connection was closed by the lobby.
func (g guest) out(t testing.TB) bool {
	t.Helper()
	return g.SetDeadline(time.Time{}) != nil
}

func TestLobbyPutsOutTheOldestOfTheMostCrowdingAddress(t *testing.T) {
	l := newLobby(4)
	handle := func(v *visitor) { _, _ = io.Copy(io.Discard, v.raw) }
	peer := knock(t, "10.0.0.1")
	flood := []guest{knock(t, "10.0.0.9"), knock(t, "10.0.0.9"), knock(t, "10.0.0.9"), knock(t, "10.0.0.9"), knock(t, "10.0.0.9")}
	for _, g := range append([]guest{peer}, flood...) {
		if err := l.enter(g.budgetConn, handle); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.size(); n != 4 {
		t.Errorf("%d are in a lobby for 4", n)
	}
	if peer.out(t) {
		t.Error("the peer was put out")
	}
	for i, g := range flood {
		if want := i < 2; g.out(t) != want {
			t.Errorf("guest %d of the flood: out is %t, want %t", i, g.out(t), want)
		}
	}
	l.close()
	l.wait()
	if n := l.size(); n != 0 {
		t.Errorf("%d are in a closed lobby", n)
	}
	late := knock(t, "10.0.0.1")
	if err := l.enter(late.budgetConn, handle); err != nil || !late.out(t) {
		t.Errorf("one got into a closed lobby: %v", err)
	}
}

func TestLobbyPutsOutTheSilentFirst(t *testing.T) {
	l := newLobby(3)
	handle := func(v *visitor) { _, _ = io.Copy(io.Discard, v.raw) }
	guests := []guest{knock(t, "10.0.0.1"), knock(t, "10.0.0.1"), knock(t, "10.0.0.1"), knock(t, "10.0.0.1")}
	guests[0].left.Add(-1) // it spoke
	for _, g := range guests {
		if err := l.enter(g.budgetConn, handle); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []bool{false, true, false, false} {
		if got := guests[i].out(t); got != want {
			t.Errorf("guest %d: out is %t, want %t", i, got, want)
		}
	}
	l.close()
	l.wait()
}

func TestLobbyForgetsWhoLeft(t *testing.T) {
	l := newLobby(2)
	var handled sync.WaitGroup
	for range 10 {
		handled.Add(1)
		if err := l.enter(knock(t, "10.0.0.1").budgetConn, func(v *visitor) {
			defer handled.Done()
			if l.wasEvicted(v) {
				t.Error("one was put out of an empty lobby")
			}
		}); err != nil {
			t.Fatal(err)
		}
		handled.Wait()
		eventually(t, "an empty lobby", func() bool { return l.size() == 0 })
	}
	l.wait()
	if len(l.byAddr) != 0 {
		t.Errorf("%d addresses are remembered", len(l.byAddr))
	}
}
