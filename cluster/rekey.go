package cluster

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"evenkeel/cluster/secret"
	"evenkeel/fsm"
)

const (
	// ticketsEvery is how long one key seals the session tickets of TLS. The registry
	// keeps three, so a ticket resumes a session for two to three times as long.
	ticketsEvery = 8 * time.Hour

	ticketKeyLength = 32
	ticketIDLength  = 8
)

// rotation says what the registry's keys need of the leader. Every node counts how
// old the newest key of tickets is, by its monotonic clock and from when it first had
// it, so that no change of the leader begins the time anew. Its methods have no clock,
// and are called from one goroutine.
type rotation struct {
	keys   *Keys
	every  time.Duration
	newest string // of the keys of tickets; "" is none
	since  time.Time
}

// follow takes a newer state.
func (r *rotation) follow(s *fsm.State, now time.Time) {
	newest := ""
	if all := s.Tickets(); len(all) > 0 {
		newest = all[0].ID
	}
	if newest != r.newest {
		r.newest, r.since = newest, now
	}
}

// next returns what the leader has to propose now, or nil, and then after how long
// something else is due, 0 for never while the state stays. The error says why the
// keys stay as they are.
func (r *rotation) next(s *fsm.State, now time.Time) (op fsm.Operation, within time.Duration, err error) {
	if s.ClusterID() == "" || s.CheckLevel(fsm.Command{Op: fsm.SetDataKey{}}) != nil {
		return nil, 0, nil
	}
	of := s.DataKey()
	if of == nil {
		return fsm.SetDataKey{Key: r.keys.wrapped(secret.NewDataKey())}, 0, nil
	}
	key, err := r.keys.dataKey(s)
	if err != nil {
		return nil, 0, err
	}
	if changed, differs := r.keys.rewrapped(of, key); differs {
		return fsm.SetDataKey{Key: changed}, 0, nil
	}
	if !resumes(s) {
		return nil, 0, nil
	}
	if left := r.since.Add(r.every).Sub(now); r.newest != "" && left > 0 {
		return nil, left, nil
	}
	id := hex.EncodeToString(randomBytes(ticketIDLength))
	sealed := key.Seal(ticketContext(id), string(randomBytes(ticketKeyLength)))
	return fsm.RotateTickets{Ticket: fsm.Ticket{ID: id, Sealed: sealed}, After: r.newest}, 0, nil
}

// resumes tells whether a listener hands out session tickets.
func resumes(s *fsm.State) bool {
	for l := range s.Listeners() {
		if l.Spec.Protocol == fsm.ProtocolHTTPS {
			return true
		}
	}
	return false
}

func randomBytes(length int) []byte {
	random := make([]byte, length)
	rand.Read(random) // never fails: crypto/rand ends the process instead
	return random
}

// keepKeys gives the registry its keys and rotates them, while this node leads.
func (n *Node) keepKeys(ctx context.Context) {
	r := &rotation{keys: n.keys, every: n.ticketsEvery}
	told := ""
	for ctx.Err() == nil {
		state, replaced := n.Watch()
		own, _, changed := n.leaders.current()
		now := time.Now()
		r.follow(state, now)
		var within time.Duration
		if own != nil && own.isReady() {
			op, left, err := r.next(state, now)
			if op != nil {
				_ = duringLeadership(ctx, own, func(ctx context.Context) error { // it returns none
					n.rekey(ctx, op)
					return nil
				})
				continue
			}
			if err != nil && err.Error() != told {
				told = err.Error()
				n.logger.Error("the registry's data key cannot be opened by this leader", "error", err)
			}
			within = left
		}
		awaitAny(ctx, within, replaced, changed)
	}
}

// awaitAny returns after that time, 0 for never, or when a channel is closed.
func awaitAny(ctx context.Context, within time.Duration, replaced, changed <-chan struct{}) {
	var over <-chan time.Time
	if within > 0 {
		timer := time.NewTimer(within)
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

// rekey proposes one change of the keys. What failed is looked at anew by the caller,
// after a pause: another leader may have been first.
func (n *Node) rekey(ctx context.Context, op fsm.Operation) {
	err := n.duty(ctx, op)
	if err == nil {
		switch op := op.(type) {
		case fsm.SetDataKey:
			n.logger.Info("the registry's data key is wrapped under this node's secrets", "id", op.Key.ID, "secrets", len(op.Key.Wraps))
		case fsm.RotateTickets:
			n.logger.Debug("the session tickets of TLS have a new key", "id", op.Ticket.ID)
		}
		_ = pause(ctx, expiryGrain) // it fails when ctx ends, as the caller does
		return
	}
	if ctx.Err() == nil {
		n.logger.Debug("the registry's keys are changed later", "error", err)
	}
	_ = pause(ctx, expiryRetry)
}
