package proxy

import (
	"net"
	"sync/atomic"
	"time"
)

// backendConn is a connection to a backend that ends when nothing moves in
// either direction for a while. Deadlines are set here and not per request,
// because net/http reads ahead on pooled connections.
type backendConn struct {
	net.Conn
	quiet   atomic.Int64 // how long it may stand still, in nanoseconds
	touched atomic.Int64 // when the deadline was last set, by the clock since start
	wrote   atomic.Int64 // bytes
}

var start = time.Now()

func newBackendConn(conn net.Conn, quiet time.Duration) *backendConn {
	c := &backendConn{Conn: conn}
	c.quiet.Store(int64(quiet))
	return c
}

// setQuiet changes how long the connection may stand still.
func (c *backendConn) setQuiet(quiet time.Duration) {
	c.quiet.Store(int64(quiet))
	c.touched.Store(0)
	c.touch()
}

// touch moves the deadline, but at most once in a 64th of the span: moving a
// timer on each packet would be felt, and such precision would not.
func (c *backendConn) touch() {
	quiet, now := c.quiet.Load(), int64(time.Since(start))
	before := c.touched.Load()
	if before != 0 && now-before < quiet/64 {
		return
	}
	c.touched.Store(now)
	// It fails on a closed connection only, and then so does what follows.
	_ = c.Conn.SetDeadline(time.Now().Add(time.Duration(quiet)))
}

func (c *backendConn) Read(p []byte) (int, error) {
	c.touch()
	return c.Conn.Read(p)
}

func (c *backendConn) Write(p []byte) (int, error) {
	c.touch()
	n, err := c.Conn.Write(p)
	c.wrote.Add(int64(n))
	return n, err
}

// CloseWrite ends the sending direction only.
func (c *backendConn) CloseWrite() error { return closeWrite(c.Conn) }

// closeWrite passes a half-close on; on a connection that knows none, it is
// all or nothing.
func closeWrite(conn net.Conn) error {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return conn.Close()
}
