package upgrade

import (
	_ "embed"
	"encoding/json"
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
	f.rollsBackAsBefore(t)
	f.replace(t, first, newer)
	f.rollsBackAsBefore(t)
	f.replace(t, first, older)
	for _, n := range f.Nodes {
		f.rollsBackAsBefore(t)
		f.replace(t, n, newer)
	}
	f.noneDetached(t)
	f.rollsBackAsNow(t, first)
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

// The level before has no rollback of the state machine: there a node makes it of a
// transaction, and the history tells it as that.
const rollbackBefore, rollbackNow = "txn", "rollback"

// rollsBackAsBefore makes sure that each node rolls back, and that none is given what
// an older one among them could not read. It would take back what is written
// meanwhile, so nothing is.
func (f *flow) rollsBackAsBefore(t *testing.T) {
	t.Helper()
	f.writes.Stop()
	f.WaitSame(t) // a write is acknowledged before every node has it
	f.writes.CheckKept(t, f.Running()...)
	for _, n := range f.Nodes {
		if kind, err := rolledBack(n); err != nil || kind != rollbackBefore {
			t.Fatalf("%s rolled back by %q, %v", n.Name, kind, err)
		}
	}
	f.noneDetached(t)
	f.alike(t)
}

// rollsBackAsNow waits until the level has risen.
func (f *flow) rollsBackAsNow(t *testing.T, n *harness.Node) {
	t.Helper()
	f.writes.Stop()
	f.WaitSame(t) // a write is acknowledged before every node has it
	f.writes.CheckKept(t, f.Nodes...)
	harness.Eventually(t, "the state machine rolls back", func() error {
		kind, err := rolledBack(n)
		if err == nil && kind != rollbackNow {
			err = fmt.Errorf("it is done by %q", kind)
		}
		return err
	})
	f.alike(t)
}

// rolledBack makes a pool, takes it back, and returns what the history calls that.
func rolledBack(n *harness.Node) (kind string, err error) {
	const path = "/v1/pools/rolled"
	var newest struct{ Revision uint64 }
	var entry struct{ Kind string }
	if err := ask(n, http.MethodGet, "/v1/revisions?limit=1", nil, &newest); err != nil {
		return "", err
	}
	if err := ask(n, http.MethodPut, path, map[string]any{}, nil); err != nil {
		return "", err
	}
	var done struct{ Revision uint64 }
	if err := ask(n, http.MethodPost, "/v1/rollback", map[string]any{"to": newest.Revision}, &done); err != nil {
		return "", err
	}
	if answer, err := n.Call(http.MethodGet, path, nil); err != nil || answer.Status != http.StatusNotFound {
		return "", fmt.Errorf("GET %s of what was rolled back: %v, %v", path, answer, err)
	}
	err = ask(n, http.MethodGet, fmt.Sprintf("/v1/revisions/%d", done.Revision), nil, &entry)
	return entry.Kind, err
}

// ask sends a request that is to be accepted, and reads its answer.
func ask(n *harness.Node, method, path string, body, into any) error {
	answer, err := n.Call(method, path, body)
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK && answer.Status != http.StatusCreated {
		return fmt.Errorf("%s %s: %d %s", method, path, answer.Status, answer.Body)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer.Body, into)
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
	f.WaitSame(t) // a write is acknowledged before every node has it
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
