package cluster

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"evenkeel/fsm"
)

const (
	// A member may send a command with votes every votePeriod in the long run, and
	// voteBurst of them at once. A healthy observer never sends more than half as
	// many and a tenth of the burst, see health.
	votePeriod = 50 * time.Millisecond
	voteBurst  = 50
	// maxPaid bounds the memory of who sent votes.
	maxPaid = 512
)

// voteGate bounds how fast each member may vote, so that one which floods votes
// fills neither the log nor the queue of writes. It also counts what the replica
// ignored. Safe for concurrent use.
type voteGate struct {
	refused atomic.Uint64
	ignored atomic.Uint64

	mu sync.Mutex // guards what follows
	// paid is until when each member has used up its pace (the generic cell rate
	// algorithm, ITU-T I.371); who has not is not in it.
	paid map[string]time.Time
}

func newVoteGate() *voteGate { return &voteGate{paid: map[string]time.Time{}} }

// admit takes a member's command with votes, or counts that it did not.
func (g *voteGate) admit(member string, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	paid, known := g.paid[member]
	if paid.Before(now) {
		paid = now
	}
	if !known && !g.room(now) || paid.Sub(now) > (voteBurst-1)*votePeriod {
		g.refused.Add(1)
		return false
	}
	g.paid[member] = paid.Add(votePeriod)
	return true
}

// room forgets who has paid up, if need be. It is called with the lock held.
func (g *voteGate) room(now time.Time) bool {
	if len(g.paid) < maxPaid {
		return true
	}
	for member, paid := range g.paid {
		if !paid.After(now) {
			delete(g.paid, member)
		}
	}
	return len(g.paid) < maxPaid
}

// admitVotes refuses votes, of a command that came from another node, that are in
// a third one's name or too many.
func (n *Node) admitVotes(op fsm.Operation, caller string) error {
	switch op := op.(type) {
	case fsm.CastVotes:
		if op.Observer != caller {
			n.votes.refused.Add(1)
			return fmt.Errorf("%w: the votes are of node %q and come from %q", errRefused, op.Observer, caller)
		}
		if !n.votes.admit(caller, time.Now()) {
			return fmt.Errorf("%w: this node sends more than %d commands with votes a second", errOverloaded, time.Second/votePeriod)
		}
	case fsm.ReportIdle:
		if op.Node != caller {
			return fmt.Errorf("%w: the report is of node %q and comes from %q", errRefused, op.Node, caller)
		}
	}
	return nil
}
