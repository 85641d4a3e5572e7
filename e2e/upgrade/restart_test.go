package upgrade

import (
	"testing"

	"evenkeel/e2e/harness"
)

// TestF14RollingRestart: each node is told to end and started again, one after
// the other, and no client notices.
func TestF14RollingRestart(t *testing.T) {
	f := newFlow(t, "f14", harness.Options{Nodes: 3})
	rounds := 1
	if long() {
		rounds = 2
	}
	for range rounds {
		for _, n := range f.Nodes {
			f.replace(t, n, "")
		}
	}
	f.end(t)
}
