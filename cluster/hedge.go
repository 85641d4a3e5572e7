package cluster

import (
	"fmt"
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
	// maxBeats bounds the heartbeats to one peer at one time. One that is late goes
	// on, since it warms its connection up, or ends it.
	maxBeats = maxHedges + 2
	// maxAsked bounds the votes and pre-votes that a peer is asked for at one time.
	// One that swallows packets holds each for transportTimeout, and raft asks every
	// one to two election timeouts: seven on average with the default profile, so
	// that the round after its return finds room.
	maxAsked = 12
	// maxAskedAgain bounds those that are made again, apart, since they would take
	// the room of the next round: a pre-vote and the vote that follows it.
	maxAskedAgain = 2 * maxHedges
	// usualShare is by how much one answer moves what is usual, as in RFC 6298.
	usualShare = 8
)

// kind is what a call is for. Each has its own lane to a peer, so that what is left
// of votes does not delay the first heartbeats of who has won them.
type kind int

const (
	heartbeats kind = iota
	votes
	kinds
)

// lane is where the calls of one kind go to one peer.
type lane struct {
	// first has one for each call, again one for each time that one is made again.
	first, again chan struct{}
	// patience is how long a call waits for room.
	patience time.Duration
	// usual is what an answer takes; guarded by the transport's lock. A pre-vote's
	// comes when the leader's timeout is over, which says nothing of heartbeats.
	usual time.Duration
}

func newLanes() (lanes [kinds]*lane) {
	// raft sends the next heartbeat when the last one has returned.
	beats := make(chan struct{}, maxBeats)
	lanes[heartbeats] = &lane{first: beats, again: beats, patience: transportTimeout}
	// raft asks for votes without regard to what it has asked before: to wait here
	// would be to grow without bound, and to ask what nobody wants to know any more.
	lanes[votes] = &lane{first: make(chan struct{}, maxAsked), again: make(chan struct{}, maxAskedAgain)}
	return lanes
}

// enter takes room for a call. It waits for it no longer than the lane's patience,
// or until nothing may rest any more.
func (l *lane) enter(id raft.ServerID, closing <-chan struct{}) error {
	select {
	case l.first <- struct{}{}:
		return nil
	default:
	}
	if l.patience > 0 {
		timer := time.NewTimer(l.patience)
		defer timer.Stop()
		select {
		case l.first <- struct{}{}:
			return nil
		case <-closing:
		case <-timer.C:
		}
	}
	return fmt.Errorf("node %s: %d calls to it are without an answer already: this one is not made, raft makes the next one when it is due", id, cap(l.first))
}

// attempt is what came of one call of several.
type attempt[Answer any] struct {
	answer Answer
	err    error
	took   time.Duration
}

// hedged makes a call until one attempt is answered, or all have failed. It fails
// when as many as may be are open to that peer.
func hedged[Answer any](t *transport, of kind, id raft.ServerID, answer *Answer, call func(*Answer) error) error {
	l, after := t.hedge(of, id)
	results := make(chan attempt[Answer], 1+maxHedges)
	begin := func(room chan struct{}) bool {
		return t.begin(room, func() {
			var result attempt[Answer]
			begun := time.Now()
			result.err = call(&result.answer)
			result.took = time.Since(begun)
			<-room
			results <- result
		})
	}
	if err := l.enter(id, t.closing); err != nil {
		return err
	}
	if !begin(l.first) {
		return call(answer)
	}
	again := time.NewTicker(after)
	defer again.Stop()
	for begun, open := 1, 1; ; {
		select {
		case result := <-results:
			open--
			if result.err == nil {
				t.learn(l, result.took)
			}
			if result.err == nil || open == 0 {
				*answer = result.answer
				return result.err
			}
		case <-again.C:
			if begun <= maxHedges && t.mayRepeat(id, l) && begin(l.again) {
				begun++
				open++
			}
		}
	}
}

// begin runs a call that has taken room, or, if the transport is about to end,
// gives the room back.
func (t *transport) begin(room chan struct{}, call func()) (begun bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		<-room
		return false
	}
	t.tasks.Go(call)
	return true
}

// mayRepeat takes room for one more of a call, if there is any. To a peer that is
// known to be down a second one is no use.
func (t *transport) mayRepeat(id raft.ServerID, l *lane) bool {
	t.mu.Lock()
	down := t.peer(id).down != nil
	t.mu.Unlock()
	if down {
		return false
	}
	select {
	case l.again <- struct{}{}:
		return true
	default:
		return false
	}
}

// hedge returns the lane of a call to a peer, and after how long it is made again:
// a heartbeat's time, or twice what an answer takes on a long way.
func (t *transport) hedge(of kind, id raft.ServerID) (l *lane, after time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l = t.peer(id).lanes[of]
	return l, max(t.beat, 2*l.usual)
}

// learn takes what an answer took.
func (t *transport) learn(l *lane, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l.usual += (took - l.usual) / usualShare
}
