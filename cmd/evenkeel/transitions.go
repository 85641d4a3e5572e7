package main

import (
	"context"
	"sync/atomic"

	"evenkeel/fsm"
)

// transitions counts verdicts that changed, as this node got to see them: two
// within one batch of commands are seen as one.
type transitions struct{ up, down, unknown atomic.Uint64 }

// source is where states come from; see [cluster.Node.Watch].
type source interface {
	Watch() (*fsm.State, <-chan struct{})
}

// run counts until ctx ends.
func (t *transitions) run(ctx context.Context, from source) error {
	before, changed := from.Watch()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
		var after *fsm.State
		after, changed = from.Watch()
		t.count(before, after)
		before = after
	}
}

// count compares what changed, or all if that is not known.
func (t *transitions) count(before, after *fsm.State) {
	refs, known := after.ChangedSince(before.Version())
	if !known {
		for b := range after.Backends() {
			t.countOne(before.Backend(b.Pool, b.Name), b)
		}
		return
	}
	seen := make(map[fsm.Ref]bool, len(refs))
	for _, ref := range refs {
		if ref.Kind == fsm.KindBackend && !seen[ref] {
			seen[ref] = true
			t.countOne(before.Backend(ref.Pool, ref.Name), after.Backend(ref.Pool, ref.Name))
		}
	}
}

func (t *transitions) countOne(before, after *fsm.Backend) {
	if before == nil || after == nil || before.Meta.UID != after.Meta.UID || before.Status.Health == after.Status.Health {
		return
	}
	switch after.Status.Health {
	case fsm.HealthUp:
		t.up.Add(1)
	case fsm.HealthDown:
		t.down.Add(1)
	default:
		t.unknown.Add(1)
	}
}

func (t *transitions) counts() map[fsm.Health]uint64 {
	return map[fsm.Health]uint64{fsm.HealthUp: t.up.Load(), fsm.HealthDown: t.down.Load(), fsm.HealthUnknown: t.unknown.Load()}
}
