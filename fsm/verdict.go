package fsm

import (
	"slices"
	"strings"
)

// verdict is the rule below feature level 4, see health.go: it returns what a strict majority of the observers voted about the
// given generation, or the previous verdict when there is no such majority.
func verdict(previous Health, votes []Vote, observers []string, generation uint64) Health {
	up, down := 0, 0
	for _, vote := range votes {
		if _, counts := slices.BinarySearch(observers, vote.Observer); !counts || vote.Generation != generation {
			continue
		}
		switch vote.Health {
		case HealthUp:
			up++
		case HealthDown:
			down++
		}
	}
	switch majority := len(observers)/2 + 1; {
	case up >= majority:
		return HealthUp
	case down >= majority:
		return HealthDown
	}
	return previous
}

// castVotes takes the votes of one observer and draws the verdicts. What
// cannot count is ignored: a vote of a node that does not observe, about
// another registration or generation, or about what is not checked.
func (d *draft) castVotes(c Command, op CastVotes) {
	if _, observes := slices.BinarySearch(d.observers, op.Observer); !observes {
		d.ignored += len(op.Votes)
		return
	}
	for _, item := range op.Votes {
		b := lookup(d.backends, backendKey(item.Pool, item.Name))
		if b == nil || b.Meta.UID != item.UID || !d.isChecked(b) || d.checkGeneration(b) != item.Generation {
			d.ignored++
			continue
		}
		d.castVote(b, Vote{
			Observer: op.Observer, Health: item.Health, Generation: item.Generation, Reason: item.Reason, At: c.Time.UTC().Round(0),
			Reduction: item.Reduction,
		})
	}
}

func (d *draft) castVote(b *Backend, vote Vote) {
	if d.featureLevel < levelHealth {
		if votes, changed := withVote(b.Status.Votes, d.observers, vote); changed {
			d.setVotes(b, votes)
		}
		return
	}
	h := d.hearingOf(b, lookup(d.pools, b.Pool))
	if !h.panel.has(d.candidates, vote.Observer) {
		d.ignored++
		return
	}
	if votes, changed := d.replaceVote(h, b.Status.Votes, vote); changed {
		d.storeBackend(d.hear(b, h, votes))
	}
}

// withVote, below feature level 4, returns the votes with one replaced or added, without those of
// nodes that no longer observe. A vote that repeats the observer's last one
// changes nothing.
func withVote(votes []Vote, observers []string, vote Vote) ([]Vote, bool) {
	next := make([]Vote, 0, len(votes)+1)
	for _, old := range votes {
		if old.Observer == vote.Observer {
			if old.Health == vote.Health && old.Generation == vote.Generation {
				return votes, false
			}
			continue
		}
		if _, observes := slices.BinarySearch(observers, old.Observer); observes {
			next = append(next, old)
		}
	}
	next = append(next, vote)
	slices.SortFunc(next, func(a, b Vote) int { return strings.Compare(a.Observer, b.Observer) })
	return next, true
}

func (d *draft) setVotes(b *Backend, votes []Vote) {
	if d.featureLevel >= levelHealth {
		d.storeBackend(d.hear(b, d.hearingOf(b, lookup(d.pools, b.Pool)), votes))
		return
	}
	next := *b
	next.Status.Votes = votes
	next.Status.Health = verdict(b.Status.Health, votes, d.observers, d.checkGeneration(b))
	if next.Status.Health != b.Status.Health {
		next.Status.Since = d.nextVersion()
	}
	d.storeBackend(&next)
}

// redraw draws verdicts again after the set of observers changed. The replica
// applies nothing else meanwhile, so it costs next to nothing for a backend without
// votes, whose verdict stands.
func (d *draft) redraw(before []candidate) {
	if d.featureLevel >= levelHealth {
		d.redrawPanels(before)
		return
	}
	var changed []*Backend // first, because a Txn must not change under an iterator
	var pool *Pool
	it := d.backends.Root().Iterator()
	for _, b, more := it.Next(); more; _, b, more = it.Next() {
		if len(b.Status.Votes) == 0 {
			continue
		}
		if pool == nil || pool.Name != b.Pool {
			pool = lookup(d.pools, b.Pool)
		}
		if verdict(b.Status.Health, b.Status.Votes, d.observers, checkGeneration(pool, b)) != b.Status.Health {
			changed = append(changed, b)
		}
	}
	for _, b := range changed {
		d.setVotes(b, b.Status.Votes)
	}
}

// forgetHealth makes the health of a pool's backends unknown.
func (d *draft) forgetHealth(pool string) {
	for _, b := range below(d.backends, backendKey(pool, "")) {
		if b.Status.Health == HealthUnknown && len(b.Status.Votes) == 0 {
			continue
		}
		next := *b
		next.Status.Votes = []Vote{}
		if b.Status.Health != HealthUnknown {
			next.Status.Health, next.Status.Since = HealthUnknown, d.nextVersion()
		}
		if d.featureLevel >= levelHealth {
			next.Status.Reduction, next.Status.Flaps, next.Status.Held, next.Status.FlapEpoch = 0, 0, false, 0
			d.settleRamp(b, &next, lookup(d.pools, pool))
		}
		d.storeBackend(&next)
	}
}

// isChecked reports whether observers probe the backend at all.
func (d *draft) isChecked(b *Backend) bool {
	pool := lookup(d.pools, b.Pool)
	return pool != nil && pool.Spec.Check != nil && b.Spec.AdminState != AdminMaint
}

func (d *draft) checkGeneration(b *Backend) uint64 {
	return checkGeneration(lookup(d.pools, b.Pool), b)
}
