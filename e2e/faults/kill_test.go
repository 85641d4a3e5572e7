//go:build linux

package faults

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

// atOnce stands for 0: in some seconds a client whose writes are all synced by
// two nodes of one machine sees a gap of some tens of milliseconds in any case,
// which the table has beside it.
const atOnce = 50 * time.Millisecond

// ledByAnother waits until the running nodes follow somebody else.
func (b *bed) ledByAnother(old *harness.Node) *harness.Node {
	b.t.Helper()
	var leader string
	harness.Eventually(b.t, "another node leads", func() error {
		leader = ""
		for _, n := range b.Without(old) {
			info, err := n.Cluster()
			if err != nil {
				return err
			}
			if info.Leader == "" || info.Leader == old.Name || leader != "" && info.Leader != leader {
				return fmt.Errorf("%s says %q, another one %q", n.Name, info.Leader, leader)
			}
			leader = info.Leader
		}
		return nil
	})
	return b.Nodes[slices.IndexFunc(b.Nodes, func(n *harness.Node) bool { return n.Name == leader })]
}

// killed kills a node, waits for writes without it, and starts it again.
func (b *bed) killed(n *harness.Node, leads bool) {
	b.t.Helper()
	f := b.begin(n)
	n.Kill()
	if leads {
		b.ledByAnother(n)
	}
	b.waitWrites(20)
	n.Start(b.t)
	b.WaitFormed(b.t)
	b.waitWrites(20)
	f.end()
}

func TestF1TheLeaderIsKilled(t *testing.T) {
	b := newBed(t, newRow("F1", "kill -9 of the leader", 500*time.Millisecond, 1200*time.Millisecond, -1), bedOptions{})
	for range rounds(10) {
		b.killed(b.Leader(t), true)
	}
	b.finish()
}

// TestF1EtcdsLeaderIsKilled is F1 with etcd and its defaults, for comparison.
func TestF1EtcdsLeaderIsKilled(t *testing.T) {
	onlyInCampaign(t)
	members := harness.NewEtcd(t)
	r := newRow("F1", "the same, etcd", 0, 0, -1)
	var targets []writeTarget
	for _, member := range members {
		targets = append(targets, etcdTarget{member})
	}
	harness.EtcdLeader(t, members)
	var clients []*gapClient
	for i := range targets {
		clients = append(clients, startGapClient(t, i, targets, attemptLimit))
	}
	for range 10 {
		leader := members[harness.EtcdLeader(t, members)]
		waitWrites(t, clients, 20)
		begun := time.Now()
		leader.Kill()
		waitWrites(t, clients, 20)
		leader.Restart()
		harness.EtcdLeader(t, members)
		waitWrites(t, clients, 20)
		r.gaps = append(r.gaps, longestOf(clients, begun)...)
		r.times++
	}
}

// etcdTarget writes a key of each client's own.
type etcdTarget struct{ *harness.EtcdMember }

func (e etcdTarget) write(ctx context.Context, client, _ int) error {
	return e.Write(ctx, fmt.Sprintf("w%d", client))
}

func TestF2AFollowerIsKilled(t *testing.T) {
	onlyInCampaign(t)
	b := newBed(t, newRow("F2", "kill -9 of a follower", atOnce, 100*time.Millisecond, 0), bedOptions{})
	for round := range rounds(10) {
		b.killed(b.Followers(t)[round%2], false)
	}
	b.finish()
}

// TestF16TheQuorumIsLostAndComesBack within two seconds of the start of what
// was missing.
func TestF16TheQuorumIsLostAndComesBack(t *testing.T) {
	onlyInCampaign(t)
	r := newRow("F16", "quorum lost and back", 0, 0, -1)
	b := newBed(t, r, bedOptions{})
	for round := range rounds(5) {
		dead := []*harness.Node{b.Leader(t), b.Followers(t)[round%2]}
		f := b.begin(dead...)
		for _, n := range dead {
			n.Kill()
		}
		last := b.Running()[0]
		harness.Eventually(t, "the last node knows that the quorum is lost", func() error {
			if info, err := last.Cluster(); err != nil || info.Quorum {
				return fmt.Errorf("%+v, %v", info, err)
			}
			return nil
		})
		b.load.WaitRequests(t, 300, last.HTTP)
		for _, n := range dead {
			n.Start(t)
		}
		back := time.Now()
		b.waitWrites(1)
		took := time.Since(back)
		r.note("back after %s", seconds(took))
		if campaign() && took > 2*time.Second {
			t.Errorf("writes were taken %v after the start, at most 2s are wanted", took)
		}
		b.WaitFormed(t)
		f.end()
	}
	b.finish()
}

func TestF18TwoOfFiveNodesDieAtOnce(t *testing.T) {
	onlyInCampaign(t)
	b := newBed(t, newRow("F18", "two of five nodes die at once", time.Second, 2*time.Second, -1), bedOptions{nodes: 5})
	for round := range rounds(5) {
		leader := b.Leader(t)
		follower := b.Followers(t)[round%4]
		f := b.begin(leader, follower)
		leader.Kill()
		follower.Kill()
		b.ledByAnother(leader)
		b.waitWrites(20)
		leader.Start(t)
		follower.Start(t)
		b.WaitFormed(t)
		b.waitWrites(20)
		f.end()
	}
	b.finish()
}
