package reactor

import (
	"sync"
	"sync/atomic"
)

// inbox takes calls from goroutines to a loop. The loop looks at one atomic for
// each batch, and takes the lock only if there is something.
type inbox struct {
	wake    func()
	pending atomic.Bool

	mu     sync.Mutex // guards the fields below
	calls  []func()
	closed bool
}

func (b *inbox) post(f func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.calls = append(b.calls, f)
	if !b.pending.Swap(true) {
		b.wake() // under the lock, so that the poller is not closed meanwhile
	}
	return true
}

// run has the calls made that have been posted.
func (b *inbox) run(make func(func())) {
	if !b.pending.Load() {
		return
	}
	b.mu.Lock()
	calls := b.calls
	b.calls = nil
	b.pending.Store(false)
	b.mu.Unlock()
	for _, call := range calls {
		make(call)
	}
}

// close ends posting, and makes the calls that were promised before.
func (b *inbox) close() {
	b.mu.Lock()
	calls, closed := b.calls, b.closed
	b.closed, b.calls = true, nil
	b.mu.Unlock()
	if closed {
		return
	}
	for _, call := range calls {
		call()
	}
}
