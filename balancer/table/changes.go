package table

import (
	"reflect"

	"evenkeel/fsm"
)

// changes are the names of routes and pools that differ between two states in
// what a table is made of.
type changes struct {
	before, after *fsm.State
	routes, pools map[string]struct{}
}

func newChanges(before, after *fsm.State) *changes {
	return &changes{before: before, after: after, routes: map[string]struct{}{}, pools: map[string]struct{}{}}
}

func (c *changes) none() bool { return len(c.routes) == 0 && len(c.pools) == 0 }

// add adds what the objects named by refs are compiled into.
func (c *changes) add(refs []fsm.Ref) {
	for _, ref := range refs {
		switch ref.Kind {
		case fsm.KindRoute:
			c.routes[ref.Name] = struct{}{}
		case fsm.KindPool:
			if c.poolDiffers(ref.Name) {
				c.pools[ref.Name] = struct{}{}
			}
		case fsm.KindCertificate:
			for _, s := range []*fsm.State{c.before, c.after} {
				for pool := range s.Pools() {
					if pool.Spec.TLS != nil && pool.Spec.TLS.Certificate == ref.Name {
						c.pools[pool.Name] = struct{}{}
					}
				}
			}
		case fsm.KindBackend:
			if c.backendDiffers(ref.Pool, ref.Name) {
				c.pools[ref.Pool] = struct{}{}
			}
		}
	}
}

// addAll adds everything that is in either state.
func (c *changes) addAll() {
	for _, s := range []*fsm.State{c.before, c.after} {
		for route := range s.Routes() {
			c.routes[route.Name] = struct{}{}
		}
		for pool := range s.Pools() {
			c.pools[pool.Name] = struct{}{}
		}
	}
}

// poolDiffers is false for a change of labels, of the check or of the damping:
// those must not disturb the rotation.
func (c *changes) poolDiffers(name string) bool {
	before, after := c.before.Pool(name), c.after.Pool(name)
	if before == nil || after == nil {
		return before != after
	}
	one, other := before.Spec, after.Spec
	one.Check, other.Check = nil, nil
	one.Damping, other.Damping = nil, nil
	return before.Meta.UID != after.Meta.UID || !reflect.DeepEqual(one, other)
}

// backendDiffers is false for votes that left the verdict as it was, which are
// the most frequent change of all.
func (c *changes) backendDiffers(pool, name string) bool {
	before, after := c.before.Backend(pool, name), c.after.Backend(pool, name)
	if before == nil || after == nil {
		return before != after
	}
	return before.Meta.UID != after.Meta.UID || before.Spec != after.Spec || standingDiffers(&before.Status, &after.Status)
}

// standingDiffers is false for what says nothing about whether and how a backend
// is used.
func standingDiffers(one, other *fsm.BackendStatus) bool {
	return one.Health != other.Health || one.Held != other.Held || one.Ramp != other.Ramp || one.Reduction != other.Reduction ||
		wordOf(one.Override) != wordOf(other.Override) || drainOf(one.Drain) != drainOf(other.Drain)
}

func wordOf(o *fsm.Override) fsm.Health {
	if o == nil {
		return ""
	}
	return o.Health
}

// drainKey is what of a drain counts here; who reported is none of it.
type drainKey struct {
	state fsm.DrainState
	epoch uint64
}

func drainOf(d *fsm.Drain) drainKey {
	if d == nil {
		return drainKey{}
	}
	return drainKey{d.State, d.Epoch}
}
