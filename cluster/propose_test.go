package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"evenkeel/fsm"
	"evenkeel/internal/freeport"
)

// lossy does what it is asked and then loses the answer, some times.
type lossy struct {
	http.Handler
	path string
	left atomic.Int32
}

func (l *lossy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, l.path) || l.left.Add(-1) < 0 {
		l.Handler.ServeHTTP(w, r)
		return
	}
	l.Handler.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

func TestWriteWhoseAnswerIsLostAppliesOnce(t *testing.T) {
	c := newTestCluster(t)
	var lossies []*lossy
	for _, name := range []string{"n1", "n2", "n3"} {
		c.config(name)
	}
	for _, name := range []string{"n1", "n2", "n3"} {
		n := c.open(c.config(name, c.joins()...))
		l := &lossy{Handler: n.handler(), path: methodPropose}
		n.port.HandleRPC(l)
		lossies = append(lossies, l)
		c.run(n)
	}
	c.settled(c.nodes["n1"], c.nodes["n2"], c.nodes["n3"])
	f := c.follower()
	// The registry refuses a second application of these.
	for i := range 5 {
		for _, l := range lossies {
			l.left.Store(3)
		}
		put := numbered(i)
		put.If.Absent = true
		before := f.State().Revision()
		result := c.put(f, put)
		if got := f.State().Revision(); got != before+1 || result.Revision != got {
			t.Fatalf("revision %d became %d, the result says %d", before, got, result.Revision)
		}
	}
}

func TestRepeatedCommandAppliesOnce(t *testing.T) {
	c := newTestCluster(t)
	c.form(3)
	leader, f := c.leader(), c.follower()
	id, result, err := f.waiters.add(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer f.waiters.remove(id)
	put := numbered(1)
	put.If.Absent = true
	command, err := fsm.EncodeCommand(fsm.Command{ID: id, Actor: "test", Op: put})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := leader.takeCommand(t.Context(), f.UID(), proposeRequest{command}); err != nil {
			t.Fatal(err)
		}
	}
	if got := <-result; got.Err != nil || got.Revision != leader.State().Revision() {
		t.Errorf("the result is %+v at revision %d", got, leader.State().Revision())
	}
}

func TestLeaderRefusesCommandsThatNobodyCouldRead(t *testing.T) {
	c := newTestCluster(t)
	n := c.form(1)[0]
	for name, command := range map[string]string{
		"a command of a future version":    `{"v":99}`,
		"a command that is not JSON":       `{`,
		"a command under another's origin": `{"v":1,"id":{"origin":"somebody","seq":1},"time":"2026-01-01T00:00:00Z","kind":"forget_node","data":{"uid":"x"}}`,
		"a command that is too large":      strings.Repeat(" ", maxCommand+1),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := n.takeCommand(t.Context(), "caller", proposeRequest{[]byte(command)})
			if err := callOutcome(err); !errors.Is(err, errRefused) {
				t.Errorf("the answer is %v", err)
			}
		})
	}
	if n.isDetached() {
		t.Error("the node detached")
	}
}

func TestRefusalIsAResultAndNotAnError(t *testing.T) {
	c := newTestCluster(t)
	n := c.form(1)[0]
	put := backend("web")
	put.Pool = "nowhere"
	for name, op := range map[string]fsm.Operation{
		"the registry refuses it":                   put,
		"it is refused before it is sent":           fsm.Put{Pool: "default", Name: "Not A Label", Spec: put.Spec},
		"it is larger than a command may be":        fsm.Put{Pool: "default", Name: "web", Spec: put.Spec, Labels: manyLabels()},
		"a pool that a route uses is to be deleted": fsm.Delete{Ref: fsm.Ref{Kind: fsm.KindPool, Name: "default"}},
	} {
		t.Run(name, func(t *testing.T) {
			result, err := n.Propose(t.Context(), fsm.Command{Actor: "test", Op: op})
			if err != nil || result.Err == nil {
				t.Errorf("got result %+v, error %v", result, err)
			}
		})
	}
}

func manyLabels() map[string]string {
	labels := map[string]string{}
	for i := range 20_000 {
		labels[fmt.Sprintf("label-%d", i)] = strings.Repeat("x", 60)
	}
	return labels
}

func TestConcurrentWritesOnAllNodesShareEntries(t *testing.T) {
	c := newTestCluster(t)
	nodes := c.form(3)
	before := c.leader().consensus.Load().raft.LastIndex()
	const writes = 300
	var tasks sync.WaitGroup
	for i := range writes {
		tasks.Go(func() { c.putUntilKnown(nodes[i%3], numbered(i)) })
	}
	tasks.Wait()
	entries := c.leader().consensus.Load().raft.LastIndex() - before
	t.Logf("%d writes took %d entries", writes, entries)
	if entries >= writes {
		t.Errorf("%d writes took %d entries", writes, entries)
	}
	if err := nodes[0].ReadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := nodes[0].State().Count(fsm.KindBackend); got != writes {
		t.Errorf("%d of %d backends are there", got, writes)
	}
}

// putUntilKnown repeats a put whose outcome is unknown, as its caller would: on a
// starved machine elections outlast a write's patience.
func (c *testCluster) putUntilKnown(n *testNode, put fsm.Put) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		result, err := n.Propose(ctx, fsm.Command{Actor: "test", Op: put})
		unknown := errors.Is(err, ErrOutcomeUnknown) || errors.Is(err, ErrNoQuorum)
		switch {
		case unknown && ctx.Err() == nil:
		case err != nil || result.Err != nil:
			c.t.Errorf("propose on %s: %v, %v", n.Name(), err, result.Err)
			return
		default:
			return
		}
	}
}

func TestLeaderThatIsCutOffLeavesNoWriteHanging(t *testing.T) {
	c := newTestCluster(t)
	c.form(3)
	leader := c.leader()
	for name := range c.nodes {
		if name != leader.Name() {
			c.nodes[name].port.Close()
		}
	}
	begun := time.Now()
	var tasks sync.WaitGroup
	for i := range 50 {
		tasks.Go(func() {
			_, err := leader.Propose(context.Background(), fsm.Command{Actor: "test", Op: numbered(i)})
			if !errors.Is(err, ErrNoQuorum) && !errors.Is(err, ErrOutcomeUnknown) {
				t.Errorf("propose on a leader without followers: %v", err)
			}
		})
	}
	tasks.Wait()
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("the writes took %s", took)
	}
	if err := leader.ReadIndex(context.Background()); !errors.Is(err, ErrNoQuorum) {
		t.Errorf("linearizable read on a node that is cut off: %v", err)
	}
	for name := range c.nodes {
		c.kill(name)
	}
}

func TestWriteEndsWithItsContext(t *testing.T) {
	c := newTestCluster(t)
	n := c.open(c.config("n1", freeport.Address(t, "127.0.0.1"))) // waits for another
	c.run(n)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := n.Propose(ctx, fsm.Command{Actor: "test", Op: numbered(1)}); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrOutcomeUnknown) {
		t.Errorf("propose: %v", err)
	}
	begun := time.Now()
	if _, err := n.Propose(t.Context(), fsm.Command{Actor: "test", Op: numbered(1)}); !errors.Is(err, ErrNoQuorum) {
		t.Errorf("propose: %v", err)
	}
	if took := time.Since(begun); took < leaderPatience/2 || took > 5*time.Second {
		t.Errorf("a write without a leader took %s", took)
	}
}

func TestAWriteOutlastsTheChangeOfItsLeader(t *testing.T) {
	for name, c := range map[string]struct {
		without time.Duration // a leader, each time
		want    time.Duration
	}{
		"no leader at all":                          {time.Hour, leaderPatience},
		"leaders that end before they take it":      {500 * time.Millisecond, electionsPatience},
		"leaders that are more than patience apart": {3 * time.Second, leaderPatience},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &Node{dir: &dataDir{id: identity{UID: "n1"}}, leaders: newLeaders(), detachment: newDetachment()}
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				go func() {
					for term := uint64(1); pause(ctx, c.without) == nil; term++ {
						l := n.leaders.set(ctx, "n1", true, term)
						close(l.ready) // it leads, and its log takes nothing any more
						_ = pause(ctx, 20*time.Millisecond)
						n.leaders.set(ctx, "", false, term)
					}
				}()
				begun := time.Now()
				p := &proposal{node: n, begun: begun}
				if _, err := p.run(ctx); !errors.Is(err, ErrNoQuorum) {
					t.Errorf("got %v, want %v", err, ErrNoQuorum)
				}
				if took := time.Since(begun); took < c.want || took > c.want+50*time.Millisecond {
					t.Errorf("it took %s, want %s", took, c.want)
				}
			})
		})
	}
}

func TestAWriteThatWasSentHasOneSpanForAllItsAttempts(t *testing.T) {
	c := newTestCluster(t)
	n := c.open(c.config("n1"))
	defer n.Close()
	begun := time.Now()
	p := &proposal{node: n, begun: begun.Add(-repeatPatience), sent: begun.Add(-repeatPatience)}
	if _, err := p.await(t.Context()); !errors.Is(err, ErrOutcomeUnknown) {
		t.Errorf("the wait for the own replica: %v", err)
	}
	if err := p.attempt(t.Context()); !errors.Is(err, errNoLeader) {
		t.Errorf("one more attempt: %v", err)
	}
	if took := time.Since(begun); took > repeatPatience/2 {
		t.Errorf("after its time was over the write took %s more", took)
	}
}

func TestSequencesNeverRepeatOverRestarts(t *testing.T) {
	dir := t.TempDir()
	var last uint64
	for range 3 {
		d, err := openDataDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		w := newWaiters(d.uid(), d.firstSequence())
		for range 3 {
			id, _, err := w.add(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if id.Seq <= last {
				t.Fatalf("sequence %d follows %d", id.Seq, last)
			}
			last = id.Seq
		}
		if err := d.close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWaitersStayWithinTheMemoryOfResults(t *testing.T) {
	w := newWaiters("me", 0)
	first, _, err := w.add(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range maxSpan - 1 {
		id, _, err := w.add(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.remove(id)
	}
	full, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if id, _, err := w.add(full); err == nil {
		t.Fatalf("id %v is given out while %v is pending", id, first)
	}
	w.remove(first)
	if _, _, err := w.add(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Writes that wait at once reach the log in any order, and the registry refuses what
// is too far behind the newest number of its origin: the bounds on what waits keep
// the oldest one within that.
func TestAWriteThatWaitsIsNeverTooOldForTheRegistry(t *testing.T) {
	for name, pending := range map[string]bool{"one waits and the others have ended": false, "all wait": true} {
		t.Run(name, func(t *testing.T) {
			noWait, cancel := context.WithCancel(t.Context())
			cancel()
			w := newWaiters(newUID(), 5<<epochShift)
			first, _, err := w.add(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			newest := first
			for err == nil {
				var id fsm.CommandID
				if id, _, err = w.add(noWait); err == nil {
					newest = id
					if !pending {
						w.remove(id)
					}
				}
			}
			state := fsm.New()
			for i, id := range []fsm.CommandID{{Origin: newUID(), Seq: 1}, newest, first} {
				var op fsm.Operation = fsm.Init{ClusterID: "c", FeatureLevel: fsm.FeatureLevel, Objects: fsm.DefaultObjects()}
				if i > 0 {
					op = numbered(i)
				}
				var results []fsm.Result
				state, results = fsm.Apply(state, []fsm.Command{{ID: id, Op: op}})
				if results[0].Err != nil || results[0].Repeat {
					t.Errorf("command %d of %d to %d: %+v", id.Seq, first.Seq, newest.Seq, results[0])
				}
			}
			t.Logf("the newest is %d ahead of the oldest", newest.Seq-first.Seq)
		})
	}
}

func TestFullQueueIsAnErrorAtOnce(t *testing.T) {
	s := newSubmitter()
	for range maxQueued {
		s.queue <- submission{}
	}
	if err := s.submit(t.Context(), nil); !errors.Is(err, errOverloaded) {
		t.Errorf("the answer is %v", err)
	}
}

func TestRaftErrorsThatLeaveTheOutcomeOpenAreToldFromOthers(t *testing.T) {
	for err, want := range map[error]error{
		raft.ErrNotLeader:                    errNotLeader,
		raft.ErrLeadershipTransferInProgress: errNotLeader,
		raft.ErrEnqueueTimeout:               errNotLeader,
		raft.ErrLeadershipLost:               errUnknown,
		raft.ErrRaftShutdown:                 errUnknown,
		errors.New("disk full"):              errUnknown,
	} {
		if got := decided(err); !errors.Is(got, want) {
			t.Errorf("%v is %v, not %v", err, got, want)
		}
	}
	if decided(nil) != nil {
		t.Error("nil is an error")
	}
}

// TestACallToALeaderThatVanishedEnds: its host may be gone without a word,
// while no other node can be elected.
func TestACallToALeaderThatVanishedEnds(t *testing.T) {
	for name, c := range map[string]struct {
		next string
		want error
	}{
		"another leads": {"n2", errLeaderChanged},
		"nobody leads":  {"", errNoLeader},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &Node{leaders: newLeaders()}
				n.leaders.set(t.Context(), "n1", false, 1)
				begun := make(chan struct{})
				done := make(chan error, 1)
				go func() {
					done <- n.untilLeaderChanges(t.Context(), "n1", func(ctx context.Context) error {
						close(begun)
						<-ctx.Done()
						return context.Cause(ctx)
					})
				}()
				<-begun
				time.Sleep(10 * leaderPatience) // a leader that is there may take its time
				n.leaders.set(t.Context(), c.next, false, 2)
				lost := time.Now()
				if err := <-done; !errors.Is(err, c.want) {
					t.Errorf("got %v, want %v", err, c.want)
				}
				if took := time.Since(lost); took > leaderPatience {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}
