package cluster

import (
	"errors"
	"math/rand/v2"
	"slices"
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
				err := hedged(tr, "n2", &answer, func(answer *int) error {
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

// A peer that answers nothing has so many calls open and no more.
func TestCallsThatNobodyAnswersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := hedging(t)
		defer tr.Close()
		var open, most atomic.Int64
		for range 20 {
			go func() {
				var answer int
				_ = hedged(tr, "n2", &answer, func(*int) error {
					defer open.Add(-1)
					most.Store(max(most.Load(), open.Add(1)))
					<-time.After(2 * time.Second)
					return errors.New("planted")
				})
			}()
		}
		<-time.After(time.Minute)
		if most.Load() != maxOpen {
			t.Errorf("%d calls were open at one time, want %d", most.Load(), maxOpen)
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
		err := hedged(tr, "n2", &answer, func(answer *int) error {
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
