package faults

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

// dataRate is the load on the data paths of all nodes together, in requests a
// second.
const dataRate = 1000

// subject is three nodes of a binary of their own, under load.
type subject struct {
	*harness.Cluster
	load   *harness.Load
	writes *harness.Writes
}

// switchedOn skips a test that is not for everybody's `go test ./...`.
func switchedOn(t *testing.T) {
	t.Helper()
	if os.Getenv("EVENKEEL_FAULTS") == "" {
		t.Skip("it runs for make faults")
	}
}

// prepareSubject makes three nodes that log what raft does, and starts none.
func prepareSubject(t *testing.T, binary string) *subject {
	t.Helper()
	return &subject{Cluster: harness.Prepare(t, harness.Options{Nodes: 3, Binary: binary, Extra: []string{"--log-level", "debug"}})}
}

// start starts the nodes, the load on their data paths and the writes to their
// APIs. It returns when all of that flows.
func (s *subject) start(t *testing.T) {
	t.Helper()
	for _, n := range s.Nodes {
		n.Start(t)
	}
	s.WaitFormed(t)
	s.Nodes[0].Add(t, harness.NewBackends(t, 2)...)
	for _, n := range s.Nodes {
		n.WaitServes(t)
	}
	addresses := harness.HTTPAddresses(s.Nodes)
	s.load = harness.StartLoad(t, dataRate, addresses...)
	s.load.WaitRequests(t, 100, addresses...)
	s.writes = harness.StartWrites(t, "fault", harness.APIs(s.Nodes)...)
	s.writes.WaitAcknowledged(t, 20)
}

// newInjected starts three nodes whose log stores have faults on demand.
func newInjected(t *testing.T) *subject {
	t.Helper()
	switchedOn(t)
	s := prepareSubject(t, harness.InjectBinary(t))
	for _, n := range s.Nodes {
		n.Inject()
	}
	s.start(t)
	return s
}

// elections is how many elections all nodes together have won so far.
func (s *subject) elections(t *testing.T) int {
	t.Helper()
	won := 0
	for _, n := range s.Nodes {
		won += strings.Count(n.Log(t), `msg="election won"`)
	}
	return won
}

// waitOtherLeads waits until the other nodes follow another leader, and returns how
// long that took.
func (s *subject) waitOtherLeads(t *testing.T, than *harness.Node) time.Duration {
	t.Helper()
	begun := time.Now()
	harness.Eventually(t, "another node than "+than.Name+" leads", func() error {
		for _, n := range s.Without(than) {
			if info, err := n.Cluster(); err != nil || info.Leader == "" || info.Leader == than.Name {
				return fmt.Errorf("%s: %+v, %v", n.Name, info, err)
			}
		}
		return nil
	})
	return time.Since(begun)
}

// watch calls look until the time is over: for what must not happen meanwhile.
func watch(t *testing.T, over time.Duration, look func()) {
	t.Helper()
	ticker, end := time.NewTicker(50*time.Millisecond), time.After(over)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			look()
		case <-end:
			return
		}
	}
}

// healed checks what holds once the faults are over: every node takes part, all
// have the same state with every acknowledged write in it, and no request for
// data has failed.
func (s *subject) healed(t *testing.T) {
	t.Helper()
	s.WaitFormed(t)
	s.writes.WaitAcknowledged(t, 20)
	s.writes.Stop()
	s.WaitSame(t)
	for _, n := range s.Nodes {
		s.writes.CheckKept(t, n.API)
	}
	s.load.WaitRequests(t, 100, harness.HTTPAddresses(s.Nodes)...)
	s.load.StopClean(t)
}
