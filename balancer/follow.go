package balancer

import (
	"context"
	"time"

	"evenkeel/balancer/table"
	"evenkeel/fsm"
)

// follow swaps in a new table for each new state, address of a backend, word of
// this node about one, ejection or step of a slow start; one for all of a moment
// while they come faster than its pace.
func (b *Balancer) follow(ctx context.Context, source Source) error {
	builder := table.NewBuilder(b.resolver, table.Options{
		Loops: b.engine.Loops(), Zone: b.config.Zone, StickyKeys: b.config.StickyKeys,
		Ejects: true, Now: b.now, TLS: b.secure.pool,
	})
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	last, tables := fsm.New(), pace{}
	for {
		// A veto is withdrawn behind the verdict that says the same. In the other
		// order a table could have neither.
		begun := b.now()
		local, said := b.local()
		state, replaced := source.Watch()
		builder.SetLocal(local)
		if b.swap(builder, state) {
			tables.spend(begun, b.now()-begun)
		}
		// A registry that never had anything says nothing yet: a node that waits
		// for its cluster is not ready.
		if state.Version() > 0 {
			if listenersChanged(last, state) {
				b.listeners.want(addresses(state, b.config.Bind, b.config.ListenerAddrs))
			}
			b.state.Store(state)
			b.loaded.Store(true)
			b.served.Store(state.Revision())
		}
		last = state
		b.secure.look(state, time.Now())
		timer.Reset(b.idle(builder))
		select {
		case <-replaced:
		case <-said:
		case <-b.resolver.News():
		case <-b.ejector.Woken():
		case <-b.secure.changed:
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
		if wait := tables.next() - b.now(); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// local is this node's own word about backends; the channel is nil without one.
func (b *Balancer) local() (map[string]fsm.Health, <-chan struct{}) {
	if b.config.Local == nil {
		return nil, nil
	}
	return b.config.Local()
}

// swap makes the table of the state and of this node's own ejections, and tells
// whether it is another one than before.
func (b *Balancer) swap(builder *table.Builder, state *fsm.State) (changed bool) {
	for _, r := range b.ejector.Rate(builder.Rated(), b.now()) {
		b.ejector.Report(r)
		b.tell(r)
	}
	for _, pool := range b.ejector.Step(state, b.now()) {
		builder.Recompile(pool)
	}
	next := builder.Update(state)
	swap := b.engine.Swap(next)
	last := b.newest.Swap(&applied{next, swap})
	return last == nil || last.table != next
}

// idle is how long there is nothing to do by time alone.
func (b *Balancer) idle(builder *table.Builder) time.Duration {
	wait, now := time.Hour, b.now()
	if at, ok := b.ejector.Next(); ok {
		wait = min(wait, at-now)
	}
	if at, ok := builder.NextStep(); ok {
		wait = min(wait, max(at-now, stepPause))
	}
	return max(wait, 0)
}

// stepPause is at least between two steps of slow starts: each compiles its pool, and
// the backends of a large pool may take theirs all at different times.
const stepPause = 50 * time.Millisecond

// applied is a table and the number of its swap.
type applied struct {
	table *table.Table
	swap  uint64
}
