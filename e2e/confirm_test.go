package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

// What is not confirmed is undone in time, and once, though the leader that took it
// is killed; what is confirmed through another node stays.
func TestAnUnconfirmedWriteIsUndoneThoughTheLeaderIsKilled(t *testing.T) {
	const within = 3 * time.Second
	cluster := harness.NewCluster(t, harness.Options{Nodes: 3})
	leader := cluster.Leader(t)
	survivors := cluster.Without(leader)
	kept := unconfirmed(t, leader, "kept", time.Minute)
	call(t, survivors[0], http.MethodPost, fmt.Sprintf("/v1/revisions/%d/confirm", kept), http.StatusOK)
	begun := time.Now()
	lost := unconfirmed(t, leader, "lost", within)
	last := survivors[1]
	harness.Eventually(t, "all have the write", answers(last, "/v1/pools/lost", http.StatusOK))
	leader.Kill()
	harness.Eventually(t, "the write is undone", answers(last, "/v1/pools/lost", http.StatusNotFound))
	if took := time.Since(begun); took < within || took > within+3*time.Second {
		t.Errorf("it was undone after %s", took)
	}
	leader.Start(t)
	cluster.WaitFormed(t)
	cluster.WaitSame(t)
	for _, node := range cluster.Nodes {
		call(t, node, http.MethodGet, "/v1/pools/kept", http.StatusOK)
		call(t, node, http.MethodGet, "/v1/pools/lost", http.StatusNotFound)
		if got, want := undoings(t, node), fmt.Sprintf("[revision %d by cluster: not confirmed within 3s]", lost); got != want {
			t.Errorf("node %s has undone %s, want %s", node.Name, got, want)
		}
	}
}

// unconfirmed writes a pool that waits for its confirmation, and returns the
// revision.
func unconfirmed(t *testing.T, node *harness.Node, pool string, within time.Duration) uint64 {
	t.Helper()
	answer := call(t, node, http.MethodPut, fmt.Sprintf("/v1/pools/%s?confirm_within=%s", pool, within), http.StatusCreated)
	var made struct{ Meta harness.ObjectMeta }
	if err := json.Unmarshal(answer.Body, &made); err != nil {
		t.Fatalf("%s: %v", answer.Body, err)
	}
	return made.Meta.Revision
}

// undoings are the entries of the history that undo a revision.
func undoings(t *testing.T, node *harness.Node) string {
	t.Helper()
	var list struct {
		Items []struct {
			Undoes        uint64
			Actor, Reason string
		}
	}
	if err := node.Get("/v1/revisions", &list); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, item := range list.Items {
		if item.Undoes != 0 {
			texts = append(texts, fmt.Sprintf("revision %d by %s: %s", item.Undoes, item.Actor, item.Reason))
		}
	}
	return fmt.Sprint(texts)
}

// answers is nil once a node answers with that status.
func answers(node *harness.Node, path string, status int) func() error {
	return func() error {
		answer, err := node.Call(http.MethodGet, path, nil)
		if err == nil && answer.Status != status {
			err = fmt.Errorf("%d %s", answer.Status, answer.Body)
		}
		return err
	}
}

// call sends a request that is to be answered with that status.
func call(t *testing.T, node *harness.Node, method, path string, status int) *harness.Answer {
	t.Helper()
	var body any
	if method == http.MethodPut {
		body = map[string]any{}
	}
	answer, err := node.Call(method, path, body)
	if err != nil {
		t.Fatalf("%s %s at node %s: %v", method, path, node.Name, err)
	}
	if answer.Status != status {
		t.Fatalf("%s %s at node %s: %d, want %d: %s", method, path, node.Name, answer.Status, status, answer.Body)
	}
	return answer
}
