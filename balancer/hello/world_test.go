package hello

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"
)

// said is what a hello says, or why it says nothing.
type said struct {
	verdict   Verdict
	name      string
	protocols []string
}

// read reads bytes that arrive in pieces of so many.
func read(p []byte, piece int) said {
	var r Reader
	for n := min(piece, len(p)); ; n = min(n+piece, len(p)) {
		if h, v := r.Read(p[:n:n]); v != Incomplete || n == len(p) {
			s := said{verdict: v, name: string(h.ServerName)}
			for one := range h.Protocols() {
				s.protocols = append(s.protocols, string(one))
			}
			return s
		}
	}
}

func (s said) equal(other said) bool {
	return s.verdict == other.verdict && s.name == other.name && slices.Equal(s.protocols, other.protocols)
}

// sent returns the hello that crypto/tls sends.
func sent(t testing.TB, config *tls.Config) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	go func() {
		defer theirs.Close()
		// Nobody answers: the handshake fails in any case.
		_ = tls.Client(theirs, config).HandshakeContext(context.Background())
	}()
	header := make([]byte, recordHeader)
	if _, err := io.ReadFull(ours, header); err != nil {
		t.Fatal(err)
	}
	record := append(header, make([]byte, int(header[3])<<8|int(header[4]))...)
	if _, err := io.ReadFull(ours, record[recordHeader:]); err != nil {
		t.Fatal(err)
	}
	return record
}

// oracle returns what crypto/tls makes of the bytes; ok is false if it sees no
// hello.
func oracle(p []byte) (s said, ok bool) {
	stop := errors.New("seen")
	conn := &recorded{in: p}
	server := tls.Server(conn, &tls.Config{
		MinVersion: tls.VersionTLS10,
		GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
			s, ok = said{verdict: Complete, name: info.ServerName, protocols: info.SupportedProtos}, true
			return nil, stop
		},
	})
	// It fails in any case: at the latest in the callback.
	_ = server.HandshakeContext(context.Background())
	return s, ok
}

// recorded is a connection on which bytes have arrived, and then the end.
type recorded struct{ in []byte }

// The methods of net.Conn.
func (c *recorded) Read(p []byte) (int, error) {
	if len(c.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.in)
	c.in = c.in[n:]
	return n, nil
}
func (c *recorded) Write(p []byte) (int, error)      { return len(p), nil }
func (c *recorded) Close() error                     { return nil }
func (c *recorded) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *recorded) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *recorded) SetDeadline(time.Time) error      { return nil }
func (c *recorded) SetReadDeadline(time.Time) error  { return nil }
func (c *recorded) SetWriteDeadline(time.Time) error { return nil }

// cut returns the same message in records of so many bytes at most.
func cut(record []byte, size int) []byte {
	var out []byte
	for rest := record[recordHeader:]; len(rest) > 0; {
		n := min(size, len(rest))
		out = append(out, typeHandshake, 3, 1, byte(n>>8), byte(n))
		out = append(out, rest[:n]...)
		rest = rest[n:]
	}
	return out
}
