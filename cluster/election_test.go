package cluster

import (
	"log/slog"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// leaderOf returns who leads of those that are not away, and waits for it.
func (s *simulation) leaderOf(without ...*simNode) *simNode {
	s.t.Helper()
	for begun := time.Now(); ; <-time.After(time.Millisecond) {
		for _, n := range s.nodes {
			gone := false
			for _, w := range without {
				gone = gone || n == w
			}
			if !gone && n.raft.State() == raft.Leader {
				return n
			}
		}
		if time.Since(begun) > time.Minute {
			s.t.Fatal("nobody leads for a minute")
		}
	}
}

// terms returns the newest term.
func (s *simulation) term() (term uint64) {
	for _, n := range s.nodes {
		term = max(term, n.raft.CurrentTerm())
	}
	return term
}

// raft by itself takes from one to three timeouts, and more if two stand at once.
func TestASilentLeaderIsReplacedWhenItsTimeoutEnds(t *testing.T) {
	simulate(t, keepLog, func(s *simulation, leader, _ *simNode) {
		for range 30 {
			term, begun := s.term(), time.Now()
			leader.goAway(true)
			next := s.leaderOf(leader)
			// A heartbeat may have come a moment before, or two of them ago.
			if took, most := time.Since(begun), 250*time.Millisecond; took > most {
				t.Errorf("%s led %s after %s went silent, want at most %s", next.addr, took, leader.addr, most)
			}
			if after := next.raft.CurrentTerm(); after != term+1 {
				t.Errorf("it took %d terms", after-term)
			}
			<-time.After(time.Second)
			leader.goAway(false)
			<-time.After(time.Second)
			s.write(next, 1)
			s.within(time.Second, next, leader)
			leader = next
		}
	})
}

// The one whose turn it is may not have all that is committed.
func TestAFollowerThatIsBehindLetsTheOtherLead(t *testing.T) {
	simulate(t, keepLog, func(s *simulation, leader, behind *simNode) {
		behind.log.full.Store(true)
		s.write(leader, 10)
		<-time.After(time.Second)
		begun := time.Now()
		leader.goAway(true)
		next := s.leaderOf(leader)
		if next == behind {
			t.Fatalf("%s leads without what was committed", next.addr)
		}
		if took, most := time.Since(begun), 250*time.Millisecond; took > most {
			t.Errorf("%s led after %s, want at most %s", next.addr, took, most)
		}
	})
}

// A follower that alone does not hear the leader gets no vote of one that does.
func TestALeaderThatOneFollowerHearsIsNotReplaced(t *testing.T) {
	for name, writing := range map[string]time.Duration{
		"it answers at once":                           0,
		"its disk takes longer than the timeout":       450 * time.Millisecond,
		"its disk takes much longer than the timeouts": 3 * time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, keepLog, func(s *simulation, leader, deaf *simNode) {
				hears := s.nodes["n3"]
				term := s.term()
				s.cutOff(leader, deaf)
				<-time.After(10 * time.Second)
				if after := s.term(); after != term || leader.raft.State() != raft.Leader {
					t.Fatalf("term %d, before %d, and n1 is %s", after, term, leader.raft.State())
				}
				if writing == 0 {
					return
				}
				// The leader goes, since nobody answers it, but n3 is at work on what
				// it sent: nobody who asks is told that n3 hears nothing.
				hears.log.takes.Store(int64(writing))
				leader.raft.Apply([]byte("entry"), 0)
				<-time.After(writing - 50*time.Millisecond)
				if hears.transport.followsSilent(hears.raft, []byte("n2")) || s.term() != term {
					t.Errorf("n3 takes the leader for silent while it writes what that sent; term %d, before %d", s.term(), term)
				}
				hears.log.takes.Store(0)
			})
		})
	}
}

// Who asks for votes is judged by raft's own conditions.
func TestACandidateIsToldWhetherItMayWin(t *testing.T) {
	simulate(t, keepLog, func(s *simulation, leader, voter *simNode) {
		for voter.raft.LastIndex() != leader.raft.LastIndex() { // two of three are enough for the leader
			<-time.After(time.Millisecond)
		}
		index, term, err := lastEntry(voter.raft)
		if err != nil || index != voter.raft.LastIndex() || term != s.term() {
			t.Fatalf("the last entry is %d of term %d (%v), want %d of %d", index, term, err, voter.raft.LastIndex(), s.term())
		}
		request := func(change func(*raft.RequestPreVoteRequest)) *raft.RequestPreVoteRequest {
			r := &raft.RequestPreVoteRequest{
				RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte("n3"), Addr: []byte("n3")},
				Term:      term + 1, LastLogIndex: index, LastLogTerm: term,
			}
			change(r)
			return r
		}
		for name, c := range map[string]struct {
			change func(*raft.RequestPreVoteRequest)
			want   standing
		}{
			"it has the same log":                    {func(*raft.RequestPreVoteRequest) {}, mayWin},
			"it has more":                            {func(r *raft.RequestPreVoteRequest) { r.LastLogIndex++ }, mayWin},
			"it has less, of a later term":           {func(r *raft.RequestPreVoteRequest) { r.LastLogIndex--; r.LastLogTerm++ }, mayWin},
			"it has less":                            {func(r *raft.RequestPreVoteRequest) { r.LastLogIndex-- }, isBehind},
			"it has more, of an earlier term":        {func(r *raft.RequestPreVoteRequest) { r.LastLogIndex++; r.LastLogTerm-- }, isBehind},
			"its term is over":                       {func(r *raft.RequestPreVoteRequest) { r.Term = term - 1 }, isRaftsAffair},
			"it is no member":                        {func(r *raft.RequestPreVoteRequest) { r.ID = []byte("n9") }, isRaftsAffair},
			"it speaks another version of the calls": {func(r *raft.RequestPreVoteRequest) { r.ProtocolVersion-- }, isRaftsAffair},
		} {
			if got := voter.transport.compare(voter.raft, request(c.change)); got != c.want {
				t.Errorf("%s: %d, want %d", name, got, c.want)
			}
		}
	})
}

// A node whose log was cut behind its snapshot goes by that.
func TestTheLastEntryMayBeInTheSnapshot(t *testing.T) {
	simulate(t, cutLog, func(s *simulation, leader, follower *simNode) {
		follower.goAway(true)
		s.write(leader, 10)
		if err := leader.raft.Snapshot().Error(); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second)
		follower.goAway(false)
		s.within(2*time.Second, leader, follower)
		index, term, err := lastEntry(follower.raft)
		if err != nil || index != leader.raft.LastIndex() || term != leader.raft.CurrentTerm() {
			t.Errorf("the last entry is %d of term %d (%v), want %d of %d", index, term, err, leader.raft.LastIndex(), leader.raft.CurrentTerm())
		}
	})
}

// What waits for raft does not outlive the transport.
func TestCallsThatNobodyTakesEndWithTheTransport(t *testing.T) {
	tr := newTransport(&simNode{of: &simulation{}, closed: make(chan struct{})}, "n1", time.Second, newRaftLogger(slog.New(slog.DiscardHandler), "raft"))
	tr.take(raft.RPC{Command: &raft.RequestPreVoteRequest{}, RespChan: make(chan raft.RPCResponse, 1)})
	go tr.take(raft.RPC{Command: &raft.AppendEntriesRequest{}, RespChan: make(chan raft.RPCResponse, 1)})
	eventually(t, "raft has a call to answer", func() bool { return tr.atWork.Load() == 1 })
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
	if left := tr.atWork.Load(); left != 0 {
		t.Errorf("%d calls are left", left)
	}
}
