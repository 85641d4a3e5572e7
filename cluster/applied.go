package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"sync/atomic"
	"time"
)

// raft does not tell a node that starts which entries of its log were committed,
// until a leader does. So each node writes down the newest entry that it has
// applied, and serves the log up to there at its next start.
//
// The file has two slots that are written in turn, a page apart, so that a write
// that is torn leaves the other one. It is not synced: after a power loss it may
// tell of an earlier entry, or of none, but never of one that was not applied.
const (
	appliedMagic = "evenkel1"
	// A slot is the magic, the node's UID, index and term of the entry, and a
	// CRC-32C of those, numbers with the highest byte first.
	slotSum      = len(appliedMagic) + 36 + 8 + 8
	slotSize     = slotSum + 4
	slotDistance = 4096
	appliedSize  = 2 * slotDistance
)

// appliedPatience is how long a write that is applied waits to be in the record
// before it is acknowledged. The record is in the memory of the system then, which
// outlives the process.
const appliedPatience = 200 * time.Millisecond

// appliedMark is an entry that was applied, and so was committed.
type appliedMark struct{ index, term uint64 }

// encode returns a slot.
func (m appliedMark) encode(uid string) []byte {
	slot := make([]byte, 0, slotSize)
	slot = append(append(slot, appliedMagic...), uid...)
	slot = binary.BigEndian.AppendUint64(slot, m.index)
	slot = binary.BigEndian.AppendUint64(slot, m.term)
	return binary.BigEndian.AppendUint32(slot, crc32.Checksum(slot, castagnoli))
}

// parseApplied returns the newest sound mark of a node, the zero one if there is
// none, and the slot to write next.
func parseApplied(data []byte, uid string) (newest appliedMark, next int) {
	for slot := range 2 {
		if len(data) < slot*slotDistance+slotSize {
			break
		}
		if m, ok := parseSlot(data[slot*slotDistance:][:slotSize], uid); ok && m.index > newest.index {
			newest, next = m, 1-slot
		}
	}
	return newest, next
}

func parseSlot(slot []byte, uid string) (m appliedMark, ok bool) {
	of := slot[len(appliedMagic):]
	if string(slot[:len(appliedMagic)]) != appliedMagic || string(of[:len(of)-20]) != uid ||
		binary.BigEndian.Uint32(slot[slotSum:]) != crc32.Checksum(slot[:slotSum], castagnoli) {
		return m, false
	}
	return appliedMark{binary.BigEndian.Uint64(slot[slotSum-16:]), binary.BigEndian.Uint64(slot[slotSum-8:])}, true
}

// appliedRecord writes marks down. The disk may hang, and who applies entries
// never waits for it: the newest mark is written by a goroutine of its own, and
// those that came meanwhile are passed over.
type appliedRecord struct {
	path   string
	uid    string
	newest atomic.Pointer[appliedMark]
	wake   chan struct{} // holds a token while newest may not be written
	next   int           // the slot to write; of run

	written atomic.Pointer[appliedWritten]
	stuck   atomic.Bool // since somebody waited in vain, until the next write
}

// appliedWritten is the newest entry in the file.
type appliedWritten struct {
	index    uint64
	replaced chan struct{} // closed when another takes its place
}

// openApplied reads what the node's last run has written down. A file that is
// damaged or of another node tells of nothing; an error is that of reading.
func openApplied(path, uid string) (*appliedRecord, error) {
	r := &appliedRecord{path: path, uid: uid, wake: make(chan struct{}, 1)}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	newest, next := parseApplied(data, uid)
	r.newest.Store(&newest)
	r.written.Store(&appliedWritten{newest.index, make(chan struct{})})
	r.next = next
	return r, err
}

// lastApplied returns what the node's last run has written down, the zero mark if
// that is not known: the record proves something, its lack nothing.
func lastApplied(dir *dataDir) appliedMark {
	data, err := os.ReadFile(dir.file(fileApplied))
	if err != nil {
		return appliedMark{} // readBoot says why
	}
	newest, _ := parseApplied(data, dir.uid())
	return newest
}

// note takes an entry that was applied. It does not wait. It is called by one
// goroutine at a time; nil notes nothing.
func (r *appliedRecord) note(index, term uint64) {
	if r == nil || index <= r.newest.Load().index {
		return // a replica that begins anew applies again what it did before
	}
	r.newest.Store(&appliedMark{index, term})
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// await returns when what was noted is written, or the disk takes too long: not
// every write is to wait for one that hangs.
func (r *appliedRecord) await(ctx context.Context) {
	index := r.newest.Load().index
	timer := time.NewTimer(appliedPatience)
	defer timer.Stop()
	for {
		w := r.written.Load()
		if w.index >= index || r.stuck.Load() {
			return
		}
		select {
		case <-w.replaced:
		case <-timer.C:
			r.stuck.Store(true)
		case <-ctx.Done():
			return
		}
	}
}

// run writes what is noted until ctx ends, and then once more. failed is told of
// what went wrong; the next mark is tried again.
func (r *appliedRecord) run(ctx context.Context, failed func(error)) {
	var file *os.File
	for ended := false; !ended; {
		select {
		case <-r.wake:
		case <-ctx.Done():
			ended = true
		}
		var err error
		if file, err = r.write(file); err != nil {
			failed(fmt.Errorf("write file %q: %w", r.path, err))
			if pause(ctx, time.Second) == nil {
				r.again()
			}
		}
	}
	if file != nil {
		if err := file.Close(); err != nil {
			failed(err)
		}
	}
}

// again has the newest mark written once more.
func (r *appliedRecord) again() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// write writes the newest mark and returns the file to use for the next one, nil
// after an error.
func (r *appliedRecord) write(file *os.File) (*os.File, error) {
	m := *r.newest.Load()
	if m.index == 0 {
		return file, nil
	}
	if file == nil {
		var err error
		if file, err = r.open(); err != nil {
			return nil, err
		}
	}
	if _, err := file.WriteAt(m.encode(r.uid), int64(r.next*slotDistance)); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	r.next = 1 - r.next
	r.stuck.Store(false)
	old := r.written.Swap(&appliedWritten{m.index, make(chan struct{})})
	close(old.replaced)
	return file, nil
}

// open makes room for both slots at once, so that a disk that fills up later does
// not matter.
func (r *appliedRecord) open() (*os.File, error) {
	file, err := os.OpenFile(r.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && info.Size() < appliedSize {
		_, err = file.WriteAt(make([]byte, appliedSize-info.Size()), info.Size())
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
