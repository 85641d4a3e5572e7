//go:build linux

package faults

import (
	"fmt"
	"os"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

// detached waits until a node says that it has no part in Raft.
func detached(t *testing.T, n *harness.Node) {
	t.Helper()
	harness.Eventually(t, n.Name+" is detached", func() error {
		info, err := n.Cluster()
		if err == nil && info.Detached == "" {
			err = fmt.Errorf("%+v", info)
		}
		return err
	})
}

// newDiskBed starts three nodes that each have a disk of their own.
func newDiskBed(t *testing.T, r *row) *bed {
	t.Helper()
	onlyInCampaign(t)
	if os.Geteuid() != 0 {
		t.Skip("to mount file systems needs root")
	}
	return newBed(t, r, bedOptions{disks: true})
}

// TestF10TheLeadersDiskHangs: leadership leaves, traffic does not notice, and
// the node takes part again by itself.
func TestF10TheLeadersDiskHangs(t *testing.T) {
	r := newRow("F10", "the leader's disk hangs", 0, 3*time.Second, -1)
	b := newDiskBed(t, r)
	for range rounds(3) {
		leader := b.Leader(t)
		f := b.begin()
		thaw := b.disks[leader].freeze()
		b.ledByAnother(leader)
		r.note("left after %s", seconds(time.Since(f.begun)))
		detached(t, leader)
		b.waitWrites(20)
		thaw()
		b.WaitFormed(t)
		f.end()
	}
	b.finish()
}

// TestF10AllDisksHang: writes fail, traffic does not.
func TestF10AllDisksHang(t *testing.T) {
	b := newDiskBed(t, newRow("F10", "all disks hang", 0, 0, -1))
	f := b.begin()
	var thaws []func()
	for _, n := range b.Nodes {
		thaws = append(thaws, b.disks[n].freeze())
	}
	for _, n := range b.Nodes {
		b.knowsNoLeader(n)
	}
	b.load.WaitRequests(t, 500, harness.HTTPAddresses(b.Nodes)...)
	for _, thaw := range thaws {
		thaw()
	}
	b.WaitFormed(t)
	b.waitWrites(20)
	f.end()
	b.finish()
}

// TestF11TheLeadersDiskIsFull for a while.
func TestF11TheLeadersDiskIsFull(t *testing.T) {
	b := newDiskBed(t, newRow("F11", "the leader's disk is full", time.Second, 2*time.Second, -1))
	for range rounds(3) {
		leader := b.Leader(t)
		f := b.begin()
		empty := b.disks[leader].fill()
		b.ledByAnother(leader)
		b.waitWrites(50)
		empty()
		b.WaitFormed(t)
		f.end()
	}
	b.finish()
}
