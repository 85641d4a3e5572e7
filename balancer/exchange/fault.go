package exchange

import (
	"errors"

	"evenkeel/balancer/table"
)

// Which failures count against a backend, as package table's faults, and which
// do not: those that are this machine's, those of clients, and a connection that
// was used before and that the backend closed before it answered, as servers
// close idle connections when they like.

// failed counts an attempt that failed by the backend's fault.
func (l *Loop) failed(pool *table.Pool, b *table.Backend, a table.Attempt, fault string) {
	if first, ejected := pool.Failed(b, a); first || ejected {
		l.world.Suspect(pool, b, fault, ejected)
	}
}

// counted counts a response by its status.
func (l *Loop) counted(pool *table.Pool, b *table.Backend, a table.Attempt, status int) {
	b.Stats.Local(l.index).CountResponse(status)
	if pool.Answered(b, a, status) {
		l.world.Suspect(pool, b, table.FaultErrors, true)
	}
}

// connectFault names how a connect failed.
func connectFault(err error) string {
	if _, ok := errors.AsType[*HandshakeError](err); ok {
		return table.FaultTLS
	}
	if err == errTimeout {
		return table.FaultTimeout
	}
	return table.FaultConnect
}

// brokenOff counts a connection that ended before a response began.
func (x *exchange) brokenOff(conn *Backend, err error) {
	switch {
	case err != nil && x.loop.world.IsLocal(err):
	case conn.used && !x.has(answered): // it may have been closed before the request came
	default:
		x.fault(table.FaultReset)
	}
}
