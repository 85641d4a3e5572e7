package cluster

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/fsm"
)

// TestAStopLeavesNoWriteWithoutItsOutcome: writes that are under way when the
// leader hands over are repeated by the node that stops, and it takes no new
// ones.
func TestAStopLeavesNoWriteWithoutItsOutcome(t *testing.T) {
	for name, pick := range map[string]func(*testCluster) *testNode{"of the leader": (*testCluster).leader, "of a follower": (*testCluster).follower} {
		t.Run(name, func(t *testing.T) {
			c := newTestCluster(t)
			c.form(3)
			n := pick(c)
			var done, number atomic.Int64
			var writers sync.WaitGroup
			for range 16 {
				writers.Go(func() {
					for {
						begun := time.Now()
						result, err := n.Propose(t.Context(), fsm.Command{Actor: "test", Op: numbered(int(number.Add(1)))})
						switch {
						case errors.Is(err, ErrStopping):
							return
						case errors.Is(err, ErrOutcomeUnknown) && time.Since(begun) >= repeatPatience:
							// Not the stop's doing: on a starved machine elections outlast a write's patience.
						case errors.Is(err, ErrOutcomeUnknown) && !strings.Contains(c.logs.String(), "left behind"):
							t.Errorf("a write has no outcome: %v", err)
						case err == nil && result.Err != nil:
							t.Errorf("a write was refused: %v", result.Err)
						case err == nil:
							done.Add(1)
						}
					}
				})
			}
			eventually(t, "writes flow", func() bool { return done.Load() > 100 })
			c.stop(n.Name())
			writers.Wait()
			if err := n.ReadIndex(t.Context()); !errors.Is(err, ErrStopping) {
				t.Errorf("a read: %v", err)
			}
			if err := n.TransferLeadership(t.Context(), ""); !errors.Is(err, ErrStopping) {
				t.Errorf("a change of the members: %v", err)
			}
		})
	}
}

// TestAStopFollowsTheLeaderUntilItsCallersAreAnswered: the write is committed
// only when the stop has come as far as it can.
func TestAStopFollowsTheLeaderUntilItsCallersAreAnswered(t *testing.T) {
	c := newTestCluster(t)
	gates := c.gatedDisks("n1", "n2", "n3")
	c.form(3)
	leader, n := c.leader(), c.follower()
	opens := make(chan struct{})
	open := sync.OnceFunc(func() { close(opens) })
	defer open()
	gates[leader.Name()].set(nil, opens)
	written := make(chan error, 1)
	go func() {
		_, err := n.Propose(context.Background(), fsm.Command{Actor: "test", Op: numbered(1)})
		written <- err
	}()
	eventually(t, "the leader's write hangs", func() bool { return gates[leader.Name()].hung.Load() > 0 })
	n.cancel()
	eventually(t, "the node takes nobody in", func() bool { return errors.Is(n.ReadIndex(t.Context()), ErrStopping) })
	for until := time.Now().Add(decidePatience / 4); n.consensus.Load() != nil && time.Now().Before(until); {
		<-time.After(time.Millisecond)
	}
	gates[leader.Name()].set(nil, nil)
	open()
	if err := <-written; err != nil && !strings.Contains(c.logs.String(), "left behind") {
		t.Errorf("the write: %v", err)
	}
	c.stop(n.Name())
}

// TestAStopWaitsForCallersForAWhile: one that gets no answer does not hold it up
// for ever.
func TestAStopWaitsForCallersForAWhile(t *testing.T) {
	c := newTestCluster(t)
	n := c.form(1)[0]
	if err := n.callers.enter(); err != nil {
		t.Fatal(err)
	}
	c.stop("n1")
	if !strings.Contains(c.logs.String(), "left behind") {
		t.Error("it did not say that somebody is left without an outcome")
	}
	if _, err := n.Propose(context.Background(), fsm.Command{Actor: "test", Op: numbered(1)}); !errors.Is(err, ErrStopping) {
		t.Error(err)
	}
	n.callers.leave()
}
