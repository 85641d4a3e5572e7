//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"time"
)

// config is that of all connections of a run.
func (j *TLSJob) config(protocol string, cache tls.ClientSessionCache) *tls.Config {
	return &tls.Config{
		ServerName: serverName, NextProtos: []string{protocol}, MinVersion: tls.VersionTLS13,
		CurvePreferences: []tls.CurveID{tls.X25519}, ClientSessionCache: cache,
		InsecureSkipVerify: true, // in favour of the pin, which costs the load less than a chain
		VerifyConnection: func(s tls.ConnectionState) error {
			if sum := sha256.Sum256(s.PeerCertificates[0].RawSubjectPublicKeyInfo); !bytes.Equal(sum[:], j.Pin) {
				return errors.New("the server has another key than the bench made")
			}
			return nil
		},
	}
}

// check returns what was agreed upon otherwise than it is to be measured.
func (j *TLSJob) check(s tls.ConnectionState, protocol string) error {
	switch {
	case s.CipherSuite != tls.TLS_AES_128_GCM_SHA256:
		return fmt.Errorf("the suite is %s, want TLS_AES_128_GCM_SHA256", tls.CipherSuiteName(s.CipherSuite))
	case s.NegotiatedProtocol != protocol:
		return fmt.Errorf("the protocol is %q, want %q", s.NegotiatedProtocol, protocol)
	case s.DidResume != j.Resume:
		return fmt.Errorf("resumed is %v, want %v", s.DidResume, j.Resume)
	}
	return nil
}

// oneSession is a client's session cache that keeps the first session and never
// another; with none it keeps nothing.
type oneSession struct {
	keeps   bool
	session *tls.ClientSessionState
}

// Get implements [tls.ClientSessionCache].
func (c *oneSession) Get(string) (*tls.ClientSessionState, bool) { return c.session, c.session != nil }

// Put implements [tls.ClientSessionCache].
func (c *oneSession) Put(_ string, session *tls.ClientSessionState) {
	if c.keeps && c.session == nil {
		c.session = session
	}
}

// fetchTicket makes one connection that gets a ticket. Tickets come behind the
// handshake, so that a whole answer is read.
func fetchTicket(address string, config *tls.Config, cache *oneSession, request []byte) (err error) {
	dialer := &tls.Dialer{Config: config, NetDialer: &net.Dialer{Timeout: startLimit}}
	conn, err := dialer.DialContext(context.Background(), "tcp", address)
	if err != nil {
		return fmt.Errorf("get a ticket from %s: %w", address, err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := conn.SetDeadline(time.Now().Add(startLimit)); err != nil {
		return err
	}
	if _, err := conn.Write(request); err != nil {
		return fmt.Errorf("get a ticket from %s: %w", address, err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return fmt.Errorf("get a ticket from %s: %w", address, err)
	}
	if cache.session == nil {
		return fmt.Errorf("get a ticket from %s: it gave none before its answer", address)
	}
	return nil
}

// secured is the TLS of one connection, over memory. The handshake, which
// crypto/tls cannot take up again, is a coroutine; after it, reads end with
// [errDry], which crypto/tls takes for temporary.
type secured struct {
	conn  *tls.Conn
	wire  *wire
	next  func() (error, bool) // resumes the handshake; nil after it
	stop  func()
	early []byte // what is to be sent behind the handshake
}

func newSecured(config *tls.Config) *secured {
	w := &wire{}
	s := &secured{conn: tls.Client(w, config), wire: w}
	s.next, s.stop = iter.Pull(func(yield func(error) bool) {
		w.dry = func() bool { return yield(nil) }
		err := s.conn.HandshakeContext(context.Background())
		w.dry = nil
		if err != nil {
			yield(err)
		}
	})
	return s
}

// feed takes in bytes of the socket, and goes on with the handshake. It returns
// true when the handshake is over.
func (s *secured) feed(data []byte) (established bool, err error) {
	s.wire.in = data
	if s.next == nil {
		return true, nil
	}
	err, more := s.next()
	if err != nil {
		return false, err
	}
	if more {
		return false, nil
	}
	s.next = nil
	return true, nil
}

// send encrypts, once the handshake is over.
func (s *secured) send(data []byte) error {
	if s.next != nil {
		s.early = append(s.early, data...)
		return nil
	}
	_, err := s.conn.Write(data)
	return err
}

// wire is the net.Conn below a [secured].
type wire struct {
	in  []byte      // came from the socket
	out []byte      // is to go there
	dry func() bool // waits for more, in the handshake; false to end it
}

// errDry is the end of what has come so far.
var errDry net.Error = dryError{}

type dryError struct{}

func (dryError) Error() string   { return "nothing more has come yet" }
func (dryError) Timeout() bool   { return true }
func (dryError) Temporary() bool { return true }

// Read implements [net.Conn].
func (w *wire) Read(p []byte) (int, error) {
	for len(w.in) == 0 {
		if w.dry == nil {
			return 0, errDry
		}
		if !w.dry() {
			return 0, io.ErrUnexpectedEOF
		}
	}
	n := copy(p, w.in)
	w.in = w.in[n:]
	return n, nil
}

// Write implements [net.Conn].
func (w *wire) Write(p []byte) (int, error) {
	w.out = append(w.out, p...)
	return len(p), nil
}

// Close, the addresses and the deadlines are the socket's, which is not here.

func (w *wire) Close() error                     { return nil }
func (w *wire) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (w *wire) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }
