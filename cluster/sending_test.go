package cluster

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// TestTheLogIsKeptBehindASnapshotThatIsSent until the peer had time to catch up, and
// no other part of it.
func TestTheLogIsKeptBehindASnapshotThatIsSent(t *testing.T) {
	now := time.Now()
	for name, with := range map[string]struct {
		sent     map[raft.ServerID]sentSnapshot
		failed   raft.ServerID
		from, to uint64 // what is to be removed of the entries 1 to 20
		first    uint64 // what is left
		last     uint64
	}{
		"no snapshot is sent":          {from: 1, to: 15, first: 16, last: 20},
		"one is sent":                  {sent: map[raft.ServerID]sentSnapshot{"n2": {9, now}}, from: 1, to: 15, first: 9, last: 20},
		"two are sent":                 {sent: map[raft.ServerID]sentSnapshot{"n2": {9, now}, "n3": {4, now}}, from: 1, to: 15, first: 4, last: 20},
		"an older one would be enough": {sent: map[raft.ServerID]sentSnapshot{"n2": {18, now}}, from: 1, to: 15, first: 16, last: 20},
		"all is needed":                {sent: map[raft.ServerID]sentSnapshot{"n2": {0, now}}, from: 1, to: 15, first: 1, last: 20},
		"it arrived long ago":          {sent: map[raft.ServerID]sentSnapshot{"n2": {9, now.Add(-2 * keptBehindSnapshot)}}, from: 1, to: 15, first: 16, last: 20},
		"it takes long to arrive":      {sent: map[raft.ServerID]sentSnapshot{"n2": {last: 9}}, from: 1, to: 15, first: 9, last: 20},
		"it did not arrive":            {sent: map[raft.ServerID]sentSnapshot{"n2": {9, now}}, failed: "n2", from: 1, to: 15, first: 16, last: 20},
		"the end of the log goes":      {sent: map[raft.ServerID]sentSnapshot{"n2": {9, now}}, from: 12, to: 20, first: 1, last: 11},
	} {
		sending := newSending()
		for id, sent := range with.sent {
			sending.begin(id, sent.last)
			if !sent.arrived.IsZero() {
				sending.arrived(id, sent.arrived)
			}
		}
		sending.failed(with.failed)
		s := &raftStore{log: raft.NewInmemStore(), writes: newWriteTimes(), sending: sending}
		var logs []*raft.Log
		for index := uint64(1); index <= 20; index++ {
			logs = append(logs, &raft.Log{Index: index, Term: 1})
		}
		if err := s.StoreLogs(logs); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteRange(with.from, with.to); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		first, _ := s.FirstIndex()
		last, _ := s.LastIndex()
		if first != with.first || last != with.last {
			t.Errorf("%s: entries %d to %d are left, want %d to %d", name, first, last, with.first, with.last)
		}
	}
}
