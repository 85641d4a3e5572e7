package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// coalescer answers any number of callers with one run of a function that
// began after they asked. A run that is on its way does not count: what it
// looked at may be from before.
type coalescer struct {
	mu      sync.Mutex // guards waiting
	waiting []chan answer
	wake    chan struct{}
}

type answer struct {
	index uint64
	err   error
}

func newCoalescer() *coalescer { return &coalescer{wake: make(chan struct{}, 1)} }

func (c *coalescer) do(ctx context.Context) (uint64, error) {
	mine := make(chan answer, 1)
	c.mu.Lock()
	c.waiting = append(c.waiting, mine)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
	select {
	case a := <-mine:
		return a.index, a.err
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// run answers until ctx ends. fn must return in bounded time.
func (c *coalescer) run(ctx context.Context, fn func(context.Context) (uint64, error)) {
	for {
		select {
		case <-c.wake:
		case <-ctx.Done():
			return
		}
		c.mu.Lock()
		all := c.waiting
		c.waiting = nil
		c.mu.Unlock()
		if len(all) == 0 {
			continue
		}
		index, err := fn(ctx)
		for _, one := range all {
			one <- answer{index, err}
		}
	}
}

const (
	// readAttempt bounds one question to the leader.
	readAttempt = 2 * time.Second
	// applyPatience bounds the wait for this node's own replica.
	applyPatience = 5 * time.Second
	// readPatience is how long a read looks for a leader.
	readPatience = time.Second
)

// ReadIndex returns nil when State holds at least everything that was
// committed, by whichever leader, when ReadIndex was called: what is read from
// State afterwards is linearizable. It returns [ErrNoQuorum] when no leader
// confirmed that within seconds (one, if none is known), [ErrDetached],
// [ErrStopping], or the cause of ctx.
//
// It is the read index of the Raft thesis, section 6.4: the leader's commit
// index, once the leader has committed an entry of its own term, and after it
// a round of heartbeats that a majority of the voters answered. One round
// serves all who wait.
func (n *Node) ReadIndex(ctx context.Context) error {
	if err := n.callers.enter(); err != nil {
		return err
	}
	defer n.callers.leave()
	return n.readIndex(ctx)
}

func (n *Node) readIndex(ctx context.Context) error {
	if err := n.detachedError(); err != nil {
		return err
	}
	until := time.Now().Add(readPatience)
	for {
		// Each waits for a leader by itself: in the queue of those who share an
		// answer it would wait for the patience of those before it too.
		_, err := n.awaitLeader(ctx, time.Until(until))
		replica := n.views.replicas.Load()
		if err == nil {
			err = n.readIndexOnce(ctx)
		}
		if err == nil {
			n.confirm(replica)
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := n.detachedError(); err != nil {
			return err
		}
		if time.Now().After(until) {
			return fmt.Errorf("%w: %w", ErrNoQuorum, err)
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

func (n *Node) readIndexOnce(ctx context.Context) error {
	if plantedStaleRead() {
		return nil
	}
	asking, cancel := context.WithTimeoutCause(ctx, readPatience+readAttempt, errSlow)
	defer cancel()
	index, err := n.reads.do(asking)
	if err != nil {
		return err
	}
	applying, cancel := context.WithTimeoutCause(ctx, applyPatience, errBehind)
	defer cancel()
	return n.views.waitApplied(applying, index)
}

var errBehind = errors.New("this node has not caught up with the leader")

// confirm lets readers see what a replica has applied, since a leader vouched for
// it.
func (n *Node) confirm(replica uint64) {
	if n.views.confirm(replica) {
		n.logger.Info("the state is confirmed by the leader", "revision", n.State().Revision())
	}
}

// askReadIndex asks whoever leads for the index of a read.
func (n *Node) askReadIndex(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, readAttempt)
	defer cancel()
	leader, err := n.awaitLeader(ctx, 0)
	if err != nil {
		return 0, err
	}
	if leader == n.UID() {
		return n.readAsLeader(ctx)
	}
	var response readResponse
	err = n.untilLeaderChanges(ctx, leader, func(ctx context.Context) error {
		return n.port.RPC().Call(ctx, leader, methodReadIndex, empty{}, &response)
	})
	return response.Index, err
}

// readAsLeader shares localReadIndex with others that ask for it.
func (n *Node) readAsLeader(ctx context.Context) (uint64, error) {
	c := n.consensus.Load()
	if c == nil {
		return 0, errNotLeader
	}
	return c.reads.do(ctx)
}

// localReadIndex is the leader's part.
func (n *Node) localReadIndex(ctx context.Context) (uint64, error) {
	own, _, _ := n.leaders.current()
	c := n.consensus.Load()
	if own == nil || c == nil || !own.isReady() {
		return 0, errNotLeader
	}
	begun := time.Now()
	commit := c.raft.CommitIndex()
	ctx, cancel := context.WithTimeout(ctx, readAttempt)
	defer cancel()
	defer context.AfterFunc(own.ctx, cancel)()
	defer c.transport.hurry()()
	// Its answer is not waited for: it counts what was sent before it was asked
	// and what non-voters say. It makes raft send heartbeats now.
	c.raft.VerifyLeader()
	if err := c.transport.waitQuorum(ctx, c.servers(), own.term, begun); err != nil {
		return 0, fmt.Errorf("%w: %w", errNotLeader, err)
	}
	if c.raft.CurrentTerm() != own.term {
		// Another leader may have committed in between.
		return 0, errNotLeader
	}
	return n.lastCommand(c, commit)
}

// lastCommand returns the index of the last command at or below a committed
// index. Entries of raft's own never reach the replica, so to wait for their
// index would be to wait for ever.
func (n *Node) lastCommand(c *consensus, index uint64) (uint64, error) {
	applied := n.views.applied.Load().index
	for ; index > applied; index-- {
		entry, ok, err := c.store.entry(index)
		if err != nil {
			return 0, err
		}
		if !ok {
			break // compacted: it is within a snapshot that is applied
		}
		if entry.Type == raft.LogCommand {
			return index, nil
		}
	}
	return applied, nil
}

// keepConfirming asks until a leader has confirmed this node's state.
func (n *Node) keepConfirming(ctx context.Context) {
	for !n.views.confirmed.Load() && n.detachedError() == nil {
		err := n.readIndex(ctx)
		if err == nil || errors.Is(err, ErrDetached) {
			return
		}
		if pause(ctx, 50*time.Millisecond) != nil {
			return
		}
	}
}
