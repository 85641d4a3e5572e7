package cluster

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// keptBehindSnapshot is for how long after its arrival the log is kept behind a
// snapshot that was sent to a peer. The log must not grow for a peer that never
// catches up.
const keptBehindSnapshot = time.Minute

// sending knows which entries the peers need that are sent a snapshot. raft does not:
// a snapshot that it takes meanwhile cuts the log off behind them, and such a peer is
// sent that one too, all over again. Safe for concurrent use.
type sending struct {
	mu    sync.Mutex // guards what follows
	peers map[raft.ServerID]sentSnapshot
}

// sentSnapshot is one whose last entry has that index.
type sentSnapshot struct {
	last    uint64
	arrived time.Time // zero while it is under way
}

func newSending() *sending { return &sending{peers: map[raft.ServerID]sentSnapshot{}} }

func (s *sending) begin(id raft.ServerID, last uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peers[id] = sentSnapshot{last: last}
}

// arrived is told that a peer has got what was begun.
func (s *sending) arrived(id raft.ServerID, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sent, ok := s.peers[id]; ok {
		sent.arrived = now
		s.peers[id] = sent
	}
}

// failed is told that a peer has not got its snapshot. It is sent the newest one.
func (s *sending) failed(id raft.ServerID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.peers, id)
}

// spare returns up to where the log may be cut off, that entry included, that is to
// be cut off up to an entry. The last entry of a snapshot that is sent stays too:
// raft names it as the one before the first that it sends then.
func (s *sending) spare(to uint64, now time.Time) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, sent := range s.peers {
		if !sent.arrived.IsZero() && now.Sub(sent.arrived) > keptBehindSnapshot {
			delete(s.peers, id)
			continue
		}
		to = min(to, max(sent.last, 1)-1)
	}
	return to
}

const (
	// A snapshot that a peer could not store is sent again after a pause of
	// sendingShare times what the attempt took: a disk that fills up late costs a
	// whole transfer each time. The pause is never less than maxRepeat and never
	// more than maxSendPause.
	sendingShare = 4
	maxSendPause = 5 * time.Second
)

var errNotStored = errors.New("it answers that it could not")

// rewindable is the state of a snapshot that can be read again from its beginning.
type rewindable interface{ rewind() error }

// InstallSnapshot implements [raft.Transport]. It sends the snapshot until the peer
// has stored it, or raft does not want it any more: told of each failure raft would
// back off to 10 s, and a peer whose disk has room again waits so long. The log is
// kept behind it only while it is sent; if that has gone on meanwhile, raft sends the
// newest one next.
func (t *transport) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	state, again := data.(rewindable)
	for {
		begun := time.Now()
		err := t.sendSnapshot(id, target, args, resp, data)
		if err == nil && resp.Success || resp.Term > args.Term || !again {
			return err
		}
		cause := err
		if cause == nil {
			cause = errNotStored
		}
		t.logger.Error("a peer does not store the snapshot: it is sent again until it does", "peer", id, "error", cause)
		wait := min(max(sendingShare*time.Since(begun), maxRepeat), maxSendPause)
		if !t.pauseFor(wait) || !t.wanted(id, args.Term) {
			return err
		}
		if failed := state.rewind(); failed != nil {
			return failed
		}
		*resp = raft.InstallSnapshotResponse{} // decoding leaves what is not there
	}
}

// sendSnapshot makes one attempt, once the peer is there.
func (t *transport) sendSnapshot(id raft.ServerID, target raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	t.lag(id)
	t.rest(id, args.Term)
	t.sending.begin(id, args.LastLogIndex)
	err := t.NetworkTransport.InstallSnapshot(id, target, args, resp, data)
	if err != nil || !resp.Success {
		t.sending.failed(id)
		return err
	}
	t.sending.arrived(id, time.Now())
	return nil
}
