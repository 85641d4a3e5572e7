package cluster

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Names within the data directory.
const (
	fileLock     = "lock"
	fileIdentity = "identity.json"
	fileForming  = "forming.json"
	filePeers    = "peers.json"
	fileStore    = "raft.db"
	fileImage    = "image"
	fileApplied  = "applied"
	dirSnapshots = "snapshots" // the name is raft's
)

// epochShift leaves 2^40 commands for each start and 2^24 starts.
const epochShift = 40

// identity is who the node is. It outlives every restart and every change of
// name and address.
type identity struct {
	UID string `json:"uid"`
	// Starts counts the process's starts. It is the upper part of every
	// command's sequence, so that no number is used twice, whatever the
	// process forgot when it died.
	Starts uint64 `json:"starts"`
	// ClusterID is set once the node is part of a cluster. A node that has one
	// never forms another.
	ClusterID string `json:"cluster_id,omitempty"`
	// NamedAfter is the UID whose beginning is in the node's name if none is
	// given, where that is not UID.
	NamedAfter string `json:"named_after,omitempty"`
	// RecoveredFrom is the UID before the newest recovery: what is on the disk is of
	// that one if the recovery ended early.
	RecoveredFrom string `json:"recovered_from,omitempty"`
	// Rejoin is set while the node is its own successor and not let in yet.
	Rejoin *rejoin `json:"rejoin,omitempty"`
}

// check reports what cannot be.
func (id identity) check() error {
	uids := []string{id.UID, cmp.Or(id.NamedAfter, id.UID), cmp.Or(id.RecoveredFrom, id.UID)}
	if id.Rejoin != nil {
		uids = append(uids, id.Rejoin.Was...)
		if id.ClusterID == "" || len(id.Rejoin.Was) == 0 || filepath.Base(id.Rejoin.Aside) != id.Rejoin.Aside || !strings.HasPrefix(id.Rejoin.Aside, asidePrefix) {
			return errors.New("what it says of a damaged store cannot be")
		}
	}
	for _, uid := range uids {
		if !validUID(uid) {
			return fmt.Errorf("uid %q is not a UUID", uid)
		}
	}
	return nil
}

// dataDir is a data directory that this process alone uses.
type dataDir struct {
	path string
	lock *os.File
	// write replaces the identity's file: replaceJSON but for tests.
	write func(path string, value any) error

	mu sync.Mutex // guards what follows, and the identity's file
	id identity
	// uncounted is why this start is not written down yet, nil if it is.
	uncounted error
}

// openDataDir locks the directory, reads or makes the identity and counts the
// start. A disk that does not take that now is no error, see countStart.
func openDataDir(path string) (*dataDir, error) {
	if path == "" {
		return nil, errors.New("open data directory: no path is given: set --data-dir")
	}
	if err := makeDir(path); err != nil {
		return nil, fmt.Errorf("open data directory %q: %w", path, err)
	}
	lock, err := lockDir(path)
	if err != nil {
		return nil, err
	}
	d := &dataDir{path: path, lock: lock, write: replaceJSON}
	if err := d.load(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// lockDir takes the lock that the kernel drops when the process ends in
// whatever way, so that no stale lock ever has to be removed.
func lockDir(path string) (*os.File, error) {
	name := filepath.Join(path, fileLock)
	lock, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory %q: %w", path, err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(name) // only makes the message better
		err = fmt.Errorf("lock data directory %q: process %s uses it: stop that one or choose another --data-dir: %w",
			path, orUnknown(strings.TrimSpace(string(holder))), err)
		return nil, errors.Join(err, lock.Close())
	}
	if lock.Truncate(0) == nil {
		// Who holds it only makes a message better: a full disk is no reason not to.
		_, _ = lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return lock, nil
}

func orUnknown(pid string) string {
	if pid == "" {
		return "(unknown)"
	}
	return pid
}

func (d *dataDir) load() error {
	if err := removeLeftovers(d.path); err != nil {
		return fmt.Errorf("clean data directory %q: %w", d.path, err)
	}
	known, err := readJSON(d.file(fileIdentity), &d.id)
	if err != nil {
		return fmt.Errorf("%w: without it the node is not itself: move %q aside and start with an empty one", err, d.path)
	}
	if !known {
		if err := d.refuseForeign(); err != nil {
			return err
		}
		d.id = identity{UID: newUID()}
	}
	if err := d.id.check(); err != nil {
		return fmt.Errorf("read file %q: %w: move %q aside and start with an empty one", d.file(fileIdentity), err, d.path)
	}
	d.id.Starts++
	err = d.save(d.id)
	if known && passes(err) {
		d.uncounted = err // what it has is to be served
		return nil
	}
	return err
}

// save writes an identity down. It is called with the lock held, or before anyone
// else uses the directory.
func (d *dataDir) save(next identity) error {
	if err := d.write(d.file(fileIdentity), next); err != nil {
		return err
	}
	d.uncounted = nil // what is written has the count of this start
	return nil
}

// countStart writes this start down where the disk did not take that before. Until
// it returns nil this process may not number a command: the next start would give
// the same numbers to others.
func (d *dataDir) countStart() error {
	d.mu.Lock()
	id, uncounted := d.id, d.uncounted
	d.mu.Unlock()
	if uncounted == nil {
		return nil
	}
	// Not with the lock held, as the disk may hang. Nobody else writes: all who do
	// have a part in the cluster.
	if err := d.write(d.file(fileIdentity), id); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.uncounted = nil
	return nil
}

// refuseForeign stops a node from taking a new identity beside the state of
// an old one: its votes and its log belong to that one.
func (d *dataDir) refuseForeign() error {
	names := []string{fileStore, fileImage, fileForming}
	if all, err := d.asides(); err != nil {
		return err
	} else if len(all) > 0 {
		names = append(names, asidePrefix+strconv.Itoa(all[0]))
	}
	for _, name := range names {
		if _, err := os.Lstat(d.file(name)); err == nil {
			return fmt.Errorf("open data directory %q: %q is there but %q is missing: restore it, or move the directory aside and start with an empty one",
				d.path, name, fileIdentity)
		}
	}
	return nil
}

func (d *dataDir) file(name string) string { return filepath.Join(d.path, name) }

func (d *dataDir) uid() string { return d.id.UID }

// defaultName is the name of a node that is given none.
func (d *dataDir) defaultName() string { return "node-" + cmp.Or(d.id.NamedAfter, d.id.UID)[:8] }

func (d *dataDir) clusterID() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.id.ClusterID
}

// setClusterID makes the node part of that cluster for ever.
func (d *dataDir) setClusterID(id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch d.id.ClusterID {
	case id:
		return nil
	case "":
	default:
		return fmt.Errorf("set cluster id %q: the node belongs to %q", id, d.id.ClusterID)
	}
	return d.writeClusterID(id)
}

// renew makes the node, which the registry knows under a UID, another one of
// another cluster, for its next start.
func (d *dataDir) renew(was, uid, clusterID string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := d.id
	next.NamedAfter = cmp.Or(next.NamedAfter, next.UID)
	next.UID, next.ClusterID, next.RecoveredFrom, next.Rejoin = uid, clusterID, was, nil
	return d.save(next)
}

// writeClusterID is called with the lock held.
func (d *dataDir) writeClusterID(id string) error {
	next := d.id
	next.ClusterID = id
	if err := d.save(next); err != nil {
		return err
	}
	d.id.ClusterID = id // this field alone: the others are read without the lock
	return nil
}

// firstSequence is the number before the first command of this start.
func (d *dataDir) firstSequence() uint64 { return d.id.Starts << epochShift }

// close drops the lock.
func (d *dataDir) close() error { return d.lock.Close() }

// newUID returns a random UUID (RFC 9562, version 4).
func newUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func validUID(uid string) bool {
	if len(uid) != 36 {
		return false
	}
	for i, c := range uid {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (c == '-') || !dash && !strings.ContainsRune("0123456789abcdef", c) {
			return false
		}
	}
	return true
}
