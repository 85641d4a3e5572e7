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
	o.version = s.Version()
	pools := map[string]bool{} // those planned already
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
			for b := range s.PoolBackends(ref.Name) {
				o.plan(s, b)
			}
		case ref.Kind == fsm.KindBackend:
			if b := s.Backend(ref.Pool, ref.Name); b != nil {
				o.plan(s, b)
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
			o.plan(s, b)
		}
	}
	for _, t := range o.targets {
		if t.sweep != o.sweep {
			o.drop(t)
		}
	}
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

// plan makes a target of the backend if this node observes it.
func (o *Observer) plan(s *fsm.State, b *fsm.Backend) {
	key := name{b.Pool, b.Name}
	t := o.targets[key]
	observers := s.Observers(b)
	rank := slices.Index(observers, o.self)
	pool := s.Pool(b.Pool)
	if rank < 0 || pool == nil || pool.Spec.Check == nil || b.Spec.AdminState == fsm.AdminMaint {
		o.drop(t)
		return
	}
	if t == nil {
		t = &target{name: key, slot: -1}
		o.targets[key] = t
	}
	t.sweep = o.sweep
	now := o.now()
	of := subject{b.Meta.UID, s.CheckGeneration(b)}
	t.vote = ownVote(b, o.self, of.generation)
	if !t.planned || t.subject != of {
		check := pool.Spec.Check
		t.start(of, check, o.proberFor(b, check), t.vote)
		o.queue.remove(t)
		t.due = now + phase(of.uid, rank, len(observers), time.Duration(check.Interval))
		if t.cancel != nil {
			t.cancel() // settle puts it into the queue
		} else {
			o.queue.add(t)
		}
	}
	o.ballot.consider(t, now)
}

// drop ends the observation of a target; nil is nothing to drop.
func (o *Observer) drop(t *target) {
	if t == nil {
		return
	}
	t.planned = false
	o.queue.remove(t)
	if t.cancel != nil {
		t.cancel() // settle forgets the target
		return
	}
	delete(o.targets, t.name)
}

// ownVote returns this node's vote about the generation, or "".
func ownVote(b *fsm.Backend, self string, generation uint64) fsm.Health {
	for _, vote := range b.Status.Votes {
		if vote.Observer == self && vote.Generation == generation {
			return vote.Health
		}
	}
	return ""
}

// proberFor returns a prober that explains itself when there can be none,
// which the registry's validation should have kept out.
func (o *Observer) proberFor(b *fsm.Backend, check *fsm.Check) Prober {
	prober, err := o.newProber(b.Pool, check, b.Spec.Address)
	if err != nil {
		return unable{nodeError{fmt.Errorf("set up the check: %w", err)}}
	}
	return prober
}

// unable is the prober of a check that this node cannot run.
type unable struct{ reason error }

// Probe implements [Prober].
func (u unable) Probe(context.Context) (int, error) { return 0, u.reason }
