//go:build linux

package faults

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestF12FilesAreDamaged on a follower that was killed: it comes back by itself,
// and never with a wrong entry.
func TestF12FilesAreDamaged(t *testing.T) {
	onlyInCampaign(t)
	r := newRow("F12", "torn record, flipped bits, truncated files", atOnce, 100*time.Millisecond, 0)
	b := newBed(t, r, bedOptions{})
	for _, damage := range []struct {
		name string
		do   func(t *testing.T, dir string)
	}{
		{"the log's last page is torn", func(t *testing.T, dir string) { truncate(t, filepath.Join(dir, "raft.db"), 4096-512) }},
		{"half of the log is gone", func(t *testing.T, dir string) { truncate(t, filepath.Join(dir, "raft.db"), -2) }},
		{"the log is empty", func(t *testing.T, dir string) { truncate(t, filepath.Join(dir, "raft.db"), -1) }},
		{"the log is missing", func(t *testing.T, dir string) { removeFile(t, filepath.Join(dir, "raft.db")) }},
		{"bits of the log are flipped", func(t *testing.T, dir string) { flip(t, filepath.Join(dir, "raft.db")) }},
		{"bits of the image are flipped", func(t *testing.T, dir string) { flip(t, filepath.Join(dir, "image")) }},
		{"log and image are damaged", func(t *testing.T, dir string) {
			flip(t, filepath.Join(dir, "image"))
			flip(t, filepath.Join(dir, "raft.db"))
		}},
		{"all snapshots are damaged", func(t *testing.T, dir string) {
			err := filepath.WalkDir(filepath.Join(dir, "snapshots"), func(path string, entry fs.DirEntry, err error) error {
				if err == nil && entry.Type().IsRegular() {
					flip(t, path)
				}
				return err
			})
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}},
	} {
		n := b.Followers(t)[0]
		f := b.begin(n)
		n.Kill()
		damage.do(t, n.Dir)
		b.waitWrites(20)
		n.Start(t)
		b.caughtUp(n)
		b.hasItsVote(n)
		b.WaitFormed(t)
		f.end()
		t.Log(damage.name)
	}
	b.finish()
}

// truncate takes that many bytes off a file's end: -2 is half of it, -1 all.
func truncate(t *testing.T, path string, bytes int64) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	left := info.Size() - bytes
	switch bytes {
	case -1:
		left = 0
	case -2:
		left = info.Size() / 2
	}
	if err := os.Truncate(path, left); err != nil {
		t.Fatal(err)
	}
}

func removeFile(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// flip flips one bit in every 4 KiB of a file, in the middle of each.
func flip(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := min(2048, len(text)/2); at < len(text); at += 4096 {
		text[at] ^= 1
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
