package cluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"evenkeel/fsm"
)

// BenchmarkWriteOnFollowerUntilEveryNodeHasIt is one write at a time on a
// follower of three nodes. Beside it stands what one append to the log store
// costs here: a write has two of them in a row, the leader's and a follower's.
func BenchmarkWriteOnFollowerUntilEveryNodeHasIt(b *testing.B) {
	c := newTestCluster(b)
	nodes := c.form(3)
	f := c.follower()
	var took []time.Duration
	i := 0
	for b.Loop() {
		i++
		put := numbered(i)
		begun := time.Now()
		c.put(f, put)
		for _, n := range nodes {
			for {
				state, replaced := n.Watch()
				if state.Backend("default", put.Name) != nil {
					break
				}
				<-replaced
			}
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2])/1e6, "p50-ms")
	b.ReportMetric(float64(took[len(took)*95/100])/1e6, "p95-ms")
	b.ReportMetric(float64(took[len(took)*99/100])/1e6, "p99-ms")
}

// BenchmarkIdle reports the CPU of three nodes in one process that have
// nothing to do, in percent of a core per node. Run it with -benchtime=1x.
func BenchmarkIdle(b *testing.B) {
	c := newTestCluster(b)
	c.form(3)
	const span = 10 * time.Second
	for b.Loop() {
		before := cpuTime(b)
		<-time.After(span)
		b.ReportMetric(100*float64(cpuTime(b)-before)/float64(span)/3, "%core/node")
	}
}

func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkKilledLeader cuts the leader of three nodes off and
// measures until a write through a survivor is acknowledged. Run it with
// -benchtime=20x.
func BenchmarkKilledLeader(b *testing.B) {
	c := newTestCluster(b)
	c.form(3)
	var took []time.Duration
	i := 0
	for b.Loop() {
		i++
		dead := c.leader().Name()
		begun := time.Now()
		c.nodes[dead].port.Close()
		for name, n := range c.nodes {
			if name == dead {
				continue
			}
			for {
				_, err := n.Propose(b.Context(), fsm.Command{Actor: "bench", Op: numbered(i)})
				if err == nil {
					break
				}
			}
			break
		}
		took = append(took, time.Since(begun))
		c.kill(dead)
		c.start(c.config(dead, c.joins()...))
		var nodes []*testNode
		for _, n := range c.nodes {
			nodes = append(nodes, n)
		}
		c.settled(nodes...)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2])/1e6, "p50-ms")
	b.ReportMetric(float64(took[len(took)-1])/1e6, "max-ms")
}

// BenchmarkBootOfALargeRegistry is what a node with 100,000 backends reads before
// it serves: the store is checked and its snapshot with it, the image is read, and
// 2,000 entries of the log behind that are applied, a second's worth of writes.
// Run it with -benchtime=3x.
func BenchmarkBootOfALargeRegistry(b *testing.B) {
	const backends, behind = 100_000, 2_000
	write := func(state *fsm.State, i int) (*fsm.State, []byte) {
		command := fsm.Command{ID: fsm.CommandID{Origin: testVoter, Seq: uint64(i + 2)}, Op: numbered(i)}
		encoded, err := fsm.EncodeCommand(command)
		if err != nil {
			b.Fatal(err)
		}
		state, results := fsm.Apply(state, []fsm.Command{command})
		if results[0].Err != nil {
			b.Fatal(results[0].Err)
		}
		return state, fsm.EncodeEntry([][]byte{encoded})
	}
	state, _ := fsm.Apply(fsm.New(), []fsm.Command{{ID: fsm.CommandID{Origin: testVoter, Seq: 1}, Op: fsm.Init{ClusterID: "c", FeatureLevel: fsm.FeatureLevel, Objects: fsm.DefaultObjects()}}})
	for i := range backends {
		state, _ = write(state, i)
	}
	dir := storeDir(b, func(s *store) {
		_, transport := raft.NewInmemTransport("")
		sink, err := s.snapshots.Create(raft.SnapshotVersionMax, backends, 1, founding([]string{testVoter}), 1, transport)
		if err == nil {
			err = (&replicaSnapshot{state, backends}).Persist(sink)
		}
		if err != nil {
			b.Fatal(err)
		}
		var logs []*raft.Log
		next := state
		for i := range behind {
			var data []byte
			next, data = write(next, backends+i)
			logs = append(logs, &raft.Log{Index: uint64(backends + i + 1), Term: 1, Data: data})
		}
		if err := s.cache.StoreLogs(logs); err != nil {
			b.Fatal(err)
		}
	})
	err := errors.Join(dir.setClusterID("c"), writeImage(dir.file(fileImage), &view{state: state, index: backends}),
		os.WriteFile(dir.file(fileApplied), appliedMark{backends + behind, 1}.encode(dir.uid()), 0o600))
	if err != nil {
		b.Fatal(err)
	}
	var store, image, all time.Duration
	for b.Loop() {
		begun := time.Now()
		s, err := openTestStore(b, dir)
		if err != nil {
			b.Fatal(err)
		}
		store += time.Since(begun)
		begun = time.Now()
		if _, _, err := readImage(dir.file(fileImage)); err != nil {
			b.Fatal(err)
		}
		image += time.Since(begun)
		begun = time.Now()
		n := &Node{dir: dir, store: s}
		if _, boot := n.readBoot(func(what string, err error) { b.Fatal(what, err) }); boot.index != backends+behind {
			b.Fatalf("it serves up to entry %d", boot.index)
		}
		all += time.Since(begun)
		if err := s.close(); err != nil {
			b.Fatal(err)
		}
	}
	for name, took := range map[string]time.Duration{"store-ms": store, "image-ms": image, "image-and-log-ms": all} {
		b.ReportMetric(float64(took)/float64(b.N)/1e6, name)
	}
}

// BenchmarkNoteApplied is what the record of what is applied costs a batch, while
// it is written.
func BenchmarkNoteApplied(b *testing.B) {
	r, err := openApplied(filepath.Join(b.TempDir(), fileApplied), testVoter)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	var writing sync.WaitGroup
	writing.Go(func() { r.run(ctx, func(err error) { b.Error(err) }) })
	var index uint64
	for b.Loop() {
		index++
		r.note(index, 1)
	}
	cancel()
	writing.Wait()
}
