package tlslink

import (
	"errors"
	"io"
)

// Connected is the end of a connect: the handshake begins.
func (l *Link) Connected() {
	l.set(connected)
	l.begin()
	l.step()
}

// Data takes what came from the link below.
func (l *Link) Data(p []byte) int {
	switch {
	case l.has(closed):
		return len(p)
	case l.has(lingering):
		l.discard(len(p))
		return len(p)
	case l.has(established):
		return l.read(p)
	}
	n := l.greet(p)
	if l.has(established) && !l.has(closed) {
		n += l.read(p[n:])
	}
	return n
}

// read decrypts records and gives on what they hold. It takes none while who is
// above has paused.
func (l *Link) read(p []byte) int {
	taken := 0
	for taken < len(p) && !l.has(closed|paused|peerEnded) {
		l.passOn(false) // what who is above has left for a further write
		plain, n, err := l.decrypt(p[taken:])
		taken += n
		l.say()
		if len(plain) > len(l.kept) {
			l.deliver(plain)
		} else if n == 0 && err == nil {
			break
		}
		if !l.control(err) {
			return len(p)
		}
	}
	if l.has(closed | peerEnded) {
		return len(p)
	}
	return taken
}

// decrypt returns what was kept with what the next records hold, as far as there
// is room, and the size of those.
func (l *Link) decrypt(p []byte) (plain []byte, taken int, err error) {
	s := l.loop
	if s.plain == nil {
		s.plain = make([]byte, plainSize)
	}
	end := copy(s.plain, l.kept)
	for taken < len(p) && err == nil {
		if len(s.plain)-end < mostPlaintext {
			if taken == 0 { // nothing of a full buffer is consumed
				l.Pause()
			}
			break
		}
		n := wholeRecord(p[taken:])
		if n == 0 {
			break
		}
		l.granted = p[taken : taken+n]
		var m int
		m, err = l.conn.Read(s.plain[end:])
		if err == error(noRecord{}) {
			err = nil
		}
		l.granted = nil
		taken += n
		end += m
	}
	return s.plain[:end], taken, err
}

// deliver gives bytes of the loop's buffer on and keeps what is not consumed.
func (l *Link) deliver(plain []byte) {
	kept := l.kept[:0]
	l.kept = nil
	if n := l.upper.Data(plain); n < len(plain) && !l.has(closed) {
		l.kept = append(kept, plain[n:]...)
	}
}

// say sends what crypto/tls had to say about what it read.
func (l *Link) say() {
	if l.lower.Buffered() == 0 {
		l.owed = 0
	}
	if l.loop.owner == l {
		l.owed += len(l.loop.sealed)
		l.passOn(false)
	}
}

// control takes in how reading ended. It is false if the connection is at its
// end.
func (l *Link) control(err error) bool {
	switch {
	case l.has(closed):
		return false
	case err == io.EOF:
		l.set(peerEnded)
		l.tellEnd()
		return !l.has(closed)
	case err != nil:
		l.broke(err)
		return false
	case l.owed > l.loop.bounds.Owed:
		l.set(closed)
		l.lower.Abort(0)
		l.upper.Failed(errOwed)
		return false
	}
	return true
}

var errOwed = errors.New("the peer has its keys updated again and again, and does not read the answers")

// broke ends a connection on which something came that is none of TLS.
func (l *Link) broke(err error) {
	l.set(closed)
	l.kept = nil
	l.lower.Close()
	l.upper.Failed(err)
}

// tellEnd tells that the peer sends nothing more, once who is above wants to hear
// of it and has been given what came before.
func (l *Link) tellEnd() {
	switch {
	case l.has(toldEnd | paused | offering | closed):
	case l.has(peerEnded):
		l.set(toldEnd)
		l.upper.EOF()
	case l.has(lowerEnded):
		l.broke(ErrTruncated)
	}
}

// offer is a Link that gives kept bytes again.
type offer Link

// Run implements [exchange.Task].
func (o *offer) Run() {
	l := (*Link)(o)
	l.clear(offering)
	if l.has(closed | paused) {
		return
	}
	if kept := l.kept; len(kept) > 0 {
		l.kept = nil
		if n := l.upper.Data(kept); n < len(kept) && !l.has(closed) {
			l.kept = kept[:copy(kept, kept[n:])]
		}
	}
	l.tellEnd()
}

// EOF is the end of the link below.
func (l *Link) EOF() {
	switch {
	case l.has(closed):
	case l.has(lingering):
		l.set(closed)
		l.lower.Close()
	case !l.has(established):
		l.set(lowerEnded)
		l.refuse(io.ErrUnexpectedEOF)
	default:
		l.set(lowerEnded)
		l.tellEnd()
	}
}

// Drained tells that the link below took everything.
func (l *Link) Drained() {
	switch {
	case l.has(closed):
	case l.has(established):
		l.upper.Drained()
	}
}

// Failed is a connect that failed, or a connection that broke.
func (l *Link) Failed(err error) {
	if l.has(closed) {
		return
	}
	l.set(closed)
	l.give()
	if l.loop.owner == l {
		l.loop.owner = nil
	}
	switch {
	case l.upper != nil:
		l.upper.Failed(err)
	case l.accept != nil && !l.has(began): // such is how many look whether the port is open
		l.gone(ErrSilent)
	case l.accept != nil:
		l.gone(err)
	}
}

// Expired is the deadline: that of who is above, or of an accepted connection's
// handshake.
func (l *Link) Expired() {
	switch {
	case l.has(closed):
	case l.has(lingering):
		l.set(closed)
		l.lower.Close()
	case l.upper != nil:
		l.upper.Expired()
	default:
		l.set(closed)
		l.give()
		l.lower.Close()
		l.gone(ErrSlow)
	}
}

// Relayed is of no concern: nothing passes by.
func (l *Link) Relayed(int64, error) {}

// discard throws away what comes after a refusal.
func (l *Link) discard(n int) {
	if l.heard += n; l.heard > l.loop.bounds.LingerBytes {
		l.set(closed)
		l.lower.Close()
	}
}
