package upgrade

import (
	_ "embed"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"evenkeel/e2e/harness"
)

// TestF15RollingUpgradeAndBack goes from the feature level before to this one:
// back again as long as the level has not risen, and not afterwards.
func TestF15RollingUpgradeAndBack(t *testing.T) {
	older, newer := harness.TaggedBinary(t, "oldlevel"), harness.Binary(t)
	f := newFlow(t, "f15", harness.Options{Nodes: 3, Binary: older})
	first, last := f.Nodes[0], f.Nodes[2]
	f.transactionIsRefused(t)
	f.replace(t, first, newer)
	f.transactionIsRefused(t)
	f.replace(t, first, older)
	f.transactionIsRefused(t)
	f.alike(t)
	for _, n := range f.Nodes {
		f.transactionIsRefused(t)
		f.replace(t, n, newer)
	}
	f.noneDetached(t)
	f.transactionIsTaken(t, first)
	f.restoreIsTaken(t, first)

	f.stop(t, last)
	last.Use(older)
	last.Start(t)
	f.isKeptOut(t, last)
	f.outsiderIsRefused(t, older)
	last.Stop(t)
	last.Use(newer)
	last.Start(t)
	f.end(t)
	f.noneDetached(t)
}

// transaction is something that the level before does not have.
func transaction() any {
	return map[string]any{"operations": []any{map[string]any{"op": "delete", "kind": "backend", "pool": "default", "name": "none"}}}
}

// transactionIsRefused makes sure that no node takes what an older one among them
// could not read, that it says why, and that nothing comes of it.
func (f *flow) transactionIsRefused(t *testing.T) {
	t.Helper()
	for _, n := range f.Nodes {
		refused(t, n, http.MethodPost, "/v1/txn", transaction(), "needs feature level 5", "run the newer build on all nodes first")
	}
	f.noneDetached(t)
}

// transactionIsTaken waits until the level has risen.
func (f *flow) transactionIsTaken(t *testing.T, n *harness.Node) {
	t.Helper()
	harness.Eventually(t, "a transaction is taken", func() error {
		answer, err := n.Call(http.MethodPost, "/v1/txn", transaction())
		if err == nil && answer.Status != http.StatusOK {
			err = fmt.Errorf("%d %s", answer.Status, answer.Body)
		}
		return err
	})
}

func saved(t *testing.T, n *harness.Node) []byte {
	t.Helper()
	answer, err := n.Call(http.MethodGet, "/v1/snapshot", nil)
	if err != nil || answer.Status != http.StatusOK {
		t.Fatalf("save on %s: %v, %v", n.Name, answer, err)
	}
	return answer.Body
}

// restoreIsTaken waits until the level has risen. A restore would take back what
// is written meanwhile, so nothing is.
func (f *flow) restoreIsTaken(t *testing.T, n *harness.Node) {
	t.Helper()
	f.writes.Stop()
	f.writes.CheckKept(t, f.Nodes...)
	harness.Eventually(t, "a restore is taken", func() error {
		answer, err := n.Call(http.MethodPut, "/v1/snapshot", saved(t, n))
		if err == nil && answer.Status != http.StatusOK {
			err = fmt.Errorf("%d %s", answer.Status, answer.Body)
		}
		return err
	})
	f.alike(t)
}

// isKeptOut waits until a node of an older build says that it has no part in
// the cluster. Its traffic goes on, and so do the others' writes.
func (f *flow) isKeptOut(t *testing.T, n *harness.Node) {
	t.Helper()
	harness.Eventually(t, n.Name+" says why it takes no part", func() error {
		info, err := n.Cluster()
		if err == nil && !strings.Contains(info.Detached, "start a newer build") {
			err = fmt.Errorf("%+v", info)
		}
		return err
	})
	f.traffic.WaitAnswers(t, settled, f.Nodes...)
	f.writes.WaitAcknowledged(t, 50)
}

// outsiderIsRefused starts a node of an older build that is no member.
func (f *flow) outsiderIsRefused(t *testing.T, binary string) {
	t.Helper()
	n := f.Outsider(t, "late", f.Secret)
	n.Use(binary)
	n.Start(t)
	harness.Eventually(t, "it is told why it is not let in", func() error {
		if !strings.Contains(n.Log(t), "start a newer build") {
			return fmt.Errorf("its log does not say")
		}
		return nil
	})
	n.Stop(t)
	f.writes.WaitAcknowledged(t, 20)
}

// from is the commit that the upgrade begins at.
//
//go:embed FROM
var from string

// TestF15RollingUpgradeFrom begins with an earlier build itself. Its own stops too
// fail no request; what it did not do is to tell the outcome of every write that
// it had taken, so clients of the API repeat some of those after seconds.
func TestF15RollingUpgradeFrom(t *testing.T) {
	earlier, newer := harness.BinaryOf(t, strings.TrimSpace(from)), harness.Binary(t)
	f := newFlow(t, "from", harness.Options{Nodes: 3, Binary: earlier})
	hashed := map[string]any{"strategy": "maglev", "hash": map[string]any{"on": "source"}}
	for i, n := range f.Nodes {
		f.replace(t, n, newer)
		if i < len(f.Nodes)-1 {
			refused(t, n, http.MethodPut, "/v1/pools/hashed", hashed, "needs feature level 2", "run the newer build on all nodes first")
			f.noneDetached(t)
			f.alike(t)
		}
	}
	harness.Eventually(t, "a newer strategy is taken", func() error {
		answer, err := f.Nodes[0].Call(http.MethodPut, "/v1/pools/hashed", hashed)
		if err == nil && answer.Status != http.StatusCreated {
			err = fmt.Errorf("%d %s", answer.Status, answer.Body)
		}
		return err
	})
	f.end(t)
	f.noneDetached(t)
}
