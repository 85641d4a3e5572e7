package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

const (
	// keptSnapshots leaves one for an operator to go back to by hand. The node
	// itself uses the newest only: what came after an older one was cut off
	// the log.
	keptSnapshots = 2
	// cachedEntries are the newest entries of the log in memory, so that
	// replication reads no file.
	cachedEntries = 512
	// storeOpenTimeout bounds the wait for bbolt's own lock. The directory is
	// locked already, so only a tool that reads the store can hold it.
	storeOpenTimeout = time.Second
)

const (
	// remedy is what helps where the node cannot help itself.
	remedy = "stop the node, move its whole data directory %q aside and start it again under the same name: the others let it in as its own successor"
	// remedyStart is what helps against a store that fails while the node runs.
	remedyStart = "start the node again: it checks its store, moves it aside if it is damaged, and joins again as its own successor"
	// remedyMend is what helps against what may pass.
	remedyMend = "mend that and start the node again"
)

// store is what raft keeps on disk: log, term and vote in one file of raft-boltdb.
//
// hashicorp/raft-wal v0.4.1 could keep the log, behind the same interface, and
// does not. Appends of 1, 8 and 64 entries of 300 bytes, four runs on a busy disk,
// each append in both stores in turn (`make bench-log`): at the median raft-boltdb
// took 1.1 to 2.7, 1.5 to 3.6 and 2.4 to 5.0 ms, 2.3 to 3.5 times as long as
// raft-wal. That costs one fdatasync; bbolt makes two. A write through three nodes
// of one busy machine took 4.0 against 2.3 ms with one client; with 64, whose
// writes share entries, 46 against 42 ms were within the noise.
//
// Against that stands what raft-wal does with damage, tried with some 600 flipped
// bits, truncated and zeroed files. It checks the last write only, when it opens:
// two in three flipped bits came back in an entry, which our checksums would tell.
// A file that is cut opens with a shorter or an empty log and no error, so that a
// voter forgets what it has acknowledged; a truncated wal-meta.db ends in a panic.
// bbolt's file is held against its pages before it is opened (storecheck.go). A
// second format would need such checks of its own, a way to move existing logs
// over and back, and log and term in two stores, for some 1.7 ms a write.
type store struct {
	dir       string
	bolt      *raftboltdb.BoltStore
	cache     *raft.LogCache // of the log, with checksums below it
	stable    checkedStable
	terms     raft.StableStore // as raft sees it: stable but for tests
	snapshots raft.SnapshotStore
}

// disk is what lies below the checksums: bbolt's file, but for tests.
type disk interface {
	raft.LogStore
	raft.StableStore
}

// openStore opens or makes the store. An error names the file; [isDamage] tells
// whether the store is damaged, or only cannot be read now.
func openStore(dir *dataDir, logger *slog.Logger) (s *store, err error) {
	path := dir.file(fileStore)
	defer func() {
		if err != nil {
			err = fmt.Errorf("log store %q: %w", path, err)
		}
	}()
	if err := soundStore(path, dir.clusterID() != ""); err != nil {
		return nil, err
	}
	s = &store{dir: dir.path}
	if s.bolt, err = openBolt(path); err != nil {
		return nil, damage(err)
	}
	files, err := raft.NewFileSnapshotStoreWithLogger(dir.path, keptSnapshots, newRaftLogger(logger, "raft"))
	written := injected(s.bolt)
	if left := removeUnfinished(dir.file(dirSnapshots)); left != nil {
		logger.Warn("unfinished snapshots are not removed", "error", left)
	}
	if err == nil {
		s.cache, err = raft.NewLogCache(cachedEntries, checkedLog{written})
	}
	if err == nil {
		s.stable = checkedStable{written}
		s.terms = s.stable
		durable := durableSnapshots{files, dir.file(dirSnapshots)}
		err = damage(contained(func() error { return s.check(durable, lastApplied(dir), logger) }))
	}
	if err == nil {
		err = syncDir(dir.path) // bbolt and raft do not make the names durable
	}
	if err != nil {
		return nil, errors.Join(err, s.bolt.Close())
	}
	return s, nil
}

func openBolt(path string) (bolt *raftboltdb.BoltStore, err error) {
	err = contained(func() (err error) {
		bolt, err = raftboltdb.New(raftboltdb.Options{Path: path, BoltOptions: &bbolt.Options{
			Timeout: storeOpenTimeout,
			// The list of free pages costs a large write per commit and is
			// found again by one scan at the start.
			NoFreelistSync: true,
			FreelistType:   bbolt.FreelistMapType,
		}})
		return err
	})
	return bolt, err
}

// soundStore reports why bbolt should not open the file. A member has one that
// is not empty: to begin again with an empty log under the same UID could break
// what this node's vote has promised.
func soundStore(path string, member bool) (err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		if member {
			return &damagedError{"it is missing"}
		}
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() == 0 && member {
		return &damagedError{"it is empty"}
	}
	return damage(checkPages(file))
}

// check finds damage before raft meets it, and takes the snapshots into use. A
// snapshot that is damaged is none if the log has all that came before it. applied
// is the newest entry that the node is known to have applied.
func (s *store) check(files raft.SnapshotStore, applied appliedMark, logger *slog.Logger) error {
	dir := filepath.Join(s.dir, dirSnapshots)
	found, err := soundSnapshots(files, dir)
	if err != nil {
		return err
	}
	s.snapshots = found.newestSound
	first, err := s.bolt.FirstIndex()
	if err != nil {
		return err
	}
	last, err := s.bolt.LastIndex()
	if err != nil {
		return err
	}
	if err := errors.Join(s.stable.check(), checkedLog{s.bolt}.check(found.end)); err != nil {
		return err
	}
	// The log has to go on where the snapshot ends.
	if first > found.end+1 || max(found.end, last) < found.lost {
		wrong := cmp.Or(found.wrong, errors.New("there is no newer one"))
		return fmt.Errorf("it begins at entry %d and ends at %d, but the newest sound snapshot in %q ends at %d: %w", first, last, dir, found.end, wrong)
	}
	if err := (checkedLog{s.bolt}).checkApplied(applied, found.end, last); err != nil {
		return err
	}
	if found.wrong != nil {
		logger.Warn("a snapshot is damaged, and not needed: the log has what it had", "error", found.wrong)
	}
	return nil
}

// hasState reports whether raft ever had a part in anything here.
func (s *store) hasState() (has bool, err error) {
	err = contained(func() (err error) {
		has, err = raft.HasExistingState(s.cache, s.stable, s.snapshots)
		return err
	})
	return has, err
}

// isEmpty tells whether there is neither an entry nor a snapshot.
func (s *store) isEmpty() (bool, error) {
	last, err := s.cache.LastIndex()
	if err != nil {
		return false, err
	}
	snapshots, err := s.snapshots.List()
	return last == 0 && len(snapshots) == 0, err
}

// entry returns the type and the term of a log entry, for readers outside of
// raft. ok is false when it is not there.
func (s *store) entry(index uint64) (entry raft.Log, ok bool, err error) {
	err = contained(func() error { return s.cache.GetLog(index, &entry) })
	if errors.Is(err, raft.ErrLogNotFound) {
		return entry, false, nil
	}
	if err != nil {
		return entry, false, fmt.Errorf("log store %q: read entry %d: %w: "+remedyStart, filepath.Join(s.dir, fileStore), index, err)
	}
	return entry, true, nil
}

// try writes something that nobody reads.
func (s *store) try() error {
	return contained(func() error { return s.stable.Set([]byte("trial"), []byte("x")) })
}

func (s *store) close() error { return contained(s.bolt.Close) }

// contained turns a panic, and the fault that reading a truncated mapped file
// is (bbolt maps its file; the kernel answers with SIGBUS), into an error.
func contained(call func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = &damagedError{fmt.Sprintf("it is damaged: %v", p)}
		}
	}()
	return call()
}

// raftStore is the store as raft's goroutines see it. raft panics when it
// cannot read a committed entry or write its term; here such a goroutine ends
// quietly instead (its deferred calls run), after broken or stuck was told,
// which shuts raft down: the node detaches, its traffic goes on.
type raftStore struct {
	log    raft.LogStore
	stable raft.StableStore
	writes *writeTimes
	broken func(error) // for good
	stuck  func(error) // until writes work again
	// sending is asked before the beginning of the log is removed; nil is not.
	sending *sending
	// writing is told of writes to the log; nil is not.
	writing *writing
	// voted is told of votes once they are written; nil is not.
	voted func(term uint64, candidate []byte)
	// votesIn is the term of the vote that raft writes next; of its main loop.
	votesIn uint64
	// cut tells that raft has had the end of the log removed and has put nothing
	// in its place yet.
	cut atomic.Bool
}

var (
	_ raft.LogStore    = (*raftStore)(nil)
	_ raft.StableStore = (*raftStore)(nil)
)

// read passes on what raft can live with and ends the goroutine otherwise.
func (r *raftStore) read(what string, call func() error) error {
	err := contained(call)
	if err != nil && !errors.Is(err, raft.ErrLogNotFound) && !errors.Is(err, raftboltdb.ErrKeyNotFound) {
		r.broken(fmt.Errorf("%s: %w", what, err))
		runtime.Goexit()
	}
	return err
}

// FirstIndex implements [raft.LogStore].
func (r *raftStore) FirstIndex() (index uint64, err error) {
	err = r.read("read first index", func() (err error) { index, err = r.log.FirstIndex(); return err })
	return index, err
}

// LastIndex implements [raft.LogStore].
func (r *raftStore) LastIndex() (index uint64, err error) {
	err = r.read("read last index", func() (err error) { index, err = r.log.LastIndex(); return err })
	return index, err
}

// GetLog implements [raft.LogStore].
func (r *raftStore) GetLog(index uint64, log *raft.Log) error {
	return r.read(fmt.Sprintf("read entry %d", index), func() error { return r.log.GetLog(index, log) })
}

// StoreLog implements [raft.LogStore].
func (r *raftStore) StoreLog(log *raft.Log) error { return r.StoreLogs([]*raft.Log{log}) }

// StoreLogs implements [raft.LogStore]. raft handles a failure: a leader steps
// down, a follower is sent the entries again. But not after it has removed others
// to make room for them: it goes on to count those as its own, and refuses all
// that it is sent from then on since it does not find them. So its part ends, and
// begins anew with what is there.
func (r *raftStore) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	end := r.writes.begin(logs[len(logs)-1].Index)
	defer r.writing.begin()()
	err := contained(func() error { return r.log.StoreLogs(logs) })
	end(err)
	r.writing.ended(err)
	if err != nil && r.cut.Load() {
		r.stuck(fmt.Errorf("write entries from %d on in the place of others: %w", logs[0].Index, err))
		runtime.Goexit()
	}
	if err == nil {
		r.cut.Store(false)
	}
	return err
}

// DeleteRange implements [raft.LogStore].
func (r *raftStore) DeleteRange(from, to uint64) error {
	last, err := r.LastIndex()
	if err != nil {
		return err
	}
	if to < last && r.sending != nil {
		if to = r.sending.spare(to, time.Now()); to < from {
			return nil // what is left goes with the next snapshot
		}
	}
	defer r.writes.beginOther()()
	atEnd := to >= last // else a snapshot has what is at the beginning
	if atEnd {
		defer r.writing.begin()() // raft is about to write what the leader sent in its place
	}
	if err = contained(func() error { return r.log.DeleteRange(from, to) }); err == nil && atEnd {
		r.cut.Store(true)
	}
	return err
}

// Set implements [raft.StableStore].
func (r *raftStore) Set(key, value []byte) error {
	end := r.writes.beginTerm()
	err := contained(func() error { return r.stable.Set(key, value) })
	end(err)
	if err == nil && string(key) == string(votedForKey) && r.voted != nil {
		r.voted(r.votesIn, value)
	}
	return err
}

// Get implements [raft.StableStore].
func (r *raftStore) Get(key []byte) (value []byte, err error) {
	err = r.read(fmt.Sprintf("read %s", key), func() (err error) { value, err = r.stable.Get(key); return err })
	return value, err
}

// SetUint64 implements [raft.StableStore]. Of a failure to write its term raft
// dies, so that must not get through.
func (r *raftStore) SetUint64(key []byte, value uint64) error {
	end := r.writes.beginTerm()
	err := contained(func() error { return r.stable.SetUint64(key, value) })
	end(err)
	if string(key) == string(votedTermKey) { // raft writes it before who gets the vote
		r.votesIn = value
	}
	if err != nil && string(key) == string(termKey) {
		r.stuck(fmt.Errorf("write term %d: %w", value, err))
		runtime.Goexit()
	}
	return err
}

// GetUint64 implements [raft.StableStore].
func (r *raftStore) GetUint64(key []byte) (value uint64, err error) {
	err = r.read(fmt.Sprintf("read %s", key), func() (err error) { value, err = r.stable.GetUint64(key); return err })
	return value, err
}
