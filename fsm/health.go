package fsm

import (
	"time"

	"github.com/cespare/xxhash/v2"
)

// What follows is how votes become what a backend is used by, from feature level
// 4 on. The verdict is the majority of the current observers' votes. A vote of an
// observer that departed counts in the place of a current one that has not voted
// yet, and is dropped with the first vote after which there is none; without a
// majority the previous verdict stands.
//
// A verdict that turns up is held back while the backend went down too often
// (Held), and begins a slow start (Ramp) where the pool has one. A ramp begins
// whenever the backend begins to take new traffic: when it is registered or
// becomes ready, not known to be down, and when it comes up again or an override
// has it used again. An override that keeps it out ends the ramp. Where all
// backends of a pool begin together, so do their ramps, and weights are shares: none
// is spared at another's cost.
//
// What ends with time is ended by [Expire].

// Effective returns what the backend's health is to be taken for: the override if
// there is one, else down while it is held, else the verdict.
func (s *BackendStatus) Effective() Health {
	switch {
	case s.Override != nil:
		return s.Override.Health
	case s.Held:
		return HealthDown
	}
	return s.Health
}

// hear returns the backend as its votes leave it.
func (d *draft) hear(b *Backend, h *hearing, votes []Vote) *Backend {
	next := *b
	next.Status.Votes = votes
	t := d.count(h, votes)
	next.Status.Reduction = t.reduction()
	agreed := b.Status.agreed()
	if to := t.verdict(h.panel.size, agreed); to != agreed {
		d.turn(&next, h.pool, to)
	}
	d.settleRamp(b, &next, h.pool)
	return &next
}

// turns tells whether hearing the votes that are there would change anything.
func (d *draft) turns(b *Backend, h *hearing) bool {
	t := d.count(h, b.Status.Votes)
	agreed := b.Status.agreed()
	return t.verdict(h.panel.size, agreed) != agreed || t.reduction() != b.Status.Reduction
}

// agreed is the verdict, whether or not it is held back.
func (s *BackendStatus) agreed() Health {
	if s.Held {
		return HealthUp
	}
	return s.Health
}

// turn takes a verdict that is not the one before.
func (d *draft) turn(next *Backend, pool *Pool, to Health) {
	s := &next.Status
	switch damping := dampingOf(pool); {
	case to == HealthDown && s.Held:
		s.Held, s.FlapEpoch = false, 0 // the next hold begins anew
	case to == HealthDown:
		if s.Health == HealthUp {
			s.Flaps = damping.afterFlap(s.Flaps)
		}
		s.Health, s.Since, s.FlapEpoch = HealthDown, d.nextVersion(), 0
	case s.Health == HealthDown && damping.HoldAfter(s.Flaps) > 0:
		s.Held = true
		s.beginFlapEpoch()
	default:
		d.comeUp(s)
	}
}

// comeUp makes a backend up, from when its flaps decay.
func (d *draft) comeUp(s *BackendStatus) {
	s.Health, s.Since, s.Held, s.FlapEpoch = HealthUp, d.nextVersion(), false, 0
	if s.Flaps > 0 {
		s.beginFlapEpoch()
	}
}

// beginFlapEpoch begins a hold, or the time after which a flap is forgotten.
func (s *BackendStatus) beginFlapEpoch() {
	s.Epoch++
	s.FlapEpoch = s.Epoch
}

// settleRamp begins the slow start of a backend that begins to take new traffic,
// and ends that of one that takes none. old is nil for a new backend, and for one
// that is another server than before.
func (d *draft) settleRamp(old, next *Backend, pool *Pool) {
	switch {
	case !takesTraffic(next):
		next.Status.Ramp = 0
	case old != nil && takesTraffic(old):
	case pool != nil && pool.Spec.SlowStart > 0:
		next.Status.Ramp = d.nextVersion()
		next.Status.Epoch++
	}
}

func takesTraffic(b *Backend) bool {
	return b.Spec.AdminState == AdminReady && b.Status.Effective() != HealthDown
}

func dampingOf(pool *Pool) Damping {
	if pool == nil {
		return PoolSpec{}.EffectiveDamping()
	}
	return pool.Spec.EffectiveDamping()
}

// afterFlap returns the count with one flap more. One that would lengthen no hold
// is not counted: it would only take longer to decay.
func (d Damping) afterFlap(flaps int) int {
	if flaps <= d.Flaps || !d.Off && d.HoldAfter(flaps) < time.Duration(d.MaxHold) {
		return flaps + 1
	}
	return flaps
}

// beginHealth draws everything anew when the feature level rises to what this
// file says: verdicts by the backends' own observers, and drains that end.
func (d *draft) beginHealth() {
	pools := poolCache{draft: d}
	for _, b := range below(d.backends, "") {
		pool := pools.of(b)
		next := *b
		if len(b.Status.Votes) > 0 {
			next = *d.hear(b, d.hearingOf(b, pool), b.Status.Votes)
		}
		if next.Spec.AdminState == AdminDrain {
			d.beginDrain(&next.Status)
		}
		d.storeIfChanged(b, &next)
	}
}

// redrawPanels draws anew the verdicts of the backends that the node was or is an
// observer of, and looks again at drains, all of which wait for each node.
//
// The replica applies nothing else meanwhile, so what does not change is passed
// over at the cost of a few scores, and nothing is kept of it. What changes is
// stored in the end, because a Txn must not change under an iterator.
func (d *draft) redrawPanels(before []candidate) {
	wider, moved := movedBetween(before, d.candidates)
	pools := poolCache{draft: d}
	var changed [][2]*Backend // as they were, and as they will be
	it := d.backends.Root().Iterator()
	for _, b, more := it.Next(); more; _, b, more = it.Next() {
		draining := b.Status.Drain != nil && b.Status.Drain.State == DrainUnderWay
		if len(b.Status.Votes) == 0 && !draining {
			continue
		}
		heard := d.rehear(b, pools.of(b), wider, moved)
		if !draining && heard == b {
			continue
		}
		next := *heard
		if draining {
			d.settleDrain(&next.Status)
		}
		changed = append(changed, [2]*Backend{b, &next})
	}
	for _, pair := range changed {
		d.storeIfChanged(pair[0], pair[1])
	}
}

// rehear returns the backend as its votes leave it after a node came or went, b
// itself if that changes nothing. wider are the candidates with the node that
// moved: who is not elected among those is no observer without it either.
func (d *draft) rehear(b *Backend, pool *Pool, wider []candidate, moved int) *Backend {
	h := hearing{pool: pool, backend: xxhash.Sum64String(b.Meta.UID)}
	observers := observersWanted(pool)
	if !elects(wider, moved, h.backend, observers) {
		return b
	}
	h.panel, h.generation = elect(d.candidates, h.backend, observers), checkGeneration(pool, b)
	if !d.turns(b, &h) {
		return b
	}
	return d.hear(b, &h, b.Status.Votes)
}

// movedBetween returns the longer one of two lists, and where in it the node is that
// the other one lacks.
func movedBetween(a, b []candidate) (wider []candidate, moved int) {
	if len(a) < len(b) {
		a, b = b, a
	}
	for moved < len(b) && a[moved].uid == b[moved].uid {
		moved++
	}
	return a, moved
}

// storeIfChanged stores what became of a backend. Slices and pointers of its
// status are replaced, never changed, so the lengths tell nothing and are not
// asked.
func (d *draft) storeIfChanged(old, next *Backend) {
	a, b := &old.Status, &next.Status
	if a.Health == b.Health && a.Since == b.Since && a.Reduction == b.Reduction && a.Ramp == b.Ramp && a.Flaps == b.Flaps &&
		a.Held == b.Held && a.Epoch == b.Epoch && a.FlapEpoch == b.FlapEpoch && a.Override == b.Override && a.Drain == b.Drain {
		return
	}
	d.storeBackend(next)
}

func (d *draft) storeBackend(b *Backend) {
	store(d, d.backends, b)
	d.touch(b.Ref())
}

// poolCache finds the pools of backends that come in the order of those.
type poolCache struct {
	*draft
	pool *Pool
}

func (c *poolCache) of(b *Backend) *Pool {
	if c.pool == nil || c.pool.Name != b.Pool {
		c.pool = lookup(c.pools, b.Pool)
	}
	return c.pool
}
