package table

import (
	"sync/atomic"
	"time"

	"evenkeel/fsm"
)

// PoolTimeouts are how long a pool's backends may take, as
// [fsm.PoolTimeouts] explains them, with the defaults filled in.
type PoolTimeouts struct {
	Connect, FirstByte, Body, Request, Tunnel, Idle time.Duration
}

func timeoutsOf(spec fsm.PoolSpec) PoolTimeouts {
	t := spec.EffectiveTimeouts()
	return PoolTimeouts{
		Connect: time.Duration(t.Connect), FirstByte: time.Duration(t.FirstByte), Body: time.Duration(t.Body),
		Request: time.Duration(t.Request), Tunnel: time.Duration(t.Tunnel), Idle: time.Duration(t.Idle),
	}
}

// PoolLimits bound what one node puts on a pool's backends, as
// [fsm.PoolLimits] explains them, with the defaults filled in.
type PoolLimits struct {
	BackendRequests, Queue, IdleConnections int
	// BackendConnections bounds the connections of HTTP/2 that each loop has to one
	// backend.
	BackendConnections int
	QueueTimeout       time.Duration
}

func limitsOf(spec fsm.PoolSpec) PoolLimits {
	l := spec.EffectiveLimits()
	return PoolLimits{
		BackendRequests: l.BackendRequests, Queue: l.Queue, IdleConnections: l.IdleConnections,
		BackendConnections: l.BackendConnections,
		QueueTimeout:       time.Duration(l.QueueTimeout),
	}
}

// RetryBudget bounds how often a pool's requests are sent again that may have
// been sent, as [fsm.Retries] explains it.
type RetryBudget struct{ Percent, Min int }

// PoolStats is what all tables share of a pool, by its UID.
type PoolStats struct {
	// Waiting is how many requests of this node wait for one of the backends.
	Waiting atomic.Int64
	// ejected is how many of the backends this node has ejected, for
	// [Ejection]'s bound, and spared how many more it would have.
	ejected atomic.Int64
	spared  atomic.Uint64

	_ [40]byte // no two pools share a cache line
}

// Choices returns the eligible backends. The slice must not be changed.
func (p *Pool) Choices() []*Backend { return p.choices }

func (p *Pool) shared(uid string) *PoolStats {
	if p == nil || p.uid != uid {
		return new(PoolStats)
	}
	return p.Shared
}
