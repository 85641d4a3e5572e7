//go:build linux

package faults

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

// backWithin is how soon after the start of the others the nodes take writes
// again.
const backWithin = 3 * time.Second

// TestF4PowerLoss: all nodes lose their power at once, at moments that the seed
// tells. One that starts alone serves what it knew last; with the others it has
// a quorum again, and everything that was acknowledged.
func TestF4PowerLoss(t *testing.T) {
	r := newRow("F4", "power loss of all", 0, 0, -1)
	for seed := range uint64(4) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 4))
			b := newRecorded(t, r, seed+1, seed%2 == 1)
			b.waitImages()
			hold(time.Duration(random.IntN(3000)) * time.Millisecond)
			b.losePower()
		})
	}
}

// TestF4PowerLossAtASnapshot that raft makes of one node's log at that moment,
// which is cut off after it.
func TestF4PowerLossAtASnapshot(t *testing.T) {
	r := newRow("F4", "power loss at a snapshot", 0, 0, -1)
	for seed := range uint64(2) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 44))
			b := newRecorded(t, r, seed+1, true)
			b.waitImages()
			b.waitSnapshots(b.Nodes...)
			b.waitSnapshots(b.Nodes[random.IntN(len(b.Nodes))])
			hold(time.Duration(random.IntN(20)) * time.Millisecond)
			b.losePower()
		})
	}
}

// TestF4PowerLossAfterARestore of the whole registry.
func TestF4PowerLossAfterARestore(t *testing.T) {
	onlyInCampaign(t)
	c := prepareRecorded(t, true)
	for _, n := range c.Nodes {
		n.Start(t)
	}
	c.WaitFormed(t)
	c.Nodes[0].Add(t, harness.NewBackends(t, 2)...)
	saved, err := c.Nodes[0].Call(http.MethodGet, "/v1/snapshot", nil)
	if err != nil || saved.Status != http.StatusOK {
		t.Fatalf("save: %+v, %v", saved, err)
	}
	c.Nodes[1].Write(t, http.MethodPut, "/v1/pools/later", map[string]any{})
	c.Nodes[2].Write(t, http.MethodPut, "/v1/snapshot", saved.Body)
	losePower(t, c)
	for _, n := range c.Nodes {
		n.Start(t)
	}
	c.WaitFormed(t)
	c.WaitSame(t)
	for _, n := range c.Nodes {
		n.WaitServes(t)
		if answer, err := n.Call(http.MethodGet, "/v1/pools/later", nil); err != nil || answer.Status != http.StatusNotFound {
			t.Errorf("%s has a pool that the snapshot lacks: %+v, %v", n.Name, answer, err)
		}
	}
}

// TestF4PowerLossWhileForming: whatever the founders knew of each other, they
// form one cluster when they are back, and what it acknowledged is in it.
func TestF4PowerLossWhileForming(t *testing.T) {
	onlyInCampaign(t)
	for seed := range uint64(6) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 444))
			c := prepareRecorded(t, false)
			for _, n := range c.Nodes {
				n.Start(t)
			}
			backends := harness.NewBackends(t, 2)
			if seed < 4 {
				hold(time.Duration(random.IntN(1500)) * time.Millisecond)
			} else { // right after the first write
				c.Nodes[0].Add(t, backends...)
			}
			losePower(t, c)
			for _, n := range c.Nodes {
				n.Start(t)
			}
			c.WaitFormed(t)
			if seed < 4 {
				c.Nodes[0].Add(t, backends...)
			}
			for _, n := range c.Nodes {
				n.WaitServes(t)
			}
			c.WaitSame(t)
		})
	}
}

// recorded has a node record what a loss of power would leave.
func recorded(t *testing.T, snapshots bool) func(*harness.Node) {
	return func(n *harness.Node) {
		n.RecordPower(t)
		if snapshots {
			n.Env = append(n.Env, "EVENKEEL_INJECT_SNAPSHOT=often")
		}
	}
}

// prepareRecorded prepares three nodes without a load.
func prepareRecorded(t *testing.T, snapshots bool) *harness.Cluster {
	t.Helper()
	c := harness.Prepare(t, harness.Options{Nodes: 3, Binary: harness.OverlaidBinary(t)})
	for _, n := range c.Nodes {
		recorded(t, snapshots)(n)
	}
	return c
}

func newRecorded(t *testing.T, r *row, seed uint64, snapshots bool) *bed {
	t.Helper()
	onlyInCampaign(t)
	return newBed(t, r, bedOptions{binary: harness.OverlaidBinary(t), prepare: recorded(t, snapshots), seed: seed})
}

// waitImages waits until each node's image has the backends in it.
func (b *bed) waitImages() {
	b.t.Helper()
	harness.Eventually(b.t, "each node has an image with backends", func() error {
		for _, n := range b.Nodes {
			image, err := os.ReadFile(filepath.Join(n.Dir, "image"))
			if err != nil {
				return err
			}
			if !bytes.Contains(image, []byte(`"b2"`)) {
				return errors.New("the image of " + n.Name + " has no backend b2")
			}
		}
		return nil
	})
}

// waitSnapshots waits until each of the nodes makes another snapshot.
func (b *bed) waitSnapshots(nodes ...*harness.Node) {
	b.t.Helper()
	newest := func(n *harness.Node) string {
		all, err := os.ReadDir(filepath.Join(n.Dir, "snapshots"))
		if err != nil || len(all) == 0 {
			return ""
		}
		return all[len(all)-1].Name()
	}
	for _, n := range nodes {
		before := newest(n)
		harness.Eventually(b.t, n.Name+" makes a snapshot", func() error {
			if newest(n) == before {
				return errors.New("it is still " + before)
			}
			return nil
		})
	}
}

// losePower ends all nodes at once, and undoes what was not synced.
func losePower(t *testing.T, c *harness.Cluster) {
	t.Helper()
	var kills sync.WaitGroup
	for _, n := range c.Nodes {
		kills.Go(n.Kill)
	}
	kills.Wait()
	for _, n := range c.Nodes {
		n.LosePower(t)
	}
}

// losePower has all nodes lose their power, and checks what they promise when
// they come back.
func (b *bed) losePower() {
	b.t.Helper()
	f := b.begin(b.Nodes...)
	losePower(b.t, b.Cluster)
	first := b.Nodes[0]
	begun := time.Now()
	first.Start(b.t)
	first.WaitServes(b.t)
	served := time.Since(begun)
	if info, err := first.Cluster(); err != nil || info.Quorum || info.ID == "" || info.Detached != "" {
		b.t.Fatalf("alone: %+v, %v", info, err)
	}
	failed := len(b.load.FailuresAt(first.HTTP))
	b.load.WaitRequests(b.t, 100, first.HTTP)
	if now := b.load.FailuresAt(first.HTTP); len(now) > failed {
		b.t.Errorf("the node that is alone failed requests: %v", now[failed:])
	}
	begun = time.Now()
	for _, n := range b.Nodes[1:] {
		n.Start(b.t)
	}
	b.waitWrites(1)
	back := time.Since(begun)
	b.row.note("served after %s, writes after %s", seconds(served), seconds(back))
	if back > backWithin {
		b.t.Errorf("writes were taken %v after the start, at most %v is wanted", back, backWithin)
	}
	b.WaitFormed(b.t)
	f.end()
	b.finish()
}
