package cluster

import (
	"fmt"
	"sync"
)

// detachment is whether a node has no part in Raft, and why. Safe for
// concurrent use.
type detachment struct {
	mu     sync.Mutex // guards what follows
	reason error
	// passing tells that it ends by itself.
	passing bool
	// begun is closed while there is a reason, and replaced when that is gone.
	begun chan struct{}
}

func newDetachment() *detachment { return &detachment{begun: make(chan struct{})} }

// current returns a channel that is closed while there is a reason, and that, nil
// while the node has its part.
func (d *detachment) current() (begun <-chan struct{}, reason error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.begun, d.reason
}

// begin reports whether the reason is the node's now: the first one is, and
// the first that is for good.
func (d *detachment) begin(reason error, passing bool) (news bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.reason == nil:
		close(d.begun)
	case passing || !d.passing:
		return false
	}
	d.reason, d.passing = reason, passing
	return true
}

// passes tells whether it ends by itself.
func (d *detachment) passes() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.passing
}

// end ends one that passes. It reports whether the node has its part again.
func (d *detachment) end() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reason != nil && d.passing {
		d.reason, d.begun = nil, make(chan struct{})
	}
	return d.reason == nil
}

// detach ends the node's part in Raft for good. It returns at once and may be
// called from raft's own goroutines.
func (n *Node) detach(reason error) {
	if n.detachment.begin(reason, false) {
		n.logger.Error("this node is detached from the cluster: it serves its last state, and takes no writes", "reason", reason)
	}
}

// suspend is detach until the store takes writes again.
func (n *Node) suspend(reason error) {
	if n.detachment.begin(reason, true) {
		n.logger.Error("this node is detached from the cluster for now: it serves its last state, and takes no writes", "reason", reason)
	}
}

func (n *Node) isDetached() bool {
	_, reason := n.detachment.current()
	return reason != nil
}

// detachedError is nil on a node that has its part in the cluster.
func (n *Node) detachedError() error {
	if reason := n.apart(); reason != nil {
		return fmt.Errorf("%w: %w", ErrDetached, reason)
	}
	return nil
}
