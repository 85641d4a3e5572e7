package cluster

import (
	"context"
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// witnessLeads is how long a witness leads at least: it was elected because
	// something broke, and that may not be over.
	witnessLeads = 5 * time.Second
	// A witness hands the leadership over again after minYieldPause at the
	// earliest. The pause doubles up to maxYieldPause with each time that follows
	// the last one within twice that: who took the leadership could not keep it,
	// and each change costs the writers a moment.
	minYieldPause = time.Minute
	maxYieldPause = 32 * time.Minute
)

// isWitness goes by what a node says of itself, else by what is recorded.
func (n *Node) isWitness(uid string) bool {
	if uid == n.UID() {
		return n.config.Witness
	}
	if m, known := n.gossip.member(uid); known {
		return m.Witness
	}
	node := n.State().Node(uid)
	return node != nil && node.Witness
}

// serving returns those that are no witnesses, in their order.
func (n *Node) serving(ids []raft.ServerID) []raft.ServerID {
	return slices.DeleteFunc(slices.Clone(ids), func(id raft.ServerID) bool { return n.isWitness(string(id)) })
}

// servingFirst returns all servers, witnesses last, in their order otherwise.
func servingFirst(servers []raft.Server, isWitness func(uid string) bool) []raft.Server {
	return slices.SortedStableFunc(slices.Values(servers), func(a, b raft.Server) int {
		switch first, second := isWitness(string(a.ID)), isWitness(string(b.ID)); {
		case first == second:
			return 0
		case second:
			return -1
		}
		return 1
	})
}

// yieldAsWitness hands the leadership of this node, a witness, to a voter that
// serves whenever one has caught up, until ctx ends. A witness is often a small
// machine far from the others, and each write would pass it; but it leads as
// well as any while nobody else can.
func (n *Node) yieldAsWitness(ctx context.Context, c *consensus) {
	var pace yieldPace
	for pause(ctx, leaderPoll) == nil {
		own, _, _ := n.leaders.current()
		if own == nil || !own.isReady() {
			pace.look(0, time.Now())
			continue
		}
		if !pace.look(own.term, time.Now()) {
			continue
		}
		to := slices.DeleteFunc(n.serving(n.successors(c, own.term)), func(id raft.ServerID) bool {
			return !n.deservesVote(c, own, string(id))
		})
		if len(to) == 0 {
			continue
		}
		pace.yielded(time.Now())
		n.logger.Info("this node is a witness and hands the leadership over", "to", n.nameOf(string(to[0])))
		if err := n.transferTo(ctx, c, to); err != nil {
			n.logger.Warn("the leadership was not handed over", "error", err)
		}
	}
}

// yieldPace decides when a witness hands the leadership over.
type yieldPace struct {
	term  uint64 // that it leads; 0: none
	since time.Time
	last  time.Time // zero: never
	wait  time.Duration
}

// look takes the term that this node leads, 0 if it does not, and tells whether
// it is time.
func (p *yieldPace) look(term uint64, now time.Time) bool {
	if term != p.term {
		p.term, p.since = term, now
	}
	return term != 0 && now.Sub(p.since) >= witnessLeads && (p.last.IsZero() || now.Sub(p.last) >= p.wait)
}

func (p *yieldPace) yielded(now time.Time) {
	if p.last.IsZero() || now.Sub(p.last) > 2*maxYieldPause {
		p.wait = minYieldPause
	} else {
		p.wait = min(2*p.wait, maxYieldPause)
	}
	p.last = now
}
