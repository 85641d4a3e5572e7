package conformance

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// backend is a TCP server that does what the row of the current run says.
type backend struct {
	listener net.Listener
	current  *atomic.Pointer[exchange] // shared by the backends of a slot
	done     sync.WaitGroup
}

func newBackend(current *atomic.Pointer[exchange]) (*backend, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &backend{listener: listener, current: current}
	b.done.Go(b.accept)
	return b, nil
}

func (b *backend) close() error {
	err := b.listener.Close()
	b.done.Wait()
	return err
}

func (b *backend) accept() {
	for {
		conn, err := b.listener.Accept()
		if err != nil {
			return // it was closed
		}
		x := b.current.Load()
		if x == nil {
			conn.Close() // nothing is asked for between two runs
			continue
		}
		b.done.Go(newBackendConn(conn.(*net.TCPConn), x).serve)
	}
}

// backendConn is one connection of a proxy to a backend.
type backendConn struct {
	*net.TCPConn
	x      *exchange
	number int
	r      *bufio.Reader
	gone   chan struct{} // closed when the proxy has ended the connection
	ended  chan struct{} // closed when the script has, too

	m     *message // being read
	body  *bodyReader
	wrote bool // the plan's split is used up
}

func newBackendConn(conn *net.TCPConn, x *exchange) *backendConn {
	c := &backendConn{TCPConn: conn, x: x, r: bufio.NewReader(conn), gone: make(chan struct{}), ended: make(chan struct{})}
	x.update(func() {
		c.number = len(x.conns)
		x.conns = append(x.conns, c)
	})
	select {
	case <-x.over: // it came too late for the one who ends all
		c.end()
	default:
	}
	return c
}

// act is a step of a backend's script. An error ends the connection.
type act func(c *backendConn) error

// errFinished ends a script whose connection is not to be used further.
var errFinished = errors.New("the script has finished")

func (c *backendConn) serve() {
	defer close(c.ended)
	defer c.finish()
	if err := c.SetDeadline(time.Now().Add(3 * patience)); err != nil {
		c.x.fail("backend: %v", err)
		return
	}
	var script []act
	if c.number < len(c.x.row.backend) {
		script = c.x.row.backend[c.number]
	}
	for _, do := range script {
		if err := do(c); err != nil {
			return
		}
	}
	for {
		if err := readRequest(c); err != nil {
			return
		}
		if err := write(okResponse)(c); err != nil {
			return
		}
	}
}

// end is called when the run is over: the backend says so to the proxy, whose
// end of the connection then ends whatever the script still does.
func (c *backendConn) end() {
	_ = c.CloseWrite() // fails if it is closed already
	_ = c.SetReadDeadline(time.Now().Add(patience))
	_ = c.SetWriteDeadline(time.Now())
}

// finish ends the backend's side and waits until the proxy has ended its own,
// so that it will use the connection no more.
func (c *backendConn) finish() {
	defer c.Close()
	c.end()
	_, err := io.Copy(io.Discard, c.r)
	c.x.update(func() {
		close(c.gone)
		c.x.marks["dropped"] = true
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.x.fail("the proxy held on to backend connection %d although the backend had ended it", c.number+1)
	}
}

// readHead reads a request's head.
func readHead(c *backendConn) error {
	m := &message{conn: c.number}
	if _, err := c.r.Peek(1); err != nil {
		return err // nobody asks
	}
	c.m = m
	err := m.readHead(c.r)
	if err == nil {
		c.body, err = newBodyReader(m, c.r, false, noBody)
	}
	if err != nil {
		m.end = endOf(err)
	}
	c.x.update(func() {
		c.x.seen = append(c.x.seen, m)
		c.x.marks[fmt.Sprint("seen ", len(c.x.seen))] = true
	})
	return err
}

// readBody reads what is left of the body.
func readBody(c *backendConn) error {
	err := c.body.all()
	if err != nil {
		c.m.end = endOf(err)
	}
	return err
}

func readRequest(c *backendConn) error {
	if err := readHead(c); err != nil {
		return err
	}
	return readBody(c)
}

// readSome reads until the body has at least n bytes.
func readSome(n int) act {
	return func(c *backendConn) error {
		for len(c.m.body) < n && !c.m.whole {
			if err := c.body.next(); err != nil {
				c.m.end = endOf(err)
				return err
			}
		}
		return nil
	}
}

// write sends text, the first of a connection in the parts of the plan.
func write(text string) act {
	return func(c *backendConn) error {
		at := c.x.plan.backend
		if c.wrote || c.number > 0 {
			at = 0
		}
		c.wrote = true
		return c.x.cutAt(text, at, c.send)
	}
}

func (c *backendConn) send(text string) error {
	_, err := io.WriteString(c.TCPConn, text)
	return err
}

// forever sends text again and again until that fails or the run ends.
func forever(text string) act {
	return func(c *backendConn) error {
		for {
			n, err := io.WriteString(c.TCPConn, text)
			c.x.update(func() { c.x.sent += n })
			if err != nil {
				return err
			}
			select {
			case <-c.x.over:
				return errFinished
			default:
			}
		}
	}
}

// drip sends text again and again, with a pause behind each.
func drip(text string, pause time.Duration) act {
	return func(c *backendConn) error {
		for {
			if err := c.send(text); err != nil {
				return err
			}
			c.x.pause(pause)
			select {
			case <-c.x.over:
				return errFinished
			default:
			}
		}
	}
}

// expect reads exactly the text, as it is.
func expect(text string) act {
	return func(c *backendConn) error {
		data := make([]byte, len(text))
		n, err := io.ReadFull(c.r, data)
		if err != nil || string(data) != text {
			c.x.fail("backend read %q, %v; want %q", data[:n], err, text)
			return errFinished
		}
		return nil
	}
}

// expectEnd reads the proxy's FIN.
func expectEnd(c *backendConn) error {
	if b, err := c.r.ReadByte(); endOf(err) != "FIN" {
		c.x.fail("backend read %q, %v; want the end", b, err)
		return errFinished
	}
	return nil
}

// stall does nothing until the proxy ends the connection, or the run ends.
func stall(c *backendConn) error {
	_, _ = io.Copy(io.Discard, c.r) // whatever ends it, it is over
	return errFinished
}

func hangUp(c *backendConn) error {
	c.Close()
	return errFinished
}

// reset closes with RST.
func reset(c *backendConn) error {
	if err := c.SetLinger(0); err != nil {
		return err
	}
	return hangUp(c)
}

func endWrite(c *backendConn) error { return c.CloseWrite() }

func pauseFor(d time.Duration) act {
	return func(c *backendConn) error {
		c.x.pause(d)
		return nil
	}
}

func mark(name string) act {
	return func(c *backendConn) error {
		c.x.mark(name)
		return nil
	}
}

func until(name string) act {
	return func(c *backendConn) error {
		if !c.x.until(name) {
			c.x.fail("backend waited in vain for %q", name)
			return errFinished
		}
		return nil
	}
}

// does is a backend whose first connection follows a script.
func does(script ...act) [][]act { return [][]act{script} }

// answers gives each of the responses to one request, on one connection.
func answers(responses ...string) [][]act {
	var script []act
	for _, text := range responses {
		script = append(script, readRequest, write(text))
	}
	return does(script...)
}

// answersAndHangsUp is the same and then closes.
func answersAndHangsUp(responses ...string) [][]act {
	return does(slices.Concat(answers(responses...)[0], []act{hangUp})...)
}
