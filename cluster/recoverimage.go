package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/hashicorp/raft"

	"evenkeel/fsm"
)

// recoverImage is Recover on a node whose log is damaged.
func recoverImage(dir *dataDir, damage error, options RecoverOptions, logger *slog.Logger) (r Recovery, err error) {
	path := dir.file(fileImage)
	state, index, err := readImage(path)
	if err == nil && state == nil {
		err = fmt.Errorf("image %q: it is missing", path)
	}
	if err != nil {
		return r, fmt.Errorf("recover from another survivor, if there is one: %w; nor is its image of use: %w", damage, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return r, err
	}
	r = describe(state, dir, raft.Log{Index: index})
	r.Damage, r.Written = damage.Error(), info.ModTime()
	switch {
	case !options.Write:
		return r, nil
	case !options.FromImage:
		return r, fmt.Errorf("recover from another survivor, if there is one: %w: its image holds revision %d: recover from that if there is no sound log anywhere", damage, r.Revision)
	}
	uid, id := newUID(), newClusterID()
	state = fsm.Recovered(state, id, r.UID, uid)
	s, err := emptyStore(dir, damage, logger)
	if err == nil {
		err = errors.Join(foundOnImage(dir, s, &replicaSnapshot{state, index}, r.UID, uid), s.close())
	}
	if err != nil {
		return r, fmt.Errorf("recover %q: %w", dir.path, err)
	}
	r.After = id
	return r, endRecovery(dir, state, index)
}

// foundOnImage makes a snapshot of a new cluster the only content of an empty store.
// The identity is the new one before there is a snapshot: until then a start finds
// nothing to vote with, and a second attempt finds the image as it was.
func foundOnImage(dir *dataDir, s *store, image *replicaSnapshot, was, uid string) error {
	if err := dir.renew(was, uid, image.state.ClusterID()); err != nil {
		return err
	}
	_, transport := raft.NewInmemTransport(raft.ServerAddress(uid))
	// The new log begins in the first term: nobody else has it.
	sink, err := s.snapshots.Create(raft.SnapshotVersionMax, image.index, 1, founding([]string{uid}), 1, transport)
	if err != nil {
		return err
	}
	return image.Persist(sink)
}

// emptyStore opens a store with nothing in it. A damaged one is moved aside.
func emptyStore(dir *dataDir, damage error, logger *slog.Logger) (*store, error) {
	r := dir.id.Rejoin
	if r == nil || r.Moved {
		s, err := openStore(dir, logger)
		if err == nil {
			var empty bool
			if empty, err = s.isEmpty(); empty && err == nil {
				return s, nil
			}
			err = errors.Join(err, s.close())
		}
		if err != nil && !isDamage(err) {
			return nil, err
		}
	}
	if r != nil && r.Moved && len(r.Was) >= maxFormer {
		r.Was = r.Was[:1] // that bounds how often a node asks to be let in, which it will not
	}
	if err := dir.succeedItself(damage); err != nil {
		return nil, err
	}
	return openStore(dir, logger)
}
