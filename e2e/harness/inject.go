package harness

import (
	"encoding/json"
	"path/filepath"
	"testing"
)

// InjectBinary returns the path of a binary whose log store has faults on
// demand, see [Faults].
func InjectBinary(t testing.TB) string {
	t.Helper()
	return TaggedBinary(t, "inject")
}

// Faults are those of each write to the log store of a node with the
// [InjectBinary]. The zero value is a sound disk.
type Faults struct {
	DelayMS int    `json:"delay_ms,omitempty"` // before each write
	Error   string `json:"error,omitempty"`    // instead of each write
	Hang    bool   `json:"hang,omitempty"`     // until other faults are set
}

// faultsName is the file of the faults, beside the data directory.
func (n *Node) faultsName() string { return filepath.Clean(n.Dir) + ".faults" }

// Inject makes the node's store, once it has started, look for faults. It is
// called before the start.
func (n *Node) Inject() { n.Env = append(n.Env, "EVENKEEL_INJECT="+n.faultsName()) }

// SetFaults gives the node's store other faults, from its next write on.
func (n *Node) SetFaults(t testing.TB, f Faults) {
	t.Helper()
	data, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, n.faultsName(), string(data))
}
