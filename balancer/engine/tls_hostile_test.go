package engine

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"evenkeel/balancer/exchange"
	"evenkeel/fsm"
)

// records puts bytes into handshake records of so many each.
func records(p []byte, size int) []byte {
	var out []byte
	for len(p) > 0 {
		n := min(size, len(p))
		out = append(out, 22, 3, 1, byte(n>>8), byte(n))
		out = append(out, p[:n]...)
		p = p[n:]
	}
	return out
}

// badHandshakes counts them whatever was wrong.
func (w *world) badHandshakes() (n uint64) {
	for fault := range exchange.HandshakeFaults {
		n += w.counters.BadHandshakes[fault].Load()
	}
	return n
}

// What is no hello is at its end soon, with no more taken than it may have, and keeps
// nobody away.
func TestGarbageForAHelloIsCutOff(t *testing.T) {
	much := bytes.Repeat([]byte("garbage."), 128<<10)
	huge := append([]byte{1, 0xff, 0xff, 0xff, 3, 3}, much...) // a hello of 16 MiB
	for name, text := range map[string][]byte{
		"1 MiB of anything":                   much,
		"1 MiB of records":                    records(much, 16<<10),
		"1 MiB of a hello":                    records(huge, 16<<10),
		"a hello in records of a byte":        records(huge[:64<<10], 1),
		"200,000 empty records":               bytes.Repeat([]byte{22, 3, 1, 0, 0}, 200_000),
		"a record of the largest size":        append([]byte{22, 3, 1, 0xff, 0xff}, much...),
		"alerts without end":                  bytes.Repeat([]byte{21, 3, 1, 0, 2, 1, 90}, 100_000),
		"changes of the cipher without end":   bytes.Repeat([]byte{20, 3, 1, 0, 1, 1}, 100_000),
		"records of content before there are": bytes.Repeat([]byte{23, 3, 3, 0, 1, 0}, 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, securing(t, nil), answering(t, "hello"))
			p := w.dial()
			wrote := make(chan struct{})
			go func() {
				defer close(wrote)
				_, _ = p.Conn.Write(text) // which it does not take to the end
			}()
			_, _ = io.Copy(io.Discard, p.Conn) // an alert, or a reset
			<-wrote
			p.Conn.Close()
			eventually(t, "nobody is connected", func() bool { return w.connections() == 0 })
			if got := w.badHandshakes(); got != 1 {
				t.Errorf("%d handshakes failed", got)
			}
			if body, _, err := exchangeOnce(w.dialTLS(trusting())); body != "hello" || err != nil {
				t.Errorf("%q, %v", body, err)
			}
		})
	}
}

func TestHalfOpenHandshakesEndInTimeAndKeepNobodyAway(t *testing.T) {
	const many = 300
	w := newWorld(t, securing(t, nil, func(with *tuning) { with.listener.ClientHead = fsm.Duration(2 * time.Second) }), answering(t, "hello"))
	before := runtime.NumGoroutine()
	hello := helloOf(t)
	var open []*peerConn
	for i := range many {
		p := w.dial()
		open = append(open, p)
		switch i % 3 { // silence, a part of a hello, and all of one behind which nothing comes
		case 1:
			p.send(string(hello[:100]))
		case 2:
			p.send(string(hello))
		}
	}
	eventually(t, "all are there", func() bool { return w.connections() == many })
	if body, _, err := exchangeOnce(w.dialTLS(trusting())); body != "hello" || err != nil {
		t.Errorf("%q, %v", body, err)
	}
	if got := runtime.NumGoroutine() - before; got > many/3+50 {
		t.Errorf("%d goroutines more for %d handshakes, of which %d have begun", got, many, many/3)
	}
	eventually(t, "only the one that was served is left", func() bool { return w.connections() == 1 })
	for _, p := range open {
		if _, err := io.Copy(io.Discard, p.Conn); err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
			t.Fatal(err)
		}
	}
	if got := w.counters.BadHandshakes[exchange.HandshakeTimeout].Load(); got != many {
		t.Errorf("%d were too slow", got)
	}
}

// helloOf is what a client sends first.
func helloOf(t *testing.T) []byte {
	here, there := net.Pipe()
	defer there.Close()
	go func() {
		_ = tls.Client(here, trusting()).HandshakeContext(t.Context())
		here.Close()
	}()
	got := make([]byte, 64<<10)
	n, err := there.Read(got)
	if err != nil {
		t.Fatal(err)
	}
	return got[:n]
}

func TestUpdatesOfKeysWithoutEndAreCutOff(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip(err)
	}
	w := newWorld(t, securing(t, nil), answering(t, "hello"))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "openssl", "s_client", "-connect", w.addr, "-servername", "example.com")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out lockedBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the handshake is done", func() bool { return w.counters.FullHandshakes.Load() == 1 })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	isOver := func() bool {
		select {
		case <-ended:
			return true
		default:
			return false
		}
	}
	updates := 0
	for ; updates < 200 && !isOver(); updates++ { // it takes one command a read
		if _, err := io.WriteString(in, "K\n"); err != nil {
			break
		}
		eventually(t, "keys are updated", func() bool { return strings.Count(out.String(), "KEYUPDATE") > updates || isOver() })
	}
	if updates < 10 || updates > 30 { // crypto/tls takes 16 without content between them
		t.Errorf("cut off after %d updates\n%s", updates, out.String())
	}
	in.Close()
	<-ended
	eventually(t, "nobody is connected", func() bool { return w.connections() == 0 })
}

// A client that has said all of its request may say so, in TLS as well: the answer
// comes all the same.
func TestAnAnswerComesBehindTheClientsEnd(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	w := newWorld(t, securing(t, nil), scripted(t, func(p *peerConn) {
		p.head()
		close(asked)
		<-release
		p.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
		_, _ = p.end()
	}))
	p := w.dialTLS(trusting())
	p.send("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
	if err := p.Conn.(*tls.Conn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	await(t, asked, "the request")
	close(release)
	if rest, err := p.end(); err != nil || !strings.HasSuffix(rest, "\r\n\r\nhello") {
		t.Errorf("got %q, %v", rest, err)
	}
	eventually(t, "nobody is connected", func() bool { return w.connections() == 0 && w.requests() == 0 })
}

func TestAnEndWithoutARequestEndsTheConnection(t *testing.T) {
	for _, text := range []string{"", "GET / HTTP/1.1\r\nHo"} {
		w := newWorld(t, securing(t, nil), answering(t, "hello"))
		p := w.dialTLS(trusting())
		p.send(text)
		if err := p.Conn.(*tls.Conn).CloseWrite(); err != nil { // and silence
			t.Fatal(err)
		}
		if rest, err := p.end(); err != nil || text == "" && rest != "" || text != "" && !strings.HasPrefix(rest, "HTTP/1.1 400 ") {
			t.Errorf("after %q: got %q, %v", text, rest, err)
		}
		eventually(t, "nobody is connected", func() bool { return w.connections() == 0 })
	}
}

// What breaks TLS in the midst of a request ends it at the backend as well.
func TestABrokenRecordEndsTheRequest(t *testing.T) {
	for name, text := range map[string]string{
		"a record of another key":  "\x17\x03\x03\x00\x20" + strings.Repeat("x", 32),
		"an alert in clear text":   "\x15\x03\x03\x00\x02\x02\x28",
		"what is no record at all": "GET / HTTP/1.1\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan struct{})
			var rest string
			w := newWorld(t, securing(t, nil), scripted(t, func(p *peerConn) {
				p.head()
				rest, _ = p.end() // by a reset or not
				close(ended)
			}))
			p := w.dialTLS(trusting())
			p.send("POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 100\r\n\r\nhalf")
			eventually(t, "it is under way", func() bool { return w.backend("b0").Stats.InFlight() == 1 })
			if _, err := io.WriteString(p.Conn.(*tls.Conn).NetConn(), text); err != nil {
				t.Fatal(err)
			}
			if await(t, ended, "the end at the backend"); len(rest) > 4 {
				t.Errorf("the backend got %q", rest)
			}
			eventually(t, "nothing is under way", func() bool {
				return w.connections() == 0 && w.requests() == 0 && w.backend("b0").Stats.InFlight() == 0
			})
			if got := w.counters.ClientLeft.Load(); got != 1 {
				t.Errorf("%d clients left", got)
			}
		})
	}
}
