package cluster

import (
	"errors"
	"sync"
)

// ErrStopping means that this node stops and takes nothing more to ask of the
// cluster. Nothing was written; another node does it.
var ErrStopping = errors.New("this node stops")

// callers counts who asks something of the cluster through this node, so that a
// stop leaves nobody without an answer that was about to come. Safe for
// concurrent use.
type callers struct {
	mu     sync.Mutex // guards what follows
	count  int
	ending bool
	// gone is closed once nobody is there and nobody comes any more.
	gone chan struct{}
}

func newCallers() *callers { return &callers{gone: make(chan struct{})} }

// enter returns ErrStopping, or nil; then leave must be called.
func (c *callers) enter() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending {
		return ErrStopping
	}
	c.count++
	return nil
}

func (c *callers) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count--; c.ending && c.count == 0 {
		close(c.gone)
	}
}

// end lets nobody in from now on. The channel is closed once all have left. It is
// called once.
func (c *callers) end() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ending = true
	if c.count == 0 {
		close(c.gone)
	}
	return c.gone
}
