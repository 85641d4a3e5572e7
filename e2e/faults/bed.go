//go:build linux

package faults

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"evenkeel/e2e/harness"
	"evenkeel/e2e/network"
)

const (
	// dataPerSecond and operationsPerSecond are the least load; a run with less
	// says nothing about faults under load.
	dataPerSecond       = 1000
	operationsPerSecond = 200
	// spareLoad is how much more is asked for, since a flow loses some time.
	spareLoad = 1.2
)

// campaign tells that the whole campaign runs, on a machine that does nothing
// else: then figures are asserted. Otherwise only what must always hold is.
func campaign() bool { return os.Getenv("EVENKEEL_FAULTS") != "" }

// onlyInCampaign skips a test that CI does not run.
func onlyInCampaign(t *testing.T) {
	t.Helper()
	if !campaign() {
		t.Skip("it runs for make faults")
	}
}

// rounds is how often a fault is repeated: for CI less often.
func rounds(all int) int {
	if campaign() {
		return all
	}
	return 1
}

// bedOptions says what a fault is tried on.
type bedOptions struct {
	nodes  int  // 0 is 3
	spare  int  // networks without a node
	lab    bool // the fault is one of the network: skip where there can be none of our own
	disks  bool // each node has a small file system of its own
	binary string
	// prepare is called for each node before its first start.
	prepare func(n *harness.Node)
	extra   []string      // more arguments of each node
	attempt time.Duration // of retrying clients; 0 is attemptLimit
	seed    uint64
}

// bed is a cluster under load on which a fault is tried.
type bed struct {
	*harness.Cluster
	t     *testing.T
	row   *row
	lab   *network.Lab // nil where the nodes are plain processes
	disks map[*harness.Node]*disk
	load  *harness.Load
	ops   *operations
	gaps  []*gapClient
	watch *watcher

	tolerated map[string]int // failed data requests, by address, of nodes that were broken
}

// newBed starts a cluster, its backends and its load. The row is what the test
// adds to the table.
func newBed(t *testing.T, r *row, o bedOptions) *bed {
	t.Helper()
	if o.nodes == 0 {
		o.nodes = 3
	}
	if o.seed == 0 {
		o.seed = 1
	}
	b := &bed{t: t, row: r, disks: map[*harness.Node]*disk{}, tolerated: map[string]int{}}
	t.Logf("%s: seed %d", r.id, o.seed)
	options := harness.Options{Nodes: o.nodes, Binary: o.binary, Extra: o.extra}
	if network.Available() {
		b.lab = network.New(t, o.nodes+o.spare, o.seed)
		options.Sites = b.lab.Sites
	} else if o.lab {
		t.Skip("to make networks needs root")
	}
	var disks []*disk
	for i := 0; o.disks && i < o.nodes; i++ { // mounted before the nodes start, so unmounted after they ended
		disks = append(disks, newDisk(t))
	}
	b.Cluster = harness.Prepare(t, options)
	for i, n := range b.Nodes {
		if o.disks {
			n.Dir, b.disks[n] = filepath.Join(disks[i].path, "data"), disks[i]
		}
		if o.prepare != nil {
			o.prepare(n)
		}
		n.Start(t)
	}
	b.WaitFormed(t)
	b.Nodes[0].Add(t, b.backends(2)...)
	for _, n := range b.Nodes {
		n.WaitServes(t)
	}
	b.startLoad(o)
	return b
}

// backends starts backends where the nodes reach them.
func (b *bed) backends(count int) []*harness.Backend {
	if b.lab == nil {
		return harness.NewBackends(b.t, count)
	}
	backends := make([]*harness.Backend, count)
	for i := range backends {
		backends[i] = harness.NewBackendAt(b.t, fmt.Sprintf("b%d", i+1), net.JoinHostPort(network.Host, fmt.Sprint(9001+i)))
	}
	return backends
}

func (b *bed) startLoad(o bedOptions) {
	b.t.Helper()
	addresses := harness.HTTPAddresses(b.Nodes)
	b.load = harness.StartLoad(b.t, dataPerSecond*spareLoad, addresses...)
	b.watch = startWatcher(b.t, b.Nodes)
	b.ops = startOperations(b.t, operationsOptions{seed: o.seed, rate: operationsPerSecond * spareLoad, apis: harness.APIs(b.Nodes)})
	var targets []writeTarget
	for _, n := range b.Nodes {
		targets = append(targets, newAPITarget(n.Address))
	}
	for i := range targets {
		b.gaps = append(b.gaps, startGapClient(b.t, i, targets, cmp.Or(o.attempt, attemptLimit)))
	}
	b.load.WaitRequests(b.t, 100, addresses...)
	b.checkLoad(addresses)
}

// checkLoad voids a run whose load is too small before the fault.
func (b *bed) checkLoad(addresses []string) {
	b.t.Helper()
	begun, sent, done := time.Now(), b.load.Sent(), b.ops.count()
	b.load.WaitRequests(b.t, 600, addresses...)
	elapsed := time.Since(begun).Seconds()
	b.row.quiet = max(b.row.quiet, slices.Max(longestOf(b.gaps, begun)))
	if rate := float64(b.load.Sent()-sent) / elapsed; rate < dataPerSecond {
		b.void("%.0f data requests a second, %d are wanted", rate, dataPerSecond)
	}
	if rate := float64(b.ops.count()-done) / elapsed; rate < operationsPerSecond {
		b.void("%.0f operations a second, %d are wanted", rate, operationsPerSecond)
	}
}

// void says that the run shows nothing. On a machine that has other things to
// do, what must always hold is still looked at.
func (b *bed) void(format string, args ...any) {
	b.t.Helper()
	if campaign() {
		b.t.Errorf("the run is void: "+format, args...)
		return
	}
	b.t.Logf("less load than wanted: "+format, args...)
}

// number returns the place of a node.
func (b *bed) number(n *harness.Node) int { return slices.Index(b.Nodes, n) }

// fault is one that is on.
type fault struct {
	bed       *bed
	begun     time.Time
	term      uint64
	affected  map[string]int // failed data requests when it began, by address
	elections int
	gaps      []time.Duration // of each client
	stranded  []bool          // which were with a node that was cut off alone
}

// begin marks that a fault begins, which may cost the nodes named some of their
// own requests.
func (b *bed) begin(affected ...*harness.Node) *fault {
	b.t.Helper()
	f := &fault{bed: b, term: b.term(), affected: map[string]int{}, stranded: make([]bool, len(b.gaps))}
	for _, n := range affected {
		f.affected[n.HTTP] = len(b.load.FailuresAt(n.HTTP))
		b.load.MayRefuse(n.HTTP, true)
	}
	f.begun = time.Now()
	return f
}

// strands says that the fault cuts a node off, so that the clients that are with
// it are counted by themselves: how long they wait is up to them.
func (f *fault) strands(n *harness.Node) {
	for i, client := range f.bed.gaps {
		f.stranded[i] = f.bed.Nodes[client.staysWith()] == n
	}
}

// end marks that all is well again, and adds what the fault cost to the table.
func (f *fault) end() {
	b := f.bed
	b.t.Helper()
	for _, n := range b.Running() {
		if _, affected := f.affected[n.HTTP]; affected {
			n.WaitServes(b.t)
		}
	}
	for address, before := range f.affected {
		b.tolerated[address] += len(b.load.FailuresAt(address)) - before
		b.load.MayRefuse(address, false)
	}
	f.gaps = longestOf(b.gaps, f.begun)
	for i, gap := range f.gaps {
		if f.stranded[i] {
			b.row.stranded = append(b.row.stranded, gap)
		} else {
			b.row.gaps = append(b.row.gaps, gap)
		}
	}
	f.elections = int(b.term() - f.term)
	b.row.times++
	b.row.elections = append(b.row.elections, f.elections)
	b.t.Logf("%s: no acknowledged write for %v, %d elections, %v in all", b.row.id, f.gaps, f.elections,
		time.Since(f.begun).Round(10*time.Millisecond))
}

// term is the newest one that a running node knows.
func (b *bed) term() uint64 {
	b.t.Helper()
	return termOf(b.t, b.Cluster)
}

func termOf(t testing.TB, c *harness.Cluster) (term uint64) {
	t.Helper()
	harness.Eventually(t, "a node tells its term", func() error {
		term = 0
		for _, n := range c.Running() {
			if info, err := n.Cluster(); err == nil {
				term = max(term, info.Term)
			}
		}
		if term == 0 {
			return fmt.Errorf("none does")
		}
		return nil
	})
	return term
}

// waitWrites waits until every retrying client has had some more writes
// acknowledged.
func (b *bed) waitWrites(count int) {
	b.t.Helper()
	waitWrites(b.t, b.gaps, count)
}

// finish ends the load and checks what must hold after every fault.
func (b *bed) finish() {
	b.t.Helper()
	b.WaitFormed(b.t)
	addresses := harness.HTTPAddresses(b.Running())
	b.load.WaitRequests(b.t, 100, addresses...)
	b.load.Stop()
	for _, client := range b.gaps {
		client.stop()
	}
	b.watch.stop(b.t)
	b.ops.check(b.t)
	b.row.operations += b.ops.count()
	b.WaitSame(b.t)
	b.row.requests += int(b.load.Sent())
	for _, n := range b.Nodes {
		failures := b.load.FailuresAt(n.HTTP)
		if bad := len(failures) - b.tolerated[n.HTTP]; bad > 0 {
			b.row.failures += bad
			b.t.Errorf("%d requests to %s failed, beyond %d while it was broken itself: %v", bad, n.Name, b.tolerated[n.HTTP], failures[:min(len(failures), 10)])
		}
	}
	b.row.check(b.t)
}
