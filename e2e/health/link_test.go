//go:build linux

package health

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

const (
	// settles is within what a node is to find out that its link is cut: more
	// than its own probes need, and more than what is in flight may wait.
	settles = 8 * time.Second
	// avoids is for how long it is then watched.
	avoids = 6 * time.Second
	// linkConnect and linkFirstByte are the timeouts of its data path.
	linkConnect   = 300 * time.Millisecond
	linkFirstByte = 600 * time.Millisecond
)

// TestANodeThatAloneCannotReachABackendAvoidsIt cuts the link of one node to one
// backend, silently and with resets.
func TestANodeThatAloneCannotReachABackendAvoidsIt(t *testing.T) {
	b := newBed(t)
	b.pool("default", object{"check": checkOf("http"), "timeouts": object{"connect": linkConnect.String(), "first_byte": linkFirstByte.String()}})
	watch := watchVerdicts(t, b.Nodes, "default")
	backends := []*backend{b.start("default", "b1"), b.start("default", "b2"), b.start("default", "b3")}
	for _, s := range backends {
		watch.await(t, s.name, "up", time.Time{})
	}
	l := &linkTest{bed: b, watch: watch}
	for _, n := range b.Nodes {
		l.loads = append(l.loads, harness.StartLoad(t, 200, n.HTTP))
	}
	begun := time.Now()
	for round := range rounds(3) {
		for _, reset := range []bool{false, true}[:rounds(2)] {
			l.try(round%len(b.Nodes), backends[0], reset)
		}
	}
	watch.told(t)
	downs := watch.ever("down", begun)
	if downs > 0 {
		t.Errorf("nodes said %d times that a backend is down, which all others reached", downs)
	}
	failures, sent := 0, 0
	for _, load := range l.loads {
		load.StopClean(t)
		failures, sent = failures+len(load.Failures()), sent+int(load.Sent())
	}
	judge(t, downs == 0, row{"one node loses its link to a backend: committed DOWNs", "0", fmt.Sprintf("%d in %d cuts", downs, l.cuts)})
	judge(t, failures == 0, row{"requests that fail meanwhile", "0", fmt.Sprintf("%d of %d", failures, sent)})
	judge(t, l.late == 0, row{fmt.Sprintf("connects of its requests to the backend, %v long after %v", avoids, settles), "0", fmt.Sprint(l.late)})
	note(t, "its slowest request in that time", "%s", strings.Join(l.slowest, ", "))
	note(t, "its link is back: until it uses the backend again", "worst %.1f s", quantile(l.back, 1).Seconds())
}

// settle waits until the node is to have found out. On a machine that has other
// things to do it takes as long as it takes.
func (l *linkTest) settle(c *cut) {
	l.t.Helper()
	if campaign() {
		pause(settles)
		return
	}
	harness.Eventually(l.t, "the node avoids the backend", func() error {
		before, _, _ := c.connects()
		pause(checkInterval)
		if after, _, _ := c.connects(); after > before {
			return fmt.Errorf("%d connects in %v", after-before, checkInterval)
		}
		return nil
	})
}

// linkTest is what the cuts have in common.
type linkTest struct {
	*bed
	watch   *verdicts
	loads   []*harness.Load // of each node
	cuts    int
	late    int // connects that should not have been
	slowest []string
	back    []time.Duration
}

func (l *linkTest) try(node int, s *backend, reset bool) {
	l.t.Helper()
	load := l.loads[node]
	load.WaitRequests(l.t, 100, l.Nodes[node].HTTP)
	cut := l.cut(node, s.ip, reset)
	l.cuts++
	l.settle(cut)
	before, _, all := cut.connects()
	if all == 0 {
		l.t.Errorf("the cut of %s met no packet", l.Nodes[node].Name)
	}
	from := time.Now()
	pause(avoids)
	after, probes, _ := cut.connects()
	l.late += after - before
	l.slowest = append(l.slowest, millis(load.Quantile(1, from, time.Now())))
	l.t.Logf("cut of %s, reset %t: %d connects of requests until it settled, %d then; %d of probes", l.Nodes[node].Name, reset, before, after-before, probes)
	if probes == 0 {
		l.t.Errorf("%s, which is to observe the backend, sent no probe", l.Nodes[node].Name)
	}
	used := load.ByName()[s.name]
	cut.heal()
	begun := time.Now()
	harness.Eventually(l.t, l.Nodes[node].Name+" uses the backend again", func() error {
		if now := load.ByName()[s.name] - used; now < 10 {
			return fmt.Errorf("%d answers", now)
		}
		return nil
	})
	l.back = append(l.back, time.Since(begun))
}
