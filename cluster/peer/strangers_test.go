package peer

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"evenkeel/cluster/secret"
)

func TestWrongSecretIsRefused(t *testing.T) {
	var directory addresses
	book := &logBook{}
	a := node{uid: alice, secrets: secret.New(), directory: &directory}.run(t)
	b := node{uid: bob, secrets: oneSecret, directory: &directory, handler: echo(),
		logger: slog.New(slog.NewTextHandler(book, nil))}.run(t)

	if _, err := a.Raft().Dial(bob, patience); !errors.Is(err, secret.ErrWrongSecret) || !errors.Is(err, ErrUnreachable) {
		t.Errorf("raft: %v", err)
	}
	if _, err := a.Gossip().DialTimeout(b.Addr().String(), patience); !errors.Is(err, secret.ErrWrongSecret) {
		t.Errorf("gossip: %v", err)
	}
	if err := a.RPC().Call(t.Context(), bob, "echo", "", nil); !errors.Is(err, secret.ErrWrongSecret) {
		t.Errorf("call: %v", err)
	}
	if _, err := a.RPC().CallAddr(t.Context(), b.Addr().String(), "echo", "", nil); !errors.Is(err, secret.ErrWrongSecret) {
		t.Errorf("call of an address: %v", err)
	}
	refused(t, b, reasonRejected) // it was the caller who refused first
	if _, err := a.Gossip().WriteTo([]byte("let me in"), b.Addr().String()); err != nil {
		t.Fatal(err)
	}
	refused(t, b, reasonPacket)
	if counters := b.Counters(); counters.Packets != 0 || counters.Connections != 0 {
		t.Errorf("something came in: %+v", counters)
	}
	eventually(t, "one log line for each reason", func() bool {
		return strings.Count(book.String(), "rejected-by-peer") == 1 && strings.Count(book.String(), "unsealed-packet") == 1
	})
}

func TestStrangerThatIgnoresWhoWeAreIsRefused(t *testing.T) {
	b := node{uid: bob, secrets: oneSecret}.run(t)
	config := strangersConfig(t, secret.New(), protocolRaft)
	config.VerifyConnection = nil
	c := tls.Client(raw(t, b), config)
	if err := c.Handshake(); err != nil {
		t.Fatal(err) // in TLS 1.3 the client is done before the server has judged it
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Fatal("it got in")
	}
	refused(t, b, reasonSecret)
}

func TestNodesTalkInTheMiddleOfARotation(t *testing.T) {
	older, newer := secret.New(), secret.New()
	for name, secrets := range map[string][2]string{
		"ahead and behind": {newer + "\n" + older, older},
		"both at it":       {newer + "\n" + older, older + "\n" + newer},
		"done and at it":   {newer, older + "\n" + newer},
	} {
		t.Run(name, func(t *testing.T) {
			var directory addresses
			a := node{uid: alice, secrets: secrets[0], directory: &directory, handler: echo()}.run(t)
			b := node{uid: bob, secrets: secrets[1], directory: &directory, handler: echo()}.run(t)
			for from, to := range map[*Port]*Port{a: b, b: a} {
				c, err := from.Raft().Dial(raft.ServerAddress(to.uid), patience)
				if err != nil {
					t.Fatal(err)
				}
				mustTalk(t, c, accept(t, to.Raft()))
				c.Close()
				if err := from.RPC().Call(t.Context(), to.uid, "echo", "", nil); err != nil {
					t.Fatal(err)
				}
			}
			mustExchangePackets(t, a, b)
		})
	}
}

// mustExchangePackets sends packets both ways, as gossip does all the time,
// until one arrives at each end. The first may be lost: a node learns the key
// that a peer understands from the peer's own packets.
func mustExchangePackets(t testing.TB, a, b *Port) {
	t.Helper()
	arrived := map[*Port]bool{}
	eventually(t, "a packet at each end", func() bool {
		for from, to := range map[*Port]*Port{a: b, b: a} {
			if _, err := from.Gossip().WriteTo([]byte("psst"), to.Addr().String()); err != nil {
				t.Fatal(err)
			}
			select {
			case <-to.Gossip().PacketCh():
				arrived[to] = true
			default:
			}
		}
		return len(arrived) == 2
	})
}

func TestNewerProtocolIsRefused(t *testing.T) {
	b := node{uid: bob, secrets: oneSecret}.run(t)
	for name, offered := range map[string][]string{
		"a newer protocol alone": {"evenkeel-raft/2"},
		"another program":        {"h2", "http/1.1"},
		"none at all":            nil,
	} {
		t.Run(name, func(t *testing.T) {
			before := b.Counters().Refused[reasonProtocol.String()]
			c := tls.Client(raw(t, b), strangersConfig(t, oneSecret, offered...))
			if err := c.Handshake(); err == nil {
				if _, err := c.Read(make([]byte, 1)); err == nil {
					t.Fatal("it got in")
				}
			}
			eventually(t, "the refusal", func() bool { return b.Counters().Refused[reasonProtocol.String()] == before+1 })
		})
	}
	t.Run("a newer protocol beside ours", func(t *testing.T) {
		c := tls.Client(raw(t, b), strangersConfig(t, oneSecret, "evenkeel-raft/2", protocolRaft))
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		mustTalk(t, c, accept(t, b.Raft()))
	})
}

func TestPeerWithoutALPNIsNotTakenForAServer(t *testing.T) {
	ring, err := secret.Parse([]byte(oneSecret))
	if err != nil {
		t.Fatal(err)
	}
	id, err := ring.Identity(bob)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", id.Server())
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		if c, err := listener.Accept(); err == nil {
			_, _ = io.Copy(io.Discard, c)
			c.Close()
		}
	}()
	a := node{uid: alice, secrets: oneSecret}.run(t)
	if _, err := a.Gossip().DialTimeout(listener.Addr().String(), patience); !errors.Is(err, errProtocol) {
		t.Fatalf("got %v", err)
	}
}

func TestGarbageIsRefused(t *testing.T) {
	b := node{uid: bob, secrets: oneSecret}.run(t)
	noise := make([]byte, 1<<20)
	rand.Read(noise)
	cases := []struct {
		name string
		data []byte
		why  reason
	}{
		{"HTTP", []byte("GET / HTTP/1.1\r\nHost: evenkeel\r\n\r\n"), reasonGarbage},
		{"noise", noise, reasonGarbage},
		{"a TLS record of the wrong kind", []byte{23, 3, 3, 0, 1, 0}, reasonGarbage},
		{"nothing and the end", nil, reasonClosed},
		{"half a record and the end", []byte{22, 3, 1, 2}, reasonClosed},
		// Records that each are well-formed, for a message that never ends.
		{"a handshake without end", bytes.Repeat(append([]byte{22, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff}, noise[:0x4000-4]...), 4), reasonGarbage},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before := b.Counters().Refused[c.why.String()]
			conn := raw(t, b)
			if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			_, _ = conn.Write(c.data) // it may be refused before all is written
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, conn)
			eventually(t, "the refusal", func() bool { return b.Counters().Refused[c.why.String()] > before })
		})
	}
	eventually(t, "an empty lobby", func() bool { return b.Counters().Handshaking == 0 })
}

func TestSlowHandshakeIsEnded(t *testing.T) {
	b := node{uid: bob, secrets: oneSecret}.run(t)
	c := raw(t, b)
	if _, err := c.Write([]byte{22, 3, 1, 2}); err != nil {
		t.Fatal(err)
	}
	refused(t, b, reasonSlow)
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Fatal("it was answered")
	}
}

func TestStrangePacketsAreRefused(t *testing.T) {
	var directory addresses
	a := node{uid: alice, secrets: oneSecret, directory: &directory}.run(t)
	b := node{uid: bob, secrets: oneSecret, directory: &directory}.run(t)
	noise := make([]byte, 60000)
	rand.Read(noise)
	for _, c := range []struct {
		name string
		data []byte
		why  reason
	}{
		{"an empty one", nil, reasonPacket},
		{"one byte", []byte{sealVersion}, reasonPacket},
		{"noise", noise[:1400], reasonPacket},
		{"noise that begins like ours", append([]byte{sealVersion}, noise[:1400]...), reasonPacket},
		{"one that is too large", noise, reasonOversized},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := b.Counters().Refused[c.why.String()]
			if _, err := a.udp.WriteToUDPAddrPort(c.data, b.Addr()); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the refusal", func() bool { return b.Counters().Refused[c.why.String()] > before })
		})
	}
	if _, err := a.Gossip().WriteTo(make([]byte, maxPacket+1), b.Addr().String()); !errors.Is(err, errOversized) {
		t.Errorf("an oversized packet was sent: %v", err)
	}
	if _, err := a.Gossip().WriteTo([]byte("x"), "localhost:7071"); err == nil {
		t.Error("a name was taken for an address")
	}
	if _, err := a.Gossip().WriteTo(noise[:maxPacket], b.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if packet := take(t, b.Gossip().PacketCh()); !bytes.Equal(packet.Buf, noise[:maxPacket]) {
		t.Error("the largest packet did not arrive whole")
	}
}

func TestPacketsThatNobodyTakesAreBounded(t *testing.T) {
	a := node{uid: alice}.run(t)
	for n := 0; a.Counters().Refused[reasonUnread.String()] == 0; n++ {
		if n > 100*packetQueue {
			t.Fatal("nothing was ever refused")
		}
		if _, err := a.Gossip().WriteTo([]byte("psst"), a.Addr().String()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(a.Gossip().PacketCh()); n != packetQueue {
		t.Errorf("%d packets wait", n)
	}
}

func TestFloodOfHalfOpenConnectionsDelaysNoRaft(t *testing.T) {
	a, b := pair(t, echo())
	go parrot(b.Raft())
	steady, err := a.Raft().Dial(bob, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer steady.Close()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		flood(stop, b.Addr().String())
	}()
	eventually(t, "a full lobby", func() bool { return b.Counters().Refused[reasonCrowded.String()] > 0 })

	for range 20 {
		if err := ping(steady); err != nil {
			t.Fatalf("a connection that was there before: %v", err)
		}
		// The flood comes from the peer's own address, the worst of cases, so a
		// dial may be put out; raft dials again.
		eventually(t, "a dial of raft", func() bool {
			c, err := a.Raft().Dial(bob, 2*time.Second)
			if err != nil {
				return false
			}
			defer c.Close()
			return ping(c) == nil
		})
		if n := b.Counters().Handshaking; n > maxHandshakes {
			t.Fatalf("%d handshakes at one time", n)
		}
	}
	close(stop)
	<-stopped
	t.Logf("while %d connections were put out", b.Counters().Refused[reasonCrowded.String()])
	eventually(t, "an empty lobby", func() bool { return b.Counters().Handshaking == 0 })
}

// parrot says back what it hears, until the listener is closed.
func parrot(listener net.Listener) {
	for {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_, _ = io.Copy(c, c)
		}()
	}
}

// ping sends a byte to a parrot and waits for it.
func ping(c net.Conn) error {
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if _, err := c.Write([]byte{7}); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return err
}

// flood opens connections that never speak and holds the last of them.
func flood(stop <-chan struct{}, addr string) {
	const held = 2 * maxHandshakes
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for {
		select {
		case <-stop:
			return
		default:
		}
		c, err := net.Dial("tcp", addr)
		if err != nil {
			continue
		}
		if conns = append(conns, c); len(conns) > held {
			conns[0].Close()
			conns = conns[1:]
		}
	}
}

func TestConnectionsThatRaftDoesNotTakeAreBounded(t *testing.T) {
	a, b := pair(t, echo())
	var conns []net.Conn
	for n := range inboxSize + 3 {
		c, err := a.Raft().Dial(bob, patience)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
		// The other side's handshake ends later than ours.
		eventually(t, "the connection", func() bool { return b.Counters().Accepted[protocolRaft] == uint64(n+1) })
	}
	eventually(t, "three refusals", func() bool { return b.Counters().Refused[reasonUnread.String()] == 3 })
	for _, c := range conns[:3] {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("one of the oldest is open")
		}
	}
	mustTalk(t, conns[3], accept(t, b.Raft()))
	if err := a.RPC().Call(t.Context(), bob, "echo", "", nil); err != nil {
		t.Errorf("calls are hit too: %v", err)
	}
}

// strangersConfig is for a client that this package did not write.
func strangersConfig(t testing.TB, secrets string, offered ...string) *tls.Config {
	t.Helper()
	ring, err := secret.Parse([]byte(secrets))
	if err != nil {
		t.Fatal(err)
	}
	id, err := ring.Identity("a-stranger")
	if err != nil {
		t.Fatal(err)
	}
	config := id.Client("", "")
	config.NextProtos = offered
	return config
}
