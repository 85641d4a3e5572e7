package cluster

import (
	"os"
	"time"

	"github.com/hashicorp/raft"
)

// Age returns how old State may be: how long ago this node last heard from a
// leader with which it had caught up; 0 while it leads. For what it read from its
// disk at its start and no leader has confirmed yet, that is the age of the files,
// by the wall clock. known is false if it has no state yet. Age never blocks.
func (n *Node) Age() (age time.Duration, known bool) {
	now := time.Now()
	heard := n.lastHeard(now)
	if heard.IsZero() {
		return 0, false
	}
	return max(now.Sub(heard), 0), true
}

func (n *Node) lastHeard(now time.Time) (heard time.Time) {
	if before := n.heard.Load(); before != nil {
		heard = *before
	}
	c := n.consensus.Load()
	if c == nil || !n.views.confirmed.Load() {
		return heard // a leader may talk to it that it has not caught up with
	}
	if c.raft.State() == raft.Leader {
		return now
	}
	if last := c.raft.LastContact(); last.After(heard) {
		heard = last
	}
	return heard
}

// keepHeard keeps lastHeard for when what knows it is gone: raft forgets that it
// led, and ends with the node's part.
func (n *Node) keepHeard() {
	if heard := n.lastHeard(time.Now()); !heard.IsZero() {
		n.heard.Store(&heard)
	}
}

// hearFiles is keepHeard for what is read at the start: the newest of the files
// says when the node last knew something. One that cannot be looked at says
// nothing.
func (n *Node) hearFiles(paths ...string) {
	var newest time.Time
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	n.heard.Store(&newest)
}
