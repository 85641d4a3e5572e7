package proxy

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// clientConn is a connection that a listener accepted. It knows whether a
// request is under way on it, so that an ending listener can tell which
// connections nobody would miss.
type clientConn struct {
	net.Conn
	set   *connSet
	stage atomic.Int32
	quiet atomic.Int64 // how long writes may stand still, in nanoseconds
	// both is set for a tunnel, where traffic of either direction keeps both
	// alive; until then net/http sets the deadlines for reading.
	both atomic.Bool
}

// Stages of a client's connection. It goes from waiting to busy and back; an
// ending listener takes it from waiting to ending for good.
const (
	stageWaiting int32 = iota // for the head of a request
	stageBusy
	stageEnding
)

// became follows net/http's view of the connection.
func (c *clientConn) became(state http.ConnState) {
	switch state {
	case http.StateActive, http.StateHijacked:
		c.stage.CompareAndSwap(stageWaiting, stageBusy)
	case http.StateIdle:
		c.stage.CompareAndSwap(stageBusy, stageWaiting)
	}
}

// end makes a waiting connection read its end, without losing a request that
// has arrived: what the kernel holds already is still read (on Linux), is
// answered, and only then does the connection close. Closing at once would
// answer such a request with a reset.
func (c *clientConn) end() {
	if !c.stage.CompareAndSwap(stageWaiting, stageEnding) {
		return
	}
	half, ok := c.Conn.(interface{ CloseRead() error })
	if !ok || half.CloseRead() != nil {
		_ = c.Close() // its error would tell of a connection that is gone already
	}
}

// ending tells whether the end that is read on the connection is our doing and
// not the client's.
func (c *clientConn) ending() bool { return c.stage.Load() == stageEnding }

// resetOnClose makes the connection's end visible as a failure where the
// protocol has no other means.
func (c *clientConn) resetOnClose() {
	if tcp, ok := c.Conn.(interface{ SetLinger(sec int) error }); ok {
		_ = tcp.SetLinger(0) // fails on a closed connection, which the client has noticed
	}
}

// tunnel makes the connection end when nothing moves in either direction for
// the given time.
func (c *clientConn) tunnel(quiet time.Duration) {
	c.quiet.Store(int64(quiet))
	c.both.Store(true)
}

func (c *clientConn) touch() {
	deadline := time.Now().Add(time.Duration(c.quiet.Load()))
	// Errors mean a closed connection, which the read or write reports.
	if c.both.Load() {
		_ = c.SetDeadline(deadline)
	} else {
		_ = c.SetWriteDeadline(deadline)
	}
}

func (c *clientConn) Read(p []byte) (int, error) {
	if c.both.Load() {
		c.touch()
	}
	return c.Conn.Read(p)
}

func (c *clientConn) Write(p []byte) (int, error) {
	c.touch()
	return c.Conn.Write(p)
}

// CloseWrite ends the sending direction only.
func (c *clientConn) CloseWrite() error { return closeWrite(c.Conn) }

func (c *clientConn) Close() error {
	c.set.remove(c)
	return c.Conn.Close()
}

type connKey struct{}

func withConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// connOf returns nil for a request that no [Server] took.
func connOf(ctx context.Context) *clientConn {
	conn, _ := ctx.Value(connKey{}).(*clientConn)
	return conn
}

// connSet holds the open connections of one listener, upgraded ones included.
type connSet struct {
	counters *Counters

	mu   sync.Mutex // guards open; taken once per accept and per close
	open map[*clientConn]struct{}
}

func (s *connSet) add(conn net.Conn, quiet time.Duration) *clientConn {
	c := &clientConn{Conn: conn, set: s}
	c.quiet.Store(int64(quiet))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[c] = struct{}{}
	s.counters.Connections.Add(1)
	return c
}

func (s *connSet) remove(c *clientConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.open[c]; ok {
		delete(s.open, c)
		s.counters.Connections.Add(-1)
	}
}

func (s *connSet) all() []*clientConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	conns := make([]*clientConn, 0, len(s.open))
	for c := range s.open {
		conns = append(conns, c)
	}
	return conns
}

func (s *connSet) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}
