package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"evenkeel/fsm"
)

const (
	// maxRenewals bounds what one call to the leader renews.
	maxRenewals = 1000
	// maxRenewing bounds those that wait for that on one node.
	maxRenewing = 20_000
	// renewAttempt bounds one call to the leader.
	renewAttempt = 2 * time.Second
)

// ErrNotRegistered means that a backend to renew is gone, or another one took its
// name: it has to register again.
var ErrNotRegistered = errors.New("it is not registered any more")

// Renewal names one registration of a backend that is to stay.
type Renewal struct {
	Pool string `json:"pool"`
	Name string `json:"name"`
	UID  string `json:"uid"`
}

// Renew tells the leader that a backend with a TTL is still there. It writes
// nothing: the leader counts, and what comes to a node while it asks the leader
// goes with its next call. Nil means that the leader has counted it;
// [ErrNotRegistered] that the backend has lapsed or is about to; [ErrNoQuorum] that
// no leader took it within some 4 s: if there was none, nothing lapses either until
// one counts anew, but one that only this node does not reach counts on, so another
// node is to be asked; [ErrOverloaded] that more wait than a node takes.
func (n *Node) Renew(ctx context.Context, r Renewal) error {
	if err := n.callers.enter(); err != nil {
		return fmt.Errorf("renew: %w", err)
	}
	defer n.callers.leave()
	if err := n.detachedError(); err != nil {
		return err
	}
	if err := n.renewer.do(ctx, r); err != nil {
		return fmt.Errorf("renew backend %s/%s: %w", r.Pool, r.Name, err)
	}
	return nil
}

// renewer gathers the renewals of one node, so that they cost one call to the
// leader at a time however many there are.
type renewer struct {
	mu      sync.Mutex // guards waiting
	waiting []renewing
	wake    chan struct{}
}

type renewing struct {
	Renewal
	done chan error // has room
}

func newRenewer() *renewer { return &renewer{wake: make(chan struct{}, 1)} }

func (r *renewer) do(ctx context.Context, one Renewal) error {
	mine := renewing{one, make(chan error, 1)}
	r.mu.Lock()
	if len(r.waiting) >= maxRenewing {
		r.mu.Unlock()
		return ErrOverloaded
	}
	r.waiting = append(r.waiting, mine)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
	select {
	case err := <-mine.done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// take returns those that waited longest, and whether there are more.
func (r *renewer) take() (batch []renewing, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	count := min(len(r.waiting), maxRenewals)
	batch = r.waiting[:count:count]
	if r.waiting = r.waiting[count:]; len(r.waiting) == 0 {
		r.waiting = nil
	}
	return batch, len(r.waiting) > 0
}

// run carries renewals to the leader until ctx ends, and then refuses the rest.
func (r *renewer) run(ctx context.Context, call func(context.Context, []Renewal) ([]int, error)) {
	for {
		select {
		case <-r.wake:
		case <-ctx.Done():
			for batch, _ := r.take(); len(batch) > 0; batch, _ = r.take() {
				finish(batch, nil, ErrStopping)
			}
			return
		}
		for more := true; more && ctx.Err() == nil; {
			var batch []renewing
			if batch, more = r.take(); len(batch) == 0 {
				break // whoever woke it up was taken along with those before
			}
			items := make([]Renewal, len(batch))
			for i, one := range batch {
				items[i] = one.Renewal
			}
			unknown, err := call(ctx, items)
			finish(batch, unknown, err)
		}
	}
}

// finish tells those who wait how it went. unknown are the places of backends that
// are not registered.
func finish(batch []renewing, unknown []int, err error) {
	outcomes := make([]error, len(batch))
	for _, at := range unknown {
		if at >= 0 && at < len(batch) {
			outcomes[at] = ErrNotRegistered
		}
	}
	for i, one := range batch {
		if err != nil {
			outcomes[i] = err
		}
		one.done <- outcomes[i]
	}
}

type renewRequest struct {
	Items []Renewal `json:"items"`
}

type renewResponse struct {
	// Unknown are the places in the request of what is not registered.
	Unknown []int `json:"unknown,omitempty"`
}

// askRenew has whoever leads count the renewals, and returns the places of those
// that are not registered.
func (n *Node) askRenew(ctx context.Context, items []Renewal) ([]int, error) {
	until := time.Now().Add(leaderPatience)
	for {
		unknown, err := n.renewOnce(ctx, items, time.Until(until))
		if err == nil || ctx.Err() != nil {
			return unknown, err
		}
		if detached := n.detachedError(); detached != nil {
			return nil, detached
		}
		if time.Now().After(until) {
			return nil, fmt.Errorf("%w: %w", ErrNoQuorum, err)
		}
		if err := pause(ctx, repeatPause); err != nil {
			return nil, err
		}
	}
}

func (n *Node) renewOnce(ctx context.Context, items []Renewal, patience time.Duration) ([]int, error) {
	leader, err := n.awaitLeader(ctx, patience)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, renewAttempt, errSlow)
	defer cancel()
	var response renewResponse
	err = n.untilLeaderChanges(ctx, leader, func(ctx context.Context) error {
		if leader == n.UID() {
			response, err = n.takeRenewals(ctx, leader, renewRequest{items})
			return err
		}
		return n.port.RPC().Call(ctx, leader, methodRenew, renewRequest{items}, &response)
	})
	return response.Unknown, err
}

// takeRenewals is the leader's part, once it knows all that earlier leaders
// committed: before that it would not find what has just been registered, and would
// count what an earlier one is withdrawing.
func (n *Node) takeRenewals(_ context.Context, _ string, request renewRequest) (renewResponse, error) {
	if own, _, _ := n.leaders.current(); own == nil || !own.isReady() {
		return renewResponse{}, answerOutcome(errNotLeader)
	}
	if len(request.Items) > maxRenewals {
		return renewResponse{}, answerOutcome(fmt.Errorf("%w: it renews %d backends, more than %d", errRefused, len(request.Items), maxRenewals))
	}
	var response renewResponse
	state, now := n.State(), time.Now()
	for i, item := range request.Items {
		b := state.Backend(item.Pool, item.Name)
		if b == nil || b.Meta.UID != item.UID || b.Spec.TTL == 0 || !n.renewals.renew(b.Ref(), item.UID, now) {
			response.Unknown = append(response.Unknown, i)
		}
	}
	return response, nil
}

// renewals are what the leader was told since it began to lead.
type renewals struct {
	mu   sync.Mutex // guards what follows
	last map[fsm.Ref]renewal
}

type renewal struct {
	uid string
	at  time.Time
	// lapsing is set while a command may be on its way that withdraws it.
	lapsing bool
}

func newRenewals() *renewals { return &renewals{last: map[fsm.Ref]renewal{}} }

// begin forgets all: who led before counted by another clock.
func (r *renewals) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.last)
}

// renew reports whether it still counts: what is about to be withdrawn is to
// register again.
func (r *renewals) renew(ref fsm.Ref, uid string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := r.last[ref]; old.uid == uid && old.lapsing {
		return false
	}
	r.last[ref] = renewal{uid: uid, at: now}
	return true
}

// lapse returns when the registration was renewed after since. If it was not, it is
// about to be withdrawn until settle, and ok is false.
func (r *renewals) lapse(ref fsm.Ref, uid string, since time.Time) (at time.Time, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, ok := r.find(ref, uid, since); ok {
		return at, true
	}
	r.last[ref] = renewal{uid: uid, lapsing: true}
	return time.Time{}, false
}

// after returns when the registration was renewed after since, if it was.
func (r *renewals) after(ref fsm.Ref, uid string, since time.Time) (at time.Time, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.find(ref, uid, since)
}

// find is after with the lock held.
func (r *renewals) find(ref fsm.Ref, uid string, since time.Time) (at time.Time, ok bool) {
	one := r.last[ref]
	return one.at, one.uid == uid && one.at.After(since)
}

// settle takes that the command with those items is applied, or never will be. What
// it did not withdraw can be renewed again.
func (r *renewals) settle(items []fsm.Expiry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, item := range items {
		if ref := refOf(item); item.What == fsm.ExpireTTL && r.last[ref].lapsing {
			delete(r.last, ref)
		}
	}
}

// forget drops what is gone.
func (r *renewals) forget(ref fsm.Ref) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.last, ref)
}
