//go:build inject

package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// injectEnv names the file that says which faults the store has. It may be
	// missing and may come, change and go at any time; whoever changes it
	// replaces it by a rename.
	injectEnv = "EVENKEEL_INJECT"
	// snapshotEnv, if it is "often", has raft make snapshots of a log that a
	// test can fill.
	snapshotEnv = "EVENKEEL_INJECT_SNAPSHOT"
	// hangLook is between two looks whether a write is to hang on.
	hangLook = 10 * time.Millisecond
)

// injected returns the disk with the faults that the file named by injectEnv
// says: for tests, in a build of their own.
func injected(d disk) disk {
	if path := os.Getenv(injectEnv); path != "" {
		return faultyDisk{d, path}
	}
	return d
}

// injectConfig has raft make snapshots, and cut its log off, after some dozens
// of entries if snapshotEnv says so.
func injectConfig(c *raft.Config) {
	if os.Getenv(snapshotEnv) == "often" {
		c.SnapshotThreshold, c.TrailingLogs, c.SnapshotInterval = 32, 16, 50*time.Millisecond
	}
}

// injectedFaults are those of each write.
type injectedFaults struct {
	DelayMS int64  `json:"delay_ms"` // before it, in milliseconds
	Error   string `json:"error"`    // instead of it; "" is none
	Hang    bool   `json:"hang"`     // it waits as long as the file says so
}

// faultyDisk is a disk whose writes are slow, fail or hang. Reads are not
// touched. Safe for concurrent use.
type faultyDisk struct {
	disk
	path string
}

// write looks at the file before each write, so that a fault begins and ends
// with the write that follows its change.
func (f faultyDisk) write(call func() error) error {
	faults, err := f.faults()
	for err == nil && faults.Hang {
		time.Sleep(hangLook)
		faults, err = f.faults()
	}
	if err != nil {
		return err
	}
	time.Sleep(time.Duration(faults.DelayMS) * time.Millisecond)
	if faults.Error != "" {
		return errors.New(faults.Error)
	}
	return call()
}

func (f faultyDisk) faults() (faults injectedFaults, err error) {
	data, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return faults, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &faults)
	}
	if err != nil {
		return faults, fmt.Errorf("read injected faults %q: %w", f.path, err)
	}
	return faults, nil
}

// StoreLog implements [raft.LogStore].
func (f faultyDisk) StoreLog(log *raft.Log) error {
	return f.write(func() error { return f.disk.StoreLog(log) })
}

// StoreLogs implements [raft.LogStore].
func (f faultyDisk) StoreLogs(logs []*raft.Log) error {
	return f.write(func() error { return f.disk.StoreLogs(logs) })
}

// DeleteRange implements [raft.LogStore].
func (f faultyDisk) DeleteRange(from, to uint64) error {
	return f.write(func() error { return f.disk.DeleteRange(from, to) })
}

// Set implements [raft.StableStore].
func (f faultyDisk) Set(key, value []byte) error {
	return f.write(func() error { return f.disk.Set(key, value) })
}

// SetUint64 implements [raft.StableStore].
func (f faultyDisk) SetUint64(key []byte, value uint64) error {
	return f.write(func() error { return f.disk.SetUint64(key, value) })
}
