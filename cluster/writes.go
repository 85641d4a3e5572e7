package cluster

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// slowWrite is what a write to the log may take on a sound disk, a spinning
	// one included.
	slowWrite = 30 * time.Millisecond
	// writesLooked is how many of the last writes count. Of five the median is
	// slow when three are: one that the machine held up says nothing.
	writesLooked = 5
	// slowLasts is how long writes are to be slow until that is put down to the
	// disk, if they are many. A write also takes long where its thread waits for a
	// core: on two cores that three nodes and their clients kept busy three of five
	// did every ten seconds or so, and the leadership was handed on for it.
	slowLasts = time.Second
	// maxLasting bounds the writes that are looked at for that. If they are more in
	// a second they are not slow.
	maxLasting = 64
	// writesCheck is how often a leader looks at them.
	writesCheck = 100 * time.Millisecond
	// handOverPause is the time between two times that a node gives leadership
	// away for its disk's sake: what the others say of theirs is a little old.
	handOverPause = time.Minute
)

// writeTimes are those of the writes to this node's log, and what of all writes
// to its store is under way. Safe for concurrent use.
type writeTimes struct {
	mu      sync.Mutex // guards what follows
	recent  []time.Duration
	next    int           // of recent, the one to be overwritten
	ended   []endedWrite  // the last ones of slowLasts, the oldest first
	last    time.Duration // the newest of recent
	index   uint64        // the last entry of the write that took last
	begun   uint64
	pending map[uint64]pendingWrite // the writes that are under way
}

type endedWrite struct {
	at   time.Time
	took time.Duration
}

type pendingWrite struct {
	start time.Time
	log   bool // it is one to the log
}

func newWriteTimes() *writeTimes { return &writeTimes{pending: map[uint64]pendingWrite{}} }

// begin is called before a write of entries up to an index; what it returns,
// with the error of the write, after it.
func (w *writeTimes) begin(index uint64) (end func(error)) {
	id, start := w.add(true)
	return func(err error) { w.end(id, index, start, err) }
}

// beginOther is called before a write that is none to the log; what it
// returns, after it.
func (w *writeTimes) beginOther() (end func()) {
	id, _ := w.add(false)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.pending, id)
	}
}

func (w *writeTimes) add(log bool) (id uint64, start time.Time) {
	start = time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun++
	w.pending[w.begun] = pendingWrite{start, log}
	return w.begun, start
}

// oldest is which write has been under way for longest; 0: none is.
func (w *writeTimes) oldest() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	var oldest uint64
	for id := range w.pending {
		if oldest == 0 || id < oldest {
			oldest = id
		}
	}
	return oldest
}

// end does not count a write that failed: a broken disk may say so fast.
func (w *writeTimes) end(id, index uint64, start time.Time, err error) {
	took := time.Since(start)
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.pending, id)
	if err != nil {
		return
	}
	w.last, w.index = took, index
	w.ended = append(w.ended, endedWrite{start.Add(took), took})
	w.ended = slices.Delete(w.ended, 0, max(0, len(w.ended)-maxLasting))
	if len(w.recent) < writesLooked {
		w.recent = append(w.recent, took)
		return
	}
	w.recent[w.next] = took
	w.next = (w.next + 1) % writesLooked
}

// allEnd tells whether no write is under way any more after that time.
func (w *writeTimes) allEnd(within time.Duration) bool {
	for until := time.Now().Add(within); w.oldest() != 0; {
		if time.Now().After(until) {
			return false
		}
		time.Sleep(10 * time.Millisecond)
	}
	return true
}

// typical is the median of the last writes. One that is under way counts as
// soon as it lasts longer than that. It returns 0 as long as there were not
// enough writes to tell.
func (w *writeTimes) typical(now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.recent) < writesLooked {
		return 0
	}
	median := middle(w.recent)
	for _, write := range w.pending {
		if lasts := now.Sub(write.start); write.log && lasts > median {
			all := slices.Clone(w.recent)
			all[w.next] = lasts
			median = middle(all)
		}
	}
	return median
}

// lasting is what three of four writes of the last slowLasts took at least; if they
// are no more than five it is what is typical.
func (w *writeTimes) lasting(now time.Time) time.Duration {
	typical := w.typical(now)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = slices.DeleteFunc(w.ended, func(e endedWrite) bool { return now.Sub(e.at) > slowLasts })
	if len(w.ended) <= writesLooked {
		return typical
	}
	all := make([]time.Duration, len(w.ended))
	for i, e := range w.ended {
		all[i] = e.took
	}
	slices.Sort(all)
	return min(typical, all[len(all)/4])
}

// written is what the others are told: what a write takes, the last one
// included, and the last entry that was written. It returns 0 for what is not
// known.
func (w *writeTimes) written(now time.Time) (takes time.Duration, index uint64) {
	typical := w.typical(now)
	w.mu.Lock()
	defer w.mu.Unlock()
	if typical == 0 {
		return 0, w.index
	}
	return max(typical, w.last), w.index
}

func middle(all []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(all))[len(all)/2]
}

// watchWrites hands leadership over while this node's disk is slow and
// another's is not, until ctx ends: raft's heartbeats need no disk, so that it
// would lead for ever (hashicorp/raft#503), and each change of the registry
// would wait for its disk.
func (n *Node) watchWrites(ctx context.Context, c *consensus) {
	var given time.Time
	var since uint64 // the last entry that was written when writes became slow
	for pause(ctx, writesCheck) == nil {
		now := time.Now()
		own := n.writes.lasting(now)
		if own < slowWrite {
			since = 0
			continue
		}
		if since == 0 {
			_, since = n.writes.written(now)
		}
		led, _, _ := n.leaders.current()
		if led == nil || !given.IsZero() && now.Sub(given) < handOverPause {
			continue
		}
		members, _ := n.gossip.view()
		// Not to a witness, which would hand it back: each entry waits for a disk of
		// the others anyway.
		to := faster(n.serving(n.successors(c, led.term)), members, own, since)
		if len(to) == 0 {
			continue
		}
		given = now
		n.logger.Warn("writes to the log are slow here, and faster elsewhere: the leadership is handed over",
			"took", own, "there", members[string(to[0])].takes, "to", n.nameOf(string(to[0])), "file", n.dir.file(fileStore))
		if err := n.transferTo(ctx, c, to); err != nil {
			n.logger.Warn("the leadership was not handed over", "error", err)
		}
	}
}

// faster returns those whose writes take less than half of what they take
// here, the fastest first: two disks that are about as slow are not to pass
// leadership to and fro. What a node said before it wrote what was written
// slowly here does not count: all disks may have become slow.
func faster(candidates []raft.ServerID, members map[string]gossipMember, own time.Duration, since uint64) []raft.ServerID {
	times := map[raft.ServerID]time.Duration{}
	for _, id := range candidates {
		m, known := members[string(id)]
		if known && m.State == gossipAlive && !m.Detached && m.takes > 0 && m.takes < own/2 && m.wrote >= since {
			times[id] = m.takes
		}
	}
	return slices.SortedFunc(maps.Keys(times), func(a, b raft.ServerID) int {
		return cmp.Or(cmp.Compare(times[a], times[b]), cmp.Compare(a, b))
	})
}
