package tools

import (
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"

	"evenkeel/e2e/harness"
)

// interopRuns is how often each case is run at each node. Some mistakes of proxies
// are races: trailers that are lost once in a while.
func interopRuns() int {
	if whole() {
		return 20
	}
	return 2
}

func TestEveryCaseOfGRPCInteropPasses(t *testing.T) {
	interop := harness.Tool(t, "interop", "evenkeel/e2e/tools/interop")
	b := newBed(t)
	plain, secure := harness.FreeAddress(t), harness.FreeAddress(t)
	chain, key := files(t, b.authority.Issue(t, "a backend", "backend.example"))
	startServer(t, interop, "--serve", plain)
	startServer(t, interop, "--serve", secure, "--chain", chain, "--key", key)
	waitAnswers(t, plain)
	waitAnswers(t, secure)
	b.serve(t, "default", map[string]any{"protocol": "http2"}, plain)
	b.serve(t, "secure", map[string]any{"protocol": "http2", "tls": map[string]any{"ca": b.authority.PEM, "server_name": "backend.example"}}, secure)

	t.Run("in clear text", func(t *testing.T) { b.interop(t, interop, "default") })
	t.Run("over TLS", func(t *testing.T) { b.interop(t, interop, "secure", "--ca", b.ca, "--name", host) })
}

func startServer(t *testing.T, path string, args ...string) {
	t.Helper()
	dir := t.TempDir()
	harness.Start(t, harness.Command{Name: filepath.Base(path), Path: path, Args: args, Dir: dir, Log: filepath.Join(dir, "log")})
}

// interop runs all cases at a listener of every node at the same time. In the short
// selection each client has one thread. With more, a call that it cancelled was answered
// all the same in some of a thousand runs; grpc-go can let an answer win over its own
// cancellation, but that this is all has not been shown, so the whole campaign goes
// without that bound.
func (b *bed) interop(t *testing.T, path, listener string, flags ...string) {
	var clients sync.WaitGroup
	var threads []string
	if !whole() {
		threads = []string{"GOMAXPROCS=1"}
	}
	for _, node := range b.Nodes {
		args := slices.Concat(threads, []string{path}, flags, []string{"--call", b.address(node, listener), "--runs", strconv.Itoa(interopRuns())})
		clients.Go(func() {
			if _, err := run("", "env", args...); err != nil {
				t.Errorf("%s: %v", node.Name, err)
			}
		})
	}
	clients.Wait()
}
