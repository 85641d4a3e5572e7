package table

import (
	"cmp"
	"math/rand/v2"
	"time"

	"evenkeel/fsm"
)

// poolSource is what a pool is compiled from.
type poolSource struct {
	state    *fsm.State
	resolver Resolver
	options  *Options
	previous *Pool // of the last table; nil if there was none
	local    map[string]fsm.Health
	now      time.Duration

	slowStart time.Duration // of the pool
}

// compile takes the counters of backends that it knew before from the previous
// pool. Nothing else refers to them but tables in use, so those of deleted
// backends go when the last of these does.
func (src *poolSource) compile(object *fsm.Pool) *Pool {
	p := &Pool{Name: object.Name, uid: object.Meta.UID, strategy: object.Spec.Strategy}
	p.Timeouts, p.Limits = timeoutsOf(object.Spec), limitsOf(object.Spec)
	retries := object.Spec.EffectiveRetries()
	p.Attempts, p.Budget = retries.Attempts, RetryBudget{Percent: retries.BudgetPercent, Min: retries.BudgetMin}
	p.TLS = src.tls(object)
	p.Shared = src.previous.shared(p.uid)
	p.Ejection = src.ejection(object.Spec)
	p.ProxyProtocol = proxyProtocolOf(&object.Spec)
	p.HTTP2 = object.Spec.EffectiveProtocol() == fsm.PoolHTTP2
	src.slowStart = time.Duration(object.Spec.SlowStart)
	p.backends = src.backends(p)
	p.choose(object.Spec, src.options.Zone)
	p.random = rand.Uint64
	if src.options.Random != nil {
		p.random = src.options.Random
	}
	p.setPicker(object.Spec, src)
	p.sticky = compileSticky(object.Spec.Sticky, p, src.options.StickyKeys)
	p.hosts = hostsOf(p.backends)
	return p
}

// backends returns the pool's backends in the order of their names: those of
// the previous pool that did not change, and new ones, which have no place yet.
// A large pool of which one backend changes is the usual case.
func (src *poolSource) backends(p *Pool) []*Backend {
	var last []*Backend // that may still come, in the order of their names
	if src.previous != nil {
		last = src.previous.backends
	}
	backends := make([]*Backend, 0, len(last)+1)
	for object := range src.state.PoolBackends(p.Name) {
		for len(last) > 0 && cmp.Less(last[0].Name, object.Name) {
			last = last[1:]
		}
		var before *Backend
		if len(last) > 0 && last[0].UID == object.Meta.UID {
			before = last[0]
		}
		backends = append(backends, src.backend(p, object, before))
	}
	return backends
}

// backend returns the backend as it was before if nothing of it changed. The
// addresses of a host name may have.
func (src *poolSource) backend(p *Pool, object *fsm.Backend, before *Backend) *Backend {
	own := src.standing(p, object, before)
	switch {
	case before == nil:
		return newBackend(object, own, newStats(src.options.Loops), src.resolver)
	case before.object == object && before.own == own && before.host == "":
		return before
	}
	after := newBackend(object, own, before.Stats, src.resolver)
	if after.returns(before) {
		before.Stats.comeBack()
	}
	return after
}
