package cluster

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/hashicorp/raft"

	"evenkeel/fsm"
)

// bootState is the state that a node serves before it knows a leader.
type bootState struct {
	state *fsm.State // nil: there is none
	index uint64     // of the last command within
}

// readBoot returns the image, carried on by the entries of the log that the node
// is known to have applied. Where the log does not go on from the image, as that
// is damaged, the newest snapshot takes its place. What cannot be used is told to
// warn: the replica itself rests on none of it.
func (n *Node) readBoot(warn func(what string, err error)) (image, boot bootState) {
	var err error
	if image.state, image.index, err = readImage(n.dir.file(fileImage)); err != nil {
		warn("the image is not used", err)
		image = bootState{}
	}
	if n.applied, err = openApplied(n.dir.file(fileApplied), n.UID()); err != nil {
		warn("the record of what was applied is not used", err)
	}
	boot = image
	if image.state != nil && image.state.ClusterID() != n.dir.clusterID() {
		return bootState{}, boot // its index is of another log; it is written anew soon
	}
	if n.store == nil {
		return image, boot
	}
	last, err := n.store.carryOn(image, *n.applied.newest.Load())
	if err != nil {
		warn("not all of the log is used before there is a leader", err)
	}
	if last.index > image.index && last.state.ClusterID() == n.dir.clusterID() {
		boot = last
	}
	return image, boot
}

// carryOn applies the entries of the log behind a state up to one that was
// applied before. It returns how far it came, also with an error. The newest
// snapshot takes the state's place if it reaches further than both, as one that
// the leader sent does.
func (s *store) carryOn(from bootState, applied appliedMark) (bootState, error) {
	snapshot, err := s.snapshotEnd()
	if err != nil {
		return from, err
	}
	end, err := s.committedEnd(applied)
	if err != nil || from.state != nil && max(end, snapshot) <= from.index {
		return from, err
	}
	offline := newOfflineReplica()
	if from.state != nil && snapshot <= end {
		offline.state, offline.index = from.state, from.index
		if _, err := s.replay(offline, from.index, end); !errors.Is(err, errMissing) {
			return bootState{offline.state, offline.index}, err
		}
		offline = newOfflineReplica() // the log skips what a snapshot has
	}
	at, err := s.restoreNewest(offline)
	if err != nil || at < from.index {
		return from, err
	}
	_, err = s.replay(offline, at, end)
	return bootState{offline.state, offline.index}, err
}

// snapshotEnd returns the last entry within the newest snapshot, which was
// committed, 0 if there is none.
func (s *store) snapshotEnd() (uint64, error) {
	snapshots, err := s.snapshots.List()
	if err != nil || len(snapshots) == 0 {
		return 0, err
	}
	return snapshots[0].Index, nil
}

// committedEnd returns the last entry of the log that is known to be committed, 0
// if none is, or if only a snapshot has it. Behind the snapshot the log has what was
// applied, else the store would be damaged, see checkApplied.
func (s *store) committedEnd(applied appliedMark) (uint64, error) {
	if applied.index == 0 {
		return 0, nil
	}
	entry, ok, err := s.entry(applied.index)
	if err != nil || !ok || entry.Term != applied.term {
		return 0, err
	}
	return applied.index, nil
}

// newOfflineReplica is a replica that nobody reads from and waits for.
func newOfflineReplica() *replica {
	return &replica{
		views: newViews(), waiters: newWaiters("", 0), state: fsm.New(),
		detach: func(error) {}, committed: func(index, term uint64) {},
	}
}

// restoreNewest gives a replica the newest snapshot and returns the last entry
// within it, 0 if there is none.
func (s *store) restoreNewest(to *replica) (end uint64, err error) {
	snapshots, err := s.snapshots.List()
	if err != nil || len(snapshots) == 0 {
		return 0, err
	}
	meta, source, err := s.snapshots.Open(snapshots[0].ID)
	if err != nil {
		return 0, fmt.Errorf("open snapshot %q: %w", snapshots[0].ID, err)
	}
	return meta.Index, errors.Join(to.Restore(source), source.Close())
}

var errMissing = errors.New("it is missing")

// replay applies the commands of the log behind an entry up to another one, and
// returns the last entry.
func (s *store) replay(to *replica, from, end uint64) (last raft.Log, err error) {
	for index := from + 1; index <= end; index++ {
		entry, ok, err := s.entry(index)
		if err == nil && !ok {
			err = fmt.Errorf("log store %q: entry %d: %w", filepath.Join(s.dir, fileStore), index, errMissing)
		}
		if err != nil {
			return last, err
		}
		if entry.Type == raft.LogCommand {
			to.Apply(&entry)
		}
		if to.frozen != nil {
			return last, to.frozen
		}
		last = entry
	}
	return last, nil
}

// replayAll gives a replica all that the store has, committed or not, and returns
// the last entry.
func (s *store) replayAll(to *replica) (last raft.Log, err error) {
	at, err := s.restoreNewest(to)
	if err != nil {
		return last, err
	}
	end, err := s.cache.LastIndex()
	if err != nil {
		return last, err
	}
	last, err = s.replay(to, at, end)
	last.Index = max(last.Index, at)
	return last, err
}
