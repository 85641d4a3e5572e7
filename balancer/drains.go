package balancer

import (
	"context"
	"slices"
	"time"

	"evenkeel/fsm"
)

// Proposer carries a command to the whole cluster. Propose may block as long as
// its context lives; when it returns without error, the source has the state
// that followed. It is never called twice at a time.
type Proposer interface {
	Propose(ctx context.Context, c fsm.Command) (fsm.Result, error)
}

// The pace of drain reports.
const (
	// It is looked whether backends that drain are idle, since the loops that know
	// it tell nobody: that would cost each request. A drain that just began is
	// mostly over once its table is in use, so the first look comes after firstLook;
	// each further one takes twice as long to come, lastLook at most.
	firstLook = 10 * time.Millisecond
	lastLook  = 400 * time.Millisecond
	// returningLook is for when nothing but clients that may return keeps them.
	returningLook = 5 * time.Second
	reportTimeout = 15 * time.Second
	minBackoff    = 50 * time.Millisecond
	maxBackoff    = 5 * time.Second
	maxReports    = 10_000 // of one command
)

// drainReports are the drains that this node has yet to report. It belongs to
// one goroutine.
type drainReports struct {
	self     string
	last     *fsm.State
	open     map[fsm.Ref]drainSeen
	failures int
	notUntil time.Time
	// wait is how long the last look was waited for, 0 for a drain that is new;
	// returning that it found nothing but drains of sticky pools.
	wait      time.Duration
	returning bool
}

// pace returns how long it is to the next look.
func (d *drainReports) pace() time.Duration {
	if len(d.open) == 0 {
		return time.Hour
	}
	if d.wait = min(max(2*d.wait, firstLook), lastLook); d.returning && d.wait == lastLook {
		return returningLook
	}
	return d.wait
}

// drainSeen is a drain, and the swap of the first table that had it; 0 if none
// was seen.
type drainSeen struct {
	uid   string
	epoch uint64
	swap  uint64
}

// ReportDrains tells the cluster, until ctx ends, of each backend that drains
// once this node has no request in flight to it and begins none: its table, taken
// up by all loops, gives the backend none. A backend of a sticky pool is never
// reported, since clients return to it until its drain has timed out. Reports
// are repeated, ever more seldom, until the state has them. It may be called
// once, and does nothing without Config.Self.
func (b *Balancer) ReportDrains(ctx context.Context, source Source, proposer Proposer) error {
	reports := drainReports{self: b.config.Self, last: fsm.New(), open: map[fsm.Ref]drainSeen{}}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		state, replaced := source.Watch()
		wait := time.Hour
		if reports.self != "" {
			reports.follow(state)
			if len(reports.open) > 0 {
				b.report(ctx, &reports, source, proposer)
				wait = reports.pace()
			}
		}
		timer.Reset(wait)
		select {
		case <-replaced:
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// follow keeps account of which drains are open. Its cost follows what changed.
func (d *drainReports) follow(state *fsm.State) {
	refs, known := state.ChangedSince(d.last.Version())
	if !known || state.ClusterID() != d.last.ClusterID() {
		clear(d.open)
		for object := range state.Backends() {
			d.consider(object)
		}
	} else {
		for _, ref := range refs {
			if ref.Kind == fsm.KindPool {
				d.wait = 0 // clients may not return any more
			}
			if ref.Kind != fsm.KindBackend {
				continue
			}
			if object := state.Backend(ref.Pool, ref.Name); object == nil {
				delete(d.open, ref)
			} else {
				d.consider(object)
			}
		}
	}
	d.last = state
}

func (d *drainReports) consider(object *fsm.Backend) {
	ref, drain := object.Ref(), object.Status.Drain
	if drain == nil || drain.State != fsm.DrainUnderWay || slices.Contains(drain.Idle, d.self) {
		delete(d.open, ref)
		return
	}
	if seen := d.open[ref]; seen.uid != object.Meta.UID || seen.epoch != drain.Epoch {
		d.open[ref] = drainSeen{uid: object.Meta.UID, epoch: drain.Epoch}
		d.wait = 0
	}
}

// report proposes what is idle.
func (b *Balancer) report(ctx context.Context, d *drainReports, source Source, proposer Proposer) {
	op := fsm.ReportIdle{Node: d.self}
	newest := b.newest.Load()
	d.returning = newest != nil
	for ref, seen := range d.open {
		if newest == nil || len(op.Backends) == maxReports {
			break
		}
		idle, returning := b.idles(d, ref, seen, newest)
		d.returning = d.returning && returning
		if idle {
			op.Backends = append(op.Backends, fsm.IdleBackend{Pool: ref.Pool, Name: ref.Name, UID: seen.uid, Epoch: seen.epoch})
		}
	}
	if len(op.Backends) == 0 || time.Now().Before(d.notUntil) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	result, err := proposer.Propose(ctx, fsm.Command{Actor: "drain", Op: op})
	if err == nil && result.Err != nil { // a nil *fsm.Error would be an error
		err = result.Err
	}
	state, _ := source.Watch()
	d.follow(state)
	// What the state took is no longer open. What it ignored is, and is not to be
	// repeated at once either.
	if err == nil && d.closed(op) {
		d.failures = 0
		return
	}
	d.failures++
	d.notUntil = time.Now().Add(min(minBackoff<<min(d.failures-1, 10), maxBackoff))
	if err != nil && d.failures == 1 {
		b.config.Logger.Warn("idle backends could not be reported, trying again until they are",
			"backends", len(op.Backends), "error", err)
	}
}

// closed tells whether any of the drains that were reported is open no longer.
func (d *drainReports) closed(op fsm.ReportIdle) bool {
	for _, idle := range op.Backends {
		seen := d.open[fsm.Ref{Kind: fsm.KindBackend, Pool: idle.Pool, Name: idle.Name}]
		if seen.uid != idle.UID || seen.epoch != idle.Epoch {
			return true
		}
	}
	return false
}

// idles tells whether this node has done its part of a drain, and if not, whether
// that is because clients may return to the backend.
func (b *Balancer) idles(d *drainReports, ref fsm.Ref, seen drainSeen, newest *applied) (idle, returning bool) {
	pool := newest.table.PoolNamed(ref.Pool)
	if pool == nil {
		return false, false
	}
	at := pool.Backend(ref.Name)
	if at == nil || at.UID != seen.uid || at.Drain() == nil || at.Drain().Epoch != seen.epoch {
		return false, false
	}
	if pool.Takes(at) {
		return false, true
	}
	if seen.swap == 0 {
		seen.swap = newest.swap
		d.open[ref] = seen
	}
	return b.engine.Applied(seen.swap) && at.Stats.InFlight() == 0, false
}
