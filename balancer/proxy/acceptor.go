package proxy

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// acceptor is a listening socket that can end without a reset for anybody: a
// plain close would reset the connections that the kernel has completed and
// nobody has accepted yet.
type acceptor struct {
	net.Listener
	conns  *connSet
	limits *limits
	logger *slog.Logger
	// until is when accepting ends at the latest, in nanoseconds since the
	// epoch; 0 while nobody asked for an end.
	until atomic.Int64
}

// Accept implements [net.Listener]. After stop it returns [net.ErrClosed] as
// soon as the accept queue is empty.
func (a *acceptor) Accept() (net.Conn, error) {
	conn, err := a.Listener.Accept()
	until := a.until.Load()
	switch {
	case err != nil && until != 0 && errors.Is(err, os.ErrDeadlineExceeded):
		return nil, net.ErrClosed
	case err != nil:
		return nil, err
	case until != 0:
		a.acceptUntil(time.Unix(0, until))
	}
	return a.conns.add(conn, a.limits.stream), nil
}

// stop makes Accept end. It does not wait for that.
func (a *acceptor) stop() {
	if err := refuseNew(a.Listener); err != nil {
		// Then a connect at the very last moment may meet a reset.
		a.logger.Debug("listener cannot turn new connections away before it closes", "address", a.Addr().String(), "error", err)
	}
	until := time.Now().Add(a.limits.acceptMax)
	a.until.Store(until.UnixNano())
	a.acceptUntil(until)
}

// acceptUntil waits for one more connection, for as long as it takes to be
// sure that none is left, and not beyond the given time.
func (a *acceptor) acceptUntil(until time.Time) {
	quiet := time.Now().Add(a.limits.acceptQuiet)
	if quiet.After(until) {
		quiet = until
	}
	deadline, ok := a.Listener.(interface{ SetDeadline(time.Time) error })
	if !ok || deadline.SetDeadline(quiet) != nil {
		_ = a.Listener.Close() // Accept then fails, which is what is asked for
	}
}
