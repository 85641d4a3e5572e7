package tlslink

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"

	"evenkeel/balancer/exchange"
)

// Accept is how an accepted connection begins.
type Accept struct {
	// Config is that of its listener.
	Config *Config
	// Deadline is when the handshake has to be done, by [World.Now].
	Deadline int64
	// Ready is called once it is, and returns who has the connection from now on.
	// It may close the link, and return nil.
	Ready func(l *Link, state tls.ConnectionState) exchange.Events
	// Gone is called if it came to nothing: the connection is closed, or about to be.
	// It is the only word of that. The error is one of this package's, a [*net.OpError]
	// with the alert of a peer that refused, or whatever crypto/tls or the link below
	// said.
	Gone func(err error)
}

// Why handshakes of accepted connections come to nothing, as far as this package
// knows better than crypto/tls.
var (
	// ErrPlain tells that a client spoke HTTP without TLS.
	ErrPlain = errors.New("the client speaks HTTP without TLS")
	// ErrSilent tells that a client went away before it had sent a byte.
	ErrSilent = errors.New("the client sent nothing")
	// ErrSlow tells that a client took too long.
	ErrSlow = errors.New("the handshake took too long")
	// ErrEnded tells that the listener ended.
	ErrEnded = errors.New("the listener ends")
	// ErrNoCertificate tells that there was none to show, see [Noted].
	ErrNoCertificate = errors.New("there is no certificate for the name that the client asks for")
	// ErrClientCertificate tells that a client's certificate is missing or not
	// believed.
	ErrClientCertificate = errors.New("the client's certificate is missing or not believed")
)

var (
	errLong    = errors.New("the peer sent too much before the handshake was done")
	errBehind  = errors.New("the peer sent something behind its hello before it was answered")
	errStalled = fmt.Errorf("%w: it waited for its peer while others waited for their turn", ErrSlow)
)

// Noted is what the Conn of a [tls.ClientHelloInfo] is: a GetCertificate that finds
// none tells it so, since crypto/tls has no word for that which can be recognized.
type Noted interface{ NoCertificate() }

// Accept makes an accepted connection one of TLS.
func (s *Loop) Accept(lower exchange.Link, a Accept) *Link {
	l := &Link{loop: s, lower: lower, config: a.Config.tls, accept: &a}
	l.set(connected)
	lower.SetDeadline(a.Deadline)
	return l
}

// Dial makes a TLS connection of one that is about to be dialled with the link as
// its events, and belongs to upper: its Connected comes when the handshake is
// done, its Failed with a *[exchange.HandshakeError] if that fails. [Link.Over] has to
// follow. The configuration is the link's own from now on. refused is told, before
// upper, of a handshake that fails, unless it is nil.
func (s *Loop) Dial(config *tls.Config, upper exchange.Events, refused func(error)) *Link {
	l := &Link{loop: s, config: config, upper: upper, refused: refused}
	if get := config.GetClientCertificate; get != nil {
		config.GetClientCertificate = func(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			shown, err := get(asked)
			return l.slowly(shown), err
		}
	}
	return l
}

// Over sets the link below one that dials.
func (l *Link) Over(lower exchange.Link) { l.lower = lower }

// handshake is one under way, as a coroutine.
type handshake struct {
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
	err   error
	done  bool

	hello, rest []byte // a hello that is given in pieces, and what is left of it

	since         int64 // when it began to wait for its peer
	before, after *Link // among those that do
}

// pieceSize is how much of a hello crypto/tls gets at a time. It keeps its buffer
// for as long as the connection lasts, and that for a header and so much is the
// smallest it makes: 1.4 KiB less than that for a whole hello with a post-quantum
// key.
const pieceSize = 512

// cut has the hello that was granted come in records of their own, which are as
// good as one: RFC 8446 section 5.1.
func (h *handshake) cut(l *Link) {
	if record := l.granted; record[0] == recordHandshake && len(record) > headerSize+pieceSize {
		h.hello, l.granted = record, nil
		h.rest = record[headerSize:]
	}
}

// piece returns the next one, nil if there is none.
func (h *handshake) piece() []byte {
	n := min(len(h.rest), pieceSize)
	if n == 0 {
		h.hello = nil
		return nil
	}
	p := append(make([]byte, 0, headerSize+pieceSize), h.hello[:3]...)
	p = append(p, byte(n>>8), byte(n))
	p = append(p, h.rest[:n]...)
	h.rest = h.rest[n:]
	return p
}

// wait has the rest of the loop go on. It returns false if the handshake is given
// up.
func (h *handshake) wait() bool { return h.yield(struct{}{}) }

// begin makes the coroutine.
func (l *Link) begin() {
	if l.accept != nil {
		l.conn = tls.Server((*wire)(l), l.config)
	} else {
		l.conn = tls.Client((*wire)(l), l.config)
	}
	l.config = nil
	h := new(handshake)
	l.work = h
	l.loop.working++
	h.next, h.stop = iter.Pull(func(yield func(struct{}) bool) {
		h.yield = yield
		h.err = l.conn.Handshake()
		h.done = true
	})
}

// step lets the handshake go on until it waits or is done.
func (l *Link) step() {
	h := l.work
	l.loop.unlist(l)
	returned := false
	defer func() {
		if !returned { // it met a bug, and its coroutine is over
			l.give()
		}
	}()
	h.next()
	returned = true
	l.passOn(false)
	switch {
	case h.done:
		l.give()
		l.handshaken(h.err)
	case l.has(signing):
		l.lower.Pause()
		fallthrough
	default:
		l.loop.list(l)
	}
}

// give ends the work on a handshake, if there is any.
func (l *Link) give() {
	h := l.work
	if h == nil {
		return
	}
	s := l.loop
	s.unlist(l)
	l.work = nil
	s.working--
	h.stop()
	if len(s.queue) > 0 {
		s.plan()
	}
}

// handshaken takes in how the handshake ended.
func (l *Link) handshaken(err error) {
	if err != nil {
		l.refuse(l.explain(err))
		return
	}
	l.set(established)
	if a := l.accept; a != nil {
		l.accept, l.heard = nil, 0
		l.lower.SetDeadline(0)
		if l.upper = a.Ready(l, l.conn.ConnectionState()); l.upper == nil {
			l.Close()
		}
		return
	}
	l.refused = nil
	early, fin := l.early, l.has(finished)
	l.early = nil
	l.clear(finished)
	if len(early) > 0 {
		l.Write(early, fin)
	}
	if fin {
		l.CloseWrite()
	}
	l.upper.Connected()
}

// greet takes what comes before the handshake is done.
func (l *Link) greet(p []byte) int {
	l.set(began)
	taken := 0
	for taken < len(p) && !l.has(established|signing|lingering|closed) {
		rest := p[taken:]
		if l.conn == nil && speaksHTTP(rest) {
			l.answerPlain()
			return len(p)
		}
		n := wholeRecord(rest)
		if n == 0 {
			break
		}
		if l.conn == nil {
			if !l.mayBegin() {
				break
			}
			l.begin()
		}
		if l.heard += n; l.heard > l.loop.bounds.Bytes {
			l.refuse(errLong)
			return len(p)
		}
		l.granted = rest[:n]
		if l.accept != nil && l.heard == n {
			l.work.cut(l)
		}
		l.step()
		if h := l.work; h != nil && len(h.rest) > 0 {
			l.refuse(errBehind)
			return len(p)
		}
		l.granted = nil
		taken += n
	}
	if l.has(lingering | closed) {
		return len(p)
	}
	return taken
}

// answerPlain tells a client that this is no port for plain HTTP.
func (l *Link) answerPlain() {
	l.lower.Write([]byte(plainAnswer), true)
	l.linger()
	l.gone(ErrPlain)
}

// explain returns what is known of a handshake's error. What crypto/tls finds wrong
// with an accepted connection after both agreed on a cipher, and the client has not
// refused or gone, is the certificate that it was asked for.
func (l *Link) explain(err error) error {
	switch {
	case l.accept == nil:
		return err
	case l.has(nameless):
		return fmt.Errorf("%w: %w", ErrNoCertificate, err)
	case l.conn == nil || l.accept.Config.tls.ClientAuth == tls.NoClientCert || l.conn.ConnectionState().CipherSuite == 0:
		return err
	}
	if _, outside := errors.AsType[net.Error](err); outside || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrClientCertificate, err)
}

// refuse ends a handshake that failed. An accepted connection is read on for a
// moment, so that no reset destroys the alert.
func (l *Link) refuse(err error) {
	l.give()
	l.passOn(true)
	if l.accept == nil {
		l.set(closed)
		l.lower.Close()
		if l.refused != nil {
			l.refused(err)
		}
		l.upper.Failed(&exchange.HandshakeError{Err: err})
		return
	}
	if l.has(lowerEnded) {
		l.set(closed)
		l.lower.Close()
	} else {
		l.linger()
	}
	l.gone(err)
}

// linger ends what is sent, and reads on for a while.
func (l *Link) linger() {
	l.set(lingering)
	l.heard, l.conn, l.config = 0, nil, nil
	l.lower.CloseWrite()
	l.lower.SetDeadline(l.loop.world.Now() + int64(l.loop.bounds.Linger))
	l.lower.Resume()
}

// gone tells that an accepted connection came to nothing, once.
func (l *Link) gone(err error) {
	a := l.accept
	l.accept = nil
	if left := errors.Is(err, io.ErrUnexpectedEOF); left && !l.has(began) {
		err = ErrSilent
	}
	a.Gone(err)
}

// Drop notes that the loop has closed the connection after a bug, without a word to
// who is above.
func (l *Link) Drop() {
	if l.has(closed) {
		return
	}
	l.set(closed)
	l.give()
	if l.accept != nil {
		l.gone(errBug)
	}
}

var errBug = errors.New("the handshake met a bug")

// End closes an accepted connection whose handshake is not done; then it is for
// who is above to close it.
func (l *Link) End() {
	if l.accept != nil && !l.has(closed) {
		l.set(closed)
		l.give()
		l.lower.Close()
		l.gone(ErrEnded)
	}
}
