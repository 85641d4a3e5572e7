package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// simulation is raft on three nodes over this transport, within a bubble of
// synctest: pipes for a network, memory for disks, and a clock that jumps.
type simulation struct {
	t      *testing.T
	config func(*raft.Config)

	mu    sync.Mutex // guards what follows
	nodes map[raft.ServerAddress]*simNode
	stall func() time.Duration // if not nil, how long what is sent takes
	sent  int                  // writes to the network
	watch sync.WaitGroup       // those who watch for silence
	quit  context.CancelFunc
	logs  syncBuffer
}

// simNode is a node of a simulation, and its end of the network.
type simNode struct {
	of        *simulation
	addr      raft.ServerAddress
	raft      *raft.Raft
	transport *transport
	log       *simLog
	snapshots *simSnapshots
	stable    *simStable
	accepted  chan net.Conn
	closed    chan struct{}
	close     sync.Once

	mu    sync.Mutex // guards what follows
	away  bool
	cut   map[raft.ServerAddress]bool // whom it does not reach, nor they it
	conns []net.Conn
}

// simLog counts the requests to store something, takes its time, and fails while it
// is full.
type simLog struct {
	raft.LogStore
	full     atomic.Bool
	refusals atomic.Int64
	takes    atomic.Int64 // what a write takes, in ns
}

var errFull = errors.New("planted: the disk is full")

func (l *simLog) StoreLog(log *raft.Log) error { return l.StoreLogs([]*raft.Log{log}) }

func (l *simLog) StoreLogs(logs []*raft.Log) error {
	if l.full.Load() {
		if l.refusals.Add(1) > 20_000 {
			<-time.After(time.Millisecond) // whoever asks without a pause stops the clock
		}
		return errFull
	}
	if takes := time.Duration(l.takes.Load()); takes > 0 {
		<-time.After(takes)
	}
	return l.LogStore.StoreLogs(logs)
}

// simSnapshots are in memory, and take none while they are full.
type simSnapshots struct {
	raft.SnapshotStore
	full     atomic.Bool
	refusals atomic.Int64
}

func (s *simSnapshots) Create(version raft.SnapshotVersion, index, term uint64, configuration raft.Configuration, configurationIndex uint64, trans raft.Transport) (raft.SnapshotSink, error) {
	if s.full.Load() {
		s.refusals.Add(1)
		return nil, errFull
	}
	return s.SnapshotStore.Create(version, index, term, configuration, configurationIndex, trans)
}

func (s *simSnapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	meta, source, err := s.SnapshotStore.Open(id)
	if err != nil {
		return nil, nil, err
	}
	data, err := io.ReadAll(source)
	return meta, &simState{bytes.NewReader(data)}, errors.Join(err, source.Close())
}

type simState struct{ *bytes.Reader }

func (s *simState) Close() error { return nil }

func (s *simState) rewind() error {
	_, err := s.Seek(0, io.SeekStart)
	return err
}

// simStable takes its time too.
type simStable struct {
	raft.StableStore
	takes atomic.Int64 // what a write takes, in ns
}

func (s *simStable) write(call func() error) error {
	if takes := time.Duration(s.takes.Load()); takes > 0 {
		<-time.After(takes)
	}
	return call()
}

func (s *simStable) Set(key, value []byte) error {
	return s.write(func() error { return s.StableStore.Set(key, value) })
}

func (s *simStable) SetUint64(key []byte, value uint64) error {
	return s.write(func() error { return s.StableStore.SetUint64(key, value) })
}

// known tells what is not there as the store of a node does.
func known(err error) error {
	if err != nil && err.Error() == raftboltdb.ErrKeyNotFound.Error() {
		return raftboltdb.ErrKeyNotFound
	}
	return err
}

func (s *simStable) Get(key []byte) ([]byte, error) {
	value, err := s.StableStore.Get(key)
	return value, known(err)
}

func (s *simStable) GetUint64(key []byte) (uint64, error) {
	value, err := s.StableStore.GetUint64(key)
	return value, known(err)
}

// simMachine is a state machine of which nothing is asked.
type simMachine struct{}

func (simMachine) Apply(*raft.Log) any                 { return nil }
func (simMachine) Snapshot() (raft.FSMSnapshot, error) { return simMachine{}, nil }
func (simMachine) Restore(r io.ReadCloser) error       { return r.Close() }
func (simMachine) Persist(sink raft.SnapshotSink) error {
	return sink.Close()
}
func (simMachine) Release() {}

// simulate runs a test with three nodes of which n1 leads.
func simulate(t *testing.T, config func(*raft.Config), test func(s *simulation, leader, follower *simNode)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, quit := context.WithCancel(t.Context())
		s := &simulation{t: t, config: config, nodes: map[raft.ServerAddress]*simNode{}, quit: quit}
		var members raft.Configuration
		for _, id := range []string{"n1", "n2", "n3"} {
			members.Servers = append(members.Servers, raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress(id)})
		}
		for _, server := range members.Servers {
			s.start(ctx, server.Address, members)
		}
		defer s.stop()
		leader := s.nodes["n1"]
		for leader.raft.State() != raft.Leader {
			<-time.After(time.Second)
			for _, n := range s.nodes {
				if n.raft.State() == raft.Leader && n != leader {
					_ = n.raft.LeadershipTransferToServer("n1", "n1").Error() // else the next time
				}
			}
		}
		s.write(leader, 10)
		test(s, leader, s.nodes["n2"])
	})
}

func (s *simulation) start(ctx context.Context, addr raft.ServerAddress, members raft.Configuration) {
	logger := newRaftLogger(slog.New(slog.NewTextHandler(&s.logs, nil)), "raft")
	store := raft.NewInmemStore()
	n := &simNode{of: s, addr: addr, log: &simLog{LogStore: store}, stable: &simStable{StableStore: store}, accepted: make(chan net.Conn), closed: make(chan struct{})}
	s.mu.Lock()
	s.nodes[addr] = n
	s.mu.Unlock()
	p, err := profileByName("default")
	if err != nil {
		s.t.Fatal(err)
	}
	n.transport = newTransport(n, string(addr), p.heartbeat, logger)
	config := raftConfig(string(addr), p, logger)
	s.config(config)
	snapshots := &simSnapshots{SnapshotStore: raft.NewInmemSnapshotStore()}
	n.snapshots = snapshots
	failed := func(err error) { s.t.Errorf("the store of %s: %v", addr, err) }
	disk := &raftStore{log: n.log, stable: n.stable, writes: newWriteTimes(), broken: failed, stuck: failed, writing: &n.transport.writing, voted: n.transport.voted}
	if err := raft.BootstrapCluster(config, disk, disk, snapshots, n.transport, members); err != nil {
		s.t.Fatal(err)
	}
	if n.raft, err = raft.NewRaft(config, simMachine{}, disk, disk, snapshots, n.transport); err != nil {
		s.t.Fatal(err)
	}
	n.transport.attach(n.raft)
	s.watch.Go(func() { n.transport.watchSilence(ctx, n.raft, n.rank) })
	s.watch.Go(func() {
		for pause(ctx, writesCheck) == nil {
			own := disk.writes.newest(time.Now())
			n.transport.waitForVotes(n.raft, voteWait(p.heartbeat, own, []time.Duration{own, own}, nil))
		}
	})
}

// rank is by the identity alone.
func (n *simNode) rank(servers []raft.Server, leader raft.ServerID) (rank int) {
	for _, server := range servers {
		if server.ID != leader && server.ID < raft.ServerID(n.addr) {
			rank++
		}
	}
	return rank
}

func (s *simulation) stop() {
	s.quit()
	s.watch.Wait()
	for _, n := range s.nodes {
		n.transport.end()
		if err := n.raft.Shutdown().Error(); err != nil {
			s.t.Error(err)
		}
		_ = n.transport.Close() // raft has closed it
	}
}

// write appends entries and waits until they are committed.
func (s *simulation) write(leader *simNode, entries int) {
	s.t.Helper()
	for i := range entries {
		if err := leader.raft.Apply(fmt.Appendf(nil, "entry %d", i), 0).Error(); err != nil {
			s.t.Fatalf("write: %v", err)
		}
	}
}

// within fails the test unless the node has everything in so much of the bubble's
// time.
func (s *simulation) within(bound time.Duration, leader, n *simNode) {
	s.t.Helper()
	begun := time.Now()
	for n.raft.AppliedIndex() < leader.raft.LastIndex() {
		if time.Since(begun) > bound {
			s.t.Fatalf("node %s has %d of %d entries %s after its return", n.addr, n.raft.AppliedIndex(), leader.raft.LastIndex(), bound)
		}
		<-time.After(10 * time.Millisecond)
	}
	s.t.Logf("caught up after %s", time.Since(begun))
}

// goAway cuts a node off or lets it return. Whoever calls it meanwhile is refused.
func (n *simNode) goAway(away bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.away = away
	for _, conn := range n.conns {
		_ = conn.Close() // a pipe's has no error
	}
	n.conns = nil
}

// cutOff ends what two nodes have between them.
func (s *simulation) cutOff(one, other *simNode) {
	for _, n := range []*simNode{one, other} {
		n.mu.Lock()
		n.cut = map[raft.ServerAddress]bool{one.addr: true, other.addr: true}
		n.mu.Unlock()
		n.goAway(true)
		n.goAway(false)
	}
}

func (n *simNode) isCut(from raft.ServerAddress) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cut[from]
}

// join makes a connection this node's too, so that it breaks when the node goes.
func (n *simNode) join(conn net.Conn) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.away {
		return errors.New("planted: nobody there")
	}
	n.conns = append(n.conns, conn)
	return nil
}

// simConn is one whose writes take as long as the simulation says.
type simConn struct {
	net.Conn
	of *simulation
}

func (c simConn) Write(data []byte) (int, error) {
	c.of.mu.Lock()
	c.of.sent++
	var takes time.Duration
	if c.of.stall != nil {
		takes = c.of.stall()
	}
	c.of.mu.Unlock()
	if takes > 0 {
		<-time.After(takes)
	}
	return c.Conn.Write(data)
}

// Dial implements [raft.StreamLayer].
func (n *simNode) Dial(addr raft.ServerAddress, _ time.Duration) (net.Conn, error) {
	n.of.mu.Lock()
	to := n.of.nodes[addr]
	n.of.mu.Unlock()
	if to == nil {
		return nil, errors.New("no such node")
	}
	if n.isCut(addr) {
		return nil, errors.New("planted: no way there")
	}
	here, there := net.Pipe()
	if err := errors.Join(n.join(here), to.join(there)); err != nil {
		return nil, err
	}
	select {
	case to.accepted <- simConn{there, n.of}:
		return simConn{here, n.of}, nil
	case <-to.closed:
		return nil, net.ErrClosed
	}
}

// Accept implements [net.Listener].
func (n *simNode) Accept() (net.Conn, error) {
	select {
	case conn := <-n.accepted:
		return conn, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (n *simNode) Close() error {
	n.close.Do(func() { close(n.closed) })
	n.goAway(true)
	return nil
}

// Addr implements [net.Listener].
func (n *simNode) Addr() net.Addr { return &net.UnixAddr{Name: string(n.addr), Net: "pipe"} }

// keepLog leaves everything in the log; cutLog nothing that a snapshot has.
func keepLog(*raft.Config) {}
func cutLog(c *raft.Config) {
	c.TrailingLogs = 1
}

// raft by itself would wait up to 10 s longer.
func TestAFollowerIsCaughtUpWithinASecondOfItsReturn(t *testing.T) {
	for name, with := range map[string]struct {
		config   func(*raft.Config)
		snapshot bool
	}{
		"by entries":    {config: keepLog},
		"by a snapshot": {config: cutLog, snapshot: true},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, with.config, func(s *simulation, leader, follower *simNode) {
				// One of the last three ends within any pause of raft's of 10 s.
				for _, away := range []time.Duration{time.Minute, 240 * time.Second, 247 * time.Second, 254 * time.Second} {
					follower.goAway(true)
					s.write(leader, 10)
					if with.snapshot {
						if err := leader.raft.Snapshot().Error(); err != nil {
							t.Fatal(err)
						}
					}
					<-time.After(away)
					follower.goAway(false)
					s.within(time.Second, leader, follower)
				}
			})
		})
	}
}

func TestAFollowerIsCaughtUpWithinASecondOfWhenItCanWriteAgain(t *testing.T) {
	simulate(t, keepLog, func(s *simulation, leader, follower *simNode) {
		for _, full := range []time.Duration{50 * time.Millisecond, 25 * time.Second, 29 * time.Second, 10 * time.Minute} {
			before := follower.log.refusals.Load()
			follower.log.full.Store(true)
			s.write(leader, 100)
			<-time.After(full)
			asked := follower.log.refusals.Load() - before
			follower.log.full.Store(false)
			s.within(time.Second, leader, follower)
			if most := 10 + int64(full/maxRepeat); asked == 0 || asked > most {
				t.Errorf("in %s it was asked %d times, want 1 to %d", full, asked, most)
			}
		}
	})
}

func TestAFollowerThatCouldNotStoreASnapshotIsCaughtUpWithinASecondOfWhenItCan(t *testing.T) {
	simulate(t, cutLog, func(s *simulation, leader, follower *simNode) {
		for _, full := range []time.Duration{50 * time.Millisecond, 25 * time.Second, 29 * time.Second, 10 * time.Minute} {
			snapshot := func() {
				s.write(leader, 10)
				if err := leader.raft.Snapshot().Error(); err != nil {
					t.Fatal(err)
				}
			}
			follower.goAway(true)
			snapshot()
			before := follower.snapshots.refusals.Load()
			follower.snapshots.full.Store(true)
			follower.goAway(false)
			<-time.After(full / 2)
			snapshot() // the one that is sent is not the newest any more
			<-time.After(full / 2)
			asked := follower.snapshots.refusals.Load() - before
			follower.snapshots.full.Store(false)
			s.within(time.Second, leader, follower)
			// It makes snapshots of its own at times, too.
			if most := 10 + int64(full/maxRepeat+full/snapshotInterval); full > time.Second && asked == 0 || asked > most {
				t.Errorf("in %s it was sent %d snapshots, want 1 to %d", full, asked, most)
			}
		}
		if logs := s.logs.String(); !strings.Contains(logs, "does not store the snapshot") || !strings.Contains(logs, "peer=n2") {
			t.Errorf("nobody is told:\n%s", logs)
		}
	})
}

// raft's goroutine for a peer does not see in a call that it is to end.
func TestNothingIsHeldBackForAPeerThatIsNoMemberAnyMore(t *testing.T) {
	for name, fault := range map[string]func(*simNode){
		"it is away":       func(n *simNode) { n.goAway(true) },
		"its disk is full": func(n *simNode) { n.log.full.Store(true) },
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, keepLog, func(s *simulation, leader, follower *simNode) {
				fault(follower)
				s.write(leader, 1)
				<-time.After(time.Second)
				if err := leader.raft.RemoveServer("n2", 0, 0).Error(); err != nil {
					t.Fatal(err)
				}
				<-time.After(2 * time.Second)
				leader.transport.mu.Lock()
				last := leader.transport.peer("n2").beat
				leader.transport.mu.Unlock()
				if ago := time.Since(last); ago < time.Second {
					t.Errorf("raft sends it heartbeats, the last one %s ago", ago)
				}
			})
		})
	}
}

// An old leader's goroutines end too.
func TestNothingIsHeldBackForALeaderThatLeadsNoMore(t *testing.T) {
	simulate(t, keepLog, func(s *simulation, leader, follower *simNode) {
		follower.goAway(true)
		s.write(leader, 1)
		<-time.After(time.Second)
		if err := leader.raft.LeadershipTransferToServer("n3", "n3").Error(); err != nil {
			t.Fatal(err)
		}
		<-time.After(2 * time.Second)
		leader.transport.mu.Lock()
		last := leader.transport.peer("n2").beat
		leader.transport.mu.Unlock()
		if ago := time.Since(last); ago < time.Second {
			t.Errorf("the old leader sends heartbeats, the last one %s ago", ago)
		}
	})
}

// Heartbeats say nothing about what a follower stores.
func TestAFollowerTakesNothingUntilItHasStoredSomething(t *testing.T) {
	simulate(t, keepLog, func(s *simulation, leader, follower *simNode) {
		takes := func(when string, want bool) {
			t.Helper()
			if got := leader.transport.takes("n2"); got != want {
				t.Errorf("%s: n2 takes what it is sent: %v, want %v", when, got, want)
			}
			if !leader.transport.takes("n3") {
				t.Errorf("%s: n3 takes nothing", when)
			}
		}
		takes("all is well", true)
		follower.log.full.Store(true)
		s.write(leader, 1)
		<-time.After(time.Minute)
		takes("its disk is full", false)
		follower.log.full.Store(false)
		s.within(time.Second, leader, follower)
		<-time.After(time.Second) // its answer may be on its way
		takes("it has caught up", true)
		request := raft.InstallSnapshotRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}, SnapshotVersion: 1}
		var response raft.InstallSnapshotResponse
		if err := leader.transport.InstallSnapshot("n2", "n2", &request, &response, strings.NewReader("")); err != nil || response.Success {
			t.Fatalf("a snapshot of an old term is taken, or fails with %v", err)
		}
		takes("a snapshot was refused", false)
		s.write(leader, 1)
		s.within(time.Second, leader, follower)
		<-time.After(time.Second) // its answer may be on its way
		takes("it has stored an entry since", true)
	})
}
