package cluster

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// lossy has some of what is sent take as long as TCP takes to send it again.
func (s *simulation) lossy(share float64) {
	random := rand.New(rand.NewPCG(1, 1))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stall = func() (takes time.Duration) {
		for again := 200 * time.Millisecond; random.Float64() < share; again *= 2 {
			takes += again
		}
		return takes
	}
}

func TestANetworkThatLosesATenthCostsNoElection(t *testing.T) {
	simulate(t, keepLog, func(s *simulation, leader, _ *simNode) {
		term := s.term()
		s.lossy(0.1)
		for range 60 {
			<-time.After(time.Second)
			s.write(leader, 1)
		}
		if after := s.term(); after != term {
			t.Errorf("%d elections in a minute", after-term)
		}
		s.mu.Lock()
		s.stall = nil
		s.mu.Unlock()
		<-time.After(5 * time.Second) // what is on its way arrives
	})
}

// What a sound network carries is what it carried without this: a call and its
// answer.
func TestWhatIsAnsweredIsSentOnce(t *testing.T) {
	const commit = 250 * time.Millisecond // as in the profile
	for name, way := range map[string]time.Duration{"nearby": 0, "far away": 45 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			simulate(t, keepLog, func(s *simulation, leader, _ *simNode) {
				s.mu.Lock()
				s.stall = func() time.Duration { return way }
				s.mu.Unlock()
				<-time.After(10 * time.Second) // it learns what is usual
				s.mu.Lock()
				s.sent = 0
				s.mu.Unlock()
				<-time.After(10 * time.Second)
				s.mu.Lock()
				sent := s.sent
				s.stall = nil
				s.mu.Unlock()
				<-time.After(time.Second) // what is on its way arrives
				// Two followers, and each call is a write with its answer: a heartbeat,
				// and raft's call without entries for each time that nothing was committed.
				most := 2 * 2 * (int(10*time.Second/max(leader.transport.beat, 2*way)) + int(10*time.Second/commit))
				if sent == 0 || sent > most {
					t.Errorf("%d writes to the network in ten seconds, want 1 to %d", sent, most)
				}
			})
		})
	}
}

// Where nobody answers for long raft asks for votes again and again. What it asked
// before is not to gather, nor to be in the way of what it asks when all is well again.
func TestANetworkThatSwallowsEverythingCostsABoundAndIsUsedAtOnceAfterwards(t *testing.T) {
	simulate(t, keepLog, func(s *simulation, leader, _ *simNode) {
		swallow := func(all bool) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.stall = nil
			if all {
				s.stall = func() time.Duration { return transportTimeout } // after the call's deadline
			}
		}
		before := runtime.NumGoroutine()
		swallow(true)
		<-time.After(10 * time.Minute)
		// A call has a goroutine of raft's, one here, and one that serves its connection
		// at the other side. Three nodes have two peers each.
		most := 3 * 2 * (3*(maxAsked+maxAskedAgain) + 10)
		more := runtime.NumGoroutine() - before
		if more > most {
			t.Errorf("%d goroutines more than before, want at most %d", more, most)
		}
		for _, n := range s.nodes {
			if n.raft.State() == raft.Leader {
				t.Errorf("%s leads, though nobody answers", n.addr)
			}
		}
		begun := time.Now()
		swallow(false)
		next := s.leaderOf()
		if took, most := time.Since(begun), time.Second; took > most {
			t.Errorf("%s leads after %s, want at most %s", next.addr, took, most)
		}
		t.Logf("%d goroutines more, %s leads after %s", more, next.addr, time.Since(begun))
		s.write(next, 1)
		<-time.After(5 * time.Second) // what is on its way arrives
	})
}

// hedging is a transport that calls nobody by itself.
func hedging(t *testing.T) *transport {
	t.Helper()
	return &transport{beat: 40 * time.Millisecond, peers: map[raft.ServerID]*peerProgress{}, over: make(chan struct{}), closing: make(chan struct{}),
		NetworkTransport: raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
			Stream: &simNode{of: &simulation{}, closed: make(chan struct{})}, Timeout: time.Second})}
}

func TestTheFirstAnswerCounts(t *testing.T) {
	planted := errors.New("planted")
	for name, c := range map[string]struct {
		takes []time.Duration // each attempt that may count
		fails []int           // attempts
		want  int             // the attempt whose answer it is; -1: an error
		after time.Duration
	}{
		"the first is answered":                {[]time.Duration{time.Millisecond}, nil, 0, time.Millisecond},
		"the first fails at once":              {[]time.Duration{time.Millisecond}, []int{0}, -1, time.Millisecond},
		"the second overtakes the first":       {[]time.Duration{time.Second, time.Millisecond}, nil, 1, 41 * time.Millisecond},
		"the first is answered after all":      {[]time.Duration{50 * time.Millisecond, time.Second}, nil, 0, 50 * time.Millisecond},
		"the first fails, the second does not": {[]time.Duration{50 * time.Millisecond, 60 * time.Millisecond}, []int{0}, 1, 100 * time.Millisecond},
		"all fail":                             {[]time.Duration{time.Second, time.Second, time.Second, time.Second, time.Second}, []int{0, 1, 2, 3, 4}, -1, 1160 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := hedging(t)
				defer tr.Close()
				var attempts atomic.Int64
				var answer int
				begun := time.Now()
				err := hedged(tr, heartbeats, "n2", &answer, func(answer *int) error {
					number := int(attempts.Add(1)) - 1
					if number < len(c.takes) {
						<-time.After(c.takes[number])
					} else { // it comes too late to count
						<-time.After(time.Minute)
					}
					if slices.Contains(c.fails, number) {
						return planted
					}
					*answer = number
					return nil
				})
				took := time.Since(begun)
				if failed := c.want < 0; failed != (err != nil) || !failed && answer != c.want || took != c.after {
					t.Errorf("the answer is that of attempt %d (%v) after %s, want %d after %s", answer, err, took, c.want, c.after)
				}
				if most := int64(1 + maxHedges); attempts.Load() > most {
					t.Errorf("%d attempts, at most %d are made", attempts.Load(), most)
				}
			})
		})
	}
}

// A peer that answers nothing has so many calls open and no more. Votes are not
// waited with; heartbeats are, but not for ever.
func TestCallsThatNobodyAnswersAreBounded(t *testing.T) {
	for name, c := range map[string]struct {
		of      kind
		open    int64 // at most, and reached
		refused int64
		after   time.Duration // the last refusal
	}{
		"votes":      {votes, maxAsked + maxAskedAgain, 50 - maxAsked, 0},
		"heartbeats": {heartbeats, maxBeats, 50 - 2*maxBeats, transportTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := hedging(t)
				defer tr.Close()
				var open, most, refused, last atomic.Int64
				raise := func(highest *atomic.Int64, to int64) {
					for old := highest.Load(); to > old && !highest.CompareAndSwap(old, to); old = highest.Load() {
					}
				}
				begun := time.Now()
				for range 50 {
					go func() {
						var answer int
						err := hedged(tr, c.of, "n2", &answer, func(*int) error {
							defer open.Add(-1)
							raise(&most, open.Add(1))
							<-time.After(transportTimeout - time.Millisecond)
							return errors.New("planted: no answer")
						})
						if err != nil && strings.Contains(err.Error(), "without an answer already") {
							refused.Add(1)
							raise(&last, int64(time.Since(begun)))
						}
					}()
				}
				<-time.After(time.Minute)
				if after := time.Duration(last.Load()); most.Load() != c.open || refused.Load() != c.refused || after != c.after {
					t.Errorf("%d calls were open at one time, %d refused, the last after %s, want %d, %d and %s",
						most.Load(), refused.Load(), after, c.open, c.refused, c.after)
				}
			})
		})
	}
}

// What is left of votes leaves room for heartbeats, and a round of votes asked for
// later than the others is not refused for what was made again.
func TestVotesWithoutAnAnswerAreInNobodysWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := hedging(t)
		defer tr.Close()
		call := func(of kind, takes time.Duration) (time.Duration, error) {
			var answer int
			begun := time.Now()
			err := hedged(tr, of, "n2", &answer, func(*int) error { <-time.After(takes); return nil })
			return time.Since(begun), err
		}
		for range maxAsked - 1 {
			go func() { _, _ = call(votes, time.Second) }()
		}
		<-time.After(500 * time.Millisecond) // all that may be made again has been
		for name, of := range map[string]kind{"a heartbeat": heartbeats, "a vote": votes} {
			if took, err := call(of, time.Millisecond); err != nil || took != time.Millisecond {
				t.Errorf("%s took %s (%v), want 1ms", name, took, err)
			}
		}
		<-time.After(2 * time.Second)
		if _, after := tr.hedge(heartbeats, "n2"); after != tr.beat {
			t.Errorf("heartbeats are made again after %s since votes took long, want %s", after, tr.beat)
		}
	})
}

// raft ends by calls that it still makes.
func TestATransportThatEndsMakesACallOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := hedging(t)
		defer tr.Close()
		tr.end()
		var answer, calls int
		err := hedged(tr, heartbeats, "n2", &answer, func(answer *int) error {
			<-time.After(time.Second)
			calls++
			*answer = 7
			return nil
		})
		if err != nil || answer != 7 || calls != 1 {
			t.Errorf("the answer is %d (%v) after %d calls, want 7 after 1", answer, err, calls)
		}
	})
}
