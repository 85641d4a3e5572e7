package conformance

import (
	"fmt"
	"testing"

	"evenkeel/fsm"
)

// listen starts a balancer of its own with one listener for the given backends
// and stops it with the test.
func listen(t testing.TB, p profile, backends ...string) (*world, *slot) {
	t.Helper()
	w, err := newWorld(map[string]profile{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	})
	s, operations, err := w.addSlot(p)
	if err != nil {
		t.Fatal(err)
	}
	for i, address := range backends {
		operations = append(operations, fsm.Put{Pool: s.name, Name: fmt.Sprint("m", i),
			Spec: fsm.BackendSpec{Address: address, Weight: 1, AdminState: fsm.AdminReady}})
	}
	if err := w.registry.do(operations...); err != nil {
		t.Fatal(err)
	}
	if err := w.awaitListeners(); err != nil {
		t.Fatal(err)
	}
	return w, s
}
