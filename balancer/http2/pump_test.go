package http2

import (
	"net"
	"sync"
	"testing"
	"time"
)

// pump drives a connection over a socket, which other tests do without.
type pump struct {
	t      testing.TB
	socket net.Conn
	mu     sync.Mutex // guards conn and all that its owners have
	conn   *Conn
	ended  chan struct{}
}

// run reads until the socket ends.
func (p *pump) run() {
	defer close(p.ended)
	defer p.socket.Close()
	start := time.Now()
	buf := make([]byte, 0, 64<<10)
	p.do(func() {})
	for {
		n, err := p.socket.Read(buf[len(buf):cap(buf)])
		if err != nil {
			p.do(p.conn.Lost)
			return
		}
		buf = buf[:len(buf)+n]
		var failed error
		p.do(func() {
			n, failed = p.conn.Receive(1+int64(time.Since(start)), buf)
		})
		if failed != nil {
			p.t.Error(failed)
			return
		}
		buf = buf[:copy(buf, buf[n:])]
	}
}

// do calls f, and writes what comes of it.
func (p *pump) do(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	for {
		out := p.conn.Output()
		if len(out) == 0 {
			return
		}
		_, err := p.socket.Write(out)
		p.conn.Written()
		if err != nil {
			p.socket.Close()
			return
		}
	}
}

// newPump runs a connection over a socket until the test ends.
func newPump(t testing.TB, socket net.Conn, begin func() *Conn) *pump {
	p := &pump{t: t, socket: socket, ended: make(chan struct{})}
	p.conn = begin()
	go p.run()
	t.Cleanup(func() { socket.Close(); <-p.ended })
	return p
}

// sockets are both ends of a connection over loopback.
func sockets(t testing.TB) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return a, b
}
