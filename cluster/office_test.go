package cluster

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func TestANodeThatStopsTakesNoOffice(t *testing.T) {
	c := newTestCluster(t)
	c.form(3)
	leader, stopping := c.leader(), c.follower()
	part, term := leader.consensus.Load(), leader.consensus.Load().raft.CurrentTerm()
	stopping.consensus.Load().transport.leaving.Store(true)

	// It declines at once, and is told by nobody's election.
	id := raft.ServerID(stopping.UID())
	if err := part.raft.LeadershipTransferToServer(id, raft.ServerAddress(id)).Error(); err == nil || part.raft.CurrentTerm() != term {
		t.Error("it took the leadership")
	}
	unsafely(t, c.ask(leader.TransferLeadership, stopping.UID()), "did not take the leadership")
	c.put(leader, numbered(1))

	// What stands by itself gets no vote, and does not raise the term.
	for range 3 {
		stopping.consensus.Load().transport.wake(stopping.consensus.Load().raft)
	}
	c.kill(leader.Name())
	for _, n := range c.nodes {
		eventually(t, "the other one leads", func() bool {
			uid := n.Status().LeaderUID
			return uid != "" && uid != leader.UID()
		})
		if n.Status().LeaderUID == stopping.UID() {
			t.Error("a node that stops was elected")
		}
	}
	// It votes, and follows.
	c.put(stopping, numbered(2))
}

// It would be elected again and again where its turn is first, and step down each
// time: whether it can write shows with the first entry of its term.
func TestALeaderThatCannotWriteIsReplacedAtOnce(t *testing.T) {
	for range 5 {
		simulate(t, keepLog, func(s *simulation, leader, _ *simNode) {
			term := s.term()
			leader.log.full.Store(true)
			if err := leader.raft.Apply([]byte("entry"), 0).Error(); err == nil {
				t.Fatal("the entry is written")
			}
			<-time.After(time.Second)
			if next, now := s.leaderOf(), s.term(); next == leader || now != term+1 {
				t.Errorf("in term %d, before %d, it is %s", now, term, next.addr)
			}
			// As soon as it can write it may lead again.
			leader.log.full.Store(false)
			s.write(s.leaderOf(), 1)
			<-time.After(time.Second)
			if why := leader.transport.abstains(); why != nil {
				t.Errorf("it still abstains: %v", why)
			}
		})
	}
}

// Nobody would lead if all who once failed to write waited for another one's entry.
func TestNodesThatCouldNotWriteElectALeaderOnceTheyCan(t *testing.T) {
	simulate(t, keepLog, func(s *simulation, leader, _ *simNode) {
		for _, n := range s.nodes {
			n.log.full.Store(true)
		}
		if err := leader.raft.Apply([]byte("entry"), 0).Error(); err == nil {
			t.Fatal("the entry is written")
		}
		<-time.After(10 * time.Second)
		for _, n := range s.nodes {
			n.log.full.Store(false)
		}
		begun := time.Now()
		s.write(s.leaderOf(), 5)
		if took := time.Since(begun); took > unfitFor+2*time.Second {
			t.Errorf("that took %s", took)
		}
	})
}
