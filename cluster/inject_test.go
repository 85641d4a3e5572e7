//go:build inject

package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// TestInjectedFaultsAreOfEveryWrite by `go test -tags inject ./cluster`.
func TestInjectedFaultsAreOfEveryWrite(t *testing.T) {
	control := filepath.Join(t.TempDir(), "faults.json")
	t.Setenv(injectEnv, control)
	store := raft.NewInmemStore()
	disk := injected(store)
	say := func(faults string) {
		t.Helper()
		if err := errors.Join(os.WriteFile(control+".new", []byte(faults), 0o600), os.Rename(control+".new", control)); err != nil {
			t.Fatal(err)
		}
	}
	writes := map[string]func() error{
		"StoreLog":    func() error { return disk.StoreLog(&raft.Log{Index: 1}) },
		"StoreLogs":   func() error { return disk.StoreLogs([]*raft.Log{{Index: 1}}) },
		"DeleteRange": func() error { return disk.DeleteRange(5, 6) },
		"Set":         func() error { return disk.Set([]byte("a"), []byte("b")) },
		"SetUint64":   func() error { return disk.SetUint64([]byte("c"), 1) },
	}
	for name, write := range writes {
		t.Run(name, func(t *testing.T) {
			if err := os.Remove(control); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			if err := write(); err != nil {
				t.Errorf("without faults: %v", err)
			}
			say(`{"error":"no space left on device"}`)
			if err := write(); err == nil || err.Error() != "no space left on device" {
				t.Errorf("with an error: %v", err)
			}
			say(`{"delay_ms":30}`)
			if begun, err := time.Now(), write(); err != nil || time.Since(begun) < 30*time.Millisecond {
				t.Errorf("with a delay: %v after %v", err, time.Since(begun))
			}
			say(`{"hang":true}`)
			done := make(chan error, 1)
			go func() { done <- write() }()
			select {
			case err := <-done:
				t.Errorf("with a hang: %v", err)
			case <-time.After(30 * time.Millisecond):
			}
			say(`{}`)
			if err := <-done; err != nil {
				t.Errorf("after a hang: %v", err)
			}
		})
	}
}
