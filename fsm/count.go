package fsm

import (
	"cmp"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// hearing is what the votes about one backend are counted against.
type hearing struct {
	pool       *Pool // nil only where a pool is missing
	generation uint64
	backend    uint64 // the hash of its UID
	panel      panel
}

func (d *draft) hearingOf(b *Backend, pool *Pool) *hearing {
	h := &hearing{pool: pool, generation: checkGeneration(pool, b), backend: xxhash.Sum64String(b.Meta.UID)}
	h.panel = elect(d.candidates, h.backend, observersWanted(pool))
	return h
}

// seated tells whether the vote is of a current observer, about what is checked
// now.
func (d *draft) seated(h *hearing, vote Vote) bool {
	return vote.Generation == h.generation && h.panel.has(d.candidates, vote.Observer)
}

// absent counts the observers that have not voted yet, and the votes of nodes that
// observe the backend no longer.
func (d *draft) absent(h *hearing, votes []Vote) (vacant, departed int) {
	vacant = h.panel.size
	for _, vote := range votes {
		switch {
		case d.seated(h, vote):
			vacant--
		case vote.Generation == h.generation:
			departed++
		}
	}
	return vacant, departed
}

// standIns returns votes of nodes that observe the backend no longer, in place
// of observers that have not voted yet: no more than there are of those, and of
// more votes than that those of the nodes with the highest scores, since they
// were observers last.
func (d *draft) standIns(h *hearing, votes []Vote) []Vote {
	vacant, departed := d.absent(h, votes)
	if vacant <= 0 || departed == 0 {
		return nil
	}
	left := make([]Vote, 0, departed)
	for _, vote := range votes {
		if vote.Generation == h.generation && !d.seated(h, vote) {
			left = append(left, vote)
		}
	}
	slices.SortStableFunc(left, func(a, b Vote) int {
		return cmp.Compare(rendezvous(xxhash.Sum64String(b.Observer), h.backend), rendezvous(xxhash.Sum64String(a.Observer), h.backend))
	})
	return left[:min(vacant, len(left))]
}

// tally is what votes come to.
type tally struct {
	up, down   int
	reductions [maxObservers]int // of those that say up
}

func (t *tally) add(vote Vote) {
	switch vote.Health {
	case HealthUp:
		t.reductions[t.up] = vote.Reduction
		t.up++
	case HealthDown:
		t.down++
	}
}

// count adds up the votes that count, which are at most one per observer.
func (d *draft) count(h *hearing, votes []Vote) tally {
	var t tally
	vacant, departed := d.absent(h, votes)
	all := departed <= vacant // the usual case: nobody has to be chosen among them
	for _, vote := range votes {
		if vote.Generation == h.generation && (all || d.seated(h, vote)) {
			t.add(vote)
		}
	}
	if !all {
		for _, vote := range d.standIns(h, votes) {
			t.add(vote)
		}
	}
	return t
}

// verdict is what a strict majority of the observers says, or the previous one.
func (t *tally) verdict(observers int, previous Health) Health {
	switch majority := observers/2 + 1; {
	case t.up >= majority:
		return HealthUp
	case t.down >= majority:
		return HealthDown
	}
	return previous
}

// reduction is the median of what the votes for up say, the lower one of two: a
// probe that failed tells nothing of a weight.
func (t *tally) reduction() int {
	if t.up == 0 {
		return 0
	}
	slices.Sort(t.reductions[:t.up])
	return t.reductions[(t.up-1)/2]
}

// replaceVote returns the votes with one replaced or added, without those of
// departed observers that stand in for nobody now. A vote that repeats the
// observer's last one changes nothing.
func (d *draft) replaceVote(h *hearing, votes []Vote, vote Vote) ([]Vote, bool) {
	all := make([]Vote, 0, len(votes)+1)
	for _, old := range votes {
		if old.Observer != vote.Observer {
			all = append(all, old)
		} else if old.Health == vote.Health && old.Generation == vote.Generation && old.Reduction == vote.Reduction {
			return votes, false
		}
	}
	all = append(all, vote)
	kept := d.standIns(h, all)
	for _, one := range all {
		if h.panel.has(d.candidates, one.Observer) {
			kept = append(kept, one)
		}
	}
	slices.SortFunc(kept, func(a, b Vote) int { return cmp.Compare(a.Observer, b.Observer) })
	return kept, true
}
