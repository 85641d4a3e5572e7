package cluster

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// transportTimeout bounds one call between Raft nodes.
	transportTimeout = 2 * time.Second
	// pooledConns per peer are kept without a call: for replication, pushes, and
	// heartbeats or votes as often as a network which loses packets has them sent
	// (hedge.go, which bounds those that have a call). More are closed after theirs.
	pooledConns = 2 + maxBeats
	// wantedCheck is between two looks whether raft still wants a call that is
	// held back.
	wantedCheck = 250 * time.Millisecond
	// A request that a peer could not store is repeated after minRepeat, then
	// after twice as long each time, up to maxRepeat.
	minRepeat = 10 * time.Millisecond
	maxRepeat = 250 * time.Millisecond
	// staleRetries is how many dead connections of the pool a vote gets past.
	staleRetries = pooledConns
)

// transport is raft's network transport with ten differences.
//
//   - Heartbeats take the main loop of the receiver: its fast path lets a node
//     whose main loop hangs look alive to its leader, and lets a leader that
//     hangs keep its followers (hashicorp/raft#695).
//   - But for a short while, in which the main loop writes what the leader sent,
//     they are answered without it. See writing.go.
//   - Followers are told of a commit at once, by an empty AppendEntries,
//     instead of with the next entry or CommitTimeout. See push.
//   - Heartbeats are sent at most five times in a heartbeat timeout, not up to
//     ten times, and at once when a read waits for them: they are most of what
//     an idle cluster costs.
//   - Replication to a peer that cannot be reached, by entries or by a snapshot,
//     rests until a heartbeat got through. raft itself backs off to 10 s between
//     attempts, and keeps a follower that returned waiting so long. Heartbeats
//     are at most half a heartbeat timeout apart however many have failed, and
//     a connect that nobody answers is given up after transportTimeout.
//   - What a peer could not store is sent again four times a second until it
//     could, for the same reason, and a snapshot as often as it costs little. See
//     repeat, and sending.go.
//   - It records who answered what was sent when, for linearizable reads and
//     for the leader's view of who is alive.
//   - Heartbeats and votes that nobody answers are sent again on another
//     connection. See hedge.go.
//   - Whether a leader is silent is looked at when its timeout ends. See
//     election.go.
//   - A node that stops, or that cannot write, is not elected. See office.go.
type transport struct {
	*raft.NetworkTransport
	uid    raft.ServerAddress
	logger *raftLogger
	beat   time.Duration             // between two heartbeats to a peer
	caller atomic.Pointer[raft.Raft] // nil until it has begun
	// sending is told of the snapshots that are sent.
	sending *sending
	leaving atomic.Bool // this node stops

	timeout  time.Duration          // after which a leader is silent
	calls    chan raft.RPC          // what raft's main loop gets of the network
	attached time.Time              // when raft had begun; set before caller
	atWork   atomic.Int32           // calls of a leader that raft has not answered yet
	writing  writing                // whether raft's main loop writes its log
	gave     atomic.Int64           // when another was last told that it may win, in ns since 1970
	pledge   atomic.Pointer[pledge] // nil: none since the start
	election atomic.Int64           // how long a candidate waits for votes at least, in ns
	waking   sync.Mutex             // held while raft is woken
	tasks    sync.WaitGroup
	over     chan struct{} // closed by Close
	ending   sync.Once

	mu    sync.Mutex // guards what follows
	peers map[raft.ServerID]*peerProgress
	// commit is the newest committed entry that the replica was given.
	commitIndex, commitTerm uint64
	acked                   chan struct{} // closed and replaced when a peer answers
	released                chan struct{} // closed and replaced when a leadership ends
	hurried                 chan struct{} // closed and replaced when a read begins to wait for heartbeats
	hurries                 int           // how many reads wait
	closed                  bool
	closing                 chan struct{} // closed when nothing may rest any more
	pushes                  sync.WaitGroup
}

// peerProgress is what this node, as leader of a term, knows of a peer.
type peerProgress struct {
	term uint64
	// answered is when the newest request that succeeded was sent.
	answered time.Time
	// beat is when the last heartbeat was sent.
	beat time.Time
	// match is the last entry known to be equal, told the commit index that
	// the peer was told.
	match, told uint64
	pushing     bool
	// lags is set when it could not store entries, or needs a snapshot, until it
	// has stored what raft sends next.
	lags bool
	// down is not nil after a call that did not get through, and closed by the
	// next one that does.
	down chan struct{}
	// lanes are those of the calls that are made several times, and outlast terms.
	lanes [kinds]*lane
}

var (
	_ raft.Transport   = (*transport)(nil)
	_ raft.WithPreVote = (*transport)(nil)
	_ raft.WithClose   = (*transport)(nil)
)

func newTransport(stream raft.StreamLayer, uid string, heartbeat time.Duration, logger *raftLogger) *transport {
	t := &transport{
		NetworkTransport: raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
			Stream:  stream,
			MaxPool: pooledConns,
			// No pipelining (hashicorp/raft#611, #612). When a write of a follower
			// fails, what reads the answers of the pipeline ends at once. What
			// sends may send once more before it notices, and with two calls in
			// flight, which is raft's default, waits for ever for room: the
			// follower is sent heartbeats and nothing else until the leader
			// changes. More calls in flight make that rarer, not impossible.
			MaxRPCsInFlight: 1,
			Timeout:         transportTimeout,
			Logger:          logger,
		}),
		uid:      raft.ServerAddress(uid),
		logger:   logger,
		sending:  newSending(),
		peers:    map[raft.ServerID]*peerProgress{},
		acked:    make(chan struct{}),
		beat:     heartbeat / 5,
		hurried:  make(chan struct{}),
		released: make(chan struct{}),
		closing:  make(chan struct{}),
		timeout:  heartbeat,
		calls:    make(chan raft.RPC),
		over:     make(chan struct{}),
	}
	t.election.Store(int64(heartbeat))
	t.tasks.Go(t.receive)
	return t
}

// LocalAddr implements [raft.Transport].
func (t *transport) LocalAddr() raft.ServerAddress { return t.uid }

// SetHeartbeatHandler implements [raft.Transport]; without a handler
// heartbeats take the main loop.
func (t *transport) SetHeartbeatHandler(func(raft.RPC)) {}

// attach tells whose calls these are.
func (t *transport) attach(caller *raft.Raft) {
	t.attached = time.Now()
	t.caller.Store(caller)
}

// AppendEntries implements [raft.Transport].
func (t *transport) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	if isHeartbeat(args) {
		t.pace(id)
		return hedged(t, heartbeats, id, resp, func(resp *raft.AppendEntriesResponse) error { return t.append(id, target, args, resp) })
	}
	t.rest(id, args.Term)
	return t.repeat(id, target, args, resp)
}

// repeat sends entries until the peer has stored them, or does not answer, or
// its log does not fit, or raft does not want it any more.
//
// A peer whose disk is full refuses whatever it gets. Told of each refusal raft
// would back off to 10 s, and would begin one entry earlier each time, at last
// before its own log: it would send a whole snapshot to a full disk.
func (t *transport) repeat(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	for wait := minRepeat; ; wait = min(2*wait, maxRepeat) {
		*resp = raft.AppendEntriesResponse{} // decoding leaves what is not there
		err := t.append(id, target, args, resp)
		done := err != nil || resp.Success || resp.Term > args.Term || resp.NoRetryBackoff
		if !done {
			t.lag(id)
		}
		if done || !t.pauseFor(wait) || !t.wanted(id, args.Term) {
			return err
		}
	}
}

func (t *transport) lag(id raft.ServerID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.peer(id).lags = true
}

// takes tells whether a peer takes what it is sent, as far as is known.
func (t *transport) takes(id raft.ServerID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.peers[id]
	return p == nil || p.down == nil && !p.lags
}

// append makes one call.
func (t *transport) append(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	sent := time.Now()
	err := t.NetworkTransport.AppendEntries(id, target, args, resp)
	t.note(id, args, resp, sent, err)
	return err
}

// pace holds back a heartbeat that comes early.
func (t *transport) pace(id raft.ServerID) {
	t.mu.Lock()
	p, hurried, released := t.peer(id), t.hurried, t.released
	early := t.beat - time.Since(p.beat)
	hurry := t.hurries > 0
	t.mu.Unlock()
	if early > 0 && !hurry {
		timer := time.NewTimer(early)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-hurried:
		case <-released:
		case <-t.closing:
		}
	}
	t.mu.Lock()
	p.beat = time.Now()
	t.mu.Unlock()
}

// hurry lets heartbeats go at once, those that are held back too, until the
// returned function is called.
func (t *transport) hurry() (enough func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hurries++
	close(t.hurried)
	t.hurried = make(chan struct{})
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.hurries--
	}
}

// peer is called with the lock held.
func (t *transport) peer(id raft.ServerID) *peerProgress {
	p := t.peers[id]
	if p == nil {
		p = &peerProgress{lanes: newLanes()}
		t.peers[id] = p
	}
	return p
}

// rest holds back replication to a peer that is down, as long as raft wants it.
func (t *transport) rest(id raft.ServerID, term uint64) {
	t.mu.Lock()
	var down chan struct{}
	if p := t.peers[id]; p != nil {
		down = p.down
	}
	released := t.released
	t.mu.Unlock()
	if down == nil {
		return
	}
	look := time.NewTicker(wantedCheck)
	defer look.Stop()
	for t.wanted(id, term) {
		select {
		case <-down:
			return
		case <-released:
			return
		case <-t.closing:
			return
		case <-look.C:
		}
	}
}

// wanted tells whether raft still leads in that term and the peer is a member. If
// it does not, or the peer is none, raft has asked its goroutines to end, which a
// call that is held back does not see.
func (t *transport) wanted(id raft.ServerID, term uint64) bool {
	caller := t.caller.Load()
	if caller == nil {
		return true
	}
	if caller.State() != raft.Leader || caller.CurrentTerm() != term {
		return false
	}
	members := caller.GetConfiguration() // answers from a copy, at once
	return members.Error() != nil || slices.ContainsFunc(members.Configuration().Servers, func(s raft.Server) bool { return s.ID == id })
}

// pauseFor reports whether nothing ended meanwhile.
func (t *transport) pauseFor(wait time.Duration) bool {
	t.mu.Lock()
	released := t.released
	t.mu.Unlock()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-released:
	case <-t.closing:
	}
	return false
}

// end lets nothing rest or be pushed any more, so that raft can end.
func (t *transport) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.closed = true
		close(t.closing)
	}
}

// release lets everything go on that rests: a leadership has ended. Who is down is
// found out by the next one.
func (t *transport) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.peers {
		p.returned()
	}
	close(t.released)
	t.released = make(chan struct{})
}

// returned is called with the transport's lock held.
func (p *peerProgress) returned() {
	if p.down != nil {
		close(p.down)
		p.down = nil
	}
}

// note records how a request to a peer went.
func (t *transport) note(id raft.ServerID, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse, sent time.Time, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.peer(id)
	if err != nil {
		if p.down == nil && !p.answered.After(sent) { // else it is one of several that others overtook
			p.down = make(chan struct{})
		}
		return
	}
	p.returned()
	if args.Term < p.term || !resp.Success {
		return
	}
	if args.Term > p.term {
		*p = peerProgress{term: args.Term, pushing: p.pushing, beat: p.beat, lags: p.lags, lanes: p.lanes}
	}
	if sent.After(p.answered) {
		p.answered = sent
	}
	match := args.PrevLogEntry
	if n := len(args.Entries); n > 0 {
		match = args.Entries[n-1].Index
	}
	if match > 0 {
		p.lags = false
	}
	p.match = max(p.match, match)
	p.told = max(p.told, min(args.LeaderCommitIndex, match))
	close(t.acked)
	t.acked = make(chan struct{})
	t.push(id, p, args.RPCHeader)
}

// committed is told by the replica that everything up to an entry is
// committed.
func (t *transport) committed(index, term uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.commitIndex, t.commitTerm = index, term
	for id, p := range t.peers {
		t.push(id, p, t.header())
	}
}

// header is that of raft's own calls and answers.
func (t *transport) header() raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(t.uid), Addr: []byte(t.uid)}
}

// push tells a peer of the newest commit, if it has the entry and was not told.
//
// The request is one that raft itself could send. Its term is one in which
// raft sent this peer AppendEntries that succeeded, so this node was the
// term's leader; the entry is of the same term, is committed, and the peer is
// known to have it. Whoever has moved on to a later term refuses it as any
// late request. It is called with the lock held.
func (t *transport) push(id raft.ServerID, p *peerProgress, header raft.RPCHeader) {
	if t.closed || p.pushing || p.down != nil || p.term == 0 || p.term != t.commitTerm || p.match < t.commitIndex || p.told >= t.commitIndex {
		return
	}
	p.pushing = true
	args := &raft.AppendEntriesRequest{
		RPCHeader:         header,
		Term:              p.term,
		PrevLogEntry:      t.commitIndex,
		PrevLogTerm:       t.commitTerm,
		LeaderCommitIndex: t.commitIndex,
	}
	t.pushes.Go(func() {
		sent := time.Now()
		var resp raft.AppendEntriesResponse
		err := t.NetworkTransport.AppendEntries(id, raft.ServerAddress(id), args, &resp)
		t.mu.Lock()
		p.pushing = false
		if err == nil && !resp.Success {
			p.told = max(p.told, args.LeaderCommitIndex) // not again; raft's own requests tell it
		}
		t.mu.Unlock()
		t.note(id, args, &resp, sent, err)
	})
}

// RequestVote implements [raft.Transport].
func (t *transport) RequestVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	return t.askFor(func() error {
		return hedged(t, votes, id, resp, func(resp *raft.RequestVoteResponse) error {
			return t.pastStale(func() error { return t.NetworkTransport.RequestVote(id, target, args, resp) })
		})
	}, func() { *resp = raft.RequestVoteResponse{Term: args.Term} })
}

// RequestPreVote implements [raft.WithPreVote].
func (t *transport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return t.askFor(func() error {
		return hedged(t, votes, id, resp, func(resp *raft.RequestPreVoteResponse) error {
			return t.pastStale(func() error { return t.NetworkTransport.RequestPreVote(id, target, args, resp) })
		})
	}, func() { *resp = raft.RequestPreVoteResponse{Term: args.Term} })
}

// pastStale repeats a call that failed at once: the pool may hold connections
// to a process that is gone, and to lose a vote to each would cost an election
// timeout each. Votes may be asked for twice.
func (t *transport) pastStale(call func() error) error {
	for attempt := 0; ; attempt++ {
		begun := time.Now()
		err := call()
		if err == nil || attempt == staleRetries || time.Since(begun) > 10*time.Millisecond || t.IsShutdown() {
			return err
		}
	}
}

// answered returns when the newest request that the peer answered in that
// term, or any if term is 0, was sent.
func (t *transport) answered(id raft.ServerID, term uint64) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.peers[id]
	if p == nil || term != 0 && p.term != term {
		return time.Time{}
	}
	return p.answered
}

// match returns the last entry that the peer is known to have in that term.
func (t *transport) match(id raft.ServerID, term uint64) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.peers[id]; p != nil && p.term == term {
		return p.match
	}
	return 0
}

// waitQuorum returns when a majority of the voters, this node counted if it is
// one, answered requests of that term which were sent after since. raft's own
// VerifyLeader also counts the answers of non-voters, which prove nothing.
func (t *transport) waitQuorum(ctx context.Context, servers []raft.Server, term uint64, since time.Time) error {
	for {
		t.mu.Lock()
		acked := t.acked
		voters, agreed := 0, 0
		for _, server := range servers {
			if server.Suffrage != raft.Voter {
				continue
			}
			voters++
			p := t.peers[server.ID]
			if server.Address == t.uid || p != nil && p.term == term && p.answered.After(since) {
				agreed++
			}
		}
		t.mu.Unlock()
		if agreed > voters/2 {
			return nil
		}
		select {
		case <-acked:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Close implements [raft.WithClose]. raft calls it when its goroutines have
// ended.
func (t *transport) Close() error {
	t.end()
	err := t.NetworkTransport.Close()
	t.CloseStreams()
	t.pushes.Wait()
	t.ending.Do(func() { close(t.over) })
	t.tasks.Wait()
	return err
}
