package cluster

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"evenkeel/fsm"
)

func TestAMemberThatFloodsVotesIsHeldToItsPace(t *testing.T) {
	g, now := newVoteGate(), time.Now()
	admitted := 0
	for i := range 1000 { // within a second
		if g.admit("n1", now.Add(time.Duration(i)*time.Millisecond)) {
			admitted++
		}
	}
	if admitted < voteBurst || admitted > voteBurst+20 || g.refused.Load() != uint64(1000-admitted) {
		t.Errorf("%d were admitted and %d refused", admitted, g.refused.Load())
	}
	if !g.admit("n2", now) {
		t.Error("another member pays for it")
	}
	for i := range 100 { // twice a healthy observer's pace, once its burst is used up
		if !g.admit("n1", now.Add(10*time.Second+time.Duration(i)*votePeriod)) {
			t.Fatalf("command %d at the allowed pace was refused", i)
		}
	}
}

func TestWhoSentVotesTakesBoundedMemory(t *testing.T) {
	g, now := newVoteGate(), time.Now()
	for i := range 10 * maxPaid {
		g.admit(fmt.Sprint("n", i), now)
	}
	if len(g.paid) > maxPaid {
		t.Errorf("%d are remembered", len(g.paid))
	}
	if !g.admit("one more", now.Add(time.Second)) {
		t.Error("there is no room once the others have paid up")
	}
}

func TestTheLeaderRefusesAndCountsVotesThatAreNotTheirSenders(t *testing.T) {
	c := newTestCluster(t)
	nodes := c.form(3)
	n := c.follower()
	c.put(n, backend("b1"))
	b := n.State().Backend("default", "b1")
	cast := func(observer, uid string) (fsm.Result, error) {
		return n.Propose(t.Context(), fsm.Command{Actor: "test", Op: fsm.CastVotes{Observer: observer, Votes: []fsm.BackendVote{{
			Pool: "default", Name: "b1", UID: uid, Generation: n.State().CheckGeneration(b), Health: fsm.HealthUp}}}})
	}
	refused := func() (sum uint64) {
		for _, node := range nodes {
			sum += node.Status().VotesRefused
		}
		return sum
	}
	another := c.leader().UID()
	eventually(t, "votes in another's name are refused", func() bool {
		_, err := cast(another, b.Meta.UID)
		return errors.Is(err, errRefused)
	})
	if refused() != 1 {
		t.Errorf("%d are counted as refused", refused())
	}
	eventually(t, "a report in another's name is refused", func() bool {
		_, err := n.Propose(t.Context(), fsm.Command{Actor: "test", Op: fsm.ReportIdle{Node: another}})
		return errors.Is(err, errRefused)
	})
	before := n.Status().VotesIgnored
	eventually(t, "a late vote is ignored", func() bool {
		result, err := cast(n.UID(), "late")
		return err == nil && result.Err == nil && result.Ignored == 1
	})
	if got := n.Status().VotesIgnored; got == before {
		t.Errorf("%d votes are counted as ignored", got)
	}
	owe := func(span time.Duration) {
		for _, node := range nodes {
			node.votes.mu.Lock()
			node.votes.paid[n.UID()] = time.Now().Add(span)
			node.votes.mu.Unlock()
		}
	}
	owe(time.Hour) // as after a flood
	before = refused()
	eventually(t, "votes are refused after a flood", func() bool {
		_, err := cast(n.UID(), b.Meta.UID)
		return errors.Is(err, ErrOverloaded)
	})
	if refused() == before {
		t.Error("they are not counted")
	}
	owe(0)
	eventually(t, "it may vote again", func() bool {
		result, err := cast(n.UID(), b.Meta.UID)
		return err == nil && result.Err == nil
	})
}
