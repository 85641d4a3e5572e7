package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"evenkeel/fsm"
)

const (
	// maxAppendEntries fits what a follower missed in half a second into one
	// request; entries are bounded in bytes by submit.go.
	maxAppendEntries = 512
	// trailingLogs lets a node that was away for a short while catch up from
	// the log.
	trailingLogs = 2048
	// snapshotThreshold keeps the log short, since it is replayed at a start;
	// a snapshot costs nothing but its writing.
	snapshotThreshold = 4096
	// snapshotInterval is how often that is looked at.
	snapshotInterval = 10 * time.Second
	// shutdownTimeout bounds the wait for raft's goroutines. They wait for
	// calls to peers, which take transportTimeout at most.
	shutdownTimeout = 3 * time.Second
)

// consensus is the node's part in Raft while it runs.
type consensus struct {
	raft      *raft.Raft
	transport *transport
	store     *store
	submitter *submitter
	reads     *coalescer // of this node as the leader
	changing  chan struct{}
	// pending is for whoever is in changing: it is closed when the outcome of a
	// change is known that nobody waited for; nil if there is none.
	pending <-chan struct{}
	// ended is closed when the part is over. raft leaves some futures without
	// an answer when it shuts down.
	ended chan struct{}
	// over is closed when raft's last goroutine has ended: later, if one waits
	// for the disk.
	over chan struct{}
}

// raftConfig returns the settings, each with its reason.
func raftConfig(uid string, p profile, logger *raftLogger) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(uid)
	// One figure for the three: the lease may not be longer than the
	// heartbeat, and no read relies on it.
	c.HeartbeatTimeout = p.heartbeat
	c.ElectionTimeout = p.heartbeat
	c.LeaderLeaseTimeout = p.heartbeat
	c.CommitTimeout = p.commit
	c.MaxAppendEntries = maxAppendEntries
	c.TrailingLogs = trailingLogs
	c.SnapshotThreshold = snapshotThreshold
	c.SnapshotInterval = snapshotInterval
	// A node that was cut off must not depose the leader when it returns.
	c.PreVoteDisabled = false
	// Removal detaches the node (join.go); the process and its traffic go on.
	c.ShutdownOnRemove = false
	c.NoLegacyTelemetry = true
	c.Logger = logger
	injectConfig(c)
	return c
}

// startRaft reads the log and starts raft's goroutines. If it fails, the node is
// detached. over is closed once nothing of the part is left, also of one that
// did not begin.
func (n *Node) startRaft(ctx context.Context, s *store) (c *consensus, over <-chan struct{}) {
	logger := newRaftLogger(n.logger, "raft")
	logger.hasLeft = n.gossip.hasLeft
	c = &consensus{
		store: s, transport: newTransport(n.port.ReopenRaft(), n.UID(), n.profile.heartbeat, logger),
		submitter: newSubmitter(), reads: newCoalescer(), changing: make(chan struct{}, 1), ended: make(chan struct{}), over: make(chan struct{}),
	}
	n.views.rewind()
	transport := c.transport // c is another one by the time that a late start reads it
	replica := &replica{views: n.views, waiters: n.waiters, detach: n.detach, state: fsm.New(), committed: transport.committed, applied: n.applied, ignored: &n.votes.ignored}
	disk := &raftStore{log: s.cache, stable: s.terms, writes: n.writes, broken: n.storeBroken, stuck: n.storeStuck, sending: transport.sending, writing: &transport.writing, voted: transport.voted}
	done := make(chan startedRaft, 1)
	// A goroutine of its own, because raftStore ends the one that meets damage.
	go func() {
		result := startedRaft{err: errors.New("the store is damaged")}
		defer func() { done <- result }()
		result.err = contained(func() (err error) {
			result.raft, err = raft.NewRaft(raftConfig(n.UID(), n.profile, logger), replica, disk, disk, s.snapshots, transport)
			if err == nil {
				transport.attach(result.raft)
			}
			return err
		})
	}()
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go n.watchHang(watching) // raft writes its term
	detached, _ := n.detachment.current()
	select {
	case result := <-done:
		if result.err == nil {
			c.raft = result.raft
			return c, c.over
		}
		if !n.isDetached() { // else raftStore has said why
			n.detach(fmt.Errorf("start raft on %q and the snapshots in %q: %w: "+remedy, n.dir.file(fileStore), n.dir.file(dirSnapshots), result.err, n.dir.path))
		}
		n.closeTransport(c)
		close(c.over)
	case <-detached:
		go n.endLate(c, done)
	case <-ctx.Done():
		go n.endLate(c, done)
	}
	return nil, c.over
}

// startedRaft is what came of a start.
type startedRaft struct {
	raft *raft.Raft
	err  error
}

// endLate ends a raft that nobody waits for any more, once it has begun.
func (n *Node) endLate(c *consensus, done <-chan startedRaft) {
	defer close(c.over)
	n.closeTransport(c)
	if late := <-done; late.raft != nil {
		_ = late.raft.Shutdown().Error() // it has none of its own
	}
}

func (n *Node) closeTransport(c *consensus) {
	if err := c.transport.Close(); err != nil {
		n.logger.Debug("raft's transport did not end cleanly", "error", err)
	}
}

// storeBroken is told by the store that raft cannot go on with it.
func (n *Node) storeBroken(err error) {
	n.detach(fmt.Errorf("log store %q: %w: "+remedyStart, n.dir.file(fileStore), err))
}

// storeStuck is told by the store that raft cannot go on until it takes writes
// again.
func (n *Node) storeStuck(err error) {
	n.suspend(fmt.Errorf("log store %q: %w: this node takes part again by itself once it takes writes", n.dir.file(fileStore), err))
}

// await returns a future's error, or raft.ErrRaftShutdown when raft ends
// without giving one. Then the goroutine that waits is lost, since raft has no other
// way to give up a future; few are, each asked for just as raft ended.
func (c *consensus) await(f raft.Future) error {
	done := make(chan error, 1)
	go func() { done <- f.Error() }()
	select {
	case err := <-done:
		return err
	case <-c.ended:
	}
	select {
	case err := <-done:
		return err
	default:
		return raft.ErrRaftShutdown
	}
}

// stop ends raft. It gives up the wait after shutdownTimeout: a goroutine may
// hang in a write to a disk that does not answer.
func (c *consensus) stop() error {
	c.transport.end()
	shutdown := c.raft.Shutdown()
	done := make(chan error, 1)
	go func() { defer close(c.over); done <- shutdown.Error() }()
	timer := time.NewTimer(shutdownTimeout)
	defer timer.Stop()
	defer close(c.ended)
	var err error
	select {
	case err = <-done:
	case <-timer.C:
		return errors.Join(fmt.Errorf("stop raft: it did not end within %s", shutdownTimeout), c.transport.Close())
	}
	return errors.Join(err, c.transport.Close())
}

// awaitWithin is await until ctx ends, and then its cause. What was asked for may
// still be done.
func (c *consensus) awaitWithin(ctx context.Context, f raft.Future) error {
	done := make(chan error, 1)
	go func() { done <- c.await(f) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// servers returns the members that Raft's newest configuration names. It need not
// be committed.
func (c *consensus) servers() []raft.Server {
	future := c.raft.GetConfiguration() // answers from a copy, at once
	if future.Error() != nil {
		return nil
	}
	return future.Configuration().Servers
}

// changeServers makes one change of the members at a time, so that what begin
// checks holds when the change is made: begin gets a committed configuration and
// returns the change, or nil. When ctx ends before the outcome is known, the next
// change waits for that first.
func (c *consensus) changeServers(ctx context.Context, begin func([]raft.Server) (raft.Future, error)) error {
	select {
	case c.changing <- struct{}{}:
		defer func() { <-c.changing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if c.pending != nil {
		select {
		case <-c.pending: // whatever came of it
			c.pending = nil
		case <-ctx.Done():
			return fmt.Errorf("%w: an earlier change of the members is not committed yet", errUnknown)
		}
	}
	future, err := begin(c.servers())
	if err != nil || future == nil {
		return err
	}
	known := make(chan struct{})
	go func() { // a future may be asked once
		defer close(known)
		err = decided(c.await(future))
	}()
	select {
	case <-known:
		return err
	case <-ctx.Done():
		c.pending = known
		return fmt.Errorf("%w: %w", errUnknown, context.Cause(ctx))
	}
}

// settled tells whether no change of the members is under way, so that servers
// are those of every entry that is appended from now on.
func (c *consensus) settled() bool {
	select {
	case c.changing <- struct{}{}:
		defer func() { <-c.changing }()
	default:
		return false
	}
	if c.pending == nil {
		return true
	}
	select {
	case <-c.pending:
		return true
	default:
		return false
	}
}

func (c *consensus) server(uid string) (raft.Server, bool) {
	for _, server := range c.servers() {
		if server.ID == raft.ServerID(uid) {
			return server, true
		}
	}
	return raft.Server{}, false
}

// handOver gives leadership to the live voter that has most of the log.
func (n *Node) handOver(ctx context.Context, c *consensus) error {
	own, _, _ := n.leaders.current()
	if own == nil {
		return nil
	}
	return n.transferTo(ctx, c, n.successors(c, own.term))
}

// transferTo gives leadership to the first of them that takes it.
func (n *Node) transferTo(ctx context.Context, c *consensus, successors []raft.ServerID) error {
	for _, id := range successors {
		err := c.awaitWithin(ctx, c.raft.LeadershipTransferToServer(id, raft.ServerAddress(id)))
		if err == nil || ctx.Err() != nil {
			return err
		}
		n.logger.Debug("a successor did not take the leadership", "uid", id, "error", err)
		if c.raft.State() != raft.Leader {
			return nil
		}
	}
	return nil
}

// successors returns the other voters that answered lately and store what they are
// sent, the one with most of the log first, and witnesses last. raft cannot be
// asked to hand over to one that does not store: while it waits for that one's log
// it takes no writes, and its second attempt waits for as long as that lasts.
func (n *Node) successors(c *consensus, term uint64) []raft.ServerID {
	var ids []raft.ServerID
	matches, witness := map[raft.ServerID]uint64{}, map[raft.ServerID]int{}
	for _, server := range c.servers() {
		recent := time.Since(c.transport.answered(server.ID, term)) < 2*n.profile.heartbeat
		if server.Suffrage == raft.Voter && server.ID != raft.ServerID(n.UID()) && recent && c.transport.takes(server.ID) {
			ids = append(ids, server.ID)
			matches[server.ID] = c.transport.match(server.ID, term)
			if n.isWitness(string(server.ID)) {
				witness[server.ID] = 1
			}
		}
	}
	slices.SortFunc(ids, func(a, b raft.ServerID) int {
		return cmp.Or(cmp.Compare(witness[a], witness[b]), cmp.Compare(matches[b], matches[a]))
	})
	return ids
}
