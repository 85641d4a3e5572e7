//go:build linux

package health

import (
	"fmt"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

const (
	// killRate is the requests a second through all nodes, of which a backend
	// gets its share.
	killRate = 900
	// busyAttempts is how many attempts at a backend each node makes before it is
	// killed, so that all of them use it.
	busyAttempts = 40
	// quietAfter is for how long after a kill attempts are looked for: more than
	// one interval of the check.
	quietAfter = 3 * time.Second
	// killRequests is how many requests a campaign's kills are to meet.
	killRequests = 10_000
)

// checkOf is the check of the figures, on a port of its own: 2 s, 1 s,
// fall 3 are the defaults.
func checkOf(kind string) object { return object{"type": kind, "port": checkPort} }

// TestAKilledBackendIsLeftAtOnce kills a backend under traffic through all
// nodes. Every attempt counts that reaches its port after the first one met a
// reset: a connect that is refused, or a request on a connection that ended with
// the process, which often tells all nodes before any of them connects. Second
// attempts of requests count too.
func TestAKilledBackendIsLeftAtOnce(t *testing.T) {
	b := newBed(t)
	b.pool("default", object{"check": checkOf("tcp")})
	others := []*backend{b.start("default", "b1"), b.start("default", "b2")}
	watch := watchVerdicts(t, b.Nodes, "default")
	for _, other := range others {
		watch.await(t, other.name, "up", time.Time{})
	}
	load := harness.StartLoad(t, killRate, harness.HTTPAddresses(b.Nodes)...)
	var left, agreed []time.Duration
	late := 0
	for round := range rounds(12) {
		k := b.kill(fmt.Sprintf("k%d", round), watch)
		left, agreed = append(left, k.left), append(agreed, k.agreed)
		late += k.attempts
		t.Logf("kill %d: the last attempt %s after the first that failed, %d in between, agreed down after %s",
			round+1, millis(k.left), k.attempts, millis(k.agreed))
	}
	if campaign() {
		harness.Eventually(t, "enough requests", func() error {
			if sent := load.Sent(); sent < killRequests {
				return fmt.Errorf("%d", sent)
			}
			return nil
		})
	}
	load.Stop()
	judgeSpans(t, "a backend is killed: its last attempt after the first that fails", left, 20*time.Millisecond, 50*time.Millisecond)
	note(t, "a backend is killed: agreed down on every node after the first that fails", "median %s, worst %s", millis(quantile(agreed, 0.5)), millis(quantile(agreed, 1)))
	note(t, "a backend is killed: attempts that came after the first that fails", "%d in %d kills", late, len(left))
	failures := load.Failures()
	judge(t, len(failures) == 0, row{"requests that fail meanwhile", fmt.Sprintf("0 of %d", killRequests), fmt.Sprintf("%d of %d", len(failures), load.Sent())})
	load.StopClean(t) // fails everywhere if any has failed
}

// killed is what one kill cost, counted from the first attempt that failed.
type killed struct {
	left     time.Duration // until the last attempt
	agreed   time.Duration // until every node says that the backend is down
	attempts int           // of the nodes
}

// kill starts a backend, waits until all nodes use it, and kills it.
func (b *bed) kill(name string, watch *verdicts) killed {
	b.t.Helper()
	s := b.start("default", name)
	watch.await(b.t, name, "up", time.Time{})
	c, stop := startCapture(b.t, s.ip)
	harness.Eventually(b.t, "every node uses "+name, func() error {
		count := byNode(c.attemptsAfter(trafficPort, time.Time{}))
		for i := range b.Nodes {
			if count[byte(i+1)] < busyAttempts {
				return fmt.Errorf("attempts by node: %v", count)
			}
		}
		return nil
	})
	at := time.Now()
	s.Kill()
	var first time.Time
	harness.Eventually(b.t, "an attempt fails", func() (err error) {
		first, err = c.firstReset(trafficPort, at)
		return err
	})
	down := watch.await(b.t, name, "down", at)
	pause(time.Until(first.Add(quietAfter)))
	stop()
	k := killed{agreed: down.Sub(first)}
	for _, a := range c.attemptsAfter(trafficPort, first) {
		k.left = max(k.left, a.at.Sub(first))
		k.attempts++
	}
	b.remove("default", s)
	return k
}
