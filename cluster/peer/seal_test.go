package peer

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"

	"evenkeel/cluster/secret"
)

var here = netip.MustParseAddrPort("127.0.0.1:7071")

func TestSealedPacketIsOpenedBySharedSecretsOnly(t *testing.T) {
	older, newer := secret.New(), secret.New()
	packet := []byte("psst")
	for _, c := range []struct {
		name     string
		from, to string
		ok       bool
	}{
		{"the same secret", newer, newer, true},
		{"the first of one is the second of the other", newer, older + "\n" + newer, true},
		{"another secret", newer, older, false},
	} {
		sealed, err := newTestSealer(t, c.from).seal(packet, here)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(sealed, packet) {
			t.Errorf("%s: the packet can be read", c.name)
		}
		plain, err := newTestSealer(t, c.to).open(sealed, make([]byte, maxSealed), here)
		if c.ok != (err == nil) || c.ok && !bytes.Equal(plain, packet) {
			t.Errorf("%s: got %q, %v", c.name, plain, err)
		}
	}
}

func TestSealerAnswersUnderThePeersKey(t *testing.T) {
	older, newer := secret.New(), secret.New()
	ahead, behind := newTestSealer(t, newer+"\n"+older), newTestSealer(t, older)
	scratch := make([]byte, maxSealed)
	send := func(from, to *sealer) error {
		sealed, err := from.seal([]byte("psst"), here)
		if err != nil {
			t.Fatal(err)
		}
		_, err = to.open(sealed, scratch, here)
		return err
	}
	if err := send(ahead, behind); !errors.Is(err, errUnsealed) {
		t.Errorf("before it was heard: %v", err)
	}
	if err := errors.Join(send(behind, ahead), send(ahead, behind)); err != nil {
		t.Errorf("after it was heard: %v", err)
	}
	caughtUp := newTestSealer(t, newer)
	if err := errors.Join(send(caughtUp, ahead), send(ahead, caughtUp)); err != nil {
		t.Errorf("after it caught up: %v", err)
	}
	if n := len(ahead.habits); n != 0 {
		t.Errorf("%d habits are remembered, of peers that use the first key", n)
	}
}

func TestSealerRemembersABoundedNumberOfPeers(t *testing.T) {
	s := newTestSealer(t, secret.New()+"\n"+secret.New())
	for port := range 3 * maxHabits {
		s.learn(netip.AddrPortFrom(here.Addr(), uint16(port)), 1)
	}
	if n := len(s.habits); n > maxHabits {
		t.Errorf("%d peers are remembered", n)
	}
}

func TestGarbageCostsNoMemory(t *testing.T) {
	s := newTestSealer(t, secret.New())
	garbage, scratch := bytes.Repeat([]byte{sealVersion}, 1400), make([]byte, maxSealed)
	if n := testing.AllocsPerRun(100, func() { _, _ = s.open(garbage, scratch, here) }); n != 0 {
		t.Errorf("%v allocations for a packet that is refused", n)
	}
}

func FuzzOpen(f *testing.F) {
	s, scratch := newTestSealer(f, oneSecret), make([]byte, maxSealed+1)
	good, err := s.seal([]byte("psst"), here)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{nil, {sealVersion}, good, good[:len(good)-1], append(good, 0), make([]byte, maxSealed+1)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sealed []byte) {
		kept := bytes.Clone(sealed)
		plain, err := s.open(sealed, scratch, here)
		if err == nil && !bytes.Equal(sealed, good) {
			t.Fatalf("opened %q to %q without the key", sealed, plain)
		}
		if !bytes.Equal(sealed, kept) {
			t.Fatal("the packet was changed")
		}
	})
}

func FuzzSeal(f *testing.F) {
	s, scratch := newTestSealer(f, oneSecret), make([]byte, maxSealed+1)
	f.Add([]byte("psst"))
	f.Fuzz(func(t *testing.T, packet []byte) {
		sealed, err := s.seal(packet, here)
		if err != nil {
			if len(packet) != 0 && len(packet) <= maxPacket {
				t.Fatalf("seal %d bytes: %v", len(packet), err)
			}
			return
		}
		if plain, err := s.open(sealed, scratch, here); err != nil || !bytes.Equal(plain, packet) {
			t.Fatalf("got %q, %v for %q", plain, err, packet)
		}
	})
}

func newTestSealer(t testing.TB, secrets string) *sealer {
	t.Helper()
	ring, err := secret.Parse([]byte(secrets))
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSealer(ring.GossipKeys())
	if err != nil {
		t.Fatal(err)
	}
	return s
}
