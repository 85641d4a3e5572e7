package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"evenkeel/fsm"
)

// What is known to bite in the libraries below, each with what shows that it
// does not bite here.

// gatedLog is a log whose writes fail or hang while the test says so.
type gatedLog struct {
	raft.LogStore
	gate *gate
}

type gate struct {
	mu     sync.Mutex    // guards what follows
	err    error         // of every write
	opens  chan struct{} // if not nil, writes wait until it is closed
	failed atomic.Int64  // writes
	hung   atomic.Int64
}

func (g *gate) set(err error, opens chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.err, g.opens = err, opens
}

func (g *gate) pass() error {
	g.mu.Lock()
	err, opens := g.err, g.opens
	g.mu.Unlock()
	if opens != nil {
		g.hung.Add(1)
		<-opens
	}
	if err != nil {
		g.failed.Add(1)
	}
	return err
}

func (l gatedLog) StoreLog(log *raft.Log) error { return l.StoreLogs([]*raft.Log{log}) }

func (l gatedLog) StoreLogs(logs []*raft.Log) error {
	if err := l.gate.pass(); err != nil {
		return err
	}
	return l.LogStore.StoreLogs(logs)
}

// gatedDisks gives every node that is started from now on such a log, by name.
func (c *testCluster) gatedDisks(names ...string) map[string]*gate {
	gates := map[string]*gate{}
	for _, name := range names {
		gates[name] = &gate{}
	}
	c.disks(func(n *Node, log raft.LogStore) raft.LogStore { return gatedLog{log, gates[n.Name()]} })
	return gates
}

// hashicorp/raft#695: a fast path for heartbeats lets a node look alive whose
// main loop hangs.
func TestAFollowerWhoseMainLoopHangsLooksDead(t *testing.T) {
	c := newTestCluster(t)
	gates := c.gatedDisks("n1", "n2", "n3")
	c.form(3)
	follower := c.follower()
	opens := make(chan struct{})
	open := sync.OnceFunc(func() { close(opens) })
	defer open()
	gates[follower.Name()].set(nil, opens)
	c.put(c.leader(), numbered(1))
	eventually(t, "a write hangs", func() bool { return gates[follower.Name()].hung.Load() > 0 })
	eventually(t, "the leader hears nothing from the node that hangs", func() bool {
		part := c.leader().consensus.Load()
		return time.Since(part.transport.answered(raft.ServerID(follower.UID()), 0)) > 5*follower.profile.heartbeat
	})
	c.put(c.leader(), numbered(2))
	gates[follower.Name()].set(nil, nil)
	open()
	c.has(follower, "b1", "b2")
}

// hashicorp/raft#611 and #612: with pipelining, when a write of a follower fails,
// the goroutine that replicates to it may wait for ever for the one that has
// noticed, see newTransport. It takes two calls in flight and a third that is
// sent at once, so writes flow, hang until the pipeline is full, and fail, again
// and again.
func TestAFollowerWhoseLogWritesFailedCatchesUpByItself(t *testing.T) {
	const rounds = 12
	c := newTestCluster(t)
	gates := c.gatedDisks("n1", "n2", "n3")
	c.form(3)
	leader, follower := c.leader(), c.follower()
	stop := c.writeMuch(leader)
	defer stop()
	gate := gates[follower.Name()]
	for round := range rounds {
		before := leader.State().Revision()
		eventually(t, fmt.Sprintf("round %d: writes flow", round), func() bool { return follower.State().Revision() > before+20 })
		failed, hung := gate.failed.Load(), gate.hung.Load()
		opens := make(chan struct{})
		gate.set(errors.New("planted: the disk does not write"), opens)
		eventually(t, "a write hangs", func() bool { return gate.hung.Load() > hung })
		close(opens)
		eventually(t, "writes fail", func() bool { return gate.failed.Load() > failed+int64(round%3)*2 })
		gate.set(nil, nil)
		healed := leader.State().Revision()
		eventually(t, fmt.Sprintf("round %d: the follower catches up while writes flow", round), func() bool { return follower.State().Revision() > healed })
	}
	stop()
	eventually(t, "the states are one", func() bool {
		return follower.State().Revision() == leader.State().Revision() && follower.State().Digest() == leader.State().Digest()
	})
	if reason := follower.Status().Detached; reason != "" {
		t.Errorf("the node is detached: %s", reason)
	}
}

// Two calls in flight are what raft does unless told otherwise.
func TestReplicationIsNotPipelined(t *testing.T) {
	tr := newTransport(&simNode{of: &simulation{}, closed: make(chan struct{})}, "n1", time.Second, newRaftLogger(slog.New(slog.DiscardHandler), "raft"))
	defer func() { _ = tr.Close() }()
	if _, err := tr.AppendEntriesPipeline("n2", "n2"); !errors.Is(err, raft.ErrPipelineReplicationNotSupported) {
		t.Errorf("a pipeline: %v", err)
	}
}

// writeMuch changes the registry from several clients until stop is called,
// which may be called more than once.
func (c *testCluster) writeMuch(n *testNode) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var clients sync.WaitGroup
	for client := range 8 {
		clients.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if _, err := n.Propose(ctx, fsm.Command{Actor: "test", Op: numbered(client*1_000_000 + i)}); err != nil && ctx.Err() == nil && !errors.Is(err, ErrNoQuorum) && !errors.Is(err, ErrOutcomeUnknown) {
					c.t.Errorf("propose: %v", err)
					return
				}
			}
		})
	}
	return func() {
		cancel()
		clients.Wait()
	}
}

// raft counts entries as its own that it has removed, when what was to take their
// place could not be written, and refuses everything from then on.
func TestAPartEndsWhenNothingTakesThePlaceOfWhatWasCutOff(t *testing.T) {
	entries := func(from, to uint64) (logs []*raft.Log) {
		for index := from; index <= to; index++ {
			logs = append(logs, &raft.Log{Index: index, Term: 1})
		}
		return logs
	}
	for name, with := range map[string]struct {
		from, to uint64 // what is removed of the entries 1 to 9
		ends     bool
	}{
		"the end of the log":           {from: 6, to: 9, ends: true},
		"all of it":                    {from: 1, to: 9, ends: true},
		"what a snapshot has":          {from: 1, to: 5},
		"nothing, the disk just fails": {from: 3, to: 2},
	} {
		t.Run(name, func(t *testing.T) {
			gate := &gate{}
			var stuck error
			s := &raftStore{log: gatedLog{raft.NewInmemStore(), gate}, writes: newWriteTimes(), stuck: func(err error) { stuck = err }}
			if err := errors.Join(s.StoreLogs(entries(1, 9)), s.DeleteRange(with.from, with.to)); err != nil {
				t.Fatal(err)
			}
			next := with.from
			if !with.ends {
				next = 10
			}
			write := func() (err error) {
				ended := make(chan struct{})
				go func() { // which ends when its part does
					defer close(ended)
					err = s.StoreLogs(entries(next, 9+next))
				}()
				<-ended
				return err
			}
			gate.set(errors.New("planted: the disk does not write"), nil)
			if err := write(); (stuck != nil) != with.ends || (err == nil) != with.ends {
				t.Fatalf("the write fails with %v and the part ends with %v, want the latter: %v", err, stuck, with.ends)
			}
			gate.set(nil, nil)
			stuck = nil
			if err := write(); err != nil {
				t.Fatal(err)
			}
			gate.set(errors.New("planted: the disk does not write"), nil)
			next += 100
			if err := write(); err == nil || stuck != nil {
				t.Errorf("once something is in its place, a write fails with %v and the part ends with %v", err, stuck)
			}
		})
	}
}

// raft waits up to 10 s before it tries a peer again that was away.
func TestReplicationToAPeerThatIsAwayRestsUntilItAnswers(t *testing.T) {
	const peer = "e6a5d1c3-0b4f-4d4e-9a53-3f1d3b1f2a10"
	for name, wake := range map[string]func(*transport){
		"it answers": func(tr *transport) {
			tr.note(peer, &raft.AppendEntriesRequest{Term: 1}, &raft.AppendEntriesResponse{Success: true}, time.Now(), nil)
		},
		"the leadership ends": (*transport).release,
		"raft ends":           (*transport).end,
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestCluster(t)
			n := c.open(c.config("n1"))
			defer func() {
				if err := n.Close(); err != nil {
					t.Error(err)
				}
			}()
			tr := newTransport(n.port.Raft(), n.UID(), n.profile.heartbeat, newRaftLogger(n.logger, "raft"))
			defer func() { _ = tr.Close() }()
			tr.rest(peer, 1) // not known to be away
			tr.note(peer, &raft.AppendEntriesRequest{Term: 1}, nil, time.Now(), errors.New("planted: nobody there"))
			rested := make(chan struct{})
			go func() { tr.rest(peer, 1); close(rested) }()
			select {
			case <-rested:
				t.Fatal("it goes on although nobody answers")
			case <-time.After(50 * time.Millisecond):
			}
			wake(tr)
			select {
			case <-rested:
			case <-time.After(patience):
				t.Error("it rests although there is news")
			}
		})
	}
}

// raft blocks on NotifyCh.
func TestRaftWaitsForNobodyWhoWatchesIt(t *testing.T) {
	c := newTestCluster(t)
	nodes := c.form(3)
	watched := nodes[0]
	part := watched.consensus.Load()
	watched.leaders.mu.Lock() // who watches hangs
	unlock := sync.OnceFunc(watched.leaders.mu.Unlock)
	defer unlock()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	leads := func() bool { return part.raft.State() == raft.Leader }
	for range 3 {
		eventually(t, "the watched node becomes the leader", func() bool {
			for _, n := range nodes[1:] {
				if c := n.consensus.Load(); c.raft.State() == raft.Leader {
					_ = c.awaitWithin(ctx, c.raft.LeadershipTransferToServer(raft.ServerID(watched.UID()), raft.ServerAddress(watched.UID())))
				}
			}
			return leads()
		})
		eventually(t, "the watched node is the leader no more", func() bool {
			_ = part.awaitWithin(ctx, part.raft.LeadershipTransfer())
			return !leads()
		})
	}
	unlock()
	c.settled(nodes...)
	c.put(watched, numbered(1))
	if !slices.ContainsFunc(nodes, func(n *testNode) bool { return n.Status().LeaderUID != "" }) {
		t.Error("nobody leads")
	}
}

// raft does not get out of handing the leadership to a node that does not store
// what it is sent, and takes no writes meanwhile.
func TestALeadershipIsNotOfferedToANodeThatCannotStore(t *testing.T) {
	c := newTestCluster(t)
	gates := c.gatedDisks("n1", "n2", "n3")
	c.form(3)
	leader, full := c.leader(), c.follower()
	gates[full.Name()].set(errors.New("planted: the disk is full"), nil)
	defer gates[full.Name()].set(nil, nil)
	c.put(leader, numbered(1))
	eventually(t, "the node refuses what it is sent", func() bool { return gates[full.Name()].failed.Load() > 1 })
	for range 3 {
		if err := c.ask(leader.TransferLeadership, full.UID()); !errors.Is(err, ErrUnsafe) {
			t.Errorf("the leadership for a node that cannot store: %v", err)
		}
	}
	c.put(leader, numbered(2))
}

// A vote for a node that stores nothing would raise the majority that is needed by
// one who cannot help to reach it.
func TestANodeThatCannotStoreGetsNoVote(t *testing.T) {
	c := newTestCluster(t)
	gates := c.gatedDisks("n1", "n2")
	n := c.form(1)[0]
	gates["n2"].set(errors.New("planted: the disk is full"), nil)
	full := c.start(c.config("n2", c.binds["n1"]))
	eventually(t, "it refuses what it is sent", func() bool { return gates["n2"].failed.Load() > 10 })
	c.put(n, numbered(1))
	unsafely(t, c.ask(n.PromoteMember, full.UID()), "has not caught up")
	if server, _ := n.consensus.Load().server(full.UID()); server.Suffrage != raft.Nonvoter {
		t.Errorf("it is a %s", server.Suffrage)
	}
	gates["n2"].set(nil, nil)
	eventually(t, "it gets a vote once it can", func() bool {
		server, _ := n.consensus.Load().server(full.UID())
		return server.Suffrage == raft.Voter
	})
}
