package network

import (
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Link is how frames get from one node to another. The zero Link is sound.
type Link struct {
	// Lose is which part of the frames is lost, from 0 to 1.
	Lose float64
	// Delay is how long each frame takes, give or take up to Jitter.
	Delay, Jitter time.Duration
	// OnlyTCP leaves all frames alone that hold no TCP.
	OnlyTCP bool
}

// Cut is a link that nothing passes.
var Cut = Link{Lose: 1}

const (
	frameSize = 2048 // more than Ethernet's 1,514
	// delayedFrames bounds how many frames of one link may be on their way;
	// what is beyond is lost.
	delayedFrames = 4096
)

// Switch passes Ethernet frames between ports, which are numbered from 0. Where
// a frame goes is read from the last byte of its destination, see [mac].
// Safe for concurrent use.
type Switch struct {
	ports   []io.ReadWriteCloser // one frame per call
	links   [][]atomic.Pointer[Link]
	delayed [][]atomic.Int64
	running sync.WaitGroup
	lost    atomic.Int64
	tap     atomic.Pointer[func(from, to int, frame []byte)]
}

// NewSwitch passes frames between the ports until Close. The seed decides which
// ones a link loses.
func NewSwitch(seed uint64, ports ...io.ReadWriteCloser) *Switch {
	s := &Switch{ports: ports, links: make([][]atomic.Pointer[Link], len(ports)), delayed: make([][]atomic.Int64, len(ports))}
	for i := range ports {
		s.links[i], s.delayed[i] = make([]atomic.Pointer[Link], len(ports)), make([]atomic.Int64, len(ports))
		for j := range ports {
			s.links[i][j].Store(&Link{})
		}
	}
	for i := range ports {
		s.running.Go(func() { s.take(i, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	return s
}

// Set has the link from one port to another be as told from now on.
func (s *Switch) Set(from, to int, link Link) { s.links[from][to].Store(&link) }

// Lost returns how many frames were lost.
func (s *Switch) Lost() int64 { return s.lost.Load() }

// Tap has every frame told that is about to be passed, before any is lost; nil
// ends that. The function is called concurrently and keeps no frame.
func (s *Switch) Tap(tell func(from, to int, frame []byte)) {
	if tell == nil {
		s.tap.Store(nil)
		return
	}
	s.tap.Store(&tell)
}

// Inject sends a frame out of a port.
func (s *Switch) Inject(to int, frame []byte) error {
	_, err := s.ports[to].Write(frame)
	return err
}

// Close closes the ports and returns when nothing is passed any more, but for
// frames that are delayed, which meet a closed port.
func (s *Switch) Close() {
	for _, port := range s.ports {
		_ = port.Close() // its reader ends either way
	}
	s.running.Wait()
}

// take passes on what comes in at a port until that is closed.
func (s *Switch) take(from int, random *rand.Rand) {
	frame := make([]byte, frameSize)
	for {
		n, err := s.ports[from].Read(frame)
		if err != nil {
			return
		}
		if n < ethernetHeader {
			continue
		}
		for to := range s.ports {
			if to != from && isFor(frame, to) {
				s.pass(from, to, frame[:n], random)
			}
		}
	}
}

func (s *Switch) pass(from, to int, frame []byte, random *rand.Rand) {
	if tell := s.tap.Load(); tell != nil {
		(*tell)(from, to, frame)
	}
	link := s.links[from][to].Load()
	if link.OnlyTCP && !isTCP(frame) {
		link = &Link{}
	}
	if link.Lose > 0 && random.Float64() < link.Lose {
		s.lost.Add(1)
		return
	}
	delay := link.Delay
	if link.Jitter > 0 {
		delay += time.Duration((2*random.Float64() - 1) * float64(link.Jitter))
	}
	if delay <= 0 {
		_, _ = s.ports[to].Write(frame) // a node that is gone takes none
		return
	}
	underway := &s.delayed[from][to]
	if underway.Add(1) > delayedFrames {
		underway.Add(-1)
		s.lost.Add(1)
		return
	}
	late := append([]byte(nil), frame...)
	time.AfterFunc(delay, func() {
		defer underway.Add(-1)
		_, _ = s.ports[to].Write(late)
	})
}

const (
	ethernetHeader = 14
	etherTypeIPv4  = 0x0800
	protocolTCP    = 6
)

// mac is the address of the port's interface, which is local to this network.
func mac(port int) [6]byte { return [6]byte{0x02, 0, 0, 0, 1, byte(port + 1)} }

func isFor(frame []byte, port int) bool {
	const group = 0x01 // broadcast is one, too
	return frame[0]&group != 0 || [6]byte(frame[:6]) == mac(port)
}

func isTCP(frame []byte) bool {
	return len(frame) > ethernetHeader+9 && int(frame[12])<<8|int(frame[13]) == etherTypeIPv4 && frame[ethernetHeader+9] == protocolTCP
}
