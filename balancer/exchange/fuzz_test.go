package exchange

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"evenkeel/fsm"
)

// FuzzExchange plays a script of events on a client's connection and those to
// backends. Whatever they are: nothing panics, what reaches a backend is
// requests that net/http reads too, each request of one that may not be repeated
// reaches at most one backend, and when all have gone nothing is accounted for.
func FuzzExchange(f *testing.F) {
	f.Add([]byte("cr"), get, response)
	f.Add([]byte("ccrrdce"), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 100 Continue\r\n\r\n"+response)
	f.Add([]byte("crtre"), "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")
	f.Add([]byte("crrcrf"), "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nmore", "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nbytes")
	f.Add([]byte("crgcbwfcr"), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", response)
	f.Add([]byte("crE"), "GET / HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\nuntil the end")
	f.Fuzz(func(t *testing.T, script []byte, request, answer string) {
		w := newWorld(t, fsm.PoolSpec{}, 2)
		client := w.client()
		if len(script) > 64 {
			script = script[:64]
		}
		for i, step := range script {
			w.play(client, step, i, request, answer)
		}
		tunnel := strings.Contains(strings.ToLower(request), "upgrade")
		client.end()
		for range 10 * (len(script) + 4) * (1 + strings.Count(request, "\n\r\n")) { // every deadline of every request comes in the end
			client.expire(w)
			for _, b := range w.dialled {
				b.flush()
				b.expire(w)
				b.end()
			}
			client.settle()
			client.end()
		}
		w.atRest(t)
		if !tunnel {
			w.checkSent(t)
		}
	})
}

// play makes one event happen.
func (w *world) play(client *wire, step byte, i int, request, answer string) {
	at := i * 7
	switch step {
	case 'c':
		client.give(request)
	case 'p': // a piece
		if at < len(request) {
			client.give(request[at:min(at+5, len(request))])
		}
	case 'e':
		client.end()
	case 'x':
		client.expire(w)
	}
	for _, b := range w.dialled {
		if b.closed {
			continue
		}
		conn, isConn := b.events.(*Backend)
		if isConn && !conn.connected && step != 'f' {
			conn.Connected()
		}
		switch step {
		case 'r':
			b.give(answer)
		case 'q':
			if at < len(answer) {
				b.give(answer[at:min(at+5, len(answer))])
			}
		case 'E':
			b.end()
		case 't':
			b.expire(w)
		case 'f':
			b.closed = true
			b.events.Failed(io.ErrUnexpectedEOF)
		case 'b':
			b.broken = true
		case 'g':
			b.gathers = !b.gathers
		case 'w':
			b.flush()
		}
	}
	client.settle()
}

// checkSent reads what each backend got as requests. The last one may be cut.
func (w *world) checkSent(t *testing.T) {
	t.Helper()
	for _, b := range w.dialled {
		reader := bufio.NewReader(bytes.NewReader(b.out))
		for {
			if _, err := reader.Peek(1); err != nil {
				break
			}
			request, err := http.ReadRequest(reader)
			if err != nil {
				t.Fatalf("a backend got what is no request: %v in %q", err, b.out)
			}
			if _, err := io.Copy(io.Discard, request.Body); err != nil {
				break // it was cut, and so was the connection
			}
		}
	}
}
