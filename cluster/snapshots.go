package cluster

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/raft"
)

// newestSound hides from raft all snapshots but the newest that is whole: raft
// would fall back to any older one, also to one that does not reach to the
// beginning of the log, see store.check.
type newestSound struct {
	raft.SnapshotStore
	unsound map[string]bool
}

// List implements [raft.SnapshotStore].
func (n newestSound) List() ([]*raft.SnapshotMeta, error) {
	all, err := n.SnapshotStore.List()
	for i, meta := range all {
		if !n.unsound[meta.ID] {
			return all[i : i+1], err
		}
	}
	return nil, err
}

// unfinished follows the name of a snapshot's directory as long as it is
// written; the word is raft's.
const unfinished = ".tmp"

// nameOfSnapshot is what raft calls a snapshot: term and index of its last entry,
// and when it was made.
const nameOfSnapshot = "%d-%d-%d"

// removeUnfinished removes what a process has left that died while it wrote a
// snapshot: raft does not.
func removeUnfinished(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), unfinished) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, entry.Name())))
		}
	}
	return err
}

// durableSnapshots are raft's, in a directory.
type durableSnapshots struct {
	raft.SnapshotStore
	dir string
}

// Create implements [raft.SnapshotStore]. raft syncs what is in a snapshot's
// files and the name of its directory, but not their names within that, and
// then cuts off the log: a loss of power could leave the node with neither. The
// files are there when Create returns, and keep their names; what raft writes into
// its meta.json at the end is of the state alone, so the checksum of the rest is
// known.
func (s durableSnapshots) Create(version raft.SnapshotVersion, index, term uint64, configuration raft.Configuration, configurationIndex uint64, trans raft.Transport) (raft.SnapshotSink, error) {
	sink, err := s.SnapshotStore.Create(version, index, term, configuration, configurationIndex, trans)
	if err != nil {
		return nil, err
	}
	at := filepath.Join(s.dir, sink.ID()+unfinished)
	err = writeSnapshotSum(at, &raft.SnapshotMeta{Version: version, ID: sink.ID(), Index: index, Term: term, Configuration: configuration, ConfigurationIndex: configurationIndex})
	if err == nil {
		err = syncDir(at)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make snapshot %q: %w", sink.ID(), err), sink.Cancel())
	}
	return sink, nil
}

// Open implements [raft.SnapshotStore]. raft holds the state against its checksum;
// the members that the snapshot names have one in a file beside.
func (s durableSnapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	meta, source, err := s.SnapshotStore.Open(id)
	if err != nil {
		return nil, nil, err
	}
	if err := errors.Join(checkMeta(filepath.Join(s.dir, id), meta), source.Close()); err != nil {
		return nil, nil, err
	}
	file, err := os.Open(filepath.Join(s.dir, id, fileSnapshotState))
	if err != nil {
		return nil, nil, err
	}
	return meta, &snapshotState{bufio.NewReader(file), file}, nil
}

// snapshotState is the state of a snapshot that was held against its checksum.
type snapshotState struct {
	*bufio.Reader
	file *os.File
}

var _ rewindable = (*snapshotState)(nil)

func (s *snapshotState) Close() error { return s.file.Close() }

func (s *snapshotState) rewind() error {
	_, err := s.file.Seek(0, io.SeekStart)
	s.Reset(s.file)
	return err
}

const (
	// fileSnapshotSum is in a snapshot's directory beside what raft keeps there; the
	// other name is raft's.
	fileSnapshotSum   = "meta.sum"
	fileSnapshotState = "state.bin"
	// formatSnapshotSum is of a CRC-32C.
	formatSnapshotSum = "%08x\n"
)

// summedMeta is what the checksum of a snapshot covers, as it is encoded for that: what
// is on disks was summed so, and a later raft may have further fields.
type summedMeta struct {
	Version raft.SnapshotVersion
	ID      string
	Index   uint64
	Term    uint64
	// Peers and Size stay empty.
	Peers              []byte
	Configuration      summedServers
	ConfigurationIndex uint64
	Size               int64
}

type summedServers struct{ Servers []summedServer }

type summedServer struct {
	Suffrage raft.ServerSuffrage
	ID       raft.ServerID
	Address  raft.ServerAddress
}

// snapshotSum returns a checksum of what a snapshot says of itself. Length and checksum
// of the state are not within it: they are held against the state. Nor is Peers,
// which raft does not read in snapshots of this version.
func snapshotSum(meta *raft.SnapshotMeta) (string, error) {
	of := summedMeta{Version: meta.Version, ID: meta.ID, Index: meta.Index, Term: meta.Term, ConfigurationIndex: meta.ConfigurationIndex}
	for _, server := range meta.Configuration.Servers {
		of.Configuration.Servers = append(of.Configuration.Servers, summedServer{server.Suffrage, server.ID, server.Address})
	}
	data, err := json.Marshal(of)
	return fmt.Sprintf(formatSnapshotSum, crc32.Checksum(data, castagnoli)), err
}

func writeSnapshotSum(dir string, meta *raft.SnapshotMeta) error {
	sum, err := snapshotSum(meta)
	if err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(dir, fileSnapshotSum))
	if err != nil {
		return err
	}
	_, err = file.WriteString(sum)
	return errors.Join(err, file.Sync(), file.Close())
}

// checkMeta holds what a snapshot in a directory says of itself against its
// checksum, which those of earlier builds do not have, and against the state's
// length.
func checkMeta(dir string, meta *raft.SnapshotMeta) error {
	info, err := os.Stat(filepath.Join(dir, fileSnapshotState))
	if err != nil {
		return err
	}
	if info.Size() != meta.Size {
		return fmt.Errorf("it says of itself that it has %d bytes, and has %d", meta.Size, info.Size())
	}
	written, err := os.ReadFile(filepath.Join(dir, fileSnapshotSum))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	sum, err := snapshotSum(meta)
	if err == nil && string(written) != sum {
		err = errors.New("what it says of itself does not match its checksum")
	}
	return err
}

// snapshotsFound is what the snapshots of a data directory amount to.
type snapshotsFound struct {
	newestSound
	end uint64 // the last entry within the newest sound one; 0: there is none
	// lost is where a newer one ended that is damaged, and wrong what is wrong with
	// it; 0 and nil: there is none.
	lost  uint64
	wrong error
}

// soundSnapshots reads the snapshots before raft does. An error is one of reading,
// not damage.
func soundSnapshots(files raft.SnapshotStore, dir string) (f snapshotsFound, err error) {
	f.newestSound = newestSound{files, map[string]bool{}}
	listed, err := files.List()
	if err != nil {
		return f, fmt.Errorf("list snapshots in %q: %w", dir, err)
	}
	known := map[string]bool{}
	for _, meta := range listed {
		known[meta.ID] = true
		if f.end > 0 {
			continue // raft never asks for it
		}
		index, fault := named(meta)
		if fault == nil {
			fault = wholeSnapshot(files, meta.ID)
		}
		switch {
		case passes(fault):
			return f, fault
		case fault == nil:
			f.end = index
		default:
			f.unsound[meta.ID] = true
			f.miss(index, fault)
		}
	}
	if err := f.missUnlisted(dir, known); err != nil {
		return f, err
	}
	if f.lost <= f.end {
		f.lost, f.wrong = 0, nil
	}
	return f, nil
}

func (f *snapshotsFound) miss(index uint64, wrong error) {
	if index > f.lost {
		f.lost, f.wrong = index, wrong
	}
}

// named holds the term and the index that a snapshot says of itself, which no
// checksum of earlier builds covers, against its name, and returns the index within
// that. A node that took an old log for one of a later term could win a vote with it.
func named(meta *raft.SnapshotMeta) (index uint64, err error) {
	var term, at uint64
	if _, err := fmt.Sscanf(meta.ID, nameOfSnapshot, &term, &index, &at); err != nil {
		return meta.Index, fmt.Errorf("snapshot %q: its name is not one of raft's", meta.ID)
	}
	if term != meta.Term || index != meta.Index {
		return index, fmt.Errorf("snapshot %q: it says of itself that it ends at entry %d of term %d", meta.ID, meta.Index, meta.Term)
	}
	return index, nil
}

// wholeSnapshot holds a snapshot against its checksum.
func wholeSnapshot(files raft.SnapshotStore, id string) error {
	_, source, err := files.Open(id)
	if err == nil {
		err = source.Close()
	}
	if err != nil {
		return fmt.Errorf("snapshot %q: %w", id, err)
	}
	return nil
}

// missUnlisted misses the snapshots that raft passes over because it cannot read
// what they say of themselves.
func (f *snapshotsFound) missUnlisted(dir string, known map[string]bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("list snapshots in %q: %w", dir, err)
	}
	for _, entry := range entries {
		var term, index, at uint64
		if _, err := fmt.Sscanf(entry.Name(), nameOfSnapshot, &term, &index, &at); err != nil || known[entry.Name()] || strings.HasSuffix(entry.Name(), unfinished) {
			continue
		}
		if err := readable(filepath.Join(dir, entry.Name(), "meta.json")); passes(err) {
			return err
		}
		f.miss(index, fmt.Errorf("snapshot %q: what it says of itself is damaged", entry.Name()))
	}
	return nil
}

// readable reports why a file cannot be read, nil also if it is not there.
func readable(path string) error {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, file)
	return errors.Join(err, file.Close())
}
