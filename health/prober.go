package health

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"evenkeel/fsm"
)

// Prober checks one backend.
//
// Probe returns a nil error if the backend passed, one for which [Void] holds if
// this node could not find out, and any other error if the backend failed; its
// text is the reason that people read. Reduction is how many percent of its
// weight a backend that passed asks to be spared, 0 to 100, or [unreadWeight] or
// [untoldWeight]. The context carries the check's timeout, its cause how to say
// so; Probe returns as soon as it is done, and takes bounded memory whatever the
// backend sends. Calls for one Prober never overlap, so it may keep state without
// a lock. A Prober that the engine can do the work of is not called where there is
// one, see [direct].
type Prober interface {
	Probe(ctx context.Context) (reduction int, err error)
}

// NewProber returns the prober of a check for a backend's address. header is the
// version of the PROXY header that its pool sends, [fsm.ProxyV1] or [fsm.ProxyV2], or
// "" for none; the user agent is what HTTP checks call themselves.
func NewProber(check fsm.Check, address, header, userAgent string) (Prober, error) {
	recipe, err := newRecipe(&check, header, userAgent)
	if err != nil {
		return nil, err
	}
	return recipe.prober(address)
}

// prober is what the probers of all types have.
type prober struct {
	*recipe
	endpoints *endpoints
	config    *tls.Config // nil: no TLS
	direct    *line       // nil: the general way
}

// line implements [direct].
func (p *prober) line() *line { return p.direct }

// open connects to one endpoint, with a PROXY header and TLS if the check wants
// them. The caller calls release instead of closing the connection.
func (p *prober) open(ctx context.Context, to netip.AddrPort) (conn net.Conn, release func(), err error) {
	conn, release, err = dial(ctx, to)
	if err != nil {
		return nil, nil, err
	}
	if p.announce != "" {
		if _, err := io.WriteString(conn, p.announce); err != nil {
			release()
			return nil, nil, fmt.Errorf("PROXY header to %s: %w", to, plainError(ctx, err))
		}
	}
	if p.config == nil {
		return conn, release, nil
	}
	secure := tls.Client(conn, p.config)
	// The connection has a deadline by its context already.
	if err := secure.Handshake(); err != nil {
		release()
		return nil, nil, fmt.Errorf("TLS with %s: %w", to, handshakeError(ctx, err))
	}
	return secure, release, nil
}

// dialer opens one more connection to the endpoint that is probed; the caller
// calls release instead of closing it.
type dialer func(ctx context.Context) (conn io.ReadWriter, release func(), err error)

// dialer opens connections to one endpoint.
func (p *prober) dialer(to netip.AddrPort) dialer {
	return func(ctx context.Context) (io.ReadWriter, func(), error) { return p.open(ctx, to) }
}

// handshakeError blames this node for a trust store of its own that it cannot
// read.
func handshakeError(ctx context.Context, err error) error {
	if _, ok := errors.AsType[x509.SystemRootsError](err); ok {
		return nodeError{err}
	}
	if errors.Is(err, io.EOF) {
		return errClosed
	}
	return plainError(ctx, err)
}

// errClosed is what a backend did that hung up too early.
var errClosed = errors.New("the connection was closed before the answer was complete")

// nodeError is an error of this node that no errno tells as such.
type nodeError struct{ error }

func (e nodeError) Unwrap() error { return e.error }

// ownErrors are what the system answers when this node lacks something. Linux
// answers EAGAIN to connect when routes are exhausted (connect(2)).
var ownErrors = []error{
	syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT, syscall.EMFILE, syscall.ENFILE,
	syscall.ENOBUFS, syscall.ENOMEM, syscall.EAGAIN, context.Canceled,
}

// Void reports whether err tells about this node rather than about the backend
// that was probed: no ports, descriptors or buffers left, no support for the
// address family, no name server, or a probe that this node itself gave up.
func Void(err error) bool {
	if _, ok := errors.AsType[nodeError](err); ok {
		return true
	}
	for _, e := range ownErrors {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// dial connects to one endpoint. The connection is closed to reads and writes
// when ctx ends, by its deadline or otherwise; the caller calls release instead
// of closing it.
//
// An established connection is closed in the orderly way, not by a reset as
// some balancers do: many small servers print a stack trace on a reset.
func dial(ctx context.Context, to netip.AddrPort) (conn net.Conn, release func(), err error) {
	dialer := net.Dialer{KeepAlive: -1}
	// DialTCP would bind to a port of its own first, which costs more than all
	// the rest and runs out of ports far sooner.
	conn, err = dialer.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return nil, nil, fmt.Errorf("connect to %s: %w", to, plainError(ctx, err))
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	release = func() {
		stop()
		_ = conn.Close() // the probe's verdict stands, and nothing is left to lose
	}
	return conn, release, nil
}

// plainError strips what the package net repeats around the cause of an error,
// the operation and both addresses, and says of a timeout what the context's
// owner says of it.
func plainError(ctx context.Context, err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		// Only the context sets deadlines, but its timer may be a moment
		// behind the poller's.
		<-ctx.Done()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	if path, ok := errors.AsType[*os.PathError](err); ok { // a socket of the engine's
		err = path.Err
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		err = call.Err
	}
	return err
}
