package tlslink

import (
	"crypto/tls"
	"errors"
	"net/netip"

	"evenkeel/balancer/exchange"
)

// ErrTruncated tells that a peer's connection ended without a word that this is
// the end of what it sends (RFC 8446 section 6.1): whoever is on the way may have
// cut it off, so that what came must not be taken for all.
var ErrTruncated = errors.New("the connection ended without close_notify: what it sent may have been cut off")

// Link is a TLS connection. It is an [exchange.Link] for who is above, and has
// the events of the link below. It belongs to one loop, and calls who is above as
// package reactor says at its Handler.
type Link struct {
	loop    *Loop
	lower   exchange.Link
	upper   exchange.Events // nil while an accepted connection has nobody
	conn    *tls.Conn
	config  *tls.Config // until the handshake begins
	accept  *Accept     // of an accepted connection, until its handshake is done
	work    *handshake  // under way
	refused func(error) // is told of a failed handshake with a backend
	granted []byte      // what crypto/tls may read now
	kept    []byte      // decrypted, and not consumed
	early   []byte      // written before the handshake was done
	subject string      // of the client's certificate
	name    string      // that the client asked for
	owed    int         // bytes of crypto/tls's own that may not have been sent yet
	heard   int         // bytes of the handshake, or after a refusal
	state   state
}

// state is a set of flags.
type state uint16

const (
	established state = 1 << iota // the handshake is done
	connected                     // the link below is
	paused                        // by who is above
	offering                      // kept bytes are to be given again
	peerEnded                     // the peer said that it sends nothing more
	toldEnd                       // and who is above knows
	finished                      // CloseWrite was called
	unsent                        // records were taken back: no further one would be understood
	waiting                       // for its turn to begin
	turned                        // it has come
	signing                       // the handshake waits for a signature
	lowerEnded                    // the link below has ended
	lingering                     // it was refused, what comes is thrown away
	closed                        // nothing more is done or told
	began                         // a byte of an accepted connection has come
	nameless                      // there is no certificate that its client asked for
)

func (l *Link) has(f state) bool { return l.state&f != 0 }
func (l *Link) set(f state)      { l.state |= f }
func (l *Link) clear(f state)    { l.state &^= f }

// Upper is whom the link tells of its events; nil before an accepted connection's
// handshake is done.
func (l *Link) Upper() exchange.Events { return l.upper }

// Lower is the link below.
func (l *Link) Lower() exchange.Link { return l.lower }

// Ends implements [exchange.Ended], as far as the link below knows.
func (l *Link) Ends() (source, destination netip.AddrPort) {
	if known, ok := l.lower.(exchange.Ended); ok {
		return known.Ends()
	}
	return source, destination
}

// ClientSubject is the subject of the certificate that the client showed and that
// was verified, as it is written in a field; "" if it showed none.
func (l *Link) ClientSubject() string { return l.subject }

// SetClientSubject sets it; [Accept].Ready does.
func (l *Link) SetClientSubject(subject string) { l.subject = subject }

// ServerName is the name that the client asked for, "" if it asked for none.
func (l *Link) ServerName() string { return l.name }

// SetServerName sets it; [Accept].Ready does.
func (l *Link) SetServerName(name string) { l.name = name }

// own makes the loop's buffer of what is sent this link's.
func (l *Link) own() {
	s := l.loop
	if s.owner == l {
		return
	}
	if s.owner != nil {
		s.owner.passOn(false)
	}
	s.owner, s.sealed = l, s.sealed[:0]
}

// passOn gives the link below what was encrypted. It is false if that cannot be
// written to any more.
func (l *Link) passOn(more bool) bool {
	s := l.loop
	if s.owner != l {
		return true
	}
	s.owner = nil
	p := s.sealed
	if cap(p) > keptSealed {
		s.sealed = nil
	}
	return len(p) == 0 || l.lower.Write(p, more)
}

// joinBytes is how much of what is sent waits for a further write.
const joinBytes = 64 << 10

// Write implements [exchange.Link]. What follows at once goes into the same write
// of the link below.
func (l *Link) Write(p []byte, more bool) bool {
	switch {
	case l.has(closed | finished | unsent | lingering):
		return false
	case !l.has(established):
		l.early = append(l.early, p...)
		return true
	}
	if _, err := l.conn.Write(p); err != nil { // after an alert
		l.passOn(false)
		return false
	}
	if more && l.loop.owner == l && len(l.loop.sealed) <= joinBytes {
		l.loop.plan() // should nothing follow
		return true
	}
	return l.passOn(more)
}

// Flush implements [exchange.Link].
func (l *Link) Flush(more bool) {
	l.passOn(more)
	l.lower.Flush(more)
}

// Unsend implements [exchange.Link]. Nothing can be sent after it but the end of
// the connection.
func (l *Link) Unsend() {
	if l.loop.owner == l {
		l.loop.owner = nil
	}
	l.lower.Unsend()
	l.early = nil
	l.set(unsent)
}

// Buffered implements [exchange.Link].
func (l *Link) Buffered() int {
	n := l.lower.Buffered() + len(l.early)
	if l.loop.owner == l {
		n += len(l.loop.sealed)
	}
	return n
}

// Sent implements [exchange.Link], in bytes of records.
func (l *Link) Sent() int64 { return l.lower.Sent() }

// Pause implements [exchange.Link].
func (l *Link) Pause() {
	l.set(paused)
	l.lower.Pause()
}

// Resume implements [exchange.Link].
func (l *Link) Resume() {
	l.clear(paused)
	if l.has(signing | waiting) { // the link below goes on after that
		return
	}
	l.lower.Resume()
	if !l.has(offering) && (len(l.kept) > 0 || l.has(peerEnded|lowerEnded) && !l.has(toldEnd)) {
		l.set(offering)
		l.loop.world.Later((*offer)(l))
	}
}

// LastRead implements [exchange.Link].
func (l *Link) LastRead() { l.lower.LastRead() }

// CloseWrite implements [exchange.Link]: close_notify, and the end of the link
// below.
func (l *Link) CloseWrite() {
	if l.has(closed | finished) {
		return
	}
	l.set(finished)
	if l.has(established) {
		l.sayEnd()
		l.lower.CloseWrite()
	}
}

// sayEnd sends close_notify, behind which the link below is to end.
func (l *Link) sayEnd() {
	if !l.has(unsent) {
		_ = l.conn.CloseWrite() // it fails where an alert was the end already
	}
	l.passOn(true)
}

// Close implements [exchange.Link].
func (l *Link) Close() {
	if l.has(closed) {
		return
	}
	l.set(closed)
	if l.has(established) {
		l.sayEnd()
	}
	l.give()
	l.kept, l.early = nil, nil
	l.lower.Close()
}

// Abort implements [exchange.Link].
func (l *Link) Abort(code uint32) {
	if l.has(closed) {
		return
	}
	l.set(closed)
	if l.loop.owner == l {
		l.loop.owner = nil
	}
	l.give()
	l.kept, l.early = nil, nil
	l.lower.Abort(code)
}

// SetDeadline implements [exchange.Link].
func (l *Link) SetDeadline(at int64) { l.lower.SetDeadline(at) }

// Relay implements [exchange.Link]: nothing passes by.
func (l *Link) Relay(exchange.Link, int64) bool { return false }

// Alive implements [exchange.Link].
func (l *Link) Alive() bool {
	return l.has(established) && !l.has(closed|peerEnded) && len(l.kept) == 0 && l.lower.Alive()
}
