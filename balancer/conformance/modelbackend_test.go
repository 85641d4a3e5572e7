package conformance

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// modelBackend is a backend that fails at random.
type modelBackend struct {
	listener net.Listener
	done     sync.WaitGroup

	mu        sync.Mutex // guards the fields below
	h         *history
	seed      uint64
	faultless bool
	accepted  uint64
	open      map[*modelConn]struct{}
	last      map[string]chan struct{} // by whom: the connections behind all of a round
}

func newModelBackend(t testing.TB) *modelBackend {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &modelBackend{listener: listener, open: map[*modelConn]struct{}{}, last: map[string]chan struct{}{}}
	b.done.Go(b.accept)
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		b.end()
		b.done.Wait()
	})
	return b
}

// begin says whose requests come from now on.
func (b *modelBackend) begin(h *history, seed uint64, faultless bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.h, b.seed, b.faultless, b.accepted = h, seed, faultless, 0
}

// end closes all connections and waits for their ends, also of those that wait
// to be accepted: what comes on them is this round's.
func (b *modelBackend) end() {
	b.acceptAll()
	b.mu.Lock()
	var open []*modelConn
	for c := range b.open {
		open = append(open, c)
		_ = c.CloseWrite() // fails if it is closed already
		_ = c.SetDeadline(time.Now().Add(patience))
	}
	b.mu.Unlock()
	for _, c := range open {
		<-c.ended
	}
}

// acceptAll returns when the connections that were made before it are accepted.
func (b *modelBackend) acceptAll() {
	accepted := make(chan struct{})
	b.mu.Lock()
	conn, err := net.DialTimeout("tcp", b.listener.Addr().String(), patience)
	if err == nil {
		b.last[conn.LocalAddr().String()] = accepted
	}
	b.mu.Unlock()
	if err != nil {
		return // the listener is closed
	}
	defer conn.Close()
	<-accepted
}

func (b *modelBackend) accept() {
	for {
		conn, err := b.listener.Accept()
		if err != nil {
			return // it was closed
		}
		c := &modelConn{TCPConn: conn.(*net.TCPConn), b: b, r: bufio.NewReader(conn), ended: make(chan struct{})}
		b.mu.Lock()
		if accepted := b.last[conn.RemoteAddr().String()]; accepted != nil {
			delete(b.last, conn.RemoteAddr().String())
			b.mu.Unlock()
			conn.Close()
			close(accepted)
			continue
		}
		c.h, c.random, c.faultless = b.h, rand.New(rand.NewPCG(b.seed, b.accepted)), b.faultless
		b.accepted++
		b.open[c] = struct{}{}
		b.mu.Unlock()
		b.done.Go(c.serve)
	}
}

// modelConn is one connection to such a backend.
type modelConn struct {
	*net.TCPConn
	b         *modelBackend
	h         *history
	r         *bufio.Reader
	random    *rand.Rand
	faultless bool
	ended     chan struct{}

	m    *message
	body *bodyReader
	seen *seenRequest
}

func (c *modelConn) serve() {
	defer func() {
		c.Close()
		c.b.mu.Lock()
		delete(c.b.open, c)
		c.b.mu.Unlock()
		close(c.ended)
	}()
	if err := c.SetDeadline(time.Now().Add(3 * patience)); err != nil {
		return
	}
	if !c.faultless && c.random.IntN(20) == 0 {
		c.die()
		return
	}
	for c.readHead() == nil && c.behave() {
	}
}

// readHead reads a request's head and notes that it was seen.
func (c *modelConn) readHead() error {
	if _, err := c.r.Peek(1); err != nil {
		return err
	}
	c.m = &message{}
	err := c.m.readHead(c.r)
	if err == nil {
		c.body, err = newBodyReader(c.m, c.r, false, noBody)
	}
	method, rest, _ := strings.Cut(c.m.start, " ")
	target, _, _ := strings.Cut(rest, " ")
	c.seen = &seenRequest{id: strings.TrimPrefix(target, "/"), method: method, target: target}
	for _, line := range c.m.fields {
		if strings.HasPrefix(strings.ToLower(line), "x-field") {
			c.seen.fields = append(c.seen.fields, line)
		}
	}
	c.noteFault(err)
	if c.seen.fault != "" || err == nil {
		c.h.see(c.seen)
	}
	return err
}

// noteFault keeps what was malformed; that a connection ended is no fault.
func (c *modelConn) noteFault(err error) {
	if err != nil && strings.HasPrefix(endOf(err), "malformed") {
		c.seen.fault = endOf(err)
	}
}

// readBody reads what is left of the body and notes what came of it.
func (c *modelConn) readBody() error {
	err := c.body.all()
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	c.noteFault(err)
	c.seen.body, c.seen.whole = string(c.m.body), c.m.whole
	return err
}

// die ends the connection in one of two ways.
func (c *modelConn) die() {
	if c.random.IntN(2) == 0 {
		_ = c.SetLinger(0)
	}
	c.Close()
}

// behave does with a request what chance says, and tells whether the connection
// goes on.
func (c *modelConn) behave() bool {
	if len(c.m.values("Expect")) > 0 && c.random.IntN(2) == 0 {
		if _, err := fmt.Fprintf(c, "HTTP/1.1 100 Continue\r\nX-Id: %s\r\n\r\n", c.seen.id); err != nil {
			return false
		}
	}
	n := c.random.IntN(100)
	if c.faultless {
		n = 30 + n*70/100
	}
	switch {
	case n < 4: // it dies before it has read the body
		c.die()
		return false
	case n < 8: // it dies before it answers
		_ = c.readBody()
		c.die()
		return false
	case n < 13:
		return c.dieWithin()
	case n < 18: // it answers, and hangs up without a word
		return c.readBody() == nil && c.answer("") == nil && false
	case n < 22: // it answers before it has read the body
		return c.answer("") == nil && c.readBody() == nil
	case n < 24: // it answers early and hangs up
		_ = c.answer("Connection: close")
		return false
	case n < 26: // it answers what is no answer
		_ = c.readBody()
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX-Id : x\r\nContent-Length: 0\r\n\r\n")
		return false
	case n < 29: // it answers twice
		return c.readBody() == nil && c.answerTwice() == nil
	case n < 30 && c.random.IntN(3) == 0: // it never answers
		_ = c.readBody()
		_, _ = io.Copy(io.Discard, c.r)
		return false
	case n < 35: // it takes its time
		if c.readBody() != nil {
			return false
		}
		<-time.After(time.Duration(c.random.IntN(20)) * time.Millisecond)
		return c.answer("") == nil
	case n < 40: // it has a word before
		_, err := fmt.Fprintf(c, "HTTP/1.1 103 Early Hints\r\nX-Id: %s\r\n\r\n", c.seen.id)
		return err == nil && c.readBody() == nil && c.answer("") == nil
	case n < 50: // it wants no further request
		_ = c.readBody() == nil && c.answer("Connection: close") == nil
		return false
	case n < 55: // its answer ends with the connection
		_ = c.readBody() == nil && c.answerUntilClose() == nil
		return false
	}
	return c.readBody() == nil && c.answer("") == nil
}

// text is the head of the answer up to its framing.
func (c *modelConn) text(a answer, extra string) string {
	head := fmt.Sprintf("HTTP/1.1 %s X\r\nX-Id: %s\r\n", a.status, c.seen.id)
	if extra != "" {
		head += extra + "\r\n"
	}
	return head
}

// framed is the whole answer, with a length or in chunks.
func (c *modelConn) framed(extra string) string {
	a := answerTo(c.seen.method, c.seen.id)
	head := c.text(a, extra)
	switch {
	case a.status == "204":
		return head + "\r\n"
	case c.random.IntN(2) == 0:
		return head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(a.body), a.body)
	case c.seen.method == "HEAD":
		return head + "Transfer-Encoding: chunked\r\n\r\n"
	}
	return head + "Transfer-Encoding: chunked\r\n\r\n" + chunksOf(a.body, 1+c.random.IntN(5000))
}

// answer sends the answer in random parts.
func (c *modelConn) answer(extra string) error { return c.send(c.framed(extra)) }

func (c *modelConn) send(text string) error {
	for text != "" {
		n := min(len(text), 1+c.random.IntN(1+c.random.IntN(5000)))
		if _, err := io.WriteString(c, text[:n]); err != nil {
			return err
		}
		text = text[n:]
		if c.random.IntN(8) == 0 {
			<-time.After(time.Duration(c.random.IntN(2000)) * time.Microsecond)
		}
	}
	return nil
}

// dieWithin sends a part of the answer and dies. What is sent never looks whole.
func (c *modelConn) dieWithin() bool {
	_ = c.readBody()
	text := c.framed("")
	_ = c.send(text[:c.random.IntN(len(text))])
	c.die()
	return false
}

// answerTwice sends a second answer that nobody asked for right behind the
// first.
func (c *modelConn) answerTwice() error {
	_, err := io.WriteString(c, c.framed("")+"HTTP/1.1 200 OK\r\nX-Id: unasked\r\nContent-Length: 7\r\n\r\nunasked")
	return err
}

// answerUntilClose sends an answer that the end of the connection ends. One
// that has no body must say so: nobody could know it.
func (c *modelConn) answerUntilClose() error {
	a := answerTo(c.seen.method, c.seen.id)
	if a.body == "" {
		return c.send(c.text(a, "Connection: close") + "\r\n")
	}
	return c.send(c.text(a, "") + "\r\n" + a.body)
}
