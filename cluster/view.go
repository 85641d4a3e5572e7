package cluster

import (
	"context"
	"sync"
	"sync/atomic"

	"evenkeel/fsm"
)

// view is one published state. It is immutable but for the channel, which is
// closed when another view takes its place.
type view struct {
	state *fsm.State
	// index is the Raft index of the last command within the state.
	index    uint64
	replaced chan struct{}
}

// views publishes states to readers, who never wait and take no lock.
//
// There are two: applied is what the replica holds, published is what readers
// see. They differ only after a restart, while the replica replays entries
// that the image already contains: readers must not see the past again.
type views struct {
	published atomic.Pointer[view]
	applied   atomic.Pointer[view]
	confirmed atomic.Bool

	// replicas counts those that began: what was read for one says nothing about
	// the next.
	replicas atomic.Uint64

	mu    sync.Mutex // serializes writers
	floor uint64     // the image's index; what is below is not published
}

func newViews() *views {
	v := &views{}
	empty := fsm.New()
	v.published.Store(&view{state: empty, replaced: make(chan struct{})})
	v.applied.Store(&view{state: empty, replaced: make(chan struct{})})
	return v
}

// boot publishes the image, before anything is applied.
func (v *views) boot(state *fsm.State, index uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.floor = index
	replace(&v.published, state, index)
}

// advance takes the state after a batch. It is called by one goroutine.
func (v *views) advance(state *fsm.State, index uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	// Readers first: who waits for applied goes on to read what is published.
	if v.confirmed.Load() || index >= v.floor {
		replace(&v.published, state, index)
	}
	replace(&v.applied, state, index)
}

// rewind is called before a replica begins anew, with nothing applied. Readers
// go on to see what they saw until the replica has come as far.
func (v *views) rewind() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.floor = v.published.Load().index
	v.confirmed.Store(false)
	v.replicas.Add(1)
	replace(&v.applied, fsm.New(), 0)
}

// confirm is called when a leader has confirmed what is applied by a replica:
// from now on readers see exactly that. It reports whether that was news.
func (v *views) confirm(replica uint64) bool {
	if v.confirmed.Load() {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	applied, published := v.applied.Load(), v.published.Load()
	if replica != v.replicas.Load() {
		return false
	}
	if published.state != applied.state || published.index != applied.index {
		replace(&v.published, applied.state, applied.index)
	}
	return !v.confirmed.Swap(true)
}

// waitApplied returns when the replica has applied the command at index, or
// ctx ends.
func (v *views) waitApplied(ctx context.Context, index uint64) error {
	for {
		applied := v.applied.Load()
		if applied.index >= index {
			return nil
		}
		select {
		case <-applied.replaced:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func replace(in *atomic.Pointer[view], state *fsm.State, index uint64) {
	old := in.Swap(&view{state: state, index: index, replaced: make(chan struct{})})
	close(old.replaced)
}
