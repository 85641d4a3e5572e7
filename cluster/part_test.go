package cluster

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"evenkeel/fsm"
)

// hangs has writes to the logs of these nodes hang until the returned function
// is called, which may be called more than once.
func hangs(gates map[string]*gate, names ...string) (open func()) {
	opens := make(chan struct{})
	for _, name := range names {
		gates[name].set(nil, opens)
	}
	return sync.OnceFunc(func() {
		for _, name := range names {
			gates[name].set(nil, nil)
		}
		close(opens)
	})
}

// neverBack reports a node that shows an older state than before, until the test
// ends.
func neverBack(t *testing.T, n *testNode) {
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		for last := uint64(0); ctx.Err() == nil; {
			state, replaced := n.Watch()
			if state.Revision() < last {
				t.Errorf("node %s shows revision %d after %d", n.Name(), state.Revision(), last)
				return
			}
			last = state.Revision()
			select {
			case <-replaced:
			case <-ctx.Done():
			}
		}
	})
	t.Cleanup(func() { cancel(); watching.Wait() })
}

// hashicorp/raft#503, #614 and #666: a leader whose disk hangs leads for ever.
func TestANodeWhoseDiskHangsDetachesAndTakesPartAgain(t *testing.T) {
	for name, whose := range map[string]func(*testCluster) *testNode{
		"the leader": (*testCluster).leader, "a follower": (*testCluster).follower,
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestCluster(t)
			c.hangAfter = hangAfter
			gates := c.gatedDisks("n1", "n2", "n3")
			nodes := c.form(3)
			for _, n := range nodes {
				neverBack(t, n)
			}
			c.put(c.leader(), numbered(1))
			hung := whose(c)
			c.has(hung, "b1")
			part := hung.consensus.Load()
			if err := part.raft.Snapshot().Error(); err != nil { // where the next replica begins
				t.Fatal(err)
			}
			c.put(hung, numbered(4))
			open := hangs(gates, hung.Name())
			defer open()
			go func() { // who asks the node itself gets an error, or not
				_, _ = hung.Propose(context.Background(), fsm.Command{Actor: "test", Op: numbered(2)})
			}()
			eventually(t, "the node is detached", func() bool { return hung.Status().Detached != "" })
			if reason := hung.Status().Detached; !strings.Contains(reason, fileStore) || !strings.Contains(reason, "by itself") {
				t.Errorf("the reason %q does not name the file and what comes", reason)
			}
			if hung.State().Backend("default", "b1") == nil {
				t.Error("the node does not serve what it has")
			}
			if _, err := hung.Propose(t.Context(), fsm.Command{Actor: "test", Op: numbered(3)}); !errors.Is(err, ErrDetached) {
				t.Errorf("propose on a detached node: %v", err)
			}
			if err := hung.ReadIndex(t.Context()); !errors.Is(err, ErrDetached) {
				t.Errorf("read index on a detached node: %v", err)
			}
			var others []*testNode
			for _, n := range nodes {
				if n != hung {
					others = append(others, n)
				}
			}
			for i, n := range others {
				c.put(n, numbered(10+i))
				eventually(t, "the others see it detached", func() bool {
					for _, m := range n.Members() {
						if m.UID == hung.UID() {
							return m.State == StateDetached
						}
					}
					return false
				})
			}
			<-part.ended
			select {
			case <-part.over:
				t.Error("raft is over while its write hangs")
			case <-time.After(2 * tryPause):
			}
			if hung.Status().Detached == "" {
				t.Error("the node takes part while raft still has its log")
			}
			open()
			eventually(t, "the node takes part again", func() bool { return hung.Status().Detached == "" })
			c.settled(nodes...)
			c.put(hung, numbered(20))
			c.has(hung, "b1", "b4", "b10", "b11", "b20")
			eventually(t, "the states are one", func() bool {
				state := hung.State()
				for _, n := range others {
					if n.State().Revision() != state.Revision() || n.State().Digest() != state.Digest() {
						return false
					}
				}
				return true
			})
		})
	}
}

func TestAClusterWhoseDisksAllHangGoesOnAfterwards(t *testing.T) {
	c := newTestCluster(t)
	c.hangAfter = hangAfter
	names := []string{"n1", "n2", "n3"}
	gates := c.gatedDisks(names...)
	nodes := c.form(3)
	c.put(nodes[0], numbered(1))
	for _, n := range nodes {
		c.has(n, "b1")
		neverBack(t, n)
	}
	for round := range 2 {
		open := hangs(gates, names...)
		defer open()
		eventually(t, "all nodes are detached, or without a leader", func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			_, _ = c.nodes["n1"].Propose(ctx, fsm.Command{Actor: "test", Op: numbered(2)})
			for _, n := range nodes {
				if s := n.Status(); s.Detached == "" && s.Quorum {
					return false
				}
			}
			return true
		})
		for _, n := range nodes {
			if n.State().Backend("default", "b1") == nil {
				t.Errorf("node %s does not serve what it has", n.Name())
			}
		}
		open()
		c.settled(nodes...)
		put := numbered(10 + round)
		c.put(nodes[round], put)
		for _, n := range nodes {
			c.has(n, put.Name)
		}
	}
}

func TestAStopDoesNotWaitForADiskThatHangs(t *testing.T) {
	c := newTestCluster(t)
	gates := c.gatedDisks("n1")
	n := c.form(1)[0]
	open := hangs(gates, "n1")
	defer open()
	go func() { _, _ = n.Propose(context.Background(), fsm.Command{Actor: "test", Op: numbered(1)}) }()
	eventually(t, "a write hangs", func() bool { return gates["n1"].hung.Load() > 0 })
	delete(c.nodes, "n1")
	n.cancel()
	select {
	case err := <-n.done:
		if err == nil || !strings.Contains(err.Error(), fileStore) {
			t.Errorf("the node ended with %v, which does not name the file", err)
		}
	case <-time.After(2 * patience):
		t.Fatal("the node did not end")
	}
	open()
	eventually(t, "the write ends", func() bool { return n.writes.oldest() == 0 })
	if err := n.store.close(); err != nil { // the process would have ended
		t.Error(err)
	}
}

// A full disk, or one that fails for a while, takes no term either; raft would
// die of that.
func TestANodeThatCannotWriteItsTermTakesPartAgain(t *testing.T) {
	w := newWriteTimes()
	var stuck, broken error
	s := &raftStore{stable: failingStable{}, writes: w, stuck: func(err error) { stuck = err }, broken: func(err error) { broken = err }}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.SetUint64(termKey, 7)
		t.Error("the goroutine goes on")
	}()
	<-ended
	if stuck == nil || broken != nil || !errors.Is(stuck, errPlanted) {
		t.Errorf("stuck: %v, broken: %v", stuck, broken)
	}
	if w.oldest() != 0 {
		t.Error("the write counts as under way")
	}
}

var errPlanted = errors.New("planted: no space")

type failingStable struct{}

func (failingStable) Set([]byte, []byte) error         { return errPlanted }
func (failingStable) Get([]byte) ([]byte, error)       { return nil, errPlanted }
func (failingStable) SetUint64([]byte, uint64) error   { return errPlanted }
func (failingStable) GetUint64([]byte) (uint64, error) { return 0, errPlanted }

// stableGate is a store of terms whose writes fail while the test says so.
type stableGate struct {
	raft.StableStore
	gate *gate
}

func (s stableGate) SetUint64(key []byte, value uint64) error {
	if err := s.gate.pass(); err != nil {
		return err
	}
	return s.StableStore.SetUint64(key, value)
}

func TestANodeThatStartsOnAFullDiskTakesPartOnceThereIsRoom(t *testing.T) {
	for name, hang := range map[string]bool{"its term cannot be written": false, "the write of its term hangs": true} {
		t.Run(name, func(t *testing.T) {
			c := newTestCluster(t)
			c.hangAfter = 500 * time.Millisecond
			c.form(1)
			c.stop("n1")
			g := &gate{}
			opens := make(chan struct{})
			if hang {
				g.set(nil, opens)
			} else {
				g.set(errPlanted, nil)
			}
			c.opened = func(n *Node) { n.store.terms = stableGate{n.store.stable, g} }
			n := c.start(c.config("n1"))
			reason := "" // it may have come back by the next look
			eventually(t, "the node is detached", func() bool { reason = n.Status().Detached; return reason != "" })
			if !strings.Contains(reason, "by itself") || strings.Contains(reason, "aside") {
				t.Errorf("the reason is %q", reason)
			}
			g.set(nil, nil)
			close(opens)
			c.settled(n)
			c.put(n, numbered(1))
		})
	}
}

func TestAWriteHangsOnlyWhileSomebodyLooks(t *testing.T) {
	at := func(ms int) time.Time { return time.Unix(0, 0).Add(time.Duration(ms) * time.Millisecond) }
	type look struct {
		write uint64
		at    int // in ms
	}
	for name, c := range map[string]struct {
		looks []look
		want  int // in ms
	}{
		"no write":                       {[]look{{0, 0}, {0, 100}, {0, 200}}, 0},
		"the first look":                 {[]look{{1, 0}}, 0},
		"one that lasts":                 {[]look{{1, 0}, {1, 100}, {1, 200}}, 200},
		"another one":                    {[]look{{1, 0}, {1, 100}, {2, 200}}, 0},
		"after a pause":                  {[]look{{1, 0}, {1, 100}, {0, 200}, {1, 300}, {1, 400}}, 100},
		"a machine that stood still":     {[]look{{1, 0}, {1, 100}, {1, 30_000}}, 300},
		"a machine that stands and goes": {[]look{{1, 0}, {1, 5000}, {1, 10_000}, {1, 10_100}}, 500},
	} {
		t.Run(name, func(t *testing.T) {
			var watch hangWatch
			var got time.Duration
			for _, l := range c.looks {
				got = watch.look(l.write, at(l.at))
			}
			if want := time.Duration(c.want) * time.Millisecond; got != want {
				t.Errorf("it lasts %v, want %v", got, want)
			}
		})
	}
}

func TestADetachmentForGoodStays(t *testing.T) {
	passing, good, later := errors.New("passing"), errors.New("for good"), errors.New("later")
	closed := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	d := newDetachment()
	begun, _ := d.current()
	if closed(begun) || !d.end() {
		t.Error("it begins detached")
	}
	if !d.begin(passing, true) || d.begin(later, true) || !closed(begun) || !d.passes() {
		t.Error("the first reason is not the one")
	}
	if !d.end() {
		t.Error("one that passes does not end")
	}
	again, reason := d.current()
	if reason != nil || closed(again) {
		t.Errorf("after its end the reason is %v", reason)
	}
	if !d.begin(passing, true) || !d.begin(good, false) || d.begin(later, false) || d.end() || !closed(again) {
		t.Error("one for good does not replace one that passes, or ends")
	}
	if _, reason := d.current(); !errors.Is(reason, good) {
		t.Errorf("the reason is %v", reason)
	}
}

// A read that was answered before the replica began anew vouches for nothing.
func TestAReplicaThatBeginsAnewShowsNothingOlder(t *testing.T) {
	v := newViews()
	state := func(seq uint64) *fsm.State {
		s := fsm.New()
		for i := range seq {
			s, _ = fsm.Apply(s, []fsm.Command{{ID: fsm.CommandID{Origin: "test", Seq: i + 1}, Op: fsm.Init{ClusterID: "test", FeatureLevel: 1}}})
		}
		return s
	}
	newest := state(3)
	v.advance(newest, 9)
	v.confirm(v.replicas.Load())
	before := v.replicas.Load()
	v.rewind()
	if v.confirm(before) || v.published.Load().state != newest || v.confirmed.Load() {
		t.Error("a read from before the beginning confirms the beginning")
	}
	v.advance(state(1), 5)
	if v.confirm(before) || v.published.Load().state != newest {
		t.Error("readers see the past")
	}
	again := state(3)
	v.advance(again, 9)
	if v.published.Load().state != again {
		t.Error("readers do not see what the replica has")
	}
	if !v.confirm(v.replicas.Load()) {
		t.Error("it cannot be confirmed")
	}
}
