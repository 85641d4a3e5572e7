package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"evenkeel/e2e/harness"
)

// The addresses that a node has without being told.
const (
	defaultAPI      = "127.0.0.1:7070"
	defaultCluster  = "127.0.0.1:7071"
	defaultListener = "127.0.0.1:8080"
)

func TestServeWithNothingElseIsAWorkingSingleNode(t *testing.T) {
	binary := harness.Binary(t)
	harness.Lock(t)
	dir := t.TempDir()
	api, listener, env := singleAddresses(t)
	start := func() *harness.Process {
		return harness.Start(t, harness.Command{
			Name: "single", Path: binary, Args: []string{"serve"}, Env: env, Dir: dir, Log: filepath.Join(dir, "single.log")})
	}
	process := start()
	node := harness.Node{Name: "single", API: harness.API{Address: api}, HTTP: listener, Process: process}
	node.WaitReady(t)
	backend := harness.NewBackend(t, "web1")
	answer := node.Write(t, http.MethodPost, "/v1/backends", `{"address":"`+backend.Address+`"}`)
	if answer.Status != http.StatusCreated {
		t.Errorf("POST /v1/backends: %d %s", answer.Status, answer.Body)
	}
	node.WaitServes(t)
	if info, err := node.Cluster(); err != nil || !info.Quorum || info.Leader == "" {
		t.Errorf("the single node's cluster: %+v, %v", info, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) < 2 {
		t.Errorf("the state of the node is not below the working directory: %v, %v", entries, err)
	}
	process.Stop(t)

	// What it was told, it knows after a restart.
	node.Process = start()
	node.WaitServes(t)
	node.Stop(t)
}

// singleAddresses returns the default addresses and an empty environment, or,
// where another program has one of them, others that the environment gives.
func singleAddresses(t *testing.T) (api, listener string, env []string) {
	t.Helper()
	if harness.AddressFree(defaultAPI) && harness.AddressFree(defaultCluster) && harness.AddressFree(":8080") {
		return defaultAPI, defaultListener, nil
	}
	api, listener = harness.FreeAddress(t), harness.FreeAddress(t)
	t.Log("a default port is taken on this machine, others are used")
	return api, listener, []string{"EVENKEEL_API_ADDR=" + api, "EVENKEEL_CLUSTER_ADDR=" + harness.FreeAddress(t),
		"EVENKEEL_LISTENER_ADDR=default=" + listener}
}
