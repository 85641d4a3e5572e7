package cluster

import (
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// slow gives some nodes disks of which a write takes so long, of term and vote too.
func (s *simulation) slow(takes time.Duration, nodes ...*simNode) {
	for _, n := range nodes {
		n.log.takes.Store(int64(takes))
		n.stable.takes.Store(int64(takes))
	}
}

func (s *simulation) all() (nodes []*simNode) {
	for _, n := range s.nodes {
		nodes = append(nodes, n)
	}
	return nodes
}

func TestALeaderKeepsItsOfficeWhileDisksAreSlow(t *testing.T) {
	for name, c := range map[string]struct {
		takes time.Duration
		whose func(leader, follower, other *simNode) []*simNode
	}{
		"all, as long as the lease":          {200 * time.Millisecond, func(l, f, o *simNode) []*simNode { return []*simNode{l, f, o} }},
		"all, longer than the lease":         {700 * time.Millisecond, func(l, f, o *simNode) []*simNode { return []*simNode{l, f, o} }},
		"both followers, longer":             {700 * time.Millisecond, func(_, f, o *simNode) []*simNode { return []*simNode{f, o} }},
		"the leader's alone, which can tell": {1500 * time.Millisecond, func(l, _, _ *simNode) []*simNode { return []*simNode{l} }},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, keepLog, func(s *simulation, leader, follower *simNode) {
				term := s.term()
				s.slow(c.takes, c.whose(leader, follower, s.nodes["n3"])...)
				s.write(leader, 50)
				s.slow(0, s.all()...)
				s.write(leader, 50)
				if after := s.term(); after != term || leader.raft.State() != raft.Leader {
					t.Errorf("term %d, before %d, and n1 is %s", after, term, leader.raft.State())
				}
			})
		})
	}
}

// hashicorp/raft#695: who hangs is not to look alive.
func TestALeaderWhoseFollowersHangLeavesItsOffice(t *testing.T) {
	simulate(t, keepLog, func(s *simulation, leader, follower *simNode) {
		s.slow(time.Minute, follower, s.nodes["n3"])
		leader.raft.Apply([]byte("entry"), 0)
		begun := time.Now()
		for leader.raft.State() == raft.Leader && time.Since(begun) < 30*time.Second {
			<-time.After(time.Millisecond)
		}
		if took, most := time.Since(begun), answersFor+500*time.Millisecond; took > most || took < answersFor {
			t.Errorf("it left after %s, want %s to %s", took, answersFor, most)
		}
		s.slow(0, s.all()...)
	})
}

func TestALeaderIsFoundWhileAllDisksAreSlow(t *testing.T) {
	for _, takes := range []time.Duration{50 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond} {
		t.Run(takes.String(), func(t *testing.T) {
			simulate(t, keepLog, func(s *simulation, leader, _ *simNode) {
				s.slow(takes, s.all()...)
				for range 10 {
					begun, term := time.Now(), s.term()
					leader.goAway(true)
					next := s.leaderOf(leader)
					found := time.Since(begun)
					s.write(next, 3)
					t.Logf("found after %s, in %d terms, wrote after %s", found, s.term()-term, time.Since(begun))
					if most := 2*time.Second + 20*takes; time.Since(begun) > most {
						t.Errorf("writes went on after %s, at most %s is wanted", time.Since(begun), most)
					}
					leader.goAway(false)
					<-time.After(5 * time.Second)
					if next.raft.State() != raft.Leader {
						t.Errorf("%s leads no more", next.addr)
					}
					leader = s.leaderOf()
				}
				s.slow(0, s.all()...)
				for range 3 { // each disk has as many writes as count
					s.write(leader, 1)
					<-time.After(5 * time.Second)
				}
				for _, n := range s.nodes {
					if wait := n.raft.ReloadableConfig().ElectionTimeout; wait != n.transport.timeout {
						t.Errorf("%s waits %s for votes when its disk is fast again, want %s", n.addr, wait, n.transport.timeout)
					}
				}
			})
		})
	}
}

// What else a follower is asked waits for raft, and nothing waits behind it.
func TestHeartbeatsAreAnsweredBesideCallsThatWait(t *testing.T) {
	simulate(t, keepLog, func(s *simulation, leader, follower *simNode) {
		other, term := s.nodes["n3"], s.term()
		s.slow(900*time.Millisecond, follower, other)
		written := leader.raft.Apply([]byte("entry"), 0)
		<-time.After(100 * time.Millisecond)
		var asking sync.WaitGroup
		for from, to := range map[*simNode]*simNode{follower: other, other: follower} {
			asking.Go(func() {
				var vote raft.RequestVoteResponse
				if err := from.transport.RequestVote(raft.ServerID(to.addr), to.addr, &raft.RequestVoteRequest{RPCHeader: from.transport.header()}, &vote); err != nil || vote.Granted {
					t.Errorf("a vote of term 0: %v, granted: %v", err, vote.Granted)
				}
			})
		}
		if err := written.Error(); err != nil {
			t.Error(err)
		}
		asking.Wait()
		if after := s.term(); after != term || leader.raft.State() != raft.Leader {
			t.Errorf("term %d, before %d, and n1 is %s", after, term, leader.raft.State())
		}
	})
}
