package cluster

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// leadership is one term in which this node leads.
type leadership struct {
	term uint64
	// ctx ends with the leadership; its cause is errDeposed.
	ctx    context.Context
	depose context.CancelCauseFunc
	// ready is closed when an entry of the term is committed and this node has
	// applied everything before it. Until then its commit index may be behind
	// what earlier leaders acknowledged (Raft thesis, section 6.4).
	ready chan struct{}
}

func (l *leadership) isReady() bool {
	select {
	case <-l.ready:
		return true
	default:
		return false
	}
}

var errDeposed = errors.New("this node is not the leader any more")

// leaders knows who leads. Safe for concurrent use.
type leaders struct {
	mu      sync.Mutex // guards what follows
	own     *leadership
	uid     string        // the leader that raft knows of, or ""
	changed chan struct{} // closed and replaced at each change
}

func newLeaders() *leaders { return &leaders{changed: make(chan struct{})} }

// current returns this node's leadership or nil, the leader's UID or "", and a
// channel that is closed when either changes.
func (l *leaders) current() (own *leadership, uid string, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.own, l.uid, l.changed
}

// set reports the leadership that begins, if one does.
func (l *leaders) set(ctx context.Context, uid string, leads bool, term uint64) (begun *leadership) {
	l.mu.Lock()
	defer l.mu.Unlock()
	same := l.own == nil && !leads || l.own != nil && leads && l.own.term == term
	if same && l.uid == uid {
		return nil
	}
	if !same {
		if l.own != nil {
			l.own.depose(errDeposed)
			l.own = nil
		}
		if leads {
			begun = &leadership{term: term, ready: make(chan struct{})}
			begun.ctx, begun.depose = context.WithCancelCause(ctx)
			l.own = begun
		}
	}
	l.uid = uid
	l.wake()
	return begun
}

// wake is called with the lock held.
func (l *leaders) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// leaderPoll finds what a notification that raft dropped did not tell.
const leaderPoll = 250 * time.Millisecond

// watchLeader follows raft's leadership until ctx ends.
func (n *Node) watchLeader(ctx context.Context, c *consensus) {
	defer n.leaders.set(ctx, "", false, 0)
	// raft blocks on NotifyCh, so LeaderCh and a lossy observer are used, and
	// both only say that it is time to look.
	notices := make(chan raft.Observation, 64)
	observer := raft.NewObserver(notices, false, func(o *raft.Observation) bool {
		_, ok := o.Data.(raft.LeaderObservation)
		return ok
	})
	c.raft.RegisterObserver(observer)
	defer c.raft.DeregisterObserver(observer)
	poll := time.NewTicker(leaderPoll)
	defer poll.Stop()
	var tasks sync.WaitGroup
	defer tasks.Wait()
	for {
		if begun := n.look(ctx, c); begun != nil {
			tasks.Go(func() { n.becomeReady(c, begun) })
		}
		n.keepHeard()
		select {
		case <-c.raft.LeaderCh():
		case <-notices:
		case <-poll.C:
		case <-ctx.Done():
			return
		}
	}
}

// look compares what raft says with what was known.
func (n *Node) look(ctx context.Context, c *consensus) *leadership {
	_, leader := c.raft.LeaderWithID()
	term := c.raft.CurrentTerm()
	leads := c.raft.State() == raft.Leader && c.raft.CurrentTerm() == term
	before, known, _ := n.leaders.current()
	begun := n.leaders.set(ctx, string(leader), leads, term)
	if before != nil && !leads {
		c.transport.release()
	}
	if string(leader) != known {
		n.logger.Info("the leader changed", "leader", n.nameOf(string(leader)), "uid", string(leader), "term", term)
	}
	return begun
}

// becomeReady waits until the term has a committed entry.
func (n *Node) becomeReady(c *consensus, l *leadership) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		index := c.raft.CommitIndex()
		entry, ok, err := c.store.entry(index)
		if err != nil {
			n.detach(err)
			return
		}
		if ok && entry.Term == l.term {
			break
		}
		select {
		case <-tick.C:
		case <-l.ctx.Done():
			return
		}
	}
	target, err := n.lastCommand(c, c.raft.CommitIndex())
	if err != nil {
		n.detach(err)
		return
	}
	if n.views.waitApplied(l.ctx, target) != nil {
		return
	}
	n.leaders.mu.Lock()
	defer n.leaders.mu.Unlock()
	close(l.ready)
	n.leaders.wake()
}

// WhileLeader calls fn each time this node has become the leader and knows all
// that earlier leaders committed. The context that fn gets ends with the
// leadership, and fn must return then; if it returns an error before, that is
// WhileLeader's. Otherwise WhileLeader returns when ctx ends, with its cause.
func (n *Node) WhileLeader(ctx context.Context, fn func(context.Context) error) error {
	for {
		own, err := n.awaitLeadership(ctx)
		if err != nil {
			return err
		}
		if err := duringLeadership(ctx, own, fn); err != nil {
			return err
		}
		select {
		case <-own.ctx.Done():
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func duringLeadership(ctx context.Context, own *leadership, fn func(context.Context) error) error {
	term, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(own.ctx, func() { cancel(errDeposed) })()
	if err := fn(term); err != nil && term.Err() == nil {
		return err
	}
	return nil
}

func (n *Node) awaitLeadership(ctx context.Context) (*leadership, error) {
	for {
		own, _, changed := n.leaders.current()
		if own != nil && own.isReady() {
			return own, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
