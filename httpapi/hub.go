package httpapi

import (
	"context"
	"sync"
	"sync/atomic"

	"evenkeel/fsm"
)

// hub wakes those who wait for a revision, and them alone when there is one: the
// state itself is replaced for each vote about a backend, which thousands of
// watchers had to look at. Its goroutine lives while somebody waits.
type hub struct {
	watch   func() (*fsm.State, <-chan struct{})
	current atomic.Pointer[tick]

	mu    sync.Mutex // guards what follows
	users int
	stop  chan struct{} // closed to end the goroutine
	done  chan struct{} // closed when it has
}

// tick is a revision, and a channel that is closed when there is another. It
// holds no state: who is slow must keep none alive.
type tick struct {
	revision uint64
	replaced chan struct{}
}

// join makes the hub work until leave is called, by its first user's hand. The
// calls must match.
func (h *hub) join() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.users++
	if h.users > 1 {
		return
	}
	h.stop, h.done = make(chan struct{}), make(chan struct{})
	state, replaced := h.watch()
	h.current.Store(&tick{state.Revision(), make(chan struct{})})
	go h.follow(replaced, h.stop, h.done)
}

// leave returns, for the last user, when the goroutine has ended.
func (h *hub) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.users--
	if h.users == 0 {
		close(h.stop)
		<-h.done
	}
}

func (h *hub) follow(replaced <-chan struct{}, stop <-chan struct{}, done chan<- struct{}) {
	defer close(done)
	for {
		select {
		case <-stop:
			return
		case <-replaced:
		}
		var state *fsm.State
		state, replaced = h.watch()
		if now := h.current.Load(); state.Revision() != now.revision {
			h.current.Store(&tick{state.Revision(), make(chan struct{})})
			close(now.replaced)
		}
	}
}

// reach returns the first state that has the revision, or the newest one with
// ok false when ctx ends before, or the server.
func (h *hub) reach(ctx context.Context, revision uint64) (state *fsm.State, ok bool) {
	if state, _ = h.watch(); state.Revision() >= revision {
		return state, true
	}
	h.join()
	defer h.leave()
	for {
		// In this order: what replaces the tick is in no state before it.
		now := h.current.Load()
		if state, _ = h.watch(); state.Revision() >= revision {
			return state, true
		}
		select {
		case <-now.replaced:
		case <-stopping(ctx):
			return state, false
		case <-ctx.Done():
			return state, false
		}
	}
}
