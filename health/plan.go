package health

import (
	"context"
	"fmt"
	"slices"
	"time"

	"evenkeel/fsm"
)

// follow brings the targets up to date with a new state. Its cost follows the
// size of the change, but for a change of the observing nodes.
func (o *Observer) follow(s *fsm.State) {
	o.mu.Lock()
	defer o.mu.Unlock()
	refs, known := s.ChangedSince(o.version)
	before := o.state
	o.state, o.version = s, s.Version()
	o.narrate(before, s, refs, known)
	pools := map[string]bool{} // those planned already
	if before != nil && before.FeatureLevel() != s.FeatureLevel() {
		known = false // it decides who observes
	}
	for _, ref := range refs {
		if ref.Kind == fsm.KindNode && o.membersChanged(s) {
			known = false
		}
	}
	if !known {
		o.planAll(s)
		return
	}
	for _, ref := range refs {
		switch {
		case ref.Kind == fsm.KindPool && !pools[ref.Name]:
			pools[ref.Name] = true
			o.planPool(s, ref.Name)
		case ref.Kind == fsm.KindBackend:
			if b := s.Backend(ref.Pool, ref.Name); b != nil {
				o.plan(s, b, false)
			} else {
				o.drop(o.targets[name{ref.Pool, ref.Name}])
			}
		}
	}
}

// planAll plans every backend that is checked and drops all other targets.
func (o *Observer) planAll(s *fsm.State) {
	o.membersChanged(s)
	o.sweep++
	for pool := range s.Pools() {
		if pool.Spec.Check == nil {
			continue
		}
		for b := range s.PoolBackends(pool.Name) {
			o.plan(s, b, false)
		}
	}
	for _, t := range o.targets {
		if t.sweep != o.sweep {
			o.drop(t)
		}
	}
	for pool := range o.recipes.byPool {
		o.recipes.forget(s, pool)
	}
}

func (o *Observer) planPool(s *fsm.State, pool string) {
	for b := range s.PoolBackends(pool) {
		o.plan(s, b, false)
	}
	o.recipes.forget(s, pool)
}

// membersChanged remembers the members and reports whether anything about them
// changed that can change who observes.
func (o *Observer) membersChanged(s *fsm.State) bool {
	var members []string
	for node := range s.Nodes() {
		members = append(members, fmt.Sprint(node.UID, " ", node.State, " ", node.Witness))
	}
	if slices.Equal(members, o.members) {
		return false
	}
	o.members = members
	return true
}

// plan makes a target of the backend if this node is to probe it: it observes
// it, or is cut off, or its own requests gave reason to doubt it, now or earlier
// (suspected is for now). What is probed already goes on as it does. It returns
// the target, or nil.
func (o *Observer) plan(s *fsm.State, b *fsm.Backend, suspected bool) *target {
	t := o.targets[name{b.Pool, b.Name}]
	pool := s.Pool(b.Pool)
	if pool == nil || pool.Spec.Check == nil || b.Spec.AdminState == fsm.AdminMaint {
		o.drop(t)
		return nil
	}
	of := subject{b.Meta.UID, s.CheckGeneration(b), pool.Spec.ProxyProtocol}
	same := t != nil && t.planned && t.subject == of
	observers := o.observers(s, b)
	rank := slices.Index(observers, o.self)
	doubted := rank < 0 && b.Status.Health != fsm.HealthDown && (suspected || same && t.doubted)
	if rank < 0 && !doubted && !o.cutOff {
		o.drop(t)
		return nil
	}
	if t == nil {
		t = &target{name: name{b.Pool, b.Name}, slot: -1}
		o.targets[t.name] = t
	}
	t.sweep = o.sweep
	t.whileDoubted, t.whileDown = s.ProbeIntervals(pool.Spec.Check)
	unseen := same && !t.observes && t.tally.Run() == 0
	o.assign(t, rank >= 0, doubted)
	if !same {
		o.silence(t)
	}
	t.verdict = b.Status.Health
	t.hold = 0
	if t.verdict == fsm.HealthDown {
		t.hold = pool.Spec.EffectiveDamping().HoldAfter(b.Status.Flaps)
	}
	t.vote, t.voted = ownVote(b, o.self, of.generation)
	if unseen { // who begins to vote has to have looked
		t.begin()
	}
	if !same {
		at := phase(of.uid, max(rank, 0), max(len(observers), 1), time.Duration(pool.Spec.Check.Interval))
		if rank < 0 {
			at = phase(of.uid+o.self, 0, 1, time.Duration(pool.Spec.Check.Interval))
		}
		o.restart(t, of, b, at)
	}
	o.speak(t)
	o.ballot.consider(t, o.now())
	return t
}

// restart makes the target probe a subject afresh, first at so long from now.
func (o *Observer) restart(t *target, of subject, b *fsm.Backend, at time.Duration) {
	pool := o.state.Pool(b.Pool)
	o.engine.forget(t.prober)
	t.start(of, pool.Spec.Check, o.proberFor(b, pool))
	o.queue.remove(t)
	t.anchor = o.now() + at
	t.due = t.anchor
	if t.cancel != nil {
		t.cancel() // settle puts it into the queue
	} else {
		o.queue.add(t)
	}
}

// assign says what for the target is probed.
func (o *Observer) assign(t *target, observes, doubted bool) {
	o.counters.Observed += count(observes) - count(t.observes)
	o.counters.Doubted += count(doubted) - count(t.doubted)
	t.observes, t.doubted = observes, doubted
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// drop ends the probing of a target; nil is nothing to drop.
func (o *Observer) drop(t *target) {
	if t == nil {
		return
	}
	t.planned = false
	o.assign(t, false, false)
	o.silence(t)
	o.engine.forget(t.prober)
	o.queue.remove(t)
	if t.cancel != nil {
		t.cancel() // settle forgets the target
		return
	}
	delete(o.targets, t.name)
}

// ownVote returns this node's vote about the generation, or "" and 0.
func ownVote(b *fsm.Backend, self string, generation uint64) (health fsm.Health, reduction int) {
	for _, vote := range b.Status.Votes {
		if vote.Observer == self && vote.Generation == generation {
			return vote.Health, vote.Reduction
		}
	}
	return "", 0
}

// proberFor returns a prober that explains itself when there can be none,
// which the registry's validation should have kept out.
func (o *Observer) proberFor(b *fsm.Backend, pool *fsm.Pool) Prober {
	prober, err := o.newProber(pool, b.Spec.Address)
	if err != nil {
		return unable{nodeError{fmt.Errorf("set up the check: %w", err)}}
	}
	return prober
}

// unable is the prober of a check that this node cannot run.
type unable struct{ reason error }

// Probe implements [Prober].
func (u unable) Probe(context.Context) (int, error) { return 0, u.reason }
