package conformance

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"
)

// probe is the request that shows that a client's connection can still be used.
var probe = crlf("GET /usable HTTP/1.1\nHost: usable\n\n")

// clientSide is the client of a run.
type clientSide struct {
	*net.TCPConn
	x    *exchange
	done chan struct{} // closed when nothing more is read
}

// step is what a client does.
type step func(c *clientSide)

// runClient connects, does what the row says and reads what comes.
func (x *exchange) runClient(address string) {
	conn, err := dial(address)
	if err != nil {
		x.fail("client: %v", err)
		return
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(3 * patience)); err != nil {
		x.fail("client: %v", err)
		return
	}
	c := &clientSide{TCPConn: conn, x: x, done: make(chan struct{})}
	if x.row.deaf {
		close(c.done)
	} else {
		go c.read()
	}
	c.write()
	for _, do := range x.row.client {
		do(c)
	}
	if !x.row.deaf {
		c.awaitResponses()
	}
	conn.Close()
	<-c.done
}

// dial connects to an address of this machine, with less work than net.Dial.
func dial(address string) (*net.TCPConn, error) {
	endpoint, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	return net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(endpoint))
}

// write sends the row's bytes as the plan says. Errors do not count: what the
// client gets decides.
func (c *clientSide) write() {
	text := c.x.row.in
	switch {
	case text == "":
	case c.x.plan.bytewise:
		for i := range len(text) {
			c.send(text[i : i+1])
			c.x.pause(100 * time.Microsecond)
		}
	case c.x.plan.follow:
		c.send(text + request("GET /smuggled HTTP/1.1"))
	default:
		_ = c.x.cutAt(text, c.x.plan.client, func(part string) error {
			c.send(part)
			return nil
		})
	}
}

func (c *clientSide) send(text string) {
	_, _ = io.WriteString(c.TCPConn, text) // see write
}

// awaitResponses waits for what the row promises, and for the end of the
// connection or a response to one more request.
func (c *clientSide) awaitResponses() {
	n := len(c.x.row.gets)
	for i := range n {
		if !c.x.await(func() bool { return len(c.x.got) > i || c.x.ending != "" }) {
			c.x.fail("the client waited in vain for response %d of %d", i+1, n)
			return
		}
	}
	switch c.x.row.end {
	case usable:
		c.send(probe)
		if !c.x.await(func() bool { return len(c.x.got) > n || c.x.ending != "" }) {
			c.x.fail("the client's connection was to be usable and gave no further response")
		}
	case closed:
		if !c.x.await(func() bool { return c.x.ending != "" }) {
			c.x.fail("the client's connection was to be closed and is open")
		}
	}
}

// read reads responses until the connection ends.
func (c *clientSide) read() {
	defer close(c.done)
	var source io.Reader = c.TCPConn
	if c.x.row.lazy {
		source = lazyReader{c}
	}
	r := bufio.NewReader(io.TeeReader(source, recorder{c.x}))
	for n := 1; ; n++ {
		if _, err := r.Peek(1); err != nil {
			c.x.update(func() { c.x.ending = endOf(err) })
			return
		}
		m, err := c.response(r, n)
		if err != nil && m.start == "" { // nothing behind the last 1xx
			c.x.update(func() { c.x.ending = endOf(err) })
			return
		}
		if err != nil && !m.whole {
			m.end = endOf(err)
		}
		c.x.update(func() {
			c.x.got = append(c.x.got, m)
			c.x.marks[fmt.Sprint("got ", n)] = true
			if !m.whole || m.framing == untilClose {
				c.x.ending = endOf(err)
			}
		})
		if err != nil {
			return
		}
		if m.status() == "101" {
			c.tail(r)
			return
		}
	}
}

// response reads the nth response and the 1xx before it.
func (c *clientSide) response(r *bufio.Reader, n int) (*message, error) {
	var interim []*message
	for {
		m := &message{}
		err := m.readHead(r)
		if err == nil {
			err = m.checkStatusLine()
		}
		if err != nil {
			m.interim = interim
			return m, err
		}
		if m.status() != "101" && strings.HasPrefix(m.status(), "1") {
			interim = append(interim, m)
			c.x.mark(fmt.Sprint("interim ", len(interim)))
			continue
		}
		m.interim = interim
		c.x.mark(fmt.Sprint("head ", n))
		return m, c.body(r, m, n)
	}
}

func (c *clientSide) body(r *bufio.Reader, m *message, n int) error {
	head := n <= len(c.x.row.gets) && c.x.row.gets[n-1].head
	b, err := newBodyReader(m, r, m.bodiless(head), untilClose)
	for err == nil && !m.whole {
		err = b.next()
		if len(m.body) > 0 {
			c.x.mark(fmt.Sprint("part ", n))
		}
	}
	return err
}

// tail reads what follows a 101.
func (c *clientSide) tail(r *bufio.Reader) {
	buffer := make([]byte, 4096)
	for {
		n, err := r.Read(buffer)
		c.x.update(func() {
			c.x.tail = append(c.x.tail, buffer[:n]...)
			if err != nil {
				c.x.ending = endOf(err)
			}
		})
		if err != nil {
			return
		}
	}
}

// recorder keeps the first bytes of what was received, for reports.
type recorder struct{ x *exchange }

func (r recorder) Write(p []byte) (int, error) {
	r.x.mu.Lock()
	defer r.x.mu.Unlock()
	if room := 2048 - len(r.x.raw); room > 0 {
		r.x.raw = append(r.x.raw, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

// lazyReader reads little at a time and rests in between.
type lazyReader struct{ c *clientSide }

func (l lazyReader) Read(p []byte) (int, error) {
	l.c.x.pause(500 * time.Microsecond)
	return l.c.TCPConn.Read(p[:min(len(p), 4096)])
}

func send(text string) step { return func(c *clientSide) { c.send(text) } }

// trickle sends text byte by byte with a pause behind each, until it is sent or
// the connection ends.
func trickle(text string, pause time.Duration) step {
	return func(c *clientSide) {
		for i := range len(text) {
			if _, err := io.WriteString(c.TCPConn, text[i:i+1]); err != nil {
				return
			}
			c.x.pause(pause)
		}
	}
}

// flood sends text n times, or until a response has come or the connection has
// ended.
func flood(text string, n int) step {
	return func(c *clientSide) {
		for range n {
			c.x.mu.Lock()
			answered := len(c.x.got) > 0 || c.x.ending != ""
			c.x.mu.Unlock()
			if answered {
				return
			}
			if _, err := io.WriteString(c.TCPConn, text); err != nil {
				return
			}
		}
	}
}

// pour sends text again and again until nothing has been taken for so long.
func pour(text string, quiet time.Duration) step {
	return func(c *clientSide) {
		const enough = 128 << 20
		for total := 0; total < enough; {
			if err := c.SetWriteDeadline(time.Now().Add(quiet)); err != nil {
				return
			}
			n, err := io.WriteString(c.TCPConn, text)
			total += n
			c.x.update(func() { c.x.sent = total })
			if err != nil {
				return
			}
		}
	}
}

// after waits for a mark.
func after(name string) step {
	return func(c *clientSide) {
		if !c.x.until(name) {
			c.x.fail("client waited in vain for %q", name)
		}
	}
}

func note(name string) step { return func(c *clientSide) { c.x.mark(name) } }

// afterTail waits until the client got this behind the 101.
func afterTail(text string) step {
	return func(c *clientSide) {
		if !c.x.await(func() bool { return string(c.x.tail) == text }) {
			c.x.fail("client did not get %q behind the head", text)
		}
	}
}

// pausing lets time pass in which nothing should happen.
func pausing(d time.Duration) step { return func(c *clientSide) { c.x.pause(d) } }

func halfClose(c *clientSide) { _ = c.CloseWrite() } // an error shows in what the client gets

// leave closes the connection.
func leave(c *clientSide) { _ = c.Close() }

// abort resets the connection.
func abort(c *clientSide) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// afterEnd waits until the connection has ended.
func afterEnd(c *clientSide) {
	if !c.x.await(func() bool { return c.x.ending != "" }) {
		c.x.fail("the client's connection did not end")
	}
}
