package cluster

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/raft"
)

// When a leader falls silent raft itself looks for another only after one to three
// timeouts: a follower looks at its clock at random moments, and then asks for
// votes that the others refuse until they have looked at theirs, since they still
// know a leader. Here a follower looks when the timeout is over, and one that is
// asked says what is so by its clock. Who gets a vote is decided by raft as ever:
// what is here only moves when it is asked for, and that Raft is safe whenever that
// is (Raft thesis, section 4.2.3, has the rule by which a vote is refused).

// receive stands between the network and raft's main loop until the transport is
// closed. What waits for the main loop is bounded by the number of connections: each
// carries one call at a time.
func (t *transport) receive() {
	var waiting []raft.RPC
	for {
		var next raft.RPC
		var calls chan<- raft.RPC // nil, which takes nothing, while nothing waits
		if len(waiting) > 0 {
			next, calls = waiting[0], t.calls
		}
		select {
		case call := <-t.NetworkTransport.Consumer():
			if call, forRaft := t.take(call); forRaft {
				waiting = append(waiting, call)
			}
		case calls <- next:
			waiting = slices.Delete(waiting, 0, 1)
		case <-t.over:
			return
		}
	}
}

// Consumer implements [raft.Transport].
func (t *transport) Consumer() <-chan raft.RPC { return t.calls }

// take returns a call as raft's main loop is to have it; forRaft is false if the
// transport answers it, or hands it over later.
func (t *transport) take(call raft.RPC) (changed raft.RPC, forRaft bool) {
	if t.declines(call) {
		return call, false
	}
	switch request := call.Command.(type) {
	case *raft.AppendEntriesRequest, *raft.InstallSnapshotRequest:
		if t.answerForRaft(call) {
			return call, false
		}
		call = t.working(call)
	case *raft.RequestPreVoteRequest:
		// Others go on while it waits. A peer asks once at a time on each of its
		// connections, whose number is bounded.
		call = t.via(call, func(answer raft.RPCResponse) raft.RPCResponse { return t.unlessPledged(request, answer) }, func() {})
		t.tasks.Go(func() { t.judge(call, request) })
		return call, false
	case *raft.RequestVoteRequest:
		if caller := t.caller.Load(); caller != nil && t.followsSilent(caller, request.Addr) {
			// raft has no other way to be told that its leader does not count.
			copied := *request
			copied.LeadershipTransfer = true
			call.Command = &copied
		}
	}
	return call, true
}

func (t *transport) hand(call raft.RPC) {
	select {
	case t.calls <- call:
	case <-t.over:
	}
}

// working counts a call as the leader's presence until raft has answered it: its
// main loop may wait for the disk meanwhile.
func (t *transport) working(call raft.RPC) raft.RPC {
	t.atWork.Add(1)
	return t.via(call, func(answer raft.RPCResponse) raft.RPCResponse { return answer }, func() { t.atWork.Add(-1) })
}

// via has what answers a call go through pass. ended is called after that, or when
// the transport is closed.
func (t *transport) via(call raft.RPC, pass func(raft.RPCResponse) raft.RPCResponse, ended func()) raft.RPC {
	to, answers := call.RespChan, make(chan raft.RPCResponse, 1)
	call.RespChan = answers
	t.tasks.Go(func() {
		defer ended()
		select {
		case answer := <-answers:
			to <- pass(answer) // has room for one
		case <-t.over:
		}
	})
	return call
}

// pledge is the newest vote that this node has given since its start.
type pledge struct {
	term uint64
	to   raft.ServerAddress
	at   time.Time
}

// voted is told by the store of a vote that is written, before raft answers for it.
func (t *transport) voted(term uint64, candidate []byte) {
	t.pledge.Store(&pledge{term, raft.ServerAddress(candidate), time.Now()})
}

// unlessPledged has an answer to who asks for a pre-vote say that this node would not
// vote for it, if it has just voted for another in that term. raft does not look at
// that, so that a candidate whose votes are on their way to slow disks would get a
// rival with each who asks meanwhile. After the time that it waits for votes raft's
// word counts again: who is asked may be behind, and the other one is to get past its
// term.
func (t *transport) unlessPledged(request *raft.RequestPreVoteRequest, answer raft.RPCResponse) raft.RPCResponse {
	if would, ok := answer.Response.(*raft.RequestPreVoteResponse); ok && would.Granted && t.isPledged(request) {
		refused := *would
		refused.Granted = false
		answer.Response = &refused
	}
	return answer
}

// isPledged tells whether this node has just given the vote to another.
func (t *transport) isPledged(request *raft.RequestPreVoteRequest) bool {
	last := t.pledge.Load()
	return last != nil && last.term == request.Term && last.to != raft.ServerAddress(request.Addr) &&
		time.Since(last.at) < time.Duration(t.election.Load())
}

// heard is when raft last heard of a leader, or gave its vote to somebody.
func (t *transport) heard(caller *raft.Raft) time.Time {
	if t.atWork.Load() > 0 {
		return time.Now()
	}
	if last := caller.LastContact(); !last.IsZero() {
		return last
	}
	return t.attached
}

// followsSilent tells whether raft follows a leader, other than the candidate, that
// has been silent for the whole timeout.
func (t *transport) followsSilent(caller *raft.Raft, candidate []byte) bool {
	return t.follows(caller, candidate) && time.Since(t.heard(caller)) >= t.timeout
}

func (t *transport) follows(caller *raft.Raft, candidate []byte) bool {
	leader, _ := caller.LeaderWithID()
	return caller.State() == raft.Follower && leader != "" && leader != raft.ServerAddress(candidate)
}

// judge answers who asks whether it would get this node's vote. While the leader's
// timeout runs the answer waits for its end, or for a word of the leader, which has
// raft refuse.
func (t *transport) judge(call raft.RPC, request *raft.RequestPreVoteRequest) {
	caller := t.caller.Load()
	if caller == nil || !t.outlasts(caller, request.Addr) {
		t.hand(call)
		return
	}
	switch t.compare(caller, request) {
	case mayWin:
		if !t.isPledged(request) { // else who asks is told no
			t.gave.Store(time.Now().UnixNano())
		}
		call.Respond(&raft.RequestPreVoteResponse{RPCHeader: t.header(), Term: request.Term, Granted: true}, nil)
		return
	case isBehind:
		t.wake(caller) // this node is the one to stand
	}
	t.hand(call)
}

// outlasts returns true when the leader's timeout ends, and false as soon as the
// leader is heard or there is none.
func (t *transport) outlasts(caller *raft.Raft, candidate []byte) bool {
	heard := t.heard(caller)
	look := time.NewTicker(max(t.timeout/40, time.Millisecond))
	defer look.Stop()
	for t.follows(caller, candidate) && !t.heard(caller).After(heard) {
		if time.Since(heard) >= t.timeout {
			return true
		}
		select {
		case <-look.C:
		case <-t.over:
			return false
		}
	}
	return false
}

// standing is what this node thinks of a candidate.
type standing int

const (
	isRaftsAffair standing = iota
	mayWin
	isBehind // its log ends before this node's
)

// compare applies raft's own conditions for a pre-vote but that there is no leader.
func (t *transport) compare(caller *raft.Raft, request *raft.RequestPreVoteRequest) standing {
	members := caller.GetConfiguration() // answers from a copy, at once
	if members.Error() != nil || request.ProtocolVersion != raft.ProtocolVersionMax || request.Term < caller.CurrentTerm() ||
		!isVoter(members.Configuration().Servers, raft.ServerID(request.ID)) {
		return isRaftsAffair
	}
	index, term, err := lastEntry(caller)
	switch {
	case err != nil:
		return isRaftsAffair
	case cmp.Or(cmp.Compare(request.LastLogTerm, term), cmp.Compare(request.LastLogIndex, index)) < 0:
		return isBehind
	}
	return mayWin
}

// lastEntry is the last one of raft's log, or of its snapshot.
func lastEntry(caller *raft.Raft) (index, term uint64, err error) {
	stats := caller.Stats() // the only place that has the term
	number := func(name string) uint64 {
		value, failed := strconv.ParseUint(stats[name], 10, 64)
		err = errors.Join(err, failed)
		return value
	}
	index, term = number("last_log_index"), number("last_log_term")
	if snapshot := number("last_snapshot_index"); snapshot > index {
		index, term = snapshot, number("last_snapshot_term")
	}
	return index, term, err
}

func isVoter(servers []raft.Server, id raft.ServerID) bool {
	return slices.ContainsFunc(servers, func(s raft.Server) bool { return s.ID == id && s.Suffrage == raft.Voter })
}

// wake has a follower look at once whether its leader is silent, and if it is, stand
// for election. raft looks when a timeout of its settings has become shorter.
func (t *transport) wake(caller *raft.Raft) {
	t.waking.Lock()
	defer t.waking.Unlock()
	settings := caller.ReloadableConfig()
	longer := settings
	longer.HeartbeatTimeout++
	longer.ElectionTimeout++
	if caller.ReloadConfig(longer) == nil {
		_ = caller.ReloadConfig(settings) // they were valid before
	}
}

// watchSilence wakes raft when its leader is silent for the timeout, until ctx
// ends. rank is this node's place among those that may stand, from 0; each place
// waits a heartbeat longer, so that two do not divide the votes.
func (t *transport) watchSilence(ctx context.Context, caller *raft.Raft, rank func(servers []raft.Server, leader raft.ServerID) int) {
	for {
		due, stands := t.due(caller, rank)
		wait := max(time.Until(due), 0)
		begun := time.Now()
		if pause(ctx, wait) != nil {
			return
		}
		// A process that was held up itself has not read all that came meanwhile.
		if late := time.Since(begun) - wait; late > t.beat/2 && pause(ctx, t.beat) != nil {
			return
		}
		if !stands {
			continue
		}
		if due, stands = t.due(caller, rank); !stands || time.Until(due) > 0 {
			continue
		}
		t.wake(caller)
		if pause(ctx, t.beat) != nil {
			return
		}
	}
}

// due is when this node is to stand for election if it hears nothing, or when to
// look again if it is not to stand.
func (t *transport) due(caller *raft.Raft, rank func([]raft.Server, raft.ServerID) int) (at time.Time, stands bool) {
	members := caller.GetConfiguration()
	if caller.State() != raft.Follower || members.Error() != nil || !isVoter(members.Configuration().Servers, raft.ServerID(t.uid)) {
		return time.Now().Add(t.timeout), false
	}
	_, leader := caller.LeaderWithID()
	heard := t.heard(caller)
	at = heard.Add(t.timeout)
	// Who was told that it may win has as long as it waits for votes.
	if gave := time.Unix(0, t.gave.Load()); gave.After(heard) {
		at = gave.Add(time.Duration(t.election.Load()))
	}
	return at.Add(time.Duration(rank(members.Configuration().Servers, leader)) * t.beat), true
}

// rank is this node's place among the voters that may follow a leader: witnesses
// are last, and so is who is known to be gone.
func (n *Node) rank(servers []raft.Server, leader raft.ServerID) (rank int) {
	place := func(id raft.ServerID) (class int) {
		if n.isWitness(string(id)) {
			class++
		}
		if m, known := n.gossip.member(string(id)); known && m.State != gossipAlive {
			class += 2
		}
		return class
	}
	own := raft.ServerID(n.UID())
	mine := place(own)
	for _, server := range servers {
		if server.Suffrage == raft.Voter && server.ID != leader && server.ID != own &&
			cmp.Or(cmp.Compare(place(server.ID), mine), cmp.Compare(server.ID, own)) < 0 {
			rank++
		}
	}
	return rank
}
