package health

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"evenkeel/fsm"
)

// threeOf is rendezvous hashing over the nodes that are alive.
func threeOf(s *fsm.State, b *fsm.Backend) []string {
	score := func(node string) uint64 {
		hash := fnv.New64a()
		_, _ = hash.Write([]byte(b.Meta.UID + "/" + node)) // never fails
		return hash.Sum64() * 0x9e3779b97f4a7c15 >> 7
	}
	var alive []string
	for node := range s.Nodes() {
		if node.State == fsm.NodeAlive {
			alive = append(alive, node.UID)
		}
	}
	slices.SortFunc(alive, func(x, y string) int { return cmp.Compare(score(x), score(y)) })
	alive = alive[:min(3, len(alive))]
	slices.Sort(alive)
	return alive
}

// Each backend gets k probes an interval however many nodes there are. When one
// dies, its share alone moves: what the others probe goes on as it did, and no
// backend waits longer than an interval.
func TestKObserversProbeEachBackend(t *testing.T) {
	const count, interval = 60, 2 * time.Second
	for _, nodes := range []int{3, 5, 9} {
		t.Run(fmt.Sprint(nodes, " nodes"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var uids []string
				for n := range nodes {
					uids = append(uids, fmt.Sprint("n", n+1))
				}
				r := newRegistry(t, uids...)
				r.must(backends(0, count)...)
				worlds := map[string]*world{}
				stops := map[string]func(){}
				var planned atomic.Int64
				for _, uid := range uids {
					w := newWorld(t)
					o := newObserver(w)
					o.self, o.observers = uid, threeOf
					next := o.newProber
					o.newProber = func(pool *fsm.Pool, address string) (Prober, error) {
						planned.Add(1)
						return next(pool, address)
					}
					worlds[uid], stops[uid] = w, run(t, o, r)
				}
				const intervals = 20
				time.Sleep(intervals * interval)
				for n := range count {
					probes := 0
					for _, w := range worlds {
						probes += len(w.seen(fmt.Sprintf("10.0.0.%d:80", n)))
					}
					if want := 3 * intervals; probes < want*9/10 || probes > want*11/10 {
						t.Errorf("backend %d: %d probes in %d intervals, want %d", n, probes, intervals, want)
					}
				}
				if planned.Load() != 3*count {
					t.Errorf("%d targets, want %d", planned.Load(), 3*count)
				}
				stops["n1"]()
				share := len(worlds["n1"].probes) // nobody writes it any more
				died := time.Now()
				r.must(fsm.SetNode{Node: fsm.Node{UID: "n1", Name: "n1", State: fsm.NodeDead}})
				time.Sleep(10 * interval)
				if moved := int(planned.Load()) - 3*count; nodes > 3 && moved != share || nodes == 3 && moved != 0 {
					t.Errorf("%d targets moved, n1 had %d", moved, share)
				}
				for n := range count {
					address := fmt.Sprintf("10.0.0.%d:80", n)
					for _, uid := range uids[1:] {
						checkTimes(t, address, worlds[uid].seen(address), interval)
					}
					if gap := longestGap(worlds, uids[1:], address, died); gap > interval+tick {
						t.Errorf("%s went unobserved for %s", address, gap)
					}
				}
			})
		})
	}
}

// longestGap returns the longest time between two probes of an address by any of
// the nodes since a moment.
func longestGap(worlds map[string]*world, uids []string, address string, since time.Time) (gap time.Duration) {
	seen := []time.Time{since, time.Now()}
	for _, uid := range uids {
		for _, at := range worlds[uid].seen(address) {
			if at.After(since) {
				seen = append(seen, at)
			}
		}
	}
	slices.SortFunc(seen, time.Time.Compare)
	for i := range seen[1:] {
		gap = max(gap, seen[i+1].Sub(seen[i]))
	}
	return gap
}

func TestTheFastIntervalIsForDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1"), newWorld(t)
		r.must(putCheck(func(c *fsm.Check) {
			c.FastInterval, c.Timeout = fsm.Duration(200*time.Millisecond), fsm.Duration(200*time.Millisecond)
		}))
		r.must(backends(0, 1)...)
		observe(t, r, w)
		time.Sleep(20 * time.Second)
		calmBefore := w.seen("10.0.0.0:80")
		checkTimes(t, "while it is up", calmBefore, 2*time.Second)
		w.set("", errRefused)
		began := time.Now()
		_, changed := r.Watch()
		<-changed
		if took := time.Since(began); took > 2*time.Second+2*200*time.Millisecond+2*tick {
			t.Errorf("down after %s", took)
		}
		time.Sleep(10 * time.Second)
		doubt := w.seen("10.0.0.0:80")[len(calmBefore):]
		checkTimes(t, "while it is down", doubt, 200*time.Millisecond)
		if len(doubt) < 50 {
			t.Errorf("%d probes in 10 s while it is down", len(doubt))
		}
		w.set("", nil)
		time.Sleep(600 * time.Millisecond)
		if r.health("b0") != fsm.HealthUp {
			t.Errorf("it is %s", r.health("b0"))
		}
		before := len(w.seen("10.0.0.0:80"))
		time.Sleep(20 * time.Second)
		again := w.seen("10.0.0.0:80")[before:]
		checkTimes(t, "up again", again, 2*time.Second)
		if off := again[0].Sub(calmBefore[0]) % (2 * time.Second); len(again) > 11 || off > tick && off < 2*time.Second-tick {
			t.Errorf("%d probes in 20 s, off the schedule by %s", len(again), off)
		}
	})
}

// A node that takes over a backend which is agreed down needs as many passes as
// any other to call it up.
func TestASuccessorIsWary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newRegistry(t, "n1", "n2", "n3"), newWorld(t)
		r.must(putCheck(func(c *fsm.Check) { c.Rise, c.FastInterval = 5, c.Interval }))
		r.must(backends(0, 1)...)
		o := newObserver(w)
		o.observers = func(s *fsm.State, _ *fsm.Backend) []string {
			if s.Node("n2").State == fsm.NodeDead {
				return []string{"n1"}
			}
			return []string{"n2"}
		}
		r.vote("n2", "b0", fsm.HealthDown)
		r.vote("n3", "b0", fsm.HealthDown)
		run(t, o, r)
		time.Sleep(5 * time.Second)
		r.must(fsm.SetNode{Node: fsm.Node{UID: "n2", Name: "n2", State: fsm.NodeDead}})
		time.Sleep(8*time.Second - time.Millisecond)
		_, votes := r.sent()
		if probes := len(w.seen("10.0.0.0:80")); votes != 0 || probes != 4 || r.health("b0") != fsm.HealthDown {
			t.Errorf("after %d passes it voted %d times", probes, votes)
		}
		time.Sleep(2*time.Second + 2*tick)
		if _, votes := r.sent(); votes != 1 {
			t.Errorf("after 5 passes it voted %d times", votes)
		}
	})
}
