package peer

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/raft"

	"evenkeel/cluster/secret"
)

func TestTwoPortsTalk(t *testing.T) {
	a, b := pair(t, echo())

	t.Run("in packets", func(t *testing.T) {
		if _, err := a.Gossip().WriteTo([]byte("psst"), b.Addr().String()); err != nil {
			t.Fatal(err)
		}
		packet := take(t, b.Gossip().PacketCh())
		if string(packet.Buf) != "psst" || packet.From.String() != a.Addr().String() || packet.Timestamp.IsZero() {
			t.Fatalf("got %q from %s at %s", packet.Buf, packet.From, packet.Timestamp)
		}
	})
	t.Run("in gossip streams", func(t *testing.T) {
		dialed, err := a.Gossip().DialAddressTimeout(memberlist.Address{Addr: b.Addr().String()}, patience)
		if err != nil {
			t.Fatal(err)
		}
		defer dialed.Close()
		accepted := take(t, b.Gossip().StreamCh())
		defer accepted.Close()
		mustTalk(t, dialed, accepted)
	})
	t.Run("in raft's connections", func(t *testing.T) {
		dialed, err := a.Raft().Dial(bob, patience)
		if err != nil {
			t.Fatal(err)
		}
		defer dialed.Close()
		accepted := accept(t, b.Raft())
		mustTalk(t, dialed, accepted)
		if uid, ok := UIDOf(accepted); !ok || uid != alice {
			t.Errorf("the caller is %q", uid)
		}
		if uid, ok := UIDOf(dialed); !ok || uid != bob {
			t.Errorf("the called is %q", uid)
		}
	})
	t.Run("in calls", func(t *testing.T) {
		var answer echoed
		if err := a.RPC().Call(t.Context(), bob, "echo", "hello", &answer); err != nil {
			t.Fatal(err)
		}
		if answer != (echoed{Text: "hello", Caller: alice}) {
			t.Fatalf("got %+v", answer)
		}
	})
	counters := b.Counters()
	for protocol, n := range counters.Accepted {
		if n != 1 {
			t.Errorf("%d connections of %s were counted", n, protocol)
		}
	}
	if counters.Packets != 1 {
		t.Errorf("%d packets were counted", counters.Packets)
	}
}

func TestListenRefuses(t *testing.T) {
	ring, err := secret.Parse([]byte(oneSecret))
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name   string
		config Config
		want   string
	}{
		{"all addresses without a secret", Config{Bind: ":0", UID: alice, Secrets: secret.Loopback()}, "without a cluster secret"},
		{"an outside address without a secret", Config{Bind: "192.0.2.1:0", UID: alice, Secrets: secret.Loopback()}, "evenkeel secret"},
		{"an address without a port", Config{Bind: "127.0.0.1", UID: alice, Secrets: ring}, "missing port"},
		{"a uid that is none", Config{Bind: "127.0.0.1:0", UID: "a b", Secrets: ring}, `"a b"`},
		{"an address of another host", Config{Bind: "192.0.2.1:0", UID: alice, Secrets: ring}, "192.0.2.1"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p, err := Listen(c.config)
			if err == nil {
				p.Close()
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %q does not say %q", err, c.want)
			}
		})
	}
}

func TestListenOnAPortThatIsTaken(t *testing.T) {
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	if p, err := Listen(Config{Bind: udp.LocalAddr().String(), UID: alice, Secrets: secret.Loopback()}); err == nil {
		p.Close()
		t.Fatal("it was opened although UDP was taken")
	}
}

func TestListenTakesTheSamePortForBoth(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "[::1]", "localhost"} {
		p, err := Listen(Config{Bind: host + ":0", UID: alice, Secrets: secret.Loopback()})
		if err != nil {
			if host == "[::1]" && errors.As(err, new(*net.OpError)) {
				t.Logf("this host has no IPv6: %v", err)
				continue
			}
			t.Fatal(err)
		}
		defer p.Close()
		if tcp, udp := p.tcp.Addr().String(), p.udp.LocalAddr().String(); tcp != udp || tcp != p.Addr().String() || p.Addr().Port() == 0 {
			t.Errorf("%s: TCP %s, UDP %s, Addr %s", host, tcp, udp, p.Addr())
		}
	}
}

func TestPortOnAllAddresses(t *testing.T) {
	ring, err := secret.Parse([]byte(oneSecret))
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"", "0.0.0.0"} {
		p, err := Listen(Config{Bind: host + ":0", UID: alice, Secrets: ring})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		start(t, p)
		_, port, err := net.SplitHostPort(p.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		other := node{uid: bob, secrets: oneSecret}.run(t)
		if _, err := p.Gossip().WriteTo([]byte("out"), other.Addr().String()); err != nil {
			t.Fatal(err)
		}
		take(t, other.Gossip().PacketCh())
		if _, err := other.Gossip().WriteTo([]byte("in"), "127.0.0.1:"+port); err != nil {
			t.Fatal(err)
		}
		if from := take(t, p.Gossip().PacketCh()).From.String(); from != other.Addr().String() {
			t.Errorf("a packet came from %s", from)
		}
		if ip, _, err := p.Gossip().FinalAdvertiseAddr("", 0); err == nil {
			t.Errorf("it would advertise %s", ip)
		}
		ip, number, err := p.Gossip().FinalAdvertiseAddr("192.0.2.1", 7071)
		if err != nil || ip.String() != "192.0.2.1" || number != 7071 {
			t.Errorf("it would advertise %s:%d, %v", ip, number, err)
		}
	}
}

func TestFinalAdvertiseAddr(t *testing.T) {
	p := node{uid: alice}.open(t)
	ip, port, err := p.Gossip().FinalAdvertiseAddr("", 0)
	if err != nil || ip.String() != "127.0.0.1" || port != int(p.Addr().Port()) {
		t.Errorf("got %s:%d, %v", ip, port, err)
	}
	if _, _, err := p.Gossip().FinalAdvertiseAddr("example.org", 1); err == nil {
		t.Error("a name was taken for an address")
	}
}

func TestRunEnds(t *testing.T) {
	var directory addresses
	b := node{uid: bob, secrets: oneSecret, directory: &directory}.run(t)
	a := node{uid: alice, secrets: oneSecret, directory: &directory, handler: echo()}.open(t)
	stop := start(t, a)

	dialed, err := a.Raft().Dial(bob, patience)
	if err != nil {
		t.Fatal(err)
	}
	accepted := accept(t, b.Raft())
	silent := raw(t, a) // in the middle of its handshake
	eventually(t, "the silent connection in the lobby", func() bool { return a.Counters().Handshaking == 1 })
	stop()

	for name, c := range map[string]net.Conn{"dialed": dialed, "accepted": accepted, "silent": silent} {
		if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
		var timeout net.Error
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("the %s connection is still open: %v", name, err)
		}
	}
	if _, err := a.Raft().Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("raft accepted: %v", err)
	}
	if _, err := a.Raft().Dial(bob, patience); !errors.Is(err, ErrUnreachable) {
		t.Errorf("raft dialed: %v", err)
	}
	if err := a.RPC().Call(t.Context(), bob, "echo", "", nil); !errors.Is(err, ErrUnreachable) {
		t.Errorf("a call went out: %v", err)
	}
	if err := a.Run(t.Context()); err == nil {
		t.Error("it ran again")
	}
	if err := a.Close(); err != nil {
		t.Errorf("a second close: %v", err)
	}
	if n := a.Counters().Connections; n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

func TestClosedPortEndsADial(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	p := node{uid: alice}.open(t)
	ended := make(chan error, 1)
	go func() {
		_, err := p.Gossip().DialTimeout(listener.Addr().String(), time.Hour)
		ended <- err
	}()
	eventually(t, "the connection", func() bool { return p.Counters().Connections == 1 })
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := take(t, ended); !errors.Is(err, ErrUnreachable) {
		t.Fatalf("got %v", err)
	}
}

func TestRunFailsWhenThePortIsClosedUnderIt(t *testing.T) {
	p := node{uid: alice}.open(t)
	done := make(chan error, 1)
	go func() { done <- p.Run(context.Background()) }()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := take(t, done); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("got %v", err)
	}
}

func TestRaftDial(t *testing.T) {
	var directory addresses
	a := node{uid: alice, secrets: oneSecret, directory: &directory}.run(t)
	b := node{uid: bob, secrets: oneSecret, directory: &directory}.run(t)

	if got := a.Raft().Addr().String(); got != alice {
		t.Errorf("raft's own address is %q", got)
	}
	if _, err := a.Raft().Dial("nobody", patience); !errors.Is(err, ErrUnreachable) {
		t.Errorf("a node that is not in the directory: %v", err)
	}
	directory.set(bob, a.Addr().String())
	if _, err := a.Raft().Dial(bob, patience); !errors.Is(err, secret.ErrWrongPeer) || !errors.Is(err, ErrUnreachable) {
		t.Errorf("an address where another node is: %v", err)
	}
	refused(t, a, reasonRejected)
	directory.set(bob, b.Addr().String())
	if c, err := a.Raft().Dial(bob, patience); err != nil {
		t.Errorf("after the directory was put right: %v", err)
	} else if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Errorf("close twice: %v", err)
	}
}

func TestPeerMovedEndsConnectionsToTheFormerAddress(t *testing.T) {
	var directory addresses
	a := node{uid: alice, secrets: oneSecret, directory: &directory}.run(t)
	b := node{uid: bob, secrets: oneSecret, directory: &directory}.run(t)
	c, err := a.Raft().Dial(bob, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	accepted := accept(t, b.Raft())
	a.PeerMoved(bob)
	a.PeerMoved("nobody")
	mustTalk(t, c, accepted)
	directory.set(bob, "127.0.0.1:1")
	a.PeerMoved(bob)
	if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("the connection lives: %v", err)
	}
}

func TestRaftCloseEndsRaftAlone(t *testing.T) {
	a, b := pair(t, echo())
	c, err := a.Raft().Dial(bob, patience)
	if err != nil {
		t.Fatal(err)
	}
	accepted := accept(t, b.Raft())
	if err := b.Raft().Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{c, accepted} {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("a connection of raft is open")
		}
	}
	if c, err = a.Raft().Dial(bob, patience); err == nil { // the handshake is not raft's
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("raft's door is open")
		}
	}
	refused(t, b, reasonEnded)
	if err := a.RPC().Call(t.Context(), bob, "echo", "", nil); err != nil {
		t.Errorf("calls ended too: %v", err)
	}
}

var _ raft.StreamLayer = (*raftLayer)(nil)

// TestRaftMayCloseWhileOthersDial is for the race detector: closing looks at
// connections that are still in their handshake.
func TestRaftMayCloseWhileOthersDial(t *testing.T) {
	a, b := pair(t, echo())
	var calls sync.WaitGroup
	for range 4 {
		calls.Go(func() {
			for range 10 {
				c, err := a.dialWithin(patience, protocolGossip, b.Addr().String(), bob)
				if err != nil {
					t.Error(err)
					return
				}
				_ = c.Close()
			}
		})
	}
	done := make(chan struct{})
	go func() { calls.Wait(); close(done) }()
	for {
		select {
		case <-done:
			return
		default:
			if err := a.Raft().Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
