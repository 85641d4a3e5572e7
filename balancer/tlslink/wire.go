package tlslink

import (
	"io"
	"net"
	"time"
)

// wire is a Link as crypto/tls sees it: a connection in memory.
type wire Link

// noRecord tells crypto/tls that nothing is to be read now. It is a [net.Error]
// that is temporary, after which a Read may be tried again.
type noRecord struct{}

// Error implements error.
func (noRecord) Error() string { return "there is no record yet" }

// Timeout implements [net.Error].
func (noRecord) Timeout() bool { return true }

// Temporary implements [net.Error].
func (noRecord) Temporary() bool { return true }

// Read gives what crypto/tls was granted. Without anything a handshake waits.
func (w *wire) Read(p []byte) (int, error) {
	l := (*Link)(w)
	for len(l.granted) == 0 {
		if l.work == nil {
			return 0, noRecord{}
		}
		if l.granted = l.work.piece(); len(l.granted) > 0 {
			break
		}
		switch {
		case l.has(lowerEnded):
			return 0, io.EOF
		case !l.work.wait():
			return 0, net.ErrClosed
		}
	}
	n := copy(p, l.granted)
	l.granted = l.granted[n:]
	return n, nil
}

// Write takes records. They are sent when crypto/tls has returned.
func (w *wire) Write(p []byte) (int, error) {
	l := (*Link)(w)
	l.own()
	l.loop.sealed = append(l.loop.sealed, p...)
	return len(p), nil
}

// Close does nothing: the loop knows before crypto/tls does.
func (w *wire) Close() error { return nil }

// NoCertificate implements [Noted].
func (w *wire) NoCertificate() { (*Link)(w).set(nameless) }

// address is one that nobody needs.
type address struct{}

// Network implements [net.Addr].
func (address) Network() string { return "memory" }

// String implements [net.Addr].
func (address) String() string { return "memory" }

// The rest of [net.Conn]. Deadlines are the link's.
func (w *wire) LocalAddr() net.Addr              { return address{} }
func (w *wire) RemoteAddr() net.Addr             { return address{} }
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }
