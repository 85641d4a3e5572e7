package cluster

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"slices"
	"time"

	"evenkeel/fsm"
)

const (
	// expiryGrain is the least time between two commands that end something.
	expiryGrain = 100 * time.Millisecond
	// expiryRetry is when what was proposed is proposed again, if the state still
	// has it.
	expiryRetry = time.Second
	// maxExpiries and maxExpiryBytes bound one command; the bytes are estimated.
	maxExpiries    = 10_000
	maxExpiryBytes = 512 << 10
	expiryOverhead = 100 // what an item's encoding takes beyond its texts
	// stillCheck is how often the leader looks whether it stood still while it counts
	// what has to be renewed.
	stillCheck = 250 * time.Millisecond
)

// countdown is one thing of one backend that ends with time.
type countdown struct {
	expiry fsm.Expiry
	// begin tells this one from those that were before it: an epoch of its own or a
	// version.
	begin uint64
	since time.Time
	span  time.Duration
	due   time.Time
	slot  int // its place in the heap
}

// countdowns are all that the leader counts, by its monotonic clock: holds, flaps,
// slow starts, overrides, drains and backends to be renewed. A new leader begins each
// anew, since what it was told of another one's time proves nothing about its own.
// Nothing else begins
// one anew that goes on, be it an override renewed for ever, and nothing ends early.
// Its methods have no clock, and are called from one goroutine.
type countdowns struct {
	version uint64 // of the state that they follow
	known   bool
	all     map[fsm.Ref]map[fsm.ExpiryKind]*countdown
	order   countdownHeap
	renewed *renewals
	ttls    int // how many of all are backends to be renewed
}

func newCountdowns(renewed *renewals) *countdowns {
	return &countdowns{all: map[fsm.Ref]map[fsm.ExpiryKind]*countdown{}, renewed: renewed}
}

// follow takes a newer state. It costs what has changed since the last one, or a
// scan of all backends where that is not known.
func (c *countdowns) follow(s *fsm.State, now time.Time) {
	if c.known && s.Version() == c.version {
		return
	}
	refs, ok := s.ChangedSince(c.version)
	switch {
	case !c.known || !ok:
		for ref := range c.all {
			c.look(s, ref, now)
		}
		for b := range s.Backends() {
			c.look(s, b.Ref(), now)
		}
	default:
		for _, ref := range refs {
			switch ref.Kind {
			case fsm.KindBackend:
				c.look(s, ref, now)
			case fsm.KindPool: // its spans
				for b := range s.PoolBackends(ref.Name) {
					c.look(s, b.Ref(), now)
				}
			}
		}
	}
	c.version, c.known = s.Version(), true
}

// look compares what is counted of a backend with what the state has.
func (c *countdowns) look(s *fsm.State, ref fsm.Ref, now time.Time) {
	b := s.Backend(ref.Pool, ref.Name)
	counted := c.all[ref]
	for _, one := range lastingOf(b, s.Pool(ref.Pool)) {
		old := counted[one.what]
		if old != nil && (one.begin != old.begin || b.Meta.UID != old.expiry.UID) {
			heap.Remove(&c.order, old.slot)
			delete(counted, one.what)
			if one.what == fsm.ExpireTTL {
				c.renewed.forget(ref)
				c.ttls--
			}
			old = nil
		}
		if one.begin == 0 {
			continue
		}
		if old == nil {
			old = &countdown{begin: one.begin, since: now, span: one.span, due: now.Add(one.span)}
			if counted == nil {
				counted = map[fsm.ExpiryKind]*countdown{}
				c.all[ref] = counted
			}
			if counted[one.what] = old; one.what == fsm.ExpireTTL {
				c.ttls++
			}
			heap.Push(&c.order, old)
		}
		old.expiry = fsm.Expiry{Pool: ref.Pool, Name: ref.Name, UID: b.Meta.UID, What: one.what, Epoch: one.epoch}
		if old.span != one.span {
			old.span, old.due = one.span, old.since.Add(one.span)
			heap.Fix(&c.order, old.slot)
		}
	}
	if len(counted) == 0 {
		delete(c.all, ref)
	}
}

// lasting is something of a backend that ends with time, or would if it were
// there.
type lasting struct {
	what  fsm.ExpiryKind
	begin uint64 // see countdown; 0: it is not there
	epoch uint64 // for the command
	span  time.Duration
}

// lastingOf returns everything that can end with time. b is nil for a backend
// that is gone.
func lastingOf(b *fsm.Backend, pool *fsm.Pool) [6]lasting {
	all := [6]lasting{{what: fsm.ExpireRamp}, {what: fsm.ExpireOverride}, {what: fsm.ExpireDrain}, {what: fsm.ExpireHold}, {what: fsm.ExpireFlap}, {what: fsm.ExpireTTL}}
	if b == nil || pool == nil {
		return all
	}
	s, damping := &b.Status, pool.Spec.EffectiveDamping()
	if s.Ramp != 0 {
		all[0] = lasting{fsm.ExpireRamp, s.Ramp, s.Epoch, time.Duration(pool.Spec.SlowStart)}
	}
	if o := s.Override; o != nil && o.For != 0 {
		all[1] = lasting{fsm.ExpireOverride, o.Epoch, o.Epoch, time.Duration(o.For)}
	}
	if d := s.Drain; d != nil && d.State == fsm.DrainUnderWay {
		span := cmp.Or(time.Duration(b.Spec.DrainTimeout), fsm.DefaultDrainTimeout)
		all[2] = lasting{fsm.ExpireDrain, d.Epoch, d.Epoch, span}
	}
	if s.Held {
		all[3] = lasting{fsm.ExpireHold, s.FlapEpoch, s.FlapEpoch, damping.HoldAfter(s.Flaps)}
	}
	if s.Flaps > 0 && s.Health == fsm.HealthUp {
		all[4] = lasting{fsm.ExpireFlap, s.FlapEpoch, s.FlapEpoch, time.Duration(damping.Decay)}
	}
	if b.Spec.TTL != 0 {
		all[5] = lasting{fsm.ExpireTTL, b.Meta.Revision, b.Meta.Revision, time.Duration(b.Spec.TTL)}
	}
	return all
}

// next returns when the first of all is due. ok is false if there is none.
func (c *countdowns) next() (due time.Time, ok bool) {
	if len(c.order) == 0 {
		return time.Time{}, false
	}
	return c.order[0].due, true
}

// ripe returns what has lasted its time, as much as one command takes. What the
// state still has expiryRetry later is returned again.
func (c *countdowns) ripe(now time.Time) []fsm.Expiry {
	var items []fsm.Expiry
	size := 0
	for len(c.order) > 0 && len(items) < maxExpiries && size < maxExpiryBytes {
		first := c.order[0]
		if first.due.After(now) {
			break
		}
		if c.wasRenewed(first) {
			continue
		}
		items = append(items, first.expiry)
		size += expiryOverhead + len(first.expiry.Pool) + len(first.expiry.Name) + len(first.expiry.UID)
		first.due = now.Add(expiryRetry)
		heap.Fix(&c.order, 0)
	}
	// Slow starts end first: what else ends can begin another epoch, in which that of
	// the same backend would not be found.
	slices.SortStableFunc(items, func(a, b fsm.Expiry) int { return cmp.Compare(lateness(a.What), lateness(b.What)) })
	return items
}

// wasRenewed tells whether a backend that would lapse was renewed meanwhile, and
// counts on from then.
func (c *countdowns) wasRenewed(one *countdown) bool {
	e := one.expiry
	if e.What != fsm.ExpireTTL {
		return false
	}
	at, renewed := c.renewed.lapse(refOf(e), e.UID, one.since)
	if !renewed {
		return false
	}
	one.since, one.due = at, at.Add(one.span)
	heap.Fix(&c.order, one.slot)
	return true
}

func refOf(e fsm.Expiry) fsm.Ref { return fsm.Ref{Kind: fsm.KindBackend, Pool: e.Pool, Name: e.Name} }

// stoodStill puts off by that time what has to be renewed. While the process or
// its machine stood still it could not be told that anything is still there.
func (c *countdowns) stoodStill(lasted time.Duration) {
	for _, one := range c.order {
		if one.expiry.What != fsm.ExpireTTL {
			continue
		}
		if at, renewed := c.renewed.after(refOf(one.expiry), one.expiry.UID, one.since); renewed {
			one.since, one.due = at, at.Add(one.span)
		}
		one.due = one.due.Add(lasted)
	}
	heap.Init(&c.order)
}

func lateness(what fsm.ExpiryKind) int {
	if what == fsm.ExpireRamp {
		return 0
	}
	return 1
}

// countdownHeap is a [heap.Interface] with the first that is due in front.
type countdownHeap []*countdown

func (h countdownHeap) Len() int           { return len(h) }
func (h countdownHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h countdownHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].slot, h[j].slot = i, j
}

// Push implements [heap.Interface].
func (h *countdownHeap) Push(x any) {
	one := x.(*countdown)
	one.slot = len(*h)
	*h = append(*h, one)
}

// Pop implements [heap.Interface].
func (h *countdownHeap) Pop() any {
	last := len(*h) - 1
	one := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return one
}

// expire ends what has lasted its time, as long as this node leads.
func (n *Node) expire(ctx context.Context) {
	err := n.WhileLeader(ctx, func(ctx context.Context) error {
		n.renewals.begin()
		counts := newCountdowns(n.renewals)
		for ctx.Err() == nil {
			state, replaced := n.Watch()
			counts.follow(state, time.Now())
			if items := counts.ripe(time.Now()); len(items) > 0 {
				err := n.duty(ctx, fsm.Expire{Items: items})
				if !errors.Is(err, ErrOutcomeUnknown) {
					n.renewals.settle(items)
				}
				if err != nil && ctx.Err() == nil {
					n.logger.Debug("what has lasted its time is ended later", "items", len(items), "error", err)
				}
				_ = pause(ctx, expiryGrain) // it fails when ctx ends, as the loop does
				continue
			}
			counts.await(ctx, replaced)
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		n.logger.Warn("what lasts a time ends no more while this node leads", "error", err)
	}
}

// await returns when something is due, the state has another successor, or it is
// time to look whether this node stood still.
func (c *countdowns) await(ctx context.Context, replaced <-chan struct{}) {
	begun, span := time.Now(), time.Duration(-1)
	if due, ok := c.next(); ok {
		span = max(due.Sub(begun), 0)
	}
	if c.ttls > 0 {
		span = min(span, stillCheck)
	}
	var timer <-chan time.Time
	if span >= 0 {
		wait := time.NewTimer(span)
		defer wait.Stop()
		timer = wait.C
	}
	select {
	case <-replaced:
	case <-timer:
	case <-ctx.Done():
	}
	c.waited(begun, span)
}

// waited takes that a wait is over which began then and was to last at most span.
func (c *countdowns) waited(begun time.Time, span time.Duration) {
	if late := time.Since(begun) - span; c.ttls > 0 && late > stillCheck {
		c.stoodStill(late)
	}
}
