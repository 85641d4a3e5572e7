package cluster

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

func TestVotesAreWaitedForAsLongAsTheDisksTake(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		timeout, own time.Duration
		others       []time.Duration
		silent       []time.Duration
		want         time.Duration
	}{
		"all disks are fast":                       {200 * ms, 5 * ms, []time.Duration{5 * ms, 20 * ms}, nil, 200 * ms},
		"nothing was written lately":               {200 * ms, 0, []time.Duration{0, 0}, nil, 200 * ms},
		"all are slow":                             {200 * ms, 200 * ms, []time.Duration{200 * ms, 200 * ms}, nil, 1400 * ms},
		"one is slow that is not needed":           {200 * ms, 5 * ms, []time.Duration{900 * ms, 5 * ms}, nil, 200 * ms},
		"two of four others are needed":            {200 * ms, 5 * ms, []time.Duration{900 * ms, 40 * ms, 100 * ms, 900 * ms}, nil, 500 * ms},
		"this node's is slow":                      {200 * ms, 100 * ms, []time.Duration{5 * ms, 5 * ms}, nil, 500 * ms},
		"it is a multiple of the step":             {200 * ms, 101 * ms, []time.Duration{5 * ms, 5 * ms}, nil, 550 * ms},
		"they are so slow that nothing helps":      {200 * ms, time.Minute, []time.Duration{time.Minute, time.Minute}, nil, 3 * time.Second},
		"the profile waits for longer than that":   {5 * time.Second, time.Second, []time.Duration{time.Second, time.Second}, nil, 5 * time.Second},
		"it is alone":                              {200 * ms, 100 * ms, nil, nil, 500 * ms},
		"there is one other, whose vote is needed": {200 * ms, 5 * ms, []time.Duration{100 * ms}, nil, 500 * ms},
		"the leader is silent, the other is slow":  {200 * ms, 5 * ms, []time.Duration{100 * ms}, []time.Duration{ms}, 500 * ms},
		"the vote of the silent one is needed":     {200 * ms, 5 * ms, nil, []time.Duration{100 * ms}, 500 * ms},
	} {
		t.Run(name, func(t *testing.T) {
			if got := voteWait(c.timeout, c.own, slices.Clone(c.others), slices.Clone(c.silent)); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

// No entry is written before the first leader.
func TestAnElectionsOwnWritesTellHowFastTheDiskIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWriteTimes()
		want := func(when string, want time.Duration) {
			t.Helper()
			if got := w.newest(time.Now()); got != want {
				t.Errorf("%s: %v, want %v", when, got, want)
			}
		}
		write := func(begin func() func(error), took time.Duration) {
			end := begin()
			time.Sleep(took)
			end(nil)
		}
		log := func() func(error) { return w.begin(1) }
		want("nothing is written", 0)
		for range 3 {
			write(w.beginTerm, 300*time.Millisecond)
		}
		want("three slow writes of term and vote", 300*time.Millisecond)
		if takes := w.typical(time.Now()); takes != 0 {
			t.Errorf("the log's typical write takes %v, and there was none", takes)
		}
		write(log, time.Millisecond)
		want("a fast one to the log", 300*time.Millisecond)
		write(log, 2*time.Millisecond)
		want("two", 2*time.Millisecond)
		end := w.beginTerm()
		time.Sleep(time.Second)
		want("one that hangs", 2*time.Millisecond)
		end(nil)
		write(w.beginTerm, time.Second)
		time.Sleep(smallKept - time.Second)
		want("two slow ones", time.Second)
		time.Sleep(2 * time.Second)
		want("long after that", 0)
	})
}

// Who has given its vote does not tell another that it would get it.
func TestAPreVoteIsRefusedByWhoHasGivenItsVote(t *testing.T) {
	for name, c := range map[string]struct {
		term  uint64
		from  string
		after time.Duration
		want  bool
	}{
		"another asks":                           {7, "n2", 199 * time.Millisecond, false},
		"another asks when votes are late":       {7, "n2", 200 * time.Millisecond, true},
		"who got the vote asks":                  {7, "n3", 0, true},
		"another asks for the vote of a term on": {8, "n2", 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, keepLog, func(s *simulation, _, voter *simNode) {
				voter.transport.voted(7, []byte("n3"))
				<-time.After(c.after)
				request := &raft.RequestPreVoteRequest{RPCHeader: raft.RPCHeader{Addr: []byte(c.from)}, Term: c.term}
				would := &raft.RequestPreVoteResponse{Term: 7, Granted: true}
				answer := voter.transport.unlessPledged(request, raft.RPCResponse{Response: would})
				if got := answer.Response.(*raft.RequestPreVoteResponse).Granted; got != c.want || !would.Granted {
					t.Errorf("granted: %v, want %v", got, c.want)
				}
				if voter.transport.unlessPledged(request, raft.RPCResponse{Error: errFull}).Error == nil {
					t.Error("an error is lost")
				}
			})
		})
	}
}

// A candidate whose writes are slow is asked by a rival meanwhile, and answers when
// they have ended.
func TestTheStoreTellsOfAVoteOnceItIsWritten(t *testing.T) {
	simulate(t, keepLog, func(s *simulation, leader, _ *simNode) {
		leader.goAway(true)
		next := s.leaderOf(leader)
		term := s.term()
		for addr, n := range s.nodes {
			pledge := n.transport.pledge.Load()
			if n != leader && (pledge == nil || pledge.term != term || pledge.to != next.addr) {
				t.Errorf("%s has given %+v, want its vote in term %d to %s", addr, pledge, term, next.addr)
			}
		}
	})
}

// Who stands alone stays a candidate, also when its disk is fast again.
func TestACandidateWaitsShorterOnceItsDiskIsFastAgain(t *testing.T) {
	simulate(t, keepLog, func(s *simulation, _, alone *simNode) {
		alone.goAway(true)
		for _, takes := range []time.Duration{100 * time.Millisecond, 0} {
			s.slow(takes, alone)
			alone.transport.wake(alone.raft)
			for alone.raft.State() != raft.Candidate {
				<-time.After(time.Millisecond)
			}
			want := voteWait(alone.transport.timeout, takes, nil, nil)
			alone.transport.waitForVotes(alone.raft, want)
			settings := alone.raft.ReloadableConfig()
			if settings.ElectionTimeout != want || settings.HeartbeatTimeout != alone.transport.timeout {
				t.Errorf("its writes take %s: %+v, want an election timeout of %s", takes, settings, want)
			}
			if waits := time.Duration(alone.transport.election.Load()); waits != want {
				t.Errorf("its writes take %s: it goes by %s, want %s", takes, waits, want)
			}
		}
		alone.goAway(false)
	})
}

// Who is silent is not among those whose votes come, however fast its disk was.
func TestVotesAreNotExpectedOfWhoIsSilent(t *testing.T) {
	n := &Node{dir: &dataDir{id: identity{UID: "n1"}}, gossip: &gossip{members: map[string]*gossipMember{
		"n2": {takes: 1}, "n3": {takes: 2, State: gossipDead}, "n4": {takes: 3},
	}}}
	var servers []raft.Server
	for _, id := range []raft.ServerID{"n1", "n2", "n3", "n4", "n5"} {
		servers = append(servers, raft.Server{Suffrage: raft.Voter, ID: id})
	}
	servers = append(servers, raft.Server{Suffrage: raft.Nonvoter, ID: "n6"})
	others, silent := n.votersWrites(servers, "n2", 7)
	if !slices.Equal(others, []time.Duration{3, 7}) || !slices.Equal(silent, []time.Duration{1, 2}) {
		t.Errorf("others %v, silent %v", others, silent)
	}
}

// Who is refused does not have this node wait for its election.
func TestNobodyWaitsForWhoIsRefusedForAVoteGiven(t *testing.T) {
	for name, to := range map[string]string{"the vote went to another": "n9", "the vote is its own": "n2"} {
		t.Run(name, func(t *testing.T) {
			simulate(t, keepLog, func(s *simulation, leader, _ *simNode) {
				voter, answers := s.nodes["n3"], make(chan raft.RPCResponse, 1)
				term := s.term() + 1
				voter.transport.voted(term, []byte(to))
				voter.transport.election.Store(int64(time.Minute))
				leader.goAway(true)
				s.nodes["n2"].goAway(true)
				request := &raft.RequestPreVoteRequest{RPCHeader: s.nodes["n2"].transport.header(), Term: term, LastLogIndex: 1 << 40, LastLogTerm: term}
				if _, forRaft := voter.transport.take(raft.RPC{Command: request, RespChan: answers}); forRaft {
					t.Error("raft is asked at once")
				}
				granted := (<-answers).Response.(*raft.RequestPreVoteResponse).Granted
				if waits := voter.transport.gave.Load() > 0; granted != (to == "n2") || waits != granted {
					t.Errorf("granted: %v, and it waits: %v", granted, waits)
				}
			})
		})
	}
}

// The others wait for its vote by what it tells them.
func TestANodeTellsNothingOfWritesOfLongAgo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWriteTimes()
		for i := range uint64(writesLooked) {
			end := w.begin(i)
			time.Sleep(time.Second)
			end(nil)
		}
		for wait, want := range map[time.Duration]time.Duration{0: time.Second, smallKept: time.Second, smallKept + 1: 0} {
			if takes, index := w.written(time.Now().Add(wait)); takes != want || index != writesLooked-1 {
				t.Errorf("%s later a write takes %s, the last entry is %d, want %s and %d", wait, takes, index, want, writesLooked-1)
			}
		}
	})
}
