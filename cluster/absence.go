package cluster

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"evenkeel/fsm"
)

const (
	// minVoters is how many voters the leader leaves by itself. Two are worse
	// than three of which one is dead: neither may fail, and the third can
	// return.
	minVoters = 3
	// longestLook is how much of an absence one look counts at most. A process
	// that was stopped, or a machine that stood still, did not look.
	longestLook = 10 * time.Second
	// removePause follows a removal that was refused: an attempt keeps other changes
	// of the members waiting, and the first of several costs the log an entry.
	removePause = 5 * time.Second
)

// seat is a server of Raft's configuration as its leader judges it.
type seat struct {
	uid   string
	voter bool
	alive bool
	// absent is for how long the leader has known it as gone, 0 if it is not.
	absent time.Duration
}

// overdue returns who has been absent for longer than after, the longest first,
// in two parts: who may be removed now, and the voters that have to stay. Of the
// former only one is to be removed before one looks again. With after 0 nobody
// is overdue.
//
// A voter may go if minVoters or more are left and those that are alive are a
// majority even with it, and so without it. How many of the living may still fail
// is then never less than before: the majority that is needed has not grown, and
// nobody who lives has gone.
func overdue(seats []seat, after time.Duration) (remove, keep []string) {
	if after <= 0 {
		return nil, nil
	}
	voters, alive := 0, 0
	for _, s := range seats {
		if s.voter {
			voters++
			if s.alive {
				alive++
			}
		}
	}
	safe := voters > minVoters && alive > voters/2
	sorted := slices.SortedStableFunc(slices.Values(seats), func(a, b seat) int { return cmp.Compare(b.absent, a.absent) })
	for _, s := range sorted {
		switch {
		case s.alive || s.absent <= after:
		case s.voter && !safe:
			keep = append(keep, s.uid)
		default:
			remove = append(remove, s.uid)
		}
	}
	return remove, keep
}

// tenure is what a leader remembers as long as it leads. Its goroutine alone
// uses it.
type tenure struct {
	begun    time.Time
	absences absences
	// retry is when a removal may be tried again after one that was refused.
	retry time.Time
	told  map[string]bool // of who has to stay
}

func newTenure(now time.Time) *tenure {
	return &tenure{begun: now, absences: absences{looked: now, lasts: map[string]time.Duration{}}, told: map[string]bool{}}
}

// absences is for how long each member has been gone without interruption, by
// the leader's monotonic clock. A new leader starts the full time again: what it
// was told of an earlier one's time proves nothing about its own.
type absences struct {
	looked time.Time
	lasts  map[string]time.Duration
}

// look takes who is gone now.
func (a *absences) look(gone map[string]bool, now time.Time) {
	passed := min(now.Sub(a.looked), longestLook)
	a.looked = now
	for uid := range a.lasts {
		if !gone[uid] {
			delete(a.lasts, uid)
		}
	}
	for uid := range gone {
		if lasts, known := a.lasts[uid]; known {
			a.lasts[uid] = lasts + passed
		} else {
			a.lasts[uid] = 0
		}
	}
}

// removeAbsent removes a member that the cluster has agreed to be dead, or to
// have left, for longer than Config.RemoveDeadAfter, if the others are safe
// without it. It makes at most one change.
func (n *Node) removeAbsent(ctx context.Context, c *consensus, own *leadership, t *tenure) error {
	gone := map[string]bool{}
	for _, server := range c.servers() {
		if n.agreedGone(c, own, string(server.ID)) {
			gone[string(server.ID)] = true
		}
	}
	now := time.Now()
	t.absences.look(gone, now)
	if len(gone) == 0 || now.Before(t.retry) {
		return nil
	}
	err := c.changeServers(ctx, func(servers []raft.Server) (raft.Future, error) {
		remove, keep := overdue(n.seats(c, own, servers, t), n.config.RemoveDeadAfter)
		n.tellKept(keep, t)
		if len(remove) == 0 {
			return nil, nil
		}
		at := slices.IndexFunc(servers, func(s raft.Server) bool { return string(s.ID) == remove[0] })
		m := membership{Node: n, consensus: c, own: own, servers: servers}
		return m.remove(ctx, servers[at], "a node is removed, which was gone for long")
	})
	if err != nil {
		t.retry = now.Add(removePause)
	}
	return err
}

// agreedGone tells whether the registry has a member as dead or left, and this
// leader has no other knowledge. One that nobody ever recorded is gone too.
func (n *Node) agreedGone(c *consensus, own *leadership, uid string) bool {
	if node := n.State().Node(uid); node != nil {
		return node.State != fsm.NodeAlive && n.isGone(c, own, node)
	}
	return n.liveness(c, own, uid) != fsm.NodeAlive
}

func (n *Node) seats(c *consensus, own *leadership, servers []raft.Server, t *tenure) []seat {
	var seats []seat
	for _, server := range servers {
		uid := string(server.ID)
		seats = append(seats, seat{
			uid: uid, voter: server.Suffrage == raft.Voter,
			alive: n.liveness(c, own, uid) == fsm.NodeAlive, absent: t.absences.lasts[uid],
		})
	}
	return seats
}

// tellKept says once in a tenure which voters would be removed if more were
// alive.
func (n *Node) tellKept(keep []string, t *tenure) {
	for _, uid := range keep {
		if !t.told[uid] {
			t.told[uid] = true
			n.logger.Warn("a node is gone for long and keeps its vote: the others are too few without it; start it again, or a new one",
				"member", n.nameOf(uid), "uid", uid, "gone", t.absences.lasts[uid].Round(time.Second))
		}
	}
}
