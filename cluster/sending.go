package cluster

import (
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
