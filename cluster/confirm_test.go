package cluster

import (
	"errors"
	"sync"
	"testing"
	"time"

	"evenkeel/fsm"
)

// doWithin writes what waits that long for its confirmation.
func (l *ledger) doWithin(within time.Duration, op fsm.Operation) uint64 {
	l.t.Helper()
	l.seq++
	next, results := fsm.Apply(l.State, []fsm.Command{{
		ID: fsm.CommandID{Origin: "test", Seq: l.seq}, ConfirmWithin: fsm.Duration(within), Op: op,
	}})
	if results[0].Err != nil {
		l.t.Fatalf("%T: %v", op, results[0].Err)
	}
	l.State = next
	return results[0].Revision
}

func TestEachRevisionIsCountedFromWhenItWasFirstSeen(t *testing.T) {
	l, u, now := newLedger(t), newUnconfirmed(), time.Now()
	u.follow(l.State, now)
	if u.next() != nil {
		t.Fatal("something waits where nothing does")
	}
	long := l.doWithin(time.Minute, backend("b"))
	u.follow(l.State, now)
	short := l.doWithin(2*time.Second, backend("b22"))
	u.follow(l.State, now.Add(10*time.Second))
	u.follow(l.State, now.Add(11*time.Second)) // and not from when it was seen again
	if first := u.next(); first.Revision != short || !first.due.Equal(now.Add(12*time.Second)) {
		t.Errorf("revision %d is due first, after %s", first.Revision, first.due.Sub(now))
	}
	l.do(fsm.Confirm{Revision: short})
	u.follow(l.State, now.Add(20*time.Second))
	if first := u.next(); first.Revision != long || !first.due.Equal(now.Add(time.Minute)) {
		t.Errorf("revision %d is due first, after %s", first.Revision, first.due.Sub(now))
	}
	l.do(fsm.Confirm{Revision: long, Undo: true})
	u.follow(l.State, now.Add(30*time.Second))
	if len(u.waits) != 0 {
		t.Errorf("%d are counted of what is decided", len(u.waits))
	}
}

func (c *testCluster) putWithin(n *testNode, within time.Duration, put fsm.Put) uint64 {
	c.t.Helper()
	command := fsm.Command{Actor: "test", ConfirmWithin: fsm.Duration(within), Op: put}
	result, err := n.Propose(c.t.Context(), command)
	for errors.Is(err, ErrNoQuorum) { // a busy machine elects at times
		result, err = n.Propose(c.t.Context(), command)
	}
	if err != nil || result.Err != nil {
		c.t.Fatalf("propose on %s: %v, %v", n.Name(), err, result.Err)
	}
	return result.Revision
}

// undoings are the entries of the journal that undo a revision.
func undoings(s *fsm.State, revision uint64) (entries []*fsm.Revision) {
	for entry := range s.RevisionsAfter(revision) {
		if entry.Undoes == revision {
			entries = append(entries, entry)
		}
	}
	return entries
}

// The time runs on while another leader is elected: it is not counted anew.
func TestARevisionIsUndoneInTimeThoughTheLeaderDies(t *testing.T) {
	const within = 4 * time.Second
	c := newTestCluster(t)
	c.form(3)
	begun := time.Now()
	revision := c.putWithin(c.follower(), within, backend("b1"))
	kept := c.putWithin(c.follower(), within, backend("b22"))
	if result, err := c.follower().Propose(t.Context(), fsm.Command{Actor: "test", Op: fsm.Confirm{Revision: kept}}); err != nil || result.Err != nil {
		t.Fatalf("confirm: %v, %v", err, result.Err)
	}
	eventually(t, "most of the time is over", func() bool { return time.Since(begun) > within*3/4 })
	c.kill(c.leader().Name())
	survivor := c.leader()
	led, term := time.Now(), survivor.Status().Term
	eventually(t, "the next leader undoes it", func() bool { return survivor.State().Backend("default", "b1") == nil })
	if lasted := time.Since(begun); lasted < within {
		t.Errorf("it was undone after %s", lasted)
	}
	if since := time.Since(led); since >= within && survivor.Status().Term == term { // a busy machine elects at times
		t.Errorf("it was undone %s after the next leader was there, which began to count anew", since)
	}
	c.put(survivor, backend("b333")) // behind whatever else a leader would undo
	for _, n := range c.nodes {
		c.has(n, "b22", "b333")
		entries := undoings(n.State(), revision)
		if len(entries) != 1 || entries[0].Actor != dutyActor || entries[0].Reason != "not confirmed within 4s" || entries[0].Kind != fsm.DoneUndo {
			t.Errorf("node %s has %d entries that undo it, %+v", n.Name(), len(entries), entries)
		}
		if len(n.State().Pending()) != 0 {
			t.Errorf("node %s still waits for a confirmation", n.Name())
		}
	}
}

func TestAConfirmationThatComesWithTheEndIsEitherInTimeOrTooLate(t *testing.T) {
	const within = time.Second
	c := newTestCluster(t)
	n := c.form(1)[0] // which has no election, however busy the machine is
	confirmed := make([]bool, 16)
	revisions := make([]uint64, len(confirmed))
	var tasks sync.WaitGroup
	for i := range confirmed {
		revisions[i] = c.putWithin(n, within, numbered(i))
		timer := time.NewTimer(within + time.Duration(i-len(confirmed)/2)*2*time.Millisecond)
		tasks.Go(func() {
			<-timer.C
			result, err := n.Propose(t.Context(), fsm.Command{Actor: "test", Op: fsm.Confirm{Revision: revisions[i]}})
			if err != nil || result.Err != nil && result.Err.Code != fsm.CodeNotFound {
				t.Errorf("confirm: %v, %v", err, result.Err)
			}
			confirmed[i] = err == nil && result.Err == nil
		})
	}
	tasks.Wait()
	eventually(t, "nothing waits any more", func() bool { return len(n.State().Pending()) == 0 })
	inTime := 0
	for i, revision := range revisions {
		there, undone := n.State().Backend("default", numbered(i).Name) != nil, len(undoings(n.State(), revision))
		if confirmed[i] {
			inTime++
		}
		if there != confirmed[i] || there == (undone == 1) || undone > 1 {
			t.Errorf("revision %d: confirmed %t, undone %d times, and its backend is there: %t", revision, confirmed[i], undone, there)
		}
	}
	t.Logf("%d of %d were confirmed in time", inTime, len(revisions))
}

// What was undone takes no longer part in anything: it can be written again at once.
func TestAnUndoneWriteGivesTheObjectFreeAgain(t *testing.T) {
	c := newTestCluster(t)
	n := c.form(1)[0]
	before := c.put(n, backend("b1")).Revision
	heavier := backend("b1")
	spec := heavier.Spec.(fsm.BackendSpec)
	spec.Weight = 7
	heavier.Spec = spec
	revision := c.putWithin(n, time.Second, heavier)
	result, err := n.Propose(t.Context(), fsm.Command{Actor: "test", Op: backend("b1")})
	if err != nil || result.Err == nil || result.Err.Code != fsm.CodeUnconfirmed {
		t.Errorf("a write of what may yet be undone: %v, %v", err, result.Err)
	}
	eventually(t, "it is undone", func() bool { return len(undoings(n.State(), revision)) == 1 })
	b := n.State().Backend("default", "b1")
	if b.Spec.Weight != 1 || b.Meta.Revision <= before {
		t.Errorf("it has weight %d at revision %d", b.Spec.Weight, b.Meta.Revision)
	}
	c.put(n, heavier)
}
