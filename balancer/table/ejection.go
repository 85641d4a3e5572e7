package table

import (
	"sync/atomic"
	"time"

	"evenkeel/fsm"
)

// What a backend did that counts against it.
const (
	FaultConnect     = "connect"      // it could not be connected to
	FaultTLS         = "tls"          // it was connected to, and no TLS was agreed on: its certificate may not be believed
	FaultReset       = "reset"        // it broke a connection off
	FaultTimeout     = "timeout"      // it did not connect, answer or go on in time
	FaultProtocol    = "protocol"     // it sent what is no response
	FaultErrors      = "errors"       // its responses were 5xx, several in a row
	FaultSuccessRate = "success_rate" // it fails more often than the others
)

// Ejection is when this node ejects a pool's backends, as [fsm.Ejection]
// explains it, with the defaults filled in.
type Ejection struct {
	// Failures and Errors are how many failed attempts and 5xx responses in a row
	// eject; 0: they never do.
	Failures, Errors int
	// Rate is nil unless backends are compared by their success.
	Rate *fsm.SuccessRate
	// Hold and MaxHold bound how long an ejection lasts.
	Hold, MaxHold time.Duration

	percent int   // of the ready backends that may be ejected at a time
	limit   int64 // how many that are
	heard   bool  // anything counts at all
}

// ejection returns when backends are ejected. That is never below the feature
// level that brought it, and where nobody ends ejections.
func (src *poolSource) ejection(spec fsm.PoolSpec) Ejection {
	if src.state.FeatureLevel() < healthLevel || !src.options.Ejects {
		return Ejection{}
	}
	e := spec.EffectiveEjection()
	if e.Off {
		return Ejection{heard: true}
	}
	return Ejection{
		Failures: e.Failures, Errors: e.Errors, Rate: e.SuccessRate,
		Hold: time.Duration(e.Hold), MaxHold: time.Duration(e.MaxHold),
		percent: e.MaxPercent, heard: true,
	}
}

// Off tells that nothing is ejected.
func (e *Ejection) Off() bool { return e.Hold == 0 }

// most returns how many backends may be ejected at a time: the pool's share of
// those that are ready, one in any case unless the share is 0, and never the
// last that is healthy. To try a backend that just failed is never worse than
// to have none, and a pool of one would otherwise answer 503 for the whole hold
// after a single failure.
func (e *Ejection) most(all census) int64 {
	if e.percent == 0 {
		return 0
	}
	return int64(max(min(max(all.ready*e.percent/100, 1), all.fit-1), 0))
}

// ejecting is what loops share of a backend that fails. In the good case they
// only read it.
type ejecting struct {
	ejected         atomic.Bool
	failing, erring atomic.Uint32 // attempts and responses in a row
	era             atomic.Uint32 // see [Attempt]
	// forgiven is when the success began for whose sake a failure was last
	// forgiven, by the loops' clock; 0: none was.
	forgiven atomic.Int64
}

// ejected is what is written about it when it fails.
type ejections struct {
	count atomic.Uint64
	told  atomic.Int64 // when evidence was last told, by the loops' clock
	// outdated are failures of attempts that began in an earlier era.
	outdated atomic.Uint64
}

// Ejected tells whether this node keeps requests from the backend because of
// what its own met there.
func (s *Stats) Ejected() bool { return s.ejecting.ejected.Load() }

// Ejections returns how often the backend was ejected here.
func (s *Stats) Ejections() uint64 { return s.ejections.count.Load() }

// forgivenOnce is for how long nothing more is forgiven that began behind the
// success for whose sake a failure was.
const forgivenOnce = int64(5 * time.Minute)

// evidencePeriod bounds the evidence about one backend to ten a second.
const evidencePeriod = int64(100 * time.Millisecond)

// MayTell tells whether evidence about the backend may be told now, by the
// loops' clock in nanoseconds; it is so ten times a second at most.
func (s *Stats) MayTell(now int64) bool {
	last := s.ejections.told.Load()
	return (last == 0 || now-last >= evidencePeriod) && s.ejections.told.CompareAndSwap(last, max(now, 1))
}

// Attempt is when a request was given to a backend. A request may hang for far
// longer than it takes a backend to be replaced, and what it then says is of the
// one that was: so it is no evidence if the backend's era has changed meanwhile,
// which each ejection, its end and each return to use does, or if an attempt that
// began later has succeeded. The latter forgives what was stuck before one recovery,
// and no more: of a backend that loses a part of its requests all the time some
// always succeed later, see [Pool.Failed].
type Attempt struct {
	Began int64 // by the loops' clock
	Era   uint32
}

// Attempt returns an attempt that begins now, by the loops' clock.
func (s *Stats) Attempt(now int64) Attempt { return Attempt{now, s.ejecting.era.Load()} }

// renew begins an era.
func (s *Stats) renew() { s.ejecting.era.Add(1) }

// comeBack begins the era of a backend that returns to use, of which nothing that
// was counted before says anything.
func (s *Stats) comeBack() {
	s.renew()
	s.ejecting.failing.Store(0)
	s.ejecting.erring.Store(0)
	s.ejecting.forgiven.Store(0)
}

// present tells whether the attempt began in this era.
func (s *Stats) present(a Attempt) bool { return a.Era == s.ejecting.era.Load() }

// succeeded returns when the newest attempt that has succeeded began, 0 if none has.
func (s *Stats) succeeded() (newest int64) {
	for i := range s.locals {
		if local := s.locals[i].Load(); local != nil {
			newest = max(newest, local.succeeded.Load())
		}
	}
	return newest
}

// forgives tells whether a failure is put down to what the backend was before it
// recovered: an attempt that began later has succeeded, and this one began before
// the success for whose sake the last failures were forgiven, or long behind it.
func (s *Stats) forgives(a Attempt) bool {
	newest := s.succeeded()
	if newest <= a.Began {
		return false
	}
	last := s.ejecting.forgiven.Load()
	if last == 0 || a.Began-last > forgivenOnce {
		s.ejecting.forgiven.CompareAndSwap(last, newest) // another loop's is as good
		return true
	}
	return a.Began < last
}

// Failed counts an attempt that failed by the backend's fault. first tells that
// the one before it did not, ejected that this one ejects the backend. Both are
// false for one that is no evidence any more, see [Attempt]. After a failure was
// forgiven because a later attempt succeeded, those count that began behind that
// success, for five minutes. Any loop may call it.
func (p *Pool) Failed(b *Backend, a Attempt) (first, ejected bool) {
	if !p.Ejection.heard {
		return false, false
	}
	if !b.Stats.present(a) {
		b.Stats.ejections.outdated.Add(1)
		return false, false
	}
	if b.Stats.forgives(a) {
		return false, false
	}
	row := b.Stats.ejecting.failing.Add(1)
	if p.Ejection.Failures > 0 && int64(row) >= int64(p.Ejection.Failures) {
		ejected = p.Eject(b)
	}
	return row == 1, ejected
}

// Succeeded counts an attempt whose response came whole. Only the loop that made
// it may call it. In the good case it writes nothing that another loop writes.
func (p *Pool) Succeeded(b *Backend, a Attempt, loop int) {
	if local := b.Stats.Local(loop); local.succeeded.Load() < a.Began {
		local.succeeded.Store(a.Began)
	}
	if b.Stats.ejecting.failing.Load() != 0 && b.Stats.present(a) {
		b.Stats.ejecting.failing.Store(0)
	}
}

// Answered counts a response by its status, and tells whether that ejects the
// backend. One to an attempt of an earlier era does not count.
func (p *Pool) Answered(b *Backend, a Attempt, status int) (ejected bool) {
	if p.Ejection.Errors == 0 || !b.Stats.present(a) {
		return false
	}
	if status >= 500 {
		return int64(b.Stats.ejecting.erring.Add(1)) >= int64(p.Ejection.Errors) && p.Eject(b)
	}
	if b.Stats.ejecting.erring.Load() != 0 {
		b.Stats.ejecting.erring.Store(0)
	}
	return false
}

// Eject keeps new requests from the backend from now on, on all loops and in all
// tables. It is false if that is so already, or the pool may not lose another
// one. Whoever gets true sees to it that [Pool.Readmit] is called some time.
func (p *Pool) Eject(b *Backend) bool {
	if b.Stats.Ejected() {
		return false
	}
	for {
		n := p.Shared.ejected.Load()
		if n >= p.Ejection.limit {
			p.Shared.spared.Add(1)
			return false
		}
		if p.Shared.ejected.CompareAndSwap(n, n+1) {
			break
		}
	}
	if !b.Stats.ejecting.ejected.CompareAndSwap(false, true) {
		p.Shared.ejected.Add(-1)
		return false
	}
	b.Stats.renew() // what is under way is part of what led to this
	b.Stats.ejections.count.Add(1)
	return true
}

// Vacate makes room for another ejection of the pool, while the backend stays
// ejected: the cluster has agreed that it is down.
func (s *PoolStats) Vacate() { s.ejected.Add(-1) }

// Spared is how many ejections the pool's bound prevented; one that goes on
// failing counts each time.
func (s *PoolStats) Spared() uint64 { return s.spared.Load() }

// Readmit ends a backend's ejection, whose room [PoolStats.Vacate] has given
// back. Tables made from now on have it again.
func (s *Stats) Readmit() {
	s.renew()
	s.ejecting.failing.Store(0)
	s.ejecting.erring.Store(0)
	s.ejecting.ejected.Store(false)
}
