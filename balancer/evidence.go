package balancer

import (
	"time"

	"evenkeel/balancer/ejection"
	"evenkeel/balancer/engine"
	"evenkeel/balancer/table"
)

// Evidence is what this node's requests met of a backend that fails: for the
// first time since it succeeded, or so that it was ejected.
type Evidence struct {
	Pool, Name, UID string
	// Kind is one of package table's faults, such as "connect" or "timeout".
	Kind string
}

// Ejection is a backend that this node sends no requests because of what they
// met there.
type Ejection struct {
	Pool, Name, UID string
	Reason          string        // as [Evidence.Kind]
	Since           time.Duration // how long it has lasted
	For             time.Duration // how long it lasts on
}

// Ejections returns the ejections of this node that are under way, in the order
// of pools and names. What the cluster has agreed to be down is not among them.
func (b *Balancer) Ejections() []Ejection {
	now := b.now()
	list := b.ejector.List()
	all := make([]Ejection, 0, len(list))
	for _, e := range list {
		all = append(all, Ejection{
			Pool: e.Pool, Name: e.Name, UID: e.UID, Reason: e.Reason,
			Since: max(now-e.Began, 0), For: max(e.Until-now, 0),
		})
	}
	return all
}

// Uses tells by UID what this node does with the backends of a pool, or with the
// one of that UID alone unless it is "": nil if it has no such pool.
func (b *Balancer) Uses(pool, uid string) map[string]table.Use {
	p := b.Table().PoolNamed(pool)
	if p == nil {
		return nil
	}
	uses := map[string]table.Use{}
	for _, backend := range p.Backends() {
		if uid == "" || backend.UID == uid {
			uses[backend.UID] = p.Use(backend)
		}
	}
	return uses
}

// now is the balancer's own clock. It is monotonic.
func (b *Balancer) now() time.Duration { return time.Since(b.started) }

// suspect takes what a loop met. It runs there.
func (b *Balancer) suspect(s engine.Suspicion) {
	if s.Ejected {
		b.ejector.Report(ejection.Report{Pool: s.Pool, Backend: s.Backend, Reason: s.Fault})
	}
	if s.Backend.Stats.MayTell(s.Now) {
		b.tell(ejection.Report{Pool: s.Pool, Backend: s.Backend, Reason: s.Fault})
	}
}

func (b *Balancer) tell(r ejection.Report) {
	if b.config.Evidence != nil {
		b.config.Evidence(Evidence{Pool: r.Backend.Pool, Name: r.Backend.Name, UID: r.Backend.UID, Kind: r.Reason})
	}
}
