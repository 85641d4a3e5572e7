package conformance

import (
	"fmt"
	"sync"
	"time"
)

// patience is how long an exchange waits for what should happen at once.
const patience = 10 * time.Second

// plan is how the bytes of a run are cut.
type plan struct {
	client, backend int  // the length of the first part of two; 0: in one piece
	bytewise        bool // every byte by itself
	follow          bool // a second request right behind
}

func (p plan) String() string {
	switch {
	case p.bytewise:
		return "byte by byte"
	case p.client > 0:
		return fmt.Sprintf("client's bytes split after %d", p.client)
	case p.backend > 0:
		return fmt.Sprintf("backend's bytes split after %d", p.backend)
	case p.follow:
		return "with a second request right behind"
	}
	return "in one piece"
}

// exchange is one run of a row, and what each side saw.
type exchange struct {
	row  *row
	plan plan
	over chan struct{} // closed when the run ends

	mu      sync.Mutex // guards the fields below
	changed chan struct{}
	marks   map[string]bool
	faults  []string
	conns   []*backendConn
	seen    []*message
	got     []*message
	ending  string // how the client's connection ended between two responses
	tail    []byte // what the client got behind a 101
	sent    int    // bytes that endless scripts wrote
	raw     []byte // what the client received, the first of it
}

func newExchange(r *row, p plan) *exchange {
	return &exchange{row: r, plan: p, over: make(chan struct{}), changed: make(chan struct{}), marks: map[string]bool{}}
}

// update changes the record and wakes those who wait for it.
func (x *exchange) update(change func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	change()
	close(x.changed)
	x.changed = make(chan struct{})
}

func (x *exchange) fail(format string, args ...any) {
	x.update(func() { x.faults = append(x.faults, fmt.Sprintf(format, args...)) })
}

// mark notes that something happened. Those set by the harness are "seen N"
// (the backend has read the head of its Nth request), "head N" (the client has
// read that of its Nth response), "part N" (and some of its body), "got N" (all
// of it, or all there will be), "interim N" and "dropped" (a backend connection
// has ended).
func (x *exchange) mark(name string) { x.update(func() { x.marks[name] = true }) }

// until waits for a mark; it returns false if none came.
func (x *exchange) until(name string) bool {
	return x.await(func() bool { return x.marks[name] })
}

// await waits until the record, whose lock is held, satisfies holds.
func (x *exchange) await(holds func() bool) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		x.mu.Lock()
		done, changed := holds(), x.changed
		x.mu.Unlock()
		if done {
			return true
		}
		select {
		case <-changed:
		case <-timer.C:
			return false
		}
	}
}

// pause waits, but not beyond the end of the run.
func (x *exchange) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-x.over:
	}
}

// cutAt writes text in the parts that a plan says.
func (x *exchange) cutAt(text string, at int, write func(string) error) error {
	if at <= 0 || at >= len(text) {
		return write(text)
	}
	if err := write(text[:at]); err != nil {
		return err
	}
	x.pause(splitPause)
	return write(text[at:])
}
