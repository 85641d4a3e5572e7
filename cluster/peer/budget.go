package peer

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
)

// maxHandshakeBytes bounds what a peer may send before it is known. A whole
// handshake with the most certificates a node can have is below 8 KiB.
const maxHandshakeBytes = 32 << 10

var errTooManyBytes = errors.New("the peer sent too much before it was known")

// budgetConn is a TCP connection whose handshake is on a budget: of bytes that
// it may read, and of cores. Between two reads a handshake computes, a
// millisecond in all; it takes a turn for that, and there are fewer turns than
// cores, so that a flood of handshakes delays nothing but handshakes.
type budgetConn struct {
	net.Conn
	left atomic.Int64 // bytes; negative once there is no bound any more
	// turns is full when no other handshake may compute; nil if we dialed.
	turns   chan struct{}
	holding bool // a turn; used by the handshake's goroutine alone
	// offered is what the peer offered by ALPN, once its hello was read.
	offered []string

	gone    chan struct{} // closed by Close
	closing sync.Once
}

func newBudgetConn(raw net.Conn, turns chan struct{}) *budgetConn {
	b := &budgetConn{Conn: raw, turns: turns, gone: make(chan struct{})}
	b.left.Store(maxHandshakeBytes)
	return b
}

// Read implements [net.Conn].
func (b *budgetConn) Read(data []byte) (int, error) {
	left := b.left.Load()
	if left < 0 {
		return b.Conn.Read(data)
	}
	if left == 0 {
		return 0, errTooManyBytes
	}
	b.rest()
	n, err := b.Conn.Read(data[:min(int64(len(data)), left)])
	b.left.Add(-int64(n))
	if err == nil && !b.work() {
		err = net.ErrClosed
	}
	return n, err
}

// Close implements [net.Conn].
func (b *budgetConn) Close() error {
	b.closing.Do(func() { close(b.gone) })
	return b.Conn.Close()
}

// work waits for a turn, or returns false when the connection was closed.
func (b *budgetConn) work() bool {
	if b.turns == nil {
		return true
	}
	select {
	case b.turns <- struct{}{}:
		b.holding = true
		return true
	case <-b.gone:
		return false
	}
}

// rest gives the turn back.
func (b *budgetConn) rest() {
	if b.holding {
		b.holding = false
		<-b.turns
	}
}

// spoke tells whether the peer has sent anything.
func (b *budgetConn) spoke() bool { return b.left.Load() != maxHandshakeBytes }

// unbound lifts the bound: the peer is known.
func (b *budgetConn) unbound() { b.left.Store(-1) }
