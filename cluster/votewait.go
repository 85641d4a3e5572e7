package cluster

import (
	"context"
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// A candidate writes term, term of its vote and vote, and so does each voter, one
	// after the other: raft-boltdb makes a transaction of each.
	writesPerVote = 3
	// maxVoteWait bounds for how long the disks have a candidate wait for votes.
	maxVoteWait = 3 * time.Second
	// voteWaitStep is what the wait is a multiple of above the profile's.
	voteWaitStep = 50 * time.Millisecond
)

// voteWait is how long a candidate should wait for votes at least: the profile's
// timeout, and what the disks take that it waits for, its own and that of the slowest
// voter which it needs. A shorter wait would begin anew with each vote under way, and
// a cluster whose disks are slow would never find a leader. own, others and silent
// are what a write takes, here and on the other voters. Of those that are silent votes
// are needed only where there are not enough others.
func voteWait(timeout, own time.Duration, others, silent []time.Duration) time.Duration {
	voters := slices.Concat(slices.Sorted(slices.Values(others)), slices.Sorted(slices.Values(silent)))
	var voter time.Duration
	if needed := (len(voters) + 1) / 2; needed > 0 {
		voter = slices.Max(voters[:needed])
	}
	var disks time.Duration
	for _, takes := range []time.Duration{own, voter} {
		if takes >= slowWrite {
			disks += writesPerVote * takes
		}
	}
	disks = (disks + voteWaitStep - 1).Truncate(voteWaitStep)
	return min(timeout+disks, max(timeout, maxVoteWait))
}

// watchElectionTimeout has raft's election timeout follow the disks until ctx ends.
// Before a first leader there are no writes but those of elections.
func (n *Node) watchElectionTimeout(ctx context.Context, c *consensus) {
	var leader raft.ServerID // the last one: votes are asked for when it is silent
	for pause(ctx, writesCheck) == nil {
		if _, id := c.raft.LeaderWithID(); id != "" {
			leader = id
		}
		own := n.writes.newest(time.Now())
		others, silent := n.votersWrites(c.servers(), leader, own)
		c.transport.waitForVotes(c.raft, voteWait(n.profile.heartbeat, own, others, silent))
	}
}

// votersWrites is what a write takes on the other voters, as far as they have said,
// and otherwise as long as here; silent are those of the leader and of who is gone.
func (n *Node) votersWrites(servers []raft.Server, leader raft.ServerID, own time.Duration) (others, silent []time.Duration) {
	for _, server := range servers {
		if server.Suffrage != raft.Voter || server.ID == raft.ServerID(n.UID()) {
			continue
		}
		theirs := own
		m, known := n.gossip.member(string(server.ID))
		if known && m.takes > 0 {
			theirs = m.takes
		}
		if server.ID == leader || known && m.State != gossipAlive {
			silent = append(silent, theirs)
			continue
		}
		others = append(others, theirs)
	}
	return others, silent
}

// waitForVotes has a candidate wait that long at least, also one that waits now.
func (t *transport) waitForVotes(caller *raft.Raft, wait time.Duration) {
	t.waking.Lock()
	defer t.waking.Unlock()
	settings := caller.ReloadableConfig()
	if settings.ElectionTimeout == wait {
		return
	}
	settings.ElectionTimeout = wait
	longer := settings
	if caller.State() == raft.Candidate {
		longer.HeartbeatTimeout++ // raft looks at its settings when that becomes shorter
		longer.ElectionTimeout++  // which may not be the shorter of the two
	}
	if caller.ReloadConfig(longer) == nil && caller.ReloadConfig(settings) == nil {
		t.election.Store(int64(wait))
	}
}
