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
	// smallLooked is how many of the last writes to log, term or vote count for how
	// long votes are waited for. An election makes three, and the next one is to know.
	smallLooked = 3
	// smallKept is how long they count: a disk may be another's turn by then.
	smallKept = time.Minute
	// writesCheck is how often a node looks at them.
	writesCheck = 100 * time.Millisecond
	// handOverPause is the time between two times that a node gives leadership
	// away for its disk's sake: what the others say of theirs is a little old.
	handOverPause = time.Minute
)

// writeTimes are those of the writes to this node's log, of those that an election
// waits for, and what of all writes to its store is under way. Safe for concurrent
// use.
type writeTimes struct {
	mu      sync.Mutex // guards what follows
	log     lastTimes
	small   lastTimes     // of log, term and vote
	smallAt time.Time     // when the newest of small had ended
	ended   []endedWrite  // the last ones to the log of slowLasts, the oldest first
	last    time.Duration // the newest of log
	index   uint64        // the last entry of the write that took last
	begun   uint64
	pending map[uint64]pendingWrite // the writes that are under way
}

type endedWrite struct {
	at   time.Time
	took time.Duration
}

// lastTimes are what the last writes took, as many as most.
type lastTimes struct {
	took []time.Duration
	next int // of took, the one to be overwritten
	most int
}

func (l *lastTimes) add(took time.Duration) {
	if len(l.took) < l.most {
		l.took = append(l.took, took)
		return
	}
	l.took[l.next] = took
	l.next = (l.next + 1) % l.most
}

// with are those that there would be if one more had ended.
func (l *lastTimes) with(took time.Duration) *lastTimes {
	more := &lastTimes{slices.Clone(l.took), l.next, l.most}
	more.add(took)
	return more
}

// median is the middle one; of two the shorter.
func (l *lastTimes) median() time.Duration {
	if len(l.took) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(l.took))[(len(l.took)-1)/2]
}

// writeKind is what a write to the store is of.
type writeKind int

const (
	ofLog   writeKind = iota
	ofTerm            // or of the vote
	ofOther           // which may be of any size
)

type pendingWrite struct {
	start time.Time
	kind  writeKind
}

func newWriteTimes() *writeTimes {
	return &writeTimes{log: lastTimes{most: writesLooked}, small: lastTimes{most: smallLooked}, pending: map[uint64]pendingWrite{}}
}

// begin is called before a write of entries up to an index; what it returns,
// with the error of the write, after it.
func (w *writeTimes) begin(index uint64) (end func(error)) {
	id, start := w.add(ofLog)
	return func(err error) { w.end(id, index, start, err) }
}

// beginTerm is begin for one of raft's term or vote.
func (w *writeTimes) beginTerm() (end func(error)) {
	id, start := w.add(ofTerm)
	return func(err error) { w.end(id, 0, start, err) }
}

// beginOther is called before any other write; what it returns, after it.
func (w *writeTimes) beginOther() (end func()) {
	id, _ := w.add(ofOther)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.pending, id)
	}
}

func (w *writeTimes) add(kind writeKind) (id uint64, start time.Time) {
	start = time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun++
	w.pending[w.begun] = pendingWrite{start, kind}
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
	kind := w.pending[id].kind
	delete(w.pending, id)
	if err != nil {
		return
	}
	w.small.add(took)
	w.smallAt = start.Add(took)
	if kind == ofLog {
		w.last, w.index = took, index
		w.log.add(took)
		w.ended = append(w.ended, endedWrite{start.Add(took), took})
		w.ended = slices.Delete(w.ended, 0, max(0, len(w.ended)-maxLasting))
	}
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
	if len(w.log.took) < writesLooked {
		return 0
	}
	return w.median(&w.log, now, ofLog)
}

// newest is the median of the last few writes to log, term or vote, the one that is
// under way as in typical. It returns 0 if there were none lately.
func (w *writeTimes) newest(now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Sub(w.smallAt) > smallKept {
		return 0
	}
	return w.median(&w.small, now, ofLog, ofTerm)
}

// median is called with the lock held.
func (w *writeTimes) median(of *lastTimes, now time.Time, kinds ...writeKind) time.Duration {
	median := of.median()
	for _, write := range w.pending {
		if lasts := now.Sub(write.start); lasts > median && slices.Contains(kinds, write.kind) {
			median = of.with(lasts).median()
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
// known; what a write took long ago says nothing of the next one.
func (w *writeTimes) written(now time.Time) (takes time.Duration, index uint64) {
	typical := w.typical(now)
	w.mu.Lock()
	defer w.mu.Unlock()
	if typical == 0 || now.Sub(w.smallAt) > smallKept {
		return 0, w.index
	}
	return max(typical, w.last), w.index
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
