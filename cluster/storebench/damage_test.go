package storebench

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
)

// What these tests hold is why checks of our own would have to come before
// raft-wal: none of it is reported when it opens its files.

func TestTheEndOfATruncatedFileIsMissingWithoutAnError(t *testing.T) {
	dir, file := filled(t, 300)
	if err := os.Truncate(file, 50_000); err != nil {
		t.Fatal(err)
	}
	log := reopened(t, dir)
	last, err := log.LastIndex()
	if err != nil || last == 0 || last >= 300 {
		t.Errorf("the last entry is %d (%v), want one that is there and not 300", last, err)
	}
}

func TestAFlippedBitIsReadWithoutAnError(t *testing.T) {
	dir, file := filled(t, 300)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(content, bytes.Repeat([]byte{7}, dataSize)) // the data of entry 7
	content[at] ^= 1
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	var entry raft.Log
	if err := reopened(t, dir).GetLog(7, &entry); err != nil || entry.Data[0] != 7^1 {
		t.Errorf("entry 7 begins with %d (%v), want the flipped bit", entry.Data[0], err)
	}
}

// filled makes a log of so many entries and returns its file.
func filled(t *testing.T, count uint64) (dir, file string) {
	t.Helper()
	dir = t.TempDir()
	log := reopened(t, dir)
	for index := uint64(1); index <= count; index++ {
		if err := log.StoreLogs(entries(index, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files of the log: %q (%v), want one", files, err)
	}
	return dir, files[0]
}

func reopened(t *testing.T, dir string) *wal.WAL {
	t.Helper()
	log, err := wal.Open(dir, wal.WithLogger(hclog.NewNullLogger()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() }) // may be the second time
	return log
}
