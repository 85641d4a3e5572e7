package cluster

import (
	"cmp"
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
	// Damage is what is wrong with the log, "" if it is sound. All else is of the
	// image then, which was written at Written.
	Damage  string
	Written time.Time
	// Others are the names of the other nodes, which are no members any more.
	Others []string
}

// RecoverOptions say what [Recover] does.
type RecoverOptions struct {
	// Write makes the new cluster; without it Recover only looks.
	Write bool
	// FromImage takes what the image holds, where the log is damaged.
	FromImage bool
	// Logger is where the libraries below log; nil discards.
	Logger *slog.Logger
}

// Recover makes a new cluster of what is left on one node, which must not run:
// that node is its only member, has a vote, and holds all that its log holds,
// whether it was acknowledged or not. Writes that the lost nodes acknowledged
// among themselves later are lost. Cluster and node have other identities then:
// what is left of the old cluster is shut out, and cannot reach the node even if
// it finds a majority again.
//
// Where the log is damaged, or was moved aside for that, it describes the image,
// and writes only if it may take that. It may be repeated after a crash. Errors
// name the directory, the file and the remedy. A look counts as a start of the
// node's and changes nothing else.
func Recover(path string, options RecoverOptions) (r Recovery, err error) {
	logger := options.Logger
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
	s, err := openSurvivor(dir, logger)
	switch {
	case isDamage(err):
		return recoverImage(dir, err, options, logger)
	case err != nil:
		return r, fmt.Errorf("recover: %w: "+remedyMend, err)
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if options.FromImage {
		return r, fmt.Errorf("recover %q: its log is sound, and has what the image has and more: recover without the image", path)
	}
	survivor := &recovering{replica: newOfflineReplica()}
	last, err := s.replayAll(survivor.replica)
	if err != nil {
		return r, fmt.Errorf("recover %q: %w", path, err)
	}
	r = describe(survivor.state, dir, last)
	if !options.Write {
		return r, nil
	}
	r.After = newClusterID()
	return r, recoverInto(dir, s, newUID(), r.After, survivor, newRaftLogger(logger, "raft"))
}

// openSurvivor opens the store. The error is damage also if the store was moved
// aside for that, and if nothing is in it: an attempt to recover from the image
// ended early, or the node was just let in.
func openSurvivor(dir *dataDir, logger *slog.Logger) (*store, error) {
	if was := dir.id.Rejoin; was != nil {
		return nil, &damagedError{fmt.Sprintf("%s; it is in %q", was.Damage, dir.file(was.Aside))}
	}
	s, err := openStore(dir, logger)
	if err != nil {
		return nil, err
	}
	empty, err := s.isEmpty()
	if err == nil && empty {
		err = &damagedError{fmt.Sprintf("log store %q: there is nothing in it", dir.file(fileStore))}
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func describe(s *fsm.State, dir *dataDir, last raft.Log) Recovery {
	r := Recovery{
		UID: ownUID(dir, s), Before: cmp.Or(s.ClusterID(), dir.clusterID()), Revision: s.Revision(), LastEntry: last.Index, Appended: last.AppendedAt,
		Listeners: s.Count(fsm.KindListener), Routes: s.Count(fsm.KindRoute), Pools: s.Count(fsm.KindPool), Backends: s.Count(fsm.KindBackend),
	}
	for node := range s.Nodes() {
		if node.UID != r.UID {
			r.Others = append(r.Others, node.Name)
		}
	}
	slices.Sort(r.Others)
	return r
}

// ownUID is under which UID the registry knows the node: it has another one since
// its store was moved aside, or since an attempt to recover that ended early.
func ownUID(dir *dataDir, s *fsm.State) string {
	was := []string{dir.uid(), dir.id.RecoveredFrom}
	if dir.id.Rejoin != nil {
		was = append(was, dir.id.Rejoin.Was...)
	}
	for _, uid := range was {
		if s.Node(uid) != nil {
			return uid
		}
	}
	return dir.uid()
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
	before := ownUID(dir, survivor.state)
	if err := dir.renew(before, uid, id); err != nil {
		return err
	}
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
	return endRecovery(dir, survivor.becomes(survivor.state), survivor.index)
}

// endRecovery writes what the first start of the new cluster serves.
func endRecovery(dir *dataDir, state *fsm.State, index uint64) error {
	if err := writeImage(dir.file(fileImage), &view{state: state, index: index}); err != nil {
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
