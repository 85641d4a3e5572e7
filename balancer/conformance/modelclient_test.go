package conformance

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"
)

// modelClient is one connection of the model.
type modelClient struct {
	h      *history
	random *rand.Rand
	conn   *net.TCPConn
	record *clientHistory
	bytes  string
	ends   []int // where in bytes each request ends
}

// runModelClient sends a pipeline, or goes away within it, and reads what comes.
func runModelClient(h *history, address string, random *rand.Rand, name string, faultless bool) {
	c := &modelClient{h: h, random: random}
	c.record = h.addConn(c.pipeline(name, faultless))
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		c.record.refused = err
		return
	}
	defer conn.Close()
	c.conn = conn.(*net.TCPConn)
	if err := conn.SetDeadline(time.Now().Add(3 * patience)); err != nil {
		c.record.refused = err
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.read()
	}()
	leaves := !faultless && random.IntN(8) == 0
	c.write(leaves)
	if leaves {
		<-done
		return
	}
	if random.IntN(4) == 0 {
		_ = c.conn.CloseWrite() // fails if the proxy has reset the connection
	}
	<-done
}

// pipeline makes requests and their bytes.
func (c *modelClient) pipeline(name string, faultless bool) (all []*sentRequest) {
	n := 1 + c.random.IntN(6)
	var b strings.Builder
	for i := range n {
		r := c.request(fmt.Sprintf("%s-%d", name, i))
		// Whether the answer to a malformed HEAD has a body is anybody's guess.
		if !faultless && i == n-1 && r.method != "HEAD" && c.random.IntN(12) == 0 {
			r.bad = true
		}
		all = append(all, r)
		c.frame(&b, r, i == n-1)
		c.ends = append(c.ends, b.Len())
	}
	c.bytes = b.String()
	return all
}

func (c *modelClient) request(id string) *sentRequest {
	methods := []string{"GET", "GET", "GET", "HEAD", "POST", "POST", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"}
	r := &sentRequest{id: id, method: methods[c.random.IntN(len(methods))], target: "/" + id}
	for i := range c.random.IntN(4) {
		r.fields = append(r.fields, fmt.Sprintf("x-Field%d: %d \xe9", i%2, c.random.IntN(1000)))
	}
	switch {
	case r.method == "HEAD" || r.method == "GET" || r.method == "OPTIONS":
	case c.random.IntN(20) == 0:
		r.body = bytesOf(id, 50_000+c.random.IntN(200_000))
	default:
		r.body = bytesOf(id, c.random.IntN(400))
	}
	return r
}

// frame writes a request with a length, in chunks, or without a body. The last
// one of a connection asks for its end, so that the reader sees it.
func (c *modelClient) frame(b *strings.Builder, r *sentRequest, last bool) {
	fmt.Fprintf(b, "%s %s HTTP/1.1\r\nHost: model\r\n", r.method, r.target)
	for _, field := range r.fields {
		b.WriteString(field + "\r\n")
	}
	if last {
		b.WriteString("Connection: close\r\n")
	}
	if r.body != "" && c.random.IntN(8) == 0 {
		b.WriteString("Expect: 100-continue\r\n") // it does not wait for it
	}
	if r.bad {
		b.WriteString("X : malformed\r\n")
	}
	switch {
	case r.body == "" && c.random.IntN(2) == 0:
		b.WriteString("\r\n")
	case c.random.IntN(2) == 0:
		fmt.Fprintf(b, "Content-Length: %d\r\n\r\n%s", len(r.body), r.body)
	default:
		b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		b.WriteString(chunksOf(r.body, 1+c.random.IntN(10_000)))
	}
}

// write sends the bytes in random parts with random pauses, or only the first
// of them.
func (c *modelClient) write(leaves bool) {
	end := len(c.bytes)
	if leaves {
		end = c.random.IntN(end)
		c.h.mu.Lock()
		c.record.left = true
		c.h.mu.Unlock()
	}
	for at := 0; at < end; {
		next := min(end, at+1+c.random.IntN(1+c.random.IntN(3000)))
		c.note(next)
		if _, err := io.WriteString(c.conn, c.bytes[at:next]); err != nil {
			return // the proxy has ended the connection: what came tells why
		}
		at = next
		if c.random.IntN(6) == 0 {
			<-time.After(time.Duration(c.random.IntN(3000)) * time.Microsecond)
		}
	}
	if leaves {
		c.leave()
	}
}

// note marks the requests that will have been sent to their end.
func (c *modelClient) note(sent int) {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	for i, end := range c.ends {
		if end <= sent {
			c.record.requests[i].complete = true
		}
	}
}

// leave goes away in one of the ways in which clients do.
func (c *modelClient) leave() {
	switch c.random.IntN(3) {
	case 0:
		_ = c.conn.SetLinger(0)
		_ = c.conn.Close()
	case 1:
		_ = c.conn.Close()
	default:
		_ = c.conn.CloseWrite()
	}
}

// read reads responses until the connection ends.
func (c *modelClient) read() {
	r := bufio.NewReader(c.conn)
	for n := 0; ; n++ {
		if _, err := r.Peek(1); err != nil {
			c.h.mu.Lock()
			defer c.h.mu.Unlock()
			c.record.ending = endOf(err)
			c.record.stuck = !c.record.left && c.record.ending != "FIN" && c.record.ending != "RST"
			return
		}
		got, err := readModelResponse(r, c.isHead(n))
		c.h.mu.Lock()
		c.record.got = append(c.record.got, got)
		c.h.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// isHead tells whether the nth response is to a HEAD that was sent whole.
func (c *modelClient) isHead(n int) bool {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	return n < len(c.record.requests) && c.record.requests[n].method == "HEAD" && c.record.requests[n].complete
}

func readModelResponse(r *bufio.Reader, head bool) (got gotResponse, err error) {
	for {
		m := &message{}
		if err = m.readHead(r); err == nil {
			err = m.checkStatusLine()
		}
		if err == nil && strings.HasPrefix(m.status(), "1") {
			got.interim = append(got.interim, m.values("X-Id")...)
			continue
		}
		if err == nil {
			var body *bodyReader
			if body, err = newBodyReader(m, r, m.bodiless(head), untilClose); err == nil {
				err = body.all()
			}
		}
		got.id, got.status, got.body, got.whole = strings.Join(m.values("X-Id"), ","), m.status(), string(m.body), m.whole
		got.closing = hasToken(m.values("Connection"), "close") || m.framing == untilClose
		if err != nil && strings.HasPrefix(endOf(err), "malformed") {
			got.fault = endOf(err)
		}
		return got, err
	}
}
