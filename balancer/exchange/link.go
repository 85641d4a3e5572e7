package exchange

import (
	"errors"
	"fmt"
	"net/netip"

	"evenkeel/balancer/proxyproto"
	"evenkeel/balancer/table"
)

// Link is one side's connection, as a loop offers it. Its methods do not block
// and call nobody back; package balancer/reactor says at its Conn what each does.
type Link interface {
	// Write sends p or keeps a copy. It returns false once the connection cannot
	// be written to any more.
	Write(p []byte, more bool) bool
	// Flush sends now what Write has left for later; more is as with Write.
	Flush(more bool)
	// Unsend takes back what Write was given and has not sent yet.
	Unsend()
	// Buffered is how many bytes Write keeps.
	Buffered() int
	// Sent is how many bytes were sent over the connection's life.
	Sent() int64
	// Pause holds Data and EOF back until Resume.
	Pause()
	Resume()
	// LastRead tells that the peer is expected to send nothing more.
	LastRead()
	// CloseWrite sends an end after what is kept.
	CloseWrite()
	// Close closes after what is kept was sent, Abort at once with a reset that
	// bears an error code of HTTP/2 where the link is a stream. Neither is followed
	// by an event.
	Close()
	Abort(code uint32)
	// SetDeadline has Expired called at a time of [World.Now]; 0: never.
	SetDeadline(at int64)
	// Relay moves the next n bytes to another link of the same loop, past Data.
	// Relayed tells how far it is. It returns false if these two cannot: then Data
	// goes on.
	Relay(to Link, n int64) bool
	// Alive looks whether an idle connection is open and silent.
	Alive() bool
}

// Secured is a link whose client may speak TLS.
type Secured interface {
	// ClientSubject is the subject of the certificate that it has shown, as a
	// field's value; "" if there is none.
	ClientSubject() string
	// ServerName is the name that it asked for, in any case and without a final dot;
	// "" if it asked for none.
	ServerName() string
}

// HandshakeError tells that a backend took the connection, and that nobody came
// to speak TLS over it: its certificate is not believed, or it speaks otherwise.
type HandshakeError struct{ Err error }

// Error implements error.
func (e *HandshakeError) Error() string { return fmt.Sprintf("TLS handshake: %v", e.Err) }

// Unwrap returns what went wrong.
func (e *HandshakeError) Unwrap() error { return e.Err }

// Ended is a link that knows between whom it is. One over another link knows
// what that knows.
type Ended interface {
	// Ends returns the client's address and the one that it connected to; what a
	// PROXY header said of them, if there was one. An address that is not known is
	// the zero address.
	Ends() (source, destination netip.AddrPort)
}

// endsOf returns what is known of a link.
func endsOf(link Link) proxyproto.Header {
	if known, ok := link.(Ended); ok {
		source, destination := known.Ends()
		return proxyproto.Header{Source: source, Destination: destination}
	}
	return proxyproto.Header{}
}

// Announcing is what is dialled for on behalf of a client.
type Announcing interface {
	// AppendAnnouncement appends the PROXY header that the connection has to begin
	// with, before anything else and also before TLS; nothing if it needs none. It
	// is for [World.Dial] to ask.
	AppendAnnouncement(dst []byte) []byte
}

// IsWhole tells whether a dial is for a connection that is forwarded whole, which
// needs one of its own whatever protocol requests to the pool are in.
func IsWhole(events Events) bool {
	_, whole := events.(*forwardBackend)
	return whole
}

// announcement appends the PROXY header of a connection to a backend of the pool.
func announcement(pool *table.Pool, client Link, dst []byte) []byte {
	if pool.ProxyProtocol == 0 {
		return dst
	}
	header, err := proxyproto.Append(dst, pool.ProxyProtocol, endsOf(client))
	if err != nil { // no table has another version
		panic(err)
	}
	return header
}

// Error codes of HTTP/2 (RFC 9113 section 7) for [Link.Abort].
const (
	resetInternal = 2 // something between client and backend broke
	resetCancel   = 8 // nobody wants it any more
)

// ResetError tells that the peer of a stream reset it.
type ResetError struct {
	Code uint32 // of RFC 9113 section 7
}

// UnprocessedError tells that a backend promises to have done nothing with a
// request, which may hence be sent again whatever it is (RFC 9113 section 8.7).
type UnprocessedError struct {
	// Refused: the backend wants no more requests now. Else its connection goes
	// away, and another one will do.
	Refused bool
}

// Error implements error.
func (e *UnprocessedError) Error() string { return "the backend did not process the request" }

func isUnprocessed(err error) bool {
	_, ok := errors.AsType[*UnprocessedError](err)
	return ok
}

// Error implements error.
func (e *ResetError) Error() string {
	return fmt.Sprintf("the peer reset the stream with code %d", e.Code)
}

// codeOf returns the code of a reset by a peer, or what stands for other ends.
func codeOf(err error, other uint32) uint32 {
	if reset, ok := errors.AsType[*ResetError](err); ok {
		return reset.Code
	}
	return other
}

// Events are what a link tells whom it belongs to, as package
// balancer/reactor's Handler says.
type Events interface {
	Connected()
	Data(p []byte) int
	EOF()
	Drained()
	Failed(err error)
	Expired()
	Relayed(n int64, err error)
}

// World is what exchanges need of the loop that they live on.
type World interface {
	// Now is a monotonic time in nanoseconds.
	Now() int64
	// Scratch is an empty buffer for building a write, valid during an event.
	Scratch() []byte
	// Date is the present time as a complete Date field line, RFC 9110 section
	// 6.6.1.
	Date() []byte
	// Later has a task run once, at the end of the present batch of events and
	// before what was written in it is sent. A task may add others.
	Later(t Task)
	// NewTimer returns a timer that is not set, for what has no link of its own.
	NewTimer(f func()) Timer
	// Dial begins to connect to a pool's backend at one of its addresses. An error
	// means that it could not begin. Where the pool is for HTTP/2 the link is a
	// stream at a time of the connections that requests share: Alive tells whether
	// one may begin now. A connection begins with what the events announce, see
	// [Announcing].
	Dial(pool *table.Pool, b *table.Backend, to netip.AddrPort, events Events) (Link, error)
	// ServeHTTP2 has a client's connection served that began with the preface of
	// HTTP/2, and returns who gets its events from now on; nil if that cannot be.
	ServeHTTP2(link Link, listener *Listener, peer netip.Addr) Events
	// Present returns how the newest view has a backend, at its address; nil if it
	// has not.
	Present(b *table.Backend) *table.Backend
	// Wake has [Loop.Serve] called for a pool on every loop, soon.
	Wake(pool string)
	// IsLocal tells whether an error is this machine's, and no backend's fault.
	IsLocal(err error) bool
	// Suspect tells of a backend that failed, see table.FaultConnect and the
	// others: for the first time since it succeeded, or so that it was ejected.
	Suspect(pool *table.Pool, b *table.Backend, fault string, ejected bool)
	// View is the newest view.
	View() *View
}

// Task is something to be done later.
type Task interface{ Run() }

// Timer calls its function on the loop.
type Timer interface {
	// Set has it called once [World.Now] has reached at; 0 takes that back.
	Set(at int64)
}

// View is what a request loads once and uses to its end.
type View struct {
	Table *table.Table
}
