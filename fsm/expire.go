package fsm

import "slices"

// setOverride puts an operator's word in place of a verdict, or takes it back.
func (d *draft) setOverride(c Command, op SetOverride) (AnyObject, *Error) {
	pool := lookup(d.pools, op.Pool)
	if pool == nil {
		return nil, refuse(CodeNotFound, "/pool", "pool %q does not exist", op.Pool)
	}
	ref := Ref{Kind: KindBackend, Pool: op.Pool, Name: op.Name}
	b := lookup(d.backends, objectKey(ref))
	if b == nil {
		return nil, refuse(CodeNotFound, "/name", "%s does not exist: an override is of a backend that is there", ref)
	}
	if err := op.If.check(ref, b); err != nil {
		return nil, err
	}
	old, next := b.Status.Override, *b
	switch {
	case op.Health == "" && old == nil:
		return b, nil
	case op.Health == "":
		next.Status.Override = nil
	case old != nil && old.For == 0 && op.For == 0 && old.Health == op.Health && old.Reason == op.Reason && old.Actor == c.Actor:
		return b, nil
	default:
		next.Status.Epoch++
		next.Status.Override = &Override{
			Health: op.Health, For: op.For, Reason: op.Reason, Actor: c.Actor, At: c.Time.UTC().Round(0), Epoch: next.Status.Epoch,
		}
	}
	d.settleRamp(b, &next, pool)
	d.storeBackend(&next)
	return &next, nil
}

// expire ends what has lasted its time. What began after the leader looked is
// left alone, as its epoch is another.
func (d *draft) expire(op Expire) {
	for _, item := range op.Items {
		b := lookup(d.backends, backendKey(item.Pool, item.Name))
		if b == nil || b.Meta.UID != item.UID {
			d.ignored++
			continue
		}
		if item.What == ExpireTTL {
			d.lapse(b, item)
			continue
		}
		next := *b
		if !d.expireOne(b, &next, item) {
			d.ignored++
			continue
		}
		d.storeBackend(&next)
	}
}

// lapse deletes a backend that was not renewed. One that is held for a
// confirmation stays until that is settled.
func (d *draft) lapse(b *Backend, item Expiry) {
	if b.Spec.TTL == 0 || b.Meta.Revision != item.Epoch || d.delete(Delete{Ref: b.Ref()}) != nil {
		d.ignored++
		return
	}
	d.recorded.kind = DoneLapse
}

func (d *draft) expireOne(b, next *Backend, item Expiry) bool {
	s := &next.Status
	switch item.What {
	case ExpireHold:
		if !s.Held || s.FlapEpoch != item.Epoch {
			return false
		}
		d.comeUp(s)
	case ExpireFlap:
		if s.Flaps == 0 || s.Health != HealthUp || s.FlapEpoch != item.Epoch {
			return false
		}
		s.FlapEpoch = 0
		if s.Flaps--; s.Flaps > 0 {
			s.beginFlapEpoch() // the next one decays from here
		}
	case ExpireRamp:
		if s.Ramp == 0 || s.Epoch != item.Epoch {
			return false
		}
		s.Ramp = 0
	case ExpireOverride:
		if s.Override == nil || s.Override.For == 0 || s.Override.Epoch != item.Epoch {
			return false
		}
		s.Override = nil
	case ExpireDrain:
		if s.Drain == nil || s.Drain.State != DrainUnderWay || s.Drain.Epoch != item.Epoch {
			return false
		}
		s.Drain = &Drain{State: DrainTimedOut, Idle: s.Drain.Idle, Epoch: s.Drain.Epoch}
	}
	d.settleRamp(b, next, lookup(d.pools, b.Pool))
	return true
}

// beginDrain begins a drain.
func (d *draft) beginDrain(s *BackendStatus) {
	s.Epoch++
	s.Drain = &Drain{State: DrainUnderWay, Epoch: s.Epoch}
}

// reportIdle takes what a node tells of the drains that it has done its part of.
func (d *draft) reportIdle(op ReportIdle) {
	if _, counts := slices.BinarySearch(d.observers, op.Node); !counts {
		d.ignored += len(op.Backends)
		return
	}
	for _, item := range op.Backends {
		b := lookup(d.backends, backendKey(item.Pool, item.Name))
		if b == nil || b.Meta.UID != item.UID || b.Status.Drain == nil || b.Status.Drain.Epoch != item.Epoch {
			d.ignored++
			continue
		}
		drain := b.Status.Drain
		at, reported := slices.BinarySearch(drain.Idle, op.Node)
		if reported || drain.State != DrainUnderWay {
			continue
		}
		next := *b
		next.Status.Drain = &Drain{State: drain.State, Idle: slices.Insert(slices.Clone(drain.Idle), at, op.Node), Epoch: drain.Epoch}
		d.settleDrain(&next.Status)
		d.storeBackend(&next)
	}
}

// settleDrain ends a drain that every node which serves has reported idle. A node
// that is gone has nothing in flight, and if it comes back, or another one joins,
// it reports for itself.
func (d *draft) settleDrain(s *BackendStatus) {
	drain, idle := s.Drain, []string(nil)
	for _, uid := range s.Drain.Idle {
		if _, serves := slices.BinarySearch(d.observers, uid); serves {
			idle = append(idle, uid)
		}
	}
	state := drain.State
	if len(idle) == len(d.observers) && len(idle) > 0 {
		state = DrainDone
	}
	if state != drain.State || len(idle) != len(drain.Idle) {
		s.Drain = &Drain{State: state, Idle: idle, Epoch: drain.Epoch}
	}
}
