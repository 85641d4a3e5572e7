package cluster

import (
	"context"
	"sync"

	"evenkeel/fsm"
)

const (
	// maxPending bounds the commands that this node proposed and that have no
	// result yet.
	maxPending = 512
	// maxSpan bounds how far the newest sequence is ahead of the oldest one
	// without a result. The registry remembers the results of the last 1,024
	// numbers of an origin and refuses older ones, so a command that waits
	// must not be left behind.
	maxSpan = 1000
)

// outcome is the result of one command.
type outcome struct {
	id     fsm.CommandID
	result fsm.Result
}

// waiters gives out command ids and holds who waits for their results.
type waiters struct {
	origin string

	mu      sync.Mutex // guards what follows
	last    uint64
	pending map[uint64]chan fsm.Result // by sequence
	room    chan struct{}              // closed and replaced when one leaves
}

func newWaiters(origin string, last uint64) *waiters {
	return &waiters{origin: origin, last: last, pending: map[uint64]chan fsm.Result{}, room: make(chan struct{})}
}

// add takes the next id. It waits while too many commands are pending. The
// channel gets the result once it is there; remove must be called.
func (w *waiters) add(ctx context.Context) (fsm.CommandID, <-chan fsm.Result, error) {
	for {
		w.mu.Lock()
		if len(w.pending) < maxPending && w.last+1-w.oldest() < maxSpan {
			break
		}
		room := w.room
		w.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return fsm.CommandID{}, nil, context.Cause(ctx)
		}
	}
	defer w.mu.Unlock()
	w.last++
	result := make(chan fsm.Result, 1)
	w.pending[w.last] = result
	return fsm.CommandID{Origin: w.origin, Seq: w.last}, result, nil
}

// oldest is called with the lock held.
func (w *waiters) oldest() uint64 {
	oldest := w.last + 1
	for seq := range w.pending {
		oldest = min(oldest, seq)
	}
	return oldest
}

func (w *waiters) remove(id fsm.CommandID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.pending, id.Seq)
	close(w.room)
	w.room = make(chan struct{})
}

// finish hands out results of commands that were applied and published.
func (w *waiters) finish(done []outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range done {
		if o.id.Origin == w.origin {
			w.deliver(o.id.Seq, o.result)
		}
	}
}

// restored looks for results in a state that came as a snapshot.
func (w *waiters) restored(state *fsm.State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for seq := range w.pending {
		if result, known := state.ResultOf(fsm.CommandID{Origin: w.origin, Seq: seq}); known {
			w.deliver(seq, result)
		}
	}
}

// deliver is called with the lock held. Only the first result counts.
func (w *waiters) deliver(seq uint64, result fsm.Result) {
	select {
	case w.pending[seq] <- result:
	default: // nobody waits, or has the result already
	}
}
