package harness

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Lock waits until no other scenario runs on this machine and keeps others
// out until the test ends. Test binaries of several packages run at the same
// time, and on a small machine clusters would disturb each other's timing.
func Lock(t testing.TB) {
	t.Helper()
	name := filepath.Join(os.TempDir(), "evenkeel-e2e.lock")
	file, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() }) // which also gives the lock back
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
		if err == nil {
			return
		}
		if err != syscall.EINTR {
			t.Fatalf("lock %q: %v", name, err)
		}
	}
}
