//go:build linux

package faults

import (
	"fmt"
	"testing"
	"time"

	"evenkeel/e2e/harness"
	"evenkeel/e2e/network"
)

// settled is how long after a fault nobody may start an election.
const settled = 3 * time.Second

// knowsNoLeader waits until a node says that it has no quorum.
func (b *bed) knowsNoLeader(n *harness.Node) {
	b.t.Helper()
	harness.Eventually(b.t, n.Name+" knows no leader", func() error {
		if info, err := n.Cluster(); err != nil || info.Quorum {
			return fmt.Errorf("%+v, %v", info, err)
		}
		return nil
	})
}

// heal makes the network sound again, and returns how many elections that
// cost.
func (b *bed) heal() int {
	b.t.Helper()
	before := b.term()
	b.lab.Heal()
	b.WaitFormed(b.t)
	hold(settled)
	return int(b.term() - before)
}

// partition cuts one node off from the others for a while.
func (b *bed) partition(n *harness.Node, leads bool) {
	b.t.Helper()
	lost := b.lab.Lost()
	f := b.begin()
	if !leads {
		f.strands(n)
	}
	b.lab.Isolate(b.number(n), network.Cut, network.Cut)
	b.knowsNoLeader(n)
	b.ledByAnother(n)
	b.waitWrites(20)
	b.load.WaitRequests(b.t, 300, harness.HTTPAddresses(b.Nodes)...)
	if b.lab.Lost() == lost {
		b.void("the partition cut nothing off")
	}
	if elections := b.heal(); elections > 0 {
		b.t.Errorf("%d elections after the partition healed", elections)
	}
	b.waitWrites(20)
	f.end()
}

func TestF5TheLeaderIsInTheMinority(t *testing.T) {
	b := newBed(t, newRow("F5", "partition, leader in the minority", 500*time.Millisecond, 1200*time.Millisecond, -1), bedOptions{lab: true})
	for range rounds(8) {
		b.partition(b.Leader(t), true)
	}
	b.finish()
}

func TestF6TheLeaderIsInTheMajority(t *testing.T) {
	onlyInCampaign(t)
	b := newBed(t, newRow("F6", "partition, leader in the majority", atOnce, 100*time.Millisecond, 0), bedOptions{lab: true})
	for round := range rounds(6) {
		b.partition(b.Followers(t)[round%2], false)
	}
	b.finish()
}

// TestF7PartOfTheNetworkIsCut in one direction, between one pair of nodes, and
// for TCP alone, so that gossip says that all is well.
func TestF7PartOfTheNetworkIsCut(t *testing.T) {
	onlyInCampaign(t)
	b := newBed(t, newRow("F7", "one way in, out, one pair, TCP only", 500*time.Millisecond, 2500*time.Millisecond, 2), bedOptions{lab: true})
	onlyTCP := network.Link{Lose: 1, OnlyTCP: true}
	faults := map[string]func(leader, follower, other int){
		"into the leader":                   func(leader, _, _ int) { b.lab.Isolate(leader, network.Cut, network.Link{}) },
		"out of the leader":                 func(leader, _, _ int) { b.lab.Isolate(leader, network.Link{}, network.Cut) },
		"into a follower":                   func(_, follower, _ int) { b.lab.Isolate(follower, network.Cut, network.Link{}) },
		"out of a follower":                 func(_, follower, _ int) { b.lab.Isolate(follower, network.Link{}, network.Cut) },
		"between the leader and another":    func(leader, follower, _ int) { b.cutPair(leader, follower) },
		"between the followers":             func(_, follower, other int) { b.cutPair(follower, other) },
		"TCP of the leader":                 func(leader, _, _ int) { b.lab.Isolate(leader, onlyTCP, onlyTCP) },
		"TCP of a follower":                 func(_, follower, _ int) { b.lab.Isolate(follower, onlyTCP, onlyTCP) },
		"TCP from the leader to a follower": func(leader, follower, _ int) { b.lab.Set(leader, follower, onlyTCP) },
	}
	for name, cut := range faults {
		leader, followers := b.Leader(t), b.Followers(t)
		lost := b.lab.Lost()
		f := b.begin()
		cut(b.number(leader), b.number(followers[0]), b.number(followers[1]))
		hold(4 * time.Second)
		b.waitWrites(20)
		if b.lab.Lost() == lost {
			b.void("%s nothing was cut", name)
		}
		b.heal()
		f.end()
		t.Log(name)
	}
	b.finish()
}

func (b *bed) cutPair(one, other int) {
	b.lab.Set(one, other, network.Cut)
	b.lab.Set(other, one, network.Cut)
}

// TestF8TheNetworkIsBad at one node, the leader included: its links to the
// others and its clients lose some of what they carry, or take long.
func TestF8TheNetworkIsBad(t *testing.T) {
	onlyInCampaign(t)
	for _, test := range []struct {
		name  string
		link  network.Link
		worst time.Duration
		most  int
	}{
		{"loss of 10 %", network.Link{Lose: 0.1}, 0, 0},
		{"loss of 20 %", network.Link{Lose: 0.2}, 0, -1},
		{"loss of 30 %", network.Link{Lose: 0.3}, 3 * time.Second, -1},
		{"delay of 50 ± 20 ms", network.Link{Delay: 50 * time.Millisecond, Jitter: 20 * time.Millisecond}, 0, -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBed(t, newRow("F8", test.name, 0, test.worst, test.most), bedOptions{lab: true})
			for _, bad := range []*harness.Node{b.Followers(t)[0], b.Leader(t)} {
				lost := b.lab.Lost()
				f := b.begin(bad)
				b.lab.Isolate(b.number(bad), test.link, test.link)
				heal := func() {}
				if test.link.Lose > 0 {
					heal = b.lab.LoseClients(b.number(bad), int(100*test.link.Lose))
				}
				hold(15 * time.Second)
				if test.link.Lose > 0 && b.lab.Lost() == lost {
					b.void("nothing was lost")
				}
				heal()
				b.heal()
				b.waitWrites(20)
				f.end()
			}
			b.finish()
		})
	}
}
