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
	return c
}

// startRaft reads the log and starts raft's goroutines.
func (n *Node) startRaft(s *store) (*consensus, error) {
	logger := newRaftLogger(n.logger, "raft")
	logger.hasLeft = n.gossip.hasLeft
	c := &consensus{
		store: s, transport: newTransport(n.port.ReopenRaft(), n.UID(), n.profile.heartbeat, logger),
		submitter: newSubmitter(), reads: newCoalescer(), ended: make(chan struct{}), over: make(chan struct{}),
	}
	n.views.rewind()
	replica := &replica{views: n.views, waiters: n.waiters, detach: n.detach, state: fsm.New(), committed: c.transport.committed}
	disk := &raftStore{log: s.cache, stable: s.stable, writes: n.writes, broken: n.storeBroken, stuck: n.storeStuck}
	type started struct {
		raft *raft.Raft
		err  error
	}
	done := make(chan started, 1)
	// A goroutine of its own, because raftStore ends the one that meets damage.
	go func() {
		result := started{err: errors.New("the store is damaged")}
		defer func() { done <- result }()
		result.err = contained(func() (err error) {
			result.raft, err = raft.NewRaft(raftConfig(n.UID(), n.profile, logger), replica, disk, disk, s.snapshots, c.transport)
			return err
		})
	}()
	result := <-done
	if result.err != nil {
		return nil, errors.Join(fmt.Errorf("start raft on %q and the snapshots in %q: %w: "+remedy, n.dir.file(fileStore), n.dir.file(dirSnapshots), result.err, n.dir.path), c.transport.Close())
	}
	c.raft = result.raft
	return c, nil
}

// storeBroken is told by the store that raft cannot go on with it.
func (n *Node) storeBroken(err error) {
	n.detach(fmt.Errorf("log store %q: %w: "+remedy, n.dir.file(fileStore), err, n.dir.path))
}

// storeStuck is told by the store that raft cannot go on until it takes writes
// again.
func (n *Node) storeStuck(err error) {
	n.suspend(fmt.Errorf("log store %q: %w: this node takes part again by itself once it takes writes", n.dir.file(fileStore), err))
}

// await returns a future's error, or raft.ErrRaftShutdown when raft ends
// without giving one.
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

// servers returns the members that Raft's newest configuration names.
func (c *consensus) servers() []raft.Server {
	future := c.raft.GetConfiguration() // answers from a copy, at once
	if future.Error() != nil {
		return nil
	}
	return future.Configuration().Servers
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
		err := c.await(c.raft.LeadershipTransferToServer(id, raft.ServerAddress(id)))
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

// successors returns the other voters that answered lately, the one with most
// of the log first.
func (n *Node) successors(c *consensus, term uint64) []raft.ServerID {
	var ids []raft.ServerID
	matches := map[raft.ServerID]uint64{}
	for _, server := range c.servers() {
		recent := time.Since(c.transport.answered(server.ID, term)) < 2*n.profile.heartbeat
		if server.Suffrage == raft.Voter && server.ID != raft.ServerID(n.UID()) && recent {
			ids = append(ids, server.ID)
			matches[server.ID] = c.transport.match(server.ID, term)
		}
	}
	slices.SortFunc(ids, func(a, b raft.ServerID) int { return cmp.Compare(matches[b], matches[a]) })
	return ids
}
