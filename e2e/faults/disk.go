//go:build linux

package faults

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// disk is a small file system of its own, on a file.
type disk struct {
	path string
	t    *testing.T
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
}

// newDisk mounts a file system of 48 MB until the test ends, and after its
// nodes did.
func newDisk(t *testing.T) *disk {
	t.Helper()
	dir := t.TempDir()
	image, d := filepath.Join(dir, "image"), &disk{filepath.Join(dir, "mounted"), t}
	if err := os.Mkdir(d.path, 0o700); err != nil {
		t.Fatal(err)
	}
	run(t, "truncate", "--size", "48M", image)
	run(t, "mkfs.ext4", "-q", "-F", image)
	run(t, "mount", "-o", "loop", image, d.path)
	t.Cleanup(func() {
		if out, err := exec.Command("umount", d.path).CombinedOutput(); err != nil {
			t.Errorf("umount %s: %v: %s", d.path, err, out)
		}
	})
	return d
}

// freeze has all writes hang until the returned function is called.
func (d *disk) freeze() (thaw func()) {
	d.t.Helper()
	run(d.t, "fsfreeze", "--freeze", d.path)
	thaw = sync.OnceFunc(func() { run(d.t, "fsfreeze", "--unfreeze", d.path) })
	d.t.Cleanup(thaw)
	return thaw
}

// fill leaves no room until the returned function is called.
func (d *disk) fill() (empty func()) {
	d.t.Helper()
	name := filepath.Join(d.path, "fill")
	file, err := os.Create(name)
	if err != nil {
		d.t.Fatal(err)
	}
	defer file.Close()
	for block := make([]byte, 64<<10); err == nil; {
		_, err = file.Write(block)
	}
	return func() {
		if err := os.Remove(name); err != nil {
			d.t.Error(err)
		}
	}
}
