package network

import (
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// fakePort hands in what the test sends and keeps what comes out.
type fakePort struct {
	in     chan []byte
	out    chan []byte
	closed chan struct{}
}

func newFakePort() *fakePort {
	return &fakePort{make(chan []byte), make(chan []byte, 1000), make(chan struct{})}
}

func (p *fakePort) Read(frame []byte) (int, error) {
	select {
	case next := <-p.in:
		return copy(frame, next), nil
	case <-p.closed:
		return 0, os.ErrClosed
	}
}

func (p *fakePort) Write(frame []byte) (int, error) {
	p.out <- append([]byte(nil), frame...)
	return len(frame), nil
}

func (p *fakePort) Close() error { close(p.closed); return nil }

// frame is one from a port to another, -1 for all, with an IPv4 protocol.
func frame(from, to int, protocol byte) []byte {
	f := make([]byte, 60)
	destination, source := mac(to), mac(from)
	if to < 0 {
		destination = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	}
	copy(f, destination[:])
	copy(f[6:], source[:])
	f[12], f[ethernetHeader+9] = 0x08, protocol
	return f
}

// newTestSwitch has three ports.
func newTestSwitch() (*Switch, []*fakePort) {
	ports := []*fakePort{newFakePort(), newFakePort(), newFakePort()}
	return NewSwitch(1, []io.ReadWriteCloser{ports[0], ports[1], ports[2]}...), ports
}

func send(ports []*fakePort, from, to int, protocol byte, count int) {
	for range count {
		ports[from].in <- frame(from, to, protocol)
	}
	synctest.Wait()
}

func TestSwitchPassesFramesToWhomTheyAreFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ports := newTestSwitch()
		defer s.Close()
		send(ports, 0, 1, protocolTCP, 3)
		send(ports, 2, -1, 17, 1)
		for i, want := range []int{1, 4, 0} {
			if got := len(ports[i].out); got != want {
				t.Errorf("port %d got %d frames, want %d", i, got, want)
			}
		}
	})
}

func TestSwitchCutsLosesAndDelaysByDirection(t *testing.T) {
	tests := map[string]struct {
		link     Link
		protocol byte
		low      int // how many of 1,000 get through at once, at least and at most
		high     int
		later    int // and after a second, if all is known
	}{
		"a sound link":                 {Link{}, protocolTCP, 1000, 1000, 1000},
		"a cut one":                    {Cut, protocolTCP, 0, 0, 0},
		"a tenth is lost":              {Link{Lose: 0.1}, protocolTCP, 860, 940, -1},
		"delay":                        {Link{Delay: 50 * time.Millisecond, Jitter: 20 * time.Millisecond}, protocolTCP, 0, 0, 1000},
		"TCP is cut, and this is TCP":  {Link{Lose: 1, OnlyTCP: true}, protocolTCP, 0, 0, 0},
		"TCP is cut, and this is none": {Link{Lose: 1, OnlyTCP: true}, 17, 1000, 1000, 1000},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, ports := newTestSwitch()
				defer s.Close()
				s.Set(0, 1, test.link)
				send(ports, 0, 1, test.protocol, 1000)
				got := len(ports[1].out)
				if got < test.low || got > test.high {
					t.Errorf("%d of 1000 frames got through at once, want %d to %d", got, test.low, test.high)
				}
				time.Sleep(time.Second) // of the bubble's clock
				synctest.Wait()
				if got := len(ports[1].out); test.later >= 0 && got != test.later {
					t.Errorf("%d of 1000 frames got through in the end, want %d", got, test.later)
				}
				send(ports, 1, 0, test.protocol, 10)
				if got := len(ports[0].out); got != 10 {
					t.Errorf("%d of 10 frames got back, though that way is sound", got)
				}
			})
		})
	}
}
