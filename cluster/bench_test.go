package cluster

import (
	"slices"
	"syscall"
	"testing"
	"time"
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
				_, err := n.Propose(b.Context(), "bench", numbered(i))
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
