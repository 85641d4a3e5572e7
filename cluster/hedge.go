package cluster

import (
	"time"

	"github.com/hashicorp/raft"
)

// A segment that is lost costs a TCP connection with one call at a time 200 ms and
// more (RFC 6298's lower bound as Linux has it; a tail loss probe, RFC 8985, comes
// as late when nothing else is in flight), which is the whole of a leader's lease.
// So a call that may be made twice and is not answered in time is made again on
// another connection, and the first answer counts (Dean and Barroso, "The tail at
// scale", 2013). Where nothing is lost no packet is sent for it.

const (
	// maxHedges is how often a call is made again.
	maxHedges = 4
	// maxOpen bounds the calls of this kind to one peer at one time. One that is
	// late goes on, since it warms its connection up, or ends it.
	maxOpen = maxHedges + 2
	// usualShare is by how much one answer moves what is usual, as in RFC 6298.
	usualShare = 8
)

// attempt is what came of one call of several.
type attempt[Answer any] struct {
	answer Answer
	err    error
	took   time.Duration
}

// hedged makes a call until one attempt is answered, or all have failed.
func hedged[Answer any](t *transport, id raft.ServerID, answer *Answer, call func(*Answer) error) error {
	slots, after := t.hedge(id)
	results := make(chan attempt[Answer], 1+maxHedges)
	begin := func() (begun bool) {
		return t.begin(func() {
			var result attempt[Answer]
			begun := time.Now()
			result.err = call(&result.answer)
			result.took = time.Since(begun)
			<-slots
			results <- result
		})
	}
	select {
	case slots <- struct{}{}:
		if !begin() {
			<-slots
			return call(answer)
		}
	case <-t.closing:
		return call(answer)
	}
	again := time.NewTicker(after)
	defer again.Stop()
	for begun, open := 1, 1; ; {
		select {
		case result := <-results:
			open--
			if result.err == nil {
				t.learn(id, result.took)
			}
			if result.err == nil || open == 0 {
				*answer = result.answer
				return result.err
			}
		case <-again.C:
			switch {
			case begun > maxHedges || !t.takeSlot(id, slots):
			case begin():
				begun++
				open++
			default:
				<-slots
			}
		}
	}
}

// begin runs a call of its own, unless the transport is about to end.
func (t *transport) begin(call func()) (begun bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.tasks.Go(call)
	return true
}

// takeSlot reports whether one more call may be made to a peer. To one that is
// known to be down a second one is no use.
func (t *transport) takeSlot(id raft.ServerID, slots chan struct{}) bool {
	t.mu.Lock()
	down := t.peer(id).down != nil
	t.mu.Unlock()
	if down {
		return false
	}
	select {
	case slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// hedge returns the slots of a peer's calls, and after how long one is made again:
// a heartbeat's time, or twice what an answer takes on a long way.
func (t *transport) hedge(id raft.ServerID) (slots chan struct{}, after time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.peer(id)
	return p.slots, max(t.beat, 2*p.usual)
}

// learn takes what an answer of a peer took.
func (t *transport) learn(id raft.ServerID, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.peer(id)
	p.usual += (took - p.usual) / usualShare
}
