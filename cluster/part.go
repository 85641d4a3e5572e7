package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// decidePatience is how long a clean stop waits for writes that are under
	// way.
	decidePatience = 2 * time.Second
	// hangAfter is how long a write to the store may take. A disk that has
	// errors below it may take longer and mend itself; the others need not wait.
	hangAfter = 2 * time.Second
	// tryPause is between two trials whether the store takes writes again.
	tryPause = 500 * time.Millisecond
	// A part that ends within soundPart is followed by a pause, which doubles
	// from minPartPause to maxPartPause: a disk that works for seconds at a time
	// is not to cost the others an election each time.
	soundPart    = time.Minute
	minPartPause = time.Second
	maxPartPause = 30 * time.Second
)

// takePart has the node take part in Raft until ctx ends, anew each time that
// its store takes writes again. While it is detached only Raft has ended.
func (n *Node) takePart(ctx context.Context) {
	var wait time.Duration
	if n.store != nil && n.detachment.passes() { // since it was opened
		nothing := make(chan struct{})
		close(nothing)
		if n.awaitStore(ctx, nothing) != nil {
			return
		}
		n.takeUp()
	}
	for n.store != nil && !n.isDetached() {
		begun := time.Now()
		c, over := n.startRaft(ctx, n.store)
		if c != nil {
			n.runPart(ctx, c)
		}
		if ctx.Err() != nil {
			return
		}
		if !n.detachment.passes() {
			break
		}
		n.gossip.announce()
		if time.Since(begun) > soundPart {
			wait = 0
		}
		if n.awaitStore(ctx, over) != nil || pause(ctx, wait) != nil {
			return
		}
		if !n.takeUp() {
			break
		}
		wait = min(max(minPartPause, 2*wait), maxPartPause)
	}
	n.gossip.announce()
	<-ctx.Done()
}

// takeUp ends a detachment that passes. It reports whether the node has its part
// again.
func (n *Node) takeUp() bool {
	if !n.detachment.end() {
		return false
	}
	n.logger.Info("the disk takes writes again, and this node its part in the cluster", "dir", n.dir.path)
	return true
}

// runPart runs what stands on raft until ctx ends or the node detaches, then
// ends raft.
func (n *Node) runPart(ctx context.Context, c *consensus) {
	n.consensus.Store(c)
	if n.stops.Load() { // it may have begun to before it could find this part
		c.transport.leaving.Store(true)
	}
	n.gossip.announce()
	part, end := context.WithCancelCause(ctx)
	var tasks sync.WaitGroup
	tasks.Go(func() { n.becomeMember(part, c) })
	tasks.Go(func() { n.watchLeader(part, c) })
	tasks.Go(func() { c.transport.watchSilence(part, c.raft, n.rank) })
	tasks.Go(func() { c.submitter.run(part, c) })
	tasks.Go(func() { c.reads.run(part, n.localReadIndex) })
	tasks.Go(func() { n.keepConfirming(part) })
	tasks.Go(func() { n.lead(part) })
	tasks.Go(func() { n.expire(part) })
	tasks.Go(func() { n.countUnconfirmed(part) })
	tasks.Go(func() { n.keepKeys(part) })
	tasks.Go(func() { n.watchWrites(part, c) })
	tasks.Go(func() { n.watchElectionTimeout(part, c) })
	tasks.Go(func() { n.watchHang(part) })
	if n.config.Witness {
		tasks.Go(func() { n.yieldAsWitness(part, c) })
	}
	detached, _ := n.detachment.current()
	select {
	case <-detached:
	case <-ctx.Done():
	}
	end(errStopping)
	if !n.isDetached() {
		_ = waitAtMost(&tasks, decidePatience) // else what is under way is decided by raft's end
	} else {
		n.closeTransport(c) // raft may not end now, and is not to lead until it does
	}
	n.consensus.Store(nil)
	if err := c.stop(); err != nil {
		n.logger.Warn("raft did not end cleanly", "error", err)
	}
	tasks.Wait()
}

// watchHang suspends the node's part when a write to its store hangs: nobody
// can tell when, or whether, it ends (hashicorp/raft#503, #614, #666).
func (n *Node) watchHang(ctx context.Context) {
	var watch hangWatch
	for pause(ctx, writesCheck) == nil {
		if lasts := watch.look(n.writes.oldest(), time.Now()); lasts >= n.hangAfter {
			n.storeStuck(fmt.Errorf("a write has not ended for %s", lasts.Round(100*time.Millisecond)))
			return
		}
	}
}

// hangWatch measures how long a write has been under way while somebody looked:
// a process that was stopped, or a machine that stood still, says nothing about
// the disk.
type hangWatch struct {
	write uint64
	lasts time.Duration
	last  time.Time
}

// look takes which write has been under way for longest and returns for how
// long.
func (w *hangWatch) look(write uint64, now time.Time) time.Duration {
	if write != w.write || write == 0 {
		w.lasts = 0
	} else {
		w.lasts += min(now.Sub(w.last), 2*writesCheck)
	}
	w.write, w.last = write, now
	return w.lasts
}

// awaitStore returns nil once nothing is left of a part that has ended and the
// store takes writes, or the cause of ctx.
func (n *Node) awaitStore(ctx context.Context, over <-chan struct{}) error {
	select {
	case <-over:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for {
		begun := time.Now()
		err := n.tryStore(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil && time.Since(begun) < n.hangAfter {
			return nil
		}
		n.logger.Debug("the log store does not take writes yet", "took", time.Since(begun), "error", err)
		if err := pause(ctx, tryPause); err != nil {
			return err
		}
	}
}

// tryStore returns when a trial has ended, or ctx: the former may hang.
func (n *Node) tryStore(ctx context.Context) error {
	done := make(chan error, 1)
	end := n.writes.beginOther()
	go func() {
		err := errors.Join(n.dir.countStart(), n.store.try())
		end()
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
