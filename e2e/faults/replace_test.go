//go:build linux

package faults

import (
	"fmt"
	"os"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

// caughtUpWithin is how long a node with an empty disk may take until it has
// 100,000 backends.
const caughtUpWithin = 5 * time.Second

// TestF17ANodeIsReplaced by one with its name and an empty disk.
func TestF17ANodeIsReplaced(t *testing.T) {
	r := newRow("F17", "node replaced with an empty disk", atOnce, 100*time.Millisecond, 0)
	backends := 5_000
	if campaign() {
		backends = 100_000
	}
	b := newBed(t, r, bedOptions{})
	harness.Fill(t, b.Leader(t), 50, backends)
	for range rounds(3) {
		replaced := b.Followers(t)[0]
		f := b.begin(replaced)
		replaced.Kill()
		b.waitWrites(20)
		if err := os.RemoveAll(replaced.Dir); err != nil {
			t.Fatal(err)
		}
		replaced.Start(t)
		started := time.Now()
		b.caughtUp(replaced)
		took := time.Since(started)
		r.note("%d backends after %s", backends, seconds(took))
		if campaign() && took > caughtUpWithin {
			t.Errorf("the new node had caught up after %v, at most %v is wanted", took, caughtUpWithin)
		}
		b.hasItsVote(replaced)
		b.WaitFormed(t)
		f.end()
	}
	b.finish()
}

// caughtUp waits until a node has as much as the others had when it was called.
func (b *bed) caughtUp(n *harness.Node) {
	b.t.Helper()
	var want harness.ClusterInfo
	harness.Eventually(b.t, "the others tell their version", func() (err error) {
		want, err = b.Without(n)[0].Cluster()
		return err
	})
	harness.Eventually(b.t, n.Name+" has caught up", func() error {
		info, err := n.Cluster()
		if err == nil && (info.Version < want.Version || info.ID != want.ID) {
			err = fmt.Errorf("it is at version %d of %q, the others were at %d of %q", info.Version, info.ID, want.Version, want.ID)
		}
		return err
	})
}

// hasItsVote waits until a node has the place of its predecessor.
func (b *bed) hasItsVote(n *harness.Node) {
	b.t.Helper()
	harness.Eventually(b.t, n.Name+" has its vote, and its predecessor is gone", func() error {
		members, err := b.Leader(b.t).Members()
		if err != nil {
			return err
		}
		if len(members) != len(b.Nodes) {
			return fmt.Errorf("%+v", members)
		}
		for _, m := range members {
			if m.Name == n.Name && m.Role != "follower" {
				return fmt.Errorf("it is a %s", m.Role)
			}
		}
		return nil
	})
}
