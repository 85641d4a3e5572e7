package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"evenkeel/fsm"
)

// Recovery is what a survivor of a cluster has, and what it becomes.
type Recovery struct {
	UID string // before
	// Before is the identity of the cluster that lost its quorum, After that of
	// the new one; "" if nothing was written.
	Before, After string
	// Revision and the numbers are of the registry that the node has.
	Revision          uint64
	Listeners, Routes int
	Pools, Backends   int
	// LastEntry is the last entry of the node's log, and Appended when its
	// leader made it: zero if the log does not say.
	LastEntry uint64
	Appended  time.Time
	// Others are the names of the other nodes, which are no members any more.
	Others []string
}

// Recover makes a new cluster of what is left on one node, which must not run:
// that node is its only member, has a vote, and holds all that its log holds,
// whether it was acknowledged or not. Writes that the lost nodes acknowledged
// among themselves later are lost. Cluster and node have other identities then:
// what is left of the old cluster is shut out, and cannot reach the node even if
// it finds a majority again.
//
// Without write it only looks. It may be repeated after a crash. Errors name
// the directory, the file and the remedy.
func Recover(path string, write bool, logger *slog.Logger) (r Recovery, err error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	if _, err := os.Stat(filepath.Join(path, fileIdentity)); errors.Is(err, fs.ErrNotExist) {
		return r, fmt.Errorf("recover %q: it is not the data directory of a node: %q is missing", path, fileIdentity)
	}
	dir, err := openDataDir(path)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, dir.close()) }()
	if dir.clusterID() == "" {
		return r, fmt.Errorf("recover %q: this node never was part of a cluster: start it", path)
	}
	raftLogger := newRaftLogger(logger, "raft")
	if was := dir.id.Rejoin; was != nil {
		return r, fmt.Errorf("recover %q: recover from another survivor, if there is one: the log of this one was damaged (%s) and is in %q", path, was.Damage, was.Aside)
	}
	s, err := openStore(dir, logger)
	if err != nil {
		return r, fmt.Errorf("recover from another survivor, if there is one: %w", err)
	}
	defer func() { err = errors.Join(err, s.close()) }()
	survivor := &recovering{replica: newOfflineReplica()}
	last, err := s.replayAll(survivor.replica)
	if err != nil {
		return r, fmt.Errorf("recover %q: %w", path, err)
	}
	r = describe(survivor.state, dir, last)
	if !write {
		return r, nil
	}
	r.After = newClusterID()
	return r, recoverInto(dir, s, newUID(), r.After, survivor, raftLogger)
}

func describe(s *fsm.State, dir *dataDir, last raft.Log) Recovery {
	r := Recovery{
		UID: dir.uid(), Before: dir.clusterID(), Revision: s.Revision(), LastEntry: last.Index, Appended: last.AppendedAt,
		Listeners: s.Count(fsm.KindListener), Routes: s.Count(fsm.KindRoute), Pools: s.Count(fsm.KindPool), Backends: s.Count(fsm.KindBackend),
	}
	for node := range s.Nodes() {
		if node.UID != dir.uid() {
			r.Others = append(r.Others, node.Name)
		}
	}
	slices.Sort(r.Others)
	return r
}

// newClusterID is random: the same survivor may be recovered twice, from two
// copies of its directory.
func newClusterID() string {
	sum := sha256.Sum256([]byte("evenkeel cluster, recovered\n" + newUID()))
	return hex.EncodeToString(sum[:12])
}

// recoverInto writes the new cluster. The identity comes first: a node that has
// a new one with the old log is no member of anything, which a second attempt
// mends. It must not be the old member: raft takes entries from whoever has its
// secret and its UID, and terms of both clusters go on from the same one.
func recoverInto(dir *dataDir, s *store, uid, id string, survivor *recovering, logger *raftLogger) error {
	if err := dir.renew(uid, id); err != nil {
		return err
	}
	before := dir.uid()
	survivor.becomes = func(state *fsm.State) *fsm.State { return fsm.Recovered(state, id, before, uid) }
	survivor.restart()
	_, transport := raft.NewInmemTransport(raft.ServerAddress(uid))
	config := raft.DefaultConfig()
	config.LocalID = raft.ServerID(uid)
	config.Logger = logger
	err := contained(func() error {
		return raft.RecoverCluster(config, survivor, s.cache, s.stable, s.snapshots, transport, founding([]string{uid}))
	})
	if err != nil {
		return fmt.Errorf("recover %q: %w", dir.path, err)
	}
	state := survivor.becomes(survivor.state)
	if err := writeImage(dir.file(fileImage), &view{state: state, index: survivor.index}); err != nil {
		return fmt.Errorf("recover %q: the new cluster is made, but not its image, which a start makes good: %w", dir.path, err)
	}
	if err := os.Remove(dir.file(filePeers)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("recover %q: the new cluster is made: %w", dir.path, err)
	}
	return nil
}

// recovering is a replica whose snapshot is of the new cluster.
type recovering struct {
	*replica
	becomes func(*fsm.State) *fsm.State
}

func (r *recovering) restart() { r.state, r.index = fsm.New(), 0 }

// Snapshot implements [raft.FSM].
func (r *recovering) Snapshot() (raft.FSMSnapshot, error) {
	if r.frozen != nil {
		return nil, r.frozen
	}
	return &replicaSnapshot{r.becomes(r.state), r.index}, nil
}
