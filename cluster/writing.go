package cluster

import (
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// answersFor is for how long after a write to the log began heartbeats are answered
// without raft: longer than a disk takes that is slow, and shorter than it may hang
// (hangAfter).
const answersFor = time.Second

// writing is whether raft's main loop writes its log, and since when. Safe for
// concurrent use.
type writing struct {
	since  atomic.Pointer[time.Time] // nil while nothing is written
	failed atomic.Pointer[time.Time] // when the last write of entries did; nil if it did not
}

// begin is called by raft's main loop before a write to the log; what it returns,
// after it. On nil it does nothing.
func (w *writing) begin() (end func()) {
	if w == nil {
		return func() {}
	}
	now := time.Now()
	w.since.Store(&now)
	return func() { w.since.Store(nil) }
}

// ended takes account of a write of entries. On nil it does nothing.
func (w *writing) ended(err error) {
	switch {
	case w == nil:
	case err == nil:
		w.failed.Store(nil)
	default:
		now := time.Now()
		w.failed.Store(&now)
	}
}

// isRecent tells whether something is written, and has been for a short while only.
func (w *writing) isRecent() bool {
	since := w.since.Load()
	return since != nil && time.Since(*since) < answersFor
}

// isHeartbeat tells a heartbeat from what raft sends to replicate its log.
func isHeartbeat(r *raft.AppendEntriesRequest) bool {
	return r.PrevLogEntry == 0 && r.PrevLogTerm == 0 && len(r.Entries) == 0 && r.LeaderCommitIndex == 0
}

// answerForRaft answers a heartbeat while raft's main loop writes what the same
// leader has sent in the same term, as raft would have done before that write: a
// disk that takes as long as the lease would cost a healthy leader its office. It
// tells whether it has. After answersFor the heartbeats wait for the main loop, so
// that a disk which hangs still lets the leader see that it is left alone.
//
// A success says that this node had not left the term when the heartbeat had
// arrived, which is what raft's VerifyLeader and a read index rest on: a leader of a
// later term needs votes of a majority, and one of those who answered the heartbeat
// would have had to give its own before. raft changes the term that is read here once
// the new one is written, and before it writes a vote in that and answers who asked
// for it, and does all that in its main loop. So a node whose term is read to be
// the heartbeat's, after that arrived, has given its vote in no later one. It is
// read last, and does not fall. raft's own fast path answers heartbeats besides the
// main loop with no more than this.
func (t *transport) answerForRaft(call raft.RPC) bool {
	request, ok := call.Command.(*raft.AppendEntriesRequest)
	caller := t.caller.Load()
	if !ok || caller == nil || !isHeartbeat(request) || !t.writing.isRecent() || request.ProtocolVersion != raft.ProtocolVersionMax {
		return false
	}
	leader, _ := caller.LeaderWithID()
	if leader != raft.ServerAddress(request.Addr) || caller.State() != raft.Follower {
		return false
	}
	last := caller.LastIndex()
	if caller.CurrentTerm() != request.Term {
		return false
	}
	call.Respond(&raft.AppendEntriesResponse{RPCHeader: t.header(), Term: request.Term, LastLog: last, Success: true}, nil)
	return true
}
