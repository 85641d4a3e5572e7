package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"evenkeel/fsm"
)

// fillable returns a directory and what makes its disk full until it is emptied: a
// disk of its own where that may be mounted, else one where nothing may be added.
func fillable(t *testing.T) (dir string, fill func() (empty func(), why error)) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=8m"); err != nil {
		return dir, func() (func(), error) { return closed(t, dir), unix.EACCES }
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir, func() (func(), error) { return filledUp(t, dir), unix.ENOSPC }
}

// closed lets nobody but root add a file to a directory.
func closed(t *testing.T, dir string) (open func()) {
	t.Helper()
	chmod := func(mode os.FileMode) {
		if err := os.Chmod(dir, mode); err != nil {
			t.Error(err)
		}
	}
	chmod(0o500)
	t.Cleanup(func() { chmod(0o700) })
	return func() { chmod(0o700) }
}

// filledUp leaves no room on the disk of a directory.
func filledUp(t *testing.T, dir string) (empty func()) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = file.Write(make([]byte, 512))
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
}

func TestANodeThatStartsOnAFullDiskServesAndTakesPartOnceThereIsRoom(t *testing.T) {
	c := newTestCluster(t)
	dir, fill := fillable(t)
	c.dirs["n1"] = dir
	n := c.form(1)[0]
	c.put(n, numbered(1))
	uid, first := n.UID(), n.dir.firstSequence()
	c.stop("n1")
	empty, why := fill()

	n = c.start(c.config("n1"))
	c.has(n, "b1")
	reason := n.Status().Detached
	for _, part := range []string{fileIdentity, why.Error(), "by itself"} {
		if !strings.Contains(reason, part) {
			t.Errorf("the reason does not name %q: %s", part, reason)
		}
	}
	if _, err := n.Propose(t.Context(), fsm.Command{Actor: "test", Op: numbered(2)}); !errors.Is(err, ErrDetached) {
		t.Errorf("a write gets %v", err)
	}
	empty()
	c.settled(n)
	c.put(n, numbered(3))
	if n.UID() != uid || n.dir.firstSequence() <= first {
		t.Errorf("it is node %s, was %s, and numbers commands from %d on, before from %d", n.UID(), uid, n.dir.firstSequence(), first)
	}
	var written identity
	if _, err := readJSON(n.dir.file(fileIdentity), &written); err != nil || written.Starts<<epochShift != n.dir.firstSequence() {
		t.Errorf("start %d is written down, %v; commands are numbered from %d on", written.Starts, err, n.dir.firstSequence())
	}
}
