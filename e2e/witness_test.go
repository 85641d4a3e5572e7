package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"evenkeel/e2e/harness"
)

// Two nodes that serve and a witness: either of the two may die.
func TestAWitnessIsTheThirdVoteOfTwoNodes(t *testing.T) {
	cluster := harness.NewCluster(t, harness.Options{Nodes: 3, Witnesses: 1})
	witness, serving := cluster.Nodes[2], cluster.Nodes[:2]
	backends := harness.NewBackends(t, 2)
	witness.Add(t, backends...) // its API is as any other's
	for _, n := range serving {
		n.WaitServes(t)
	}
	cluster.WaitHealth(t, "up", backends...)
	cluster.WaitSame(t)
	checkTakesNoTraffic(t, witness)
	checkWhoObserves(t, witness, serving)

	// The node that leads dies. The other one and the witness go on, and the
	// leadership comes to the one that serves.
	dead := serving[0]
	if leader := cluster.Leader(t); leader == serving[1] {
		dead = leader
	}
	dead.Kill()
	last := cluster.Without(witness)[0]
	writes := harness.StartWrites(t, "after", last.API, witness.API)
	writes.WaitAcknowledged(t, 20)
	last.WaitServes(t)
	harness.Eventually(t, "the node that serves leads", func() error {
		if leader := cluster.Leader(t); leader != last {
			return fmt.Errorf("%s leads", leader.Name)
		}
		return nil
	})
	writes.WaitAcknowledged(t, 5)
	writes.Stop()
	writes.CheckKept(t, last.API)

	// It stops in order, and the witness keeps all that there is.
	dead.Start(t)
	cluster.WaitFormed(t)
	cluster.WaitSame(t)
	writes.CheckKept(t, witness.API)
	witness.Stop(t)
	last.Write(t, http.MethodPut, "/v1/pools/without", map[string]any{})
}

// checkTakesNoTraffic wants a witness that says so everywhere.
func checkTakesNoTraffic(t *testing.T, witness *harness.Node) {
	t.Helper()
	answer, err := witness.Call(http.MethodGet, "/readyz", nil)
	if err != nil || answer.Status != http.StatusServiceUnavailable || !strings.Contains(string(answer.Body), "is a witness") {
		t.Errorf("/readyz of the witness: %+v, %v", answer, err)
	}
	if answer, err := witness.Call(http.MethodGet, "/livez", nil); err != nil || answer.Status != http.StatusOK {
		t.Errorf("/livez of the witness: %+v, %v", answer, err)
	}
	if lines := metricLines(t, witness, "evenkeel_listener_up{"); len(lines) > 0 {
		t.Errorf("the witness listens: %q", lines)
	}
	var listener struct {
		Status struct{ Nodes map[string]any }
	}
	if err := witness.Get("/v1/listeners/default", &listener); err != nil || len(listener.Status.Nodes) != 2 {
		t.Errorf("the listener is at %v, %v", listener.Status.Nodes, err)
	}
	for _, verb := range []string{"members", "status"} {
		said, code := commandLine(t, verb, "--api", witness.Address)
		if code != 0 || !strings.Contains(said, "witness") {
			t.Errorf("%s: exit %d: %s", verb, code, said)
		}
	}
	if said, code := commandLine(t, "healthcheck", "--live", "--api", witness.Address); code != 0 {
		t.Errorf("healthcheck --live: exit %d: %s", code, said)
	}
}

// metricLines returns the lines of /metrics that begin so.
func metricLines(t *testing.T, n *harness.Node, prefix string) []string {
	t.Helper()
	answer, err := n.Call(http.MethodGet, "/metrics", nil)
	if err != nil || answer.Status != http.StatusOK {
		t.Fatalf("/metrics: %+v, %v", answer, err)
	}
	var found []string
	for line := range strings.Lines(string(answer.Body)) {
		if strings.HasPrefix(line, prefix) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// checkWhoObserves wants verdicts that rest on those that serve, and no probe by the
// witness.
func checkWhoObserves(t *testing.T, witness *harness.Node, serving []*harness.Node) {
	t.Helper()
	var list struct {
		Items []struct {
			Name   string
			Status struct{ Votes []struct{ Node string } }
		}
	}
	if err := witness.Get("/v1/backends", &list); err != nil {
		t.Fatal(err)
	}
	for _, b := range list.Items {
		voted := map[string]bool{}
		for _, vote := range b.Status.Votes {
			voted[vote.Node] = true
		}
		if voted[witness.Name] || len(voted) == 0 {
			t.Errorf("backend %s has the votes of %v", b.Name, voted)
		}
	}
	for _, line := range metricLines(t, witness, "evenkeel_probes_total{") {
		if !strings.HasSuffix(line, " 0") {
			t.Errorf("the witness probes: %s", line)
		}
	}
	members, err := serving[0].Members()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		if m.Witness != (m.Name == witness.Name) {
			t.Errorf("%s says of %s that it is a witness: %v", serving[0].Name, m.Name, m.Witness)
		}
	}
}
