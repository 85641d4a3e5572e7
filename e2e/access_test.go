package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

// as is the node's API with a token.
func as(n *harness.Node, token string) harness.API {
	return harness.API{Address: n.Address, Token: token}
}

// wantStatus asks a node for the pools until it answers with that status.
func wantStatus(t *testing.T, n *harness.Node, token string, status int) {
	t.Helper()
	harness.Within(t, 5*time.Second, fmt.Sprintf("%s answers with %d", n.Name, status), func() error {
		answer, err := as(n, token).Call(http.MethodGet, "/v1/pools", nil)
		if err == nil && answer.Status != status {
			err = fmt.Errorf("%d %s", answer.Status, answer.Body)
		}
		return err
	})
}

// TestATokenIsValidOnEveryNodeUntilItIsRevoked makes a token at one node, with the
// one that follows from the secret, and revokes it at another while the first is
// gone.
func TestATokenIsValidOnEveryNodeUntilItIsRevoked(t *testing.T) {
	cluster := harness.NewCluster(t, harness.Options{Nodes: 3})
	verb := exec.Command(harness.Binary(t), "token", "bootstrap")
	verb.Env = append(os.Environ(), "EVENKEEL_SECRET="+cluster.Secret)
	out, err := verb.Output()
	if err != nil {
		t.Fatalf("evenkeel token bootstrap: %v", err)
	}
	bootstrap := strings.TrimSpace(string(out))
	for _, n := range cluster.Nodes {
		wantStatus(t, n, bootstrap, http.StatusOK)
		wantStatus(t, n, bootstrap[:len(bootstrap)-1]+"!", http.StatusUnauthorized)
	}

	one, two, three := cluster.Nodes[0], cluster.Nodes[1], cluster.Nodes[2]
	var made struct{ Token string }
	answer := as(one, bootstrap).Write(t, http.MethodPost, "/v1/tokens", map[string]any{"name": "ci", "role": "editor"})
	if err := json.Unmarshal(answer.Body, &made); err != nil || made.Token == "" {
		t.Fatalf("%v: %s", err, answer.Body)
	}
	for _, n := range cluster.Nodes {
		wantStatus(t, n, made.Token, http.StatusOK)
	}
	answer = as(three, made.Token).Write(t, http.MethodPut, "/v1/pools/of-ci", map[string]any{})
	var pool struct{ Meta struct{ Actor string } }
	if err := json.Unmarshal(answer.Body, &pool); err != nil || pool.Meta.Actor != "ci@127.0.0.1" {
		t.Errorf("%v: %s", err, answer.Body)
	}

	one.Kill()
	as(two, bootstrap).Write(t, http.MethodDelete, "/v1/tokens/ci", nil)
	wantStatus(t, two, made.Token, http.StatusUnauthorized)
	wantStatus(t, three, made.Token, http.StatusUnauthorized)
	one.Start(t)
	one.WaitReady(t)
	wantStatus(t, one, made.Token, http.StatusUnauthorized)
	wantStatus(t, one, bootstrap, http.StatusOK)
	for _, n := range cluster.Nodes {
		log := n.Log(t)
		for what, hidden := range map[string]string{"the secret": strings.TrimPrefix(cluster.Secret, "evenkeel-"), "the secret's token": bootstrap[3:], "a token": made.Token[3:]} {
			if strings.Contains(log, hidden) {
				t.Errorf("the log of %s has %s", n.Name, what)
			}
		}
	}
}
