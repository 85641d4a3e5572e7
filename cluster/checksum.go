package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"sort"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// raft-boltdb and bbolt have no checksums of what they store: a bit that flips
// on the disk would be applied on this node and on no other. So each entry of
// the log and each value of raft's own is stored with one.
//
// What an earlier build has stored has none and is read as it is: no single
// fault takes a checksum away and changes what it is of.

// sumSize is the length of a checksum, a CRC-32C (RFC 3720 section 12.1) with
// the highest byte first.
const sumSize = 4

// checkedLog is a log store whose entries carry a checksum of their index, term,
// type and data in Extensions. Whoever reads gets them without.
type checkedLog struct{ raft.LogStore }

var _ raft.LogStore = checkedLog{}

// StoreLog implements [raft.LogStore].
func (c checkedLog) StoreLog(log *raft.Log) error { return c.StoreLogs([]*raft.Log{log}) }

// StoreLogs implements [raft.LogStore]. It leaves the entries alone: raft
// replicates them at the same time.
func (c checkedLog) StoreLogs(logs []*raft.Log) error {
	entries, stored := make([]raft.Log, len(logs)), make([]*raft.Log, len(logs))
	for i, log := range logs {
		entries[i] = *log
		entries[i].Extensions = binary.BigEndian.AppendUint32(nil, entrySum(log))
		stored[i] = &entries[i]
	}
	return c.LogStore.StoreLogs(stored)
}

// GetLog implements [raft.LogStore]. The error is a [*damagedError] if the
// entry is not the one that was stored.
func (c checkedLog) GetLog(index uint64, log *raft.Log) error {
	var entry raft.Log
	if err := c.LogStore.GetLog(index, &entry); err != nil {
		return err
	}
	if entry.Index != index {
		return &damagedError{fmt.Sprintf("in the place of entry %d lies entry %d", index, entry.Index)}
	}
	if sum := entry.Extensions; sum != nil {
		if len(sum) != sumSize || binary.BigEndian.Uint32(sum) != entrySum(&entry) {
			return &damagedError{fmt.Sprintf("entry %d does not match its checksum", index)}
		}
	}
	entry.Extensions = nil
	*log = entry
	return nil
}

// check reads all entries, before raft does, which dies of one that it cannot
// read. Behind the end of the newest snapshot none may be missing; before it
// the entries that a snapshot from the leader has skipped are.
func (c checkedLog) check(snapshotEnd uint64) error {
	first, err := c.FirstIndex()
	if err != nil || first == 0 {
		return err
	}
	last, err := c.LastIndex()
	if err != nil {
		return err
	}
	for index := first; index <= last; index++ {
		switch there, err := c.has(index); {
		case err != nil:
			return err
		case there:
		case index > snapshotEnd:
			return &damagedError{fmt.Sprintf("entry %d is missing between %d and %d", index, first, last)}
		default:
			index = c.behindGap(index+1, min(snapshotEnd+1, last)) - 1
		}
	}
	return nil
}

// checkApplied holds the log against an entry that was applied, and so had been
// synced before: without it, behind the newest snapshot, the disk has lost a write
// or the file is an old copy, and the node may have vouched for more than that one.
func (c checkedLog) checkApplied(applied appliedMark, snapshotEnd, last uint64) error {
	if applied.index <= snapshotEnd {
		return nil
	}
	if end := max(snapshotEnd, last); applied.index > end {
		return &damagedError{fmt.Sprintf("it ends at entry %d, but this node had applied entry %d", end, applied.index)}
	}
	var entry raft.Log
	if err := c.GetLog(applied.index, &entry); err != nil {
		return fmt.Errorf("read entry %d: %w", applied.index, err)
	}
	if entry.Term != applied.term {
		return &damagedError{fmt.Sprintf("entry %d is of term %d, but this node had applied one of term %d there", applied.index, entry.Term, applied.term)}
	}
	return nil
}

func (c checkedLog) has(index uint64) (bool, error) {
	var entry raft.Log
	err := c.GetLog(index, &entry)
	if errors.Is(err, raft.ErrLogNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read entry %d: %w", index, err)
	}
	return true, nil
}

// behindGap returns the first entry from after on to end that is there, for a
// gap may be too long to be looked at place by place. It may return a later one
// if there is another gap.
func (c checkedLog) behindGap(after, end uint64) uint64 {
	return after + uint64(sort.Search(int(end-after), func(n int) bool {
		there, err := c.has(after + uint64(n))
		return there || err != nil // which the caller meets then
	}))
}

// entrySum is the checksum of an entry.
func entrySum(log *raft.Log) uint32 {
	var head [17]byte
	binary.BigEndian.PutUint64(head[:], log.Index)
	binary.BigEndian.PutUint64(head[8:], log.Term)
	head[16] = byte(log.Type)
	return crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, log.Data)
}

// What raft keeps of its own.
var (
	termKey      = []byte("CurrentTerm")
	votedTermKey = []byte("LastVoteTerm")
	votedForKey  = []byte("LastVoteCand")
)

// checkedStable is a store of raft's term and vote whose values are followed by
// a checksum of key and value.
type checkedStable struct{ raft.StableStore }

var _ raft.StableStore = checkedStable{}

// Set implements [raft.StableStore].
func (c checkedStable) Set(key, value []byte) error {
	stored := append(make([]byte, 0, len(value)+sumSize), value...)
	return c.StableStore.Set(key, binary.BigEndian.AppendUint32(stored, valueSum(key, value)))
}

// Get implements [raft.StableStore]. The error is a [*damagedError] if the value
// is not the one that was stored.
func (c checkedStable) Get(key []byte) ([]byte, error) {
	stored, err := c.StableStore.Get(key)
	if err != nil {
		return nil, err
	}
	if end := len(stored) - sumSize; end >= 0 && binary.BigEndian.Uint32(stored[end:]) == valueSum(key, stored[:end]) {
		return stored[:end:end], nil
	}
	if string(key) == string(votedForKey) && validUID(string(stored)) || string(key) != string(votedForKey) && len(stored) == 8 {
		return stored, nil // an earlier build's
	}
	return nil, &damagedError{fmt.Sprintf("the value of %s does not match its checksum", key)}
}

// SetUint64 implements [raft.StableStore]. A build without checksums finds the
// number where it looks for it.
func (c checkedStable) SetUint64(key []byte, value uint64) error {
	return c.Set(key, binary.BigEndian.AppendUint64(nil, value))
}

// GetUint64 implements [raft.StableStore].
func (c checkedStable) GetUint64(key []byte) (uint64, error) {
	value, err := c.Get(key)
	if err != nil {
		return 0, err
	}
	if len(value) != 8 {
		return 0, &damagedError{fmt.Sprintf("the value of %s has %d bytes, not 8", key, len(value))}
	}
	return binary.BigEndian.Uint64(value), nil
}

// check reads all values.
func (c checkedStable) check() error {
	for _, key := range [][]byte{termKey, votedTermKey} {
		if _, err := c.GetUint64(key); err != nil && !errors.Is(err, raftboltdb.ErrKeyNotFound) {
			return err
		}
	}
	if _, err := c.Get(votedForKey); err != nil && !errors.Is(err, raftboltdb.ErrKeyNotFound) {
		return err
	}
	return nil
}

func valueSum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}
