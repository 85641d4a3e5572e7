package cluster

import (
	"context"
	"fmt"
	"time"

	"evenkeel/fsm"
)

// unconfirmed counts how long revisions wait for their confirmation, by this node's
// monotonic clock from when its own replica first had each. Every node counts, and
// not the leader alone: were each new leader to begin anew, one death would double
// the wait. None undoes too early, since no replica has a revision before it was
// accepted. Its methods have no clock, and are called from one goroutine.
type unconfirmed struct {
	waits map[uint64]*wait // by revision
}

type wait struct {
	*fsm.Pending
	due time.Time
	// told is the fault that was logged last.
	told string
}

func newUnconfirmed() *unconfirmed { return &unconfirmed{map[uint64]*wait{}} }

// follow takes a newer state.
func (u *unconfirmed) follow(s *fsm.State, now time.Time) {
	pending := s.Pending()
	if len(pending) == 0 && len(u.waits) == 0 {
		return
	}
	waits := make(map[uint64]*wait, len(pending))
	for _, p := range pending {
		known := u.waits[p.Revision]
		if known == nil {
			known = &wait{Pending: p, due: now.Add(time.Duration(p.Within))}
		}
		waits[p.Revision] = known
	}
	u.waits = waits
}

// next returns the one that is due first, nil if none waits.
func (u *unconfirmed) next() *wait {
	var first *wait
	for _, w := range u.waits {
		if first == nil || w.due.Before(first.due) {
			first = w
		}
	}
	return first
}

// countUnconfirmed undoes what was not confirmed in time, while this node leads.
func (n *Node) countUnconfirmed(ctx context.Context) {
	u := newUnconfirmed()
	for ctx.Err() == nil {
		state, replaced := n.Watch()
		own, _, changed := n.leaders.current()
		u.follow(state, time.Now())
		first := u.next()
		if own == nil || !own.isReady() {
			first = nil
		}
		if first != nil && !first.due.After(time.Now()) {
			_ = duringLeadership(ctx, own, func(ctx context.Context) error { // it returns none
				n.undo(ctx, first)
				return nil
			})
			continue
		}
		first.await(ctx, replaced, changed)
	}
}

// await returns when the wait is over, if there is one, or either channel is closed.
func (w *wait) await(ctx context.Context, replaced, changed <-chan struct{}) {
	var over <-chan time.Time
	if w != nil {
		timer := time.NewTimer(time.Until(w.due))
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
	case <-replaced:
	case <-changed:
	case <-ctx.Done():
	}
}

// undo undoes one revision, or tries again expiryRetry later. That it was confirmed
// or undone meanwhile is no fault.
func (n *Node) undo(ctx context.Context, w *wait) {
	result, err := n.propose(ctx, fsm.Command{
		Actor: dutyActor, Reason: fmt.Sprintf("not confirmed within %s", time.Duration(w.Within)),
		Op: fsm.Confirm{Revision: w.Revision, Undo: true},
	})
	w.due = time.Now().Add(expiryRetry)
	switch {
	case err != nil && ctx.Err() != nil:
	case err == nil && result.Err == nil:
		n.logger.Info("a revision that was not confirmed is undone", "revision", w.Revision, "by_revision", result.Revision,
			"within", time.Duration(w.Within), "objects", w.Count, "actor", w.Actor)
	case err == nil && result.Err.Code == fsm.CodeNotFound:
	default:
		if err == nil {
			err = result.Err
		}
		if told := err.Error(); told != w.told {
			w.told = told
			n.logger.Warn("a revision that was not confirmed is undone later", "revision", w.Revision, "error", err)
		}
	}
}
