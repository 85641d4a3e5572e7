//go:build linux

package health

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// attempt is that a node opens a connection to a backend's port or sends a
// request over one.
type attempt struct {
	at      time.Time
	node    byte // the last byte of its address
	connect bool
}

// capture keeps what passes between the nodes and one backend. The kernel gives
// each frame its time, so that a busy test measures no less exactly.
type capture struct {
	backend netip.Addr
	socket  int

	mu       sync.Mutex // guards what follows
	attempts map[uint16][]attempt
	resets   map[uint16][]time.Time // a connect was refused, or a connection reset with a request on it
	broken   error
}

// startCapture captures on the nodes' bridge until the test ends or stop is
// called.
func startCapture(t testing.TB, backend string) (c *capture, stop func()) {
	t.Helper()
	socket, err := openCapture("br0", netip.MustParseAddr(backend))
	if err != nil {
		t.Fatalf("capture frames: %v", err)
	}
	c = &capture{backend: netip.MustParseAddr(backend), socket: socket, attempts: map[uint16][]attempt{}, resets: map[uint16][]time.Time{}}
	quit := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { c.run(quit) })
	stop = sync.OnceFunc(func() {
		close(quit)
		running.Wait()
		_ = unix.Close(socket)
		if c.broken != nil {
			t.Errorf("capture frames: %v", c.broken)
		}
	})
	t.Cleanup(stop)
	return c, stop
}

// openCapture returns a socket for the TCP segments from and to an address.
func openCapture(device string, address netip.Addr) (socket int, err error) {
	through, err := net.InterfaceByName(device)
	if err != nil {
		return 0, err
	}
	filter, err := filterFor(address)
	if err != nil {
		return 0, err
	}
	all := binary.NativeEndian.Uint16([]byte{unix.ETH_P_ALL >> 8, unix.ETH_P_ALL & 0xff}) // in network order
	// Bound to no protocol it gets nothing before the filter is there.
	if socket, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		return 0, err
	}
	err = errors.Join(
		unix.SetsockoptSockFprog(socket, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, filter),
		unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20),
		unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50_000}),
		unix.Bind(socket, &unix.SockaddrLinklayer{Protocol: all, Ifindex: through.Index}),
	)
	if err != nil {
		_ = unix.Close(socket)
		return 0, err
	}
	return socket, nil
}

// filterFor keeps frames with TCP over IPv4 whose source or destination is the
// address.
func filterFor(address netip.Addr) (*unix.SockFprog, error) {
	bytes := address.As4()
	is := binary.BigEndian.Uint32(bytes[:])
	raw, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 12, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.ETH_P_IP, SkipTrue: 7},
		bpf.LoadAbsolute{Off: 23, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.IPPROTO_TCP, SkipTrue: 5},
		bpf.LoadAbsolute{Off: 30, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: is, SkipTrue: 2},
		bpf.LoadAbsolute{Off: 26, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: is, SkipTrue: 1},
		bpf.RetConstant{Val: 128},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		return nil, err
	}
	program := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		program[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}, nil
}

func (c *capture) run(quit chan struct{}) {
	frame, extra := make([]byte, 256), make([]byte, 256)
	for {
		select {
		case <-quit:
			return
		default:
		}
		n, extraLen, _, _, err := unix.Recvmsg(c.socket, frame, extra, 0)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			continue
		}
		var at time.Time
		if err == nil {
			at, err = stampOf(extra[:extraLen])
		}
		if err != nil {
			c.mu.Lock()
			c.broken = err
			c.mu.Unlock()
			return
		}
		if s, ok := parse(frame[:n]); ok {
			c.take(s, at)
		}
	}
}

// stampOf reads when the kernel had the frame.
func stampOf(extra []byte) (time.Time, error) {
	messages, err := unix.ParseSocketControlMessage(extra)
	if err != nil {
		return time.Time{}, err
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= 16 {
			return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:]))), nil
		}
	}
	return time.Time{}, fmt.Errorf("a frame has no time among its %d control messages", len(messages))
}

// segment is what matters of one of TCP (RFC 9293 section 3.1).
type segment struct {
	from, to         netip.Addr
	fromPort, toPort uint16
	syn, ack, rst    bool
	payload          int
}

const ethernetHeader = 14

// parse reads an Ethernet frame, of which the end may be missing.
func parse(frame []byte) (s segment, ok bool) {
	if len(frame) < ethernetHeader+20 {
		return s, false
	}
	packet := frame[ethernetHeader:]
	header := int(packet[0]&0x0f) * 4
	if len(packet) < header+20 {
		return s, false
	}
	tcp := packet[header:]
	flags := tcp[13]
	return segment{
		from: netip.AddrFrom4([4]byte(packet[12:16])), to: netip.AddrFrom4([4]byte(packet[16:20])),
		fromPort: binary.BigEndian.Uint16(tcp), toPort: binary.BigEndian.Uint16(tcp[2:]),
		rst: flags&0x04 != 0, syn: flags&0x02 != 0, ack: flags&0x10 != 0,
		payload: int(binary.BigEndian.Uint16(packet[2:])) - header - int(tcp[12]>>4)*4,
	}, true
}

func (c *capture) take(s segment, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	connect := s.syn && !s.ack
	switch {
	case s.to == c.backend && (connect || s.payload > 0):
		c.attempts[s.toPort] = append(c.attempts[s.toPort], attempt{at, s.from.As4()[3], connect})
	case s.from == c.backend && s.rst:
		c.resets[s.fromPort] = append(c.resets[s.fromPort], at)
	}
}

// firstReset returns when an attempt at the port failed for the first time after
// a moment.
func (c *capture) firstReset(port uint16, after time.Time) (time.Time, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, at := range c.resets[port] {
		if at.After(after) {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("no attempt at port %d met a reset", port)
}

// attemptsAfter returns the attempts at the port after a moment.
func (c *capture) attemptsAfter(port uint16, after time.Time) (all []attempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.attempts[port] {
		if a.at.After(after) {
			all = append(all, a)
		}
	}
	return all
}

// byNode counts attempts by the last byte of the node's address.
func byNode(attempts []attempt) map[byte]int {
	count := map[byte]int{}
	for _, a := range attempts {
		count[a.node]++
	}
	return count
}
