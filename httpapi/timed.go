package httpapi

import (
	"context"
	"sync"
	"time"
)

// timed is context.WithTimeout of which the timer is set once somebody waits: a read
// of what the node has waits for nothing, and is over before one could be made.
type timed struct {
	context.Context // the parent
	until           time.Time

	mu     sync.Mutex // guards what follows
	timer  context.Context
	cancel context.CancelFunc
	ended  bool
}

func newTimed(parent context.Context, timeout time.Duration) *timed {
	return &timed{Context: parent, until: time.Now().Add(timeout)}
}

// started returns the context that has the timer.
func (t *timed) started() context.Context {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer == nil {
		t.timer, t.cancel = context.WithDeadline(t.Context, t.until)
		if t.ended {
			t.cancel()
		}
	}
	return t.timer
}

// end cancels it.
func (t *timed) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended = true; t.cancel != nil {
		t.cancel()
	}
}

// Deadline implements [context.Context].
func (t *timed) Deadline() (time.Time, bool) {
	if earlier, ok := t.Context.Deadline(); ok && earlier.Before(t.until) {
		return earlier, true
	}
	return t.until, true
}

// Done implements [context.Context].
func (t *timed) Done() <-chan struct{} { return t.started().Done() }

// Err implements [context.Context].
func (t *timed) Err() error { return t.started().Err() }

// Value implements [context.Context]. Once there is a timer it is asked, so that
// package context knows what it is and derives from it without a goroutine. The
// parent is the origin that [endless] goes back to.
func (t *timed) Value(key any) any {
	if key == (originKey{}) {
		return t.Context
	}
	t.mu.Lock()
	from := t.timer
	t.mu.Unlock()
	if from == nil {
		from = t.Context
	}
	return from.Value(key)
}
