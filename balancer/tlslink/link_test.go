package tlslink

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"evenkeel/balancer/exchange"
)

func TestBytesGoBothWaysInEachVersionWithEachKey(t *testing.T) {
	for name, key := range map[string]tls.Certificate{"P-256": issue(t, "a.test", ecdsaKey()), "RSA": issue(t, "a.test", rsaKey())} {
		for version, text := range map[uint16]string{tls.VersionTLS12: "1.2", tls.VersionTLS13: "1.3"} {
			t.Run(name+" "+text, func(t *testing.T) {
				w := start(t, &tls.Config{Certificates: []tls.Certificate{key}}, echo, nil)
				config := clientConfig()
				config.MaxVersion = version
				conn := w.dial(config)
				if got := conn.ConnectionState().Version; got != version {
					t.Errorf("the version is %x", got)
				}
				for range 3 {
					says(t, conn, "hello")
				}
				large := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
				go func() { _, _ = conn.Write(large) }()
				got := make([]byte, len(large))
				if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, large) {
					t.Errorf("what came back differs: %v", err)
				}
				if err := conn.CloseWrite(); err != nil {
					t.Error(err)
				}
				if rest, err := io.ReadAll(conn); err != nil || len(rest) > 0 {
					t.Errorf("behind the end came %q, %v", rest, err)
				}
			})
		}
	}
}

// trickle is a connection that sends byte by byte.
type trickle struct{ net.Conn }

func (c trickle) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := c.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

func TestRecordsMayComeByteByByte(t *testing.T) {
	w := start(t, server(t), echo, nil)
	conn := tls.Client(trickle{w.raw()}, clientConfig())
	says(t, conn, "in small pieces")
	says(t, conn, "and again")
}

func TestAHandshakeThatDoesNotComeIsEndedByItsDeadline(t *testing.T) {
	w := start(t, server(t), echo, nil)
	w.do(func() { w.within = 30 * time.Millisecond })
	for name, begin := range map[string][]byte{"silence": nil, "half a hello": {22, 3, 1, 2, 0, 1, 0, 1}} {
		t.Run(name, func(t *testing.T) {
			conn := w.raw()
			if _, err := conn.Write(begin); err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(conn); err != nil || len(got) > 0 {
				t.Errorf("got %q, %v", got, err)
			}
			if err := await(t, w.gone, "word of it"); !errors.Is(err, ErrSlow) {
				t.Errorf("told %v", err)
			}
		})
	}
}

func TestPlainHTTPGetsAnAnswerThatItCanRead(t *testing.T) {
	w := start(t, server(t), echo, nil)
	conn := w.raw()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil || string(got) != plainAnswer {
		t.Errorf("got %q, %v", got, err)
	}
	_, body, _ := bytes.Cut(got, []byte("\r\n\r\n"))
	if len(body) != 48 {
		t.Errorf("the body has %d bytes", len(body))
	}
	if err := await(t, w.gone, "word of it"); !errors.Is(err, ErrPlain) {
		t.Errorf("told %v", err)
	}
}

func TestATruncatedConnectionIsToldFromOneThatEnded(t *testing.T) {
	failed, ended := make(chan error, 1), make(chan struct{}, 1)
	w := start(t, server(t), func(l *Link, _ tls.ConnectionState) exchange.Events {
		u := &upper{link: l}
		u.data = func(p []byte) int { l.Write(p, false); return len(p) }
		u.eof = func() { ended <- struct{}{}; l.Close() }
		u.failed = func(err error) { failed <- err }
		return u
	}, nil)
	conn := w.dial(clientConfig())
	says(t, conn, "x")
	if err := conn.NetConn().(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if err := await(t, failed, "Failed"); !errors.Is(err, ErrTruncated) {
		t.Errorf("failed with %v", err)
	}
	conn = w.dial(clientConfig())
	says(t, conn, "x")
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	await(t, ended, "EOF")
}

func TestAnIdleConnectionHasNoGoroutineAndNoHandshake(t *testing.T) {
	w := start(t, server(t), echo, nil)
	conn := w.dial(clientConfig())
	says(t, conn, "x")
	w.do(func() {
		if w.tls.working != 0 || w.tls.first != nil {
			t.Errorf("%d handshakes are at work", w.tls.working)
		}
	})
}
