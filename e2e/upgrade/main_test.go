package upgrade

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

const (
	// requestsPerSecond is the load of the campaign; writes come on top.
	requestsPerSecond = 1000
	// writesPerSecond is the least that the retrying clients get acknowledged.
	writesPerSecond = 200
	// gapP50 and gapWorst bound the time without an acknowledged write at a stop.
	gapP50, gapWorst = 50 * time.Millisecond, 300 * time.Millisecond
	// settled is how many requests each node answers between two steps.
	settled = 200
)

// long tells whether the tests run for `make faults`, on a machine that does
// nothing else: longer, and void if that did not carry the load.
func long() bool { return os.Getenv("EVENKEEL_FAULTS") != "" }

// flow is a cluster with clients.
type flow struct {
	*harness.Cluster
	name    string
	traffic *harness.Rolling
	writes  *harness.RetriedWrites
	rounds  int // of writes that are over
	gaps    []time.Duration
}

func newFlow(t *testing.T, name string, o harness.Options) *flow {
	t.Helper()
	f := &flow{Cluster: harness.NewCluster(t, o), name: name}
	backends := harness.NewBackends(t, 3)
	f.Nodes[0].Add(t, backends...)
	f.WaitHealth(t, "up", backends...)
	for _, n := range f.Nodes {
		n.WaitServes(t)
	}
	f.traffic = harness.StartRolling(t, requestsPerSecond, f.Nodes...)
	f.writes = harness.StartRetriedWrites(t, name, f.Nodes...)
	f.traffic.WaitAnswers(t, settled, f.Nodes...)
	f.writes.WaitAcknowledged(t, 20)
	if long() {
		begun := time.Now()
		f.writes.WaitAcknowledged(t, 2*writesPerSecond)
		if rate := 2 * writesPerSecond / time.Since(begun).Seconds(); rate < writesPerSecond {
			t.Errorf("the run is void: %.0f acknowledged writes/s", rate)
		}
	}
	return f
}

// replace stops the node and starts it again, with the given binary or "" for
// that which it has. It returns when the clients are back.
func (f *flow) replace(t *testing.T, n *harness.Node, binary string) {
	t.Helper()
	f.stop(t, n)
	if binary != "" {
		n.Use(binary)
	}
	n.Start(t)
	f.WaitFormed(t)
	f.traffic.WaitAnswers(t, settled, f.Nodes...)
	f.writes.WaitAcknowledged(t, 20)
}

// stop ends the node cleanly. A leader has handed over by then.
func (f *flow) stop(t *testing.T, n *harness.Node) {
	t.Helper()
	led := f.Leader(t) == n
	f.writes.Gap()
	begun := time.Now()
	n.Stop(t)
	took := time.Since(begun)
	if led {
		// Without a handover the others would take an election timeout to
		// doubt the old one. On a busy machine they may doubt the new one too.
		if err := otherLeader(f.Running(), n.Name); err != nil && long() {
			t.Errorf("%s led and has ended: %v", n.Name, err)
		}
	}
	f.writes.WaitAcknowledged(t, 20)
	gap := f.writes.Gap()
	f.gaps = append(f.gaps, gap)
	t.Logf("%s (leader: %t) ended after %v; longest time without an acknowledged write: %v",
		n.Name, led, took.Round(10*time.Millisecond), gap.Round(time.Millisecond))
}

// otherLeader tells whether any of the nodes knows of a leader that is not that
// one.
func otherLeader(nodes []*harness.Node, old string) error {
	err := errors.New("no node runs")
	for _, n := range nodes {
		var info harness.ClusterInfo
		if info, err = n.Cluster(); err == nil && info.Leader != "" && info.Leader != old {
			return nil
		}
		err = fmt.Errorf("%s says that the leader is %q, %v", n.Name, info.Leader, err)
	}
	return err
}

// end checks what holds when all is over.
func (f *flow) end(t *testing.T) {
	t.Helper()
	f.WaitFormed(t)
	f.traffic.WaitAnswers(t, settled, f.Nodes...)
	f.writes.Stop()
	if rate := f.traffic.StopClean(t); long() && rate < 0.9*requestsPerSecond {
		t.Errorf("the run is void: %.0f requests/s", rate)
	}
	f.WaitSame(t)
	f.writes.CheckKept(t, f.Nodes...)
	slices.Sort(f.gaps)
	p50, worst := f.gaps[len(f.gaps)/2], f.gaps[len(f.gaps)-1]
	t.Logf("gap p50 / worst at %d stops: %v / %v (wanted %v / %v)", len(f.gaps), p50, worst, gapP50, gapWorst)
	if long() && (p50 > gapP50 || worst > gapWorst) {
		t.Errorf("the gaps at the stops are %v, at most %v at the median and %v at worst are wanted", f.gaps, gapP50, gapWorst)
	}
}

// alike waits until all nodes that run have the same state, with no write under
// way, and lets the clients write on.
func (f *flow) alike(t *testing.T) {
	t.Helper()
	f.writes.Stop()
	f.WaitSame(t)
	f.writes.CheckKept(t, f.Running()...)
	f.rounds++
	f.writes = harness.StartRetriedWrites(t, fmt.Sprintf("%s-%d", f.name, f.rounds), f.Nodes...)
}

// refused sends a request that is to be refused with these words, and nothing
// else.
func refused(t *testing.T, n *harness.Node, method, path string, body any, words ...string) {
	t.Helper()
	answer, err := n.Call(method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range words {
		if answer.Status != http.StatusBadRequest || !strings.Contains(string(answer.Body), word) {
			t.Fatalf("%s %s on %s: %d %s, want 400 with %q", method, path, n.Name, answer.Status, answer.Body, word)
		}
	}
}

// noneDetached fails the test if a running node has no part in Raft.
func (f *flow) noneDetached(t *testing.T) {
	t.Helper()
	for _, n := range f.Running() {
		if info, err := n.Cluster(); err != nil || info.Detached != "" {
			t.Errorf("%s is detached: %q, %v", n.Name, info.Detached, err)
		}
	}
}
