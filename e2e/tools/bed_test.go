package tools

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

// host is what clients call the cluster, which its certificate is for.
const host = "a.example"

// bed is a cluster of three nodes with a listener of each protocol, each node's at
// addresses of its own.
type bed struct {
	*harness.Cluster
	authority *harness.Authority
	ca        string            // the file with the authority's certificate
	secure    map[string]string // where https is spoken, by the node's name
	only      map[string]string // where HTTP/2 alone is spoken, in clear text
	forward   map[string]string // where connections are forwarded whole
}

// newBed starts the cluster. There are no backends yet.
func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{
		Cluster: harness.Prepare(t, harness.Options{Nodes: 3}), authority: harness.NewAuthority(t, "an authority"),
		ca: filepath.Join(t.TempDir(), "ca.pem"), secure: map[string]string{}, only: map[string]string{}, forward: map[string]string{},
	}
	if err := os.WriteFile(b.ca, []byte(b.authority.PEM), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, node := range b.Nodes {
		b.secure[node.Name], b.only[node.Name], b.forward[node.Name] = node.Listen(t, "secure"), node.Listen(t, "only"), node.Listen(t, "forward")
		node.Start(t)
	}
	b.WaitFormed(t)
	pair := b.authority.Issue(t, host, host, "127.0.0.1")
	b.write(t, "/v1/certificates/site", map[string]any{"chain": pair.Chain, "key": pair.Key})
	b.write(t, "/v1/listeners/secure", map[string]any{"address": ":443", "protocol": "https"})
	b.write(t, "/v1/listeners/only", map[string]any{"address": ":8000", "protocol": "http", "http2": map[string]any{"only": true}})
	b.write(t, "/v1/listeners/forward", map[string]any{"address": ":9000", "protocol": "tcp"})
	return b
}

func (b *bed) write(t *testing.T, path string, body any) {
	t.Helper()
	b.Nodes[0].Write(t, http.MethodPut, path, body)
}

// serve has a listener's connections or requests go to a backend at an address, of a
// pool of the listener's name that is as spec has it, and waits until all nodes know
// that it works.
func (b *bed) serve(t *testing.T, listener string, spec map[string]any, address string) {
	t.Helper()
	spec["check"] = map[string]any{"type": "tcp"}
	b.write(t, "/v1/pools/"+listener, spec)
	b.write(t, "/v1/pools/"+listener+"/backends/b1", map[string]any{"address": address})
	b.write(t, "/v1/routes/"+listener, map[string]any{"listeners": []string{listener}, "pools": []any{map[string]any{"name": listener}}})
	harness.Eventually(t, "every node uses the backend of "+listener, func() error {
		for _, node := range b.Nodes {
			objects, err := node.Backends(listener)
			if err != nil {
				return err
			}
			if health := objects["b1"].Status.Health; health != "up" {
				return fmt.Errorf("%s: it is %q", node.Name, health)
			}
			if err := answers(b.address(node, listener)); err != nil {
				return fmt.Errorf("%s: %w", node.Name, err)
			}
		}
		return nil
	})
}

// address is where a node's listener is.
func (b *bed) address(node *harness.Node, listener string) string {
	switch listener {
	case "secure":
		return b.secure[node.Name]
	case "only":
		return b.only[node.Name]
	case "forward":
		return b.forward[node.Name]
	}
	return node.HTTP
}

// answers tells whether somebody listens at the address.
func answers(address string) error {
	conn, err := net.DialTimeout("tcp", address, harness.Patience)
	if err != nil {
		return err
	}
	return conn.Close()
}

// waitAnswers waits until somebody does.
func waitAnswers(t *testing.T, address string) {
	t.Helper()
	harness.Eventually(t, address+" answers", func() error { return answers(address) })
}

// files writes a certificate and its key for a server to read.
func files(t *testing.T, pair harness.Pair) (chain, key string) {
	t.Helper()
	dir := t.TempDir()
	chain, key = filepath.Join(dir, "chain.pem"), filepath.Join(dir, "key.pem")
	for name, content := range map[string]string{chain: pair.Chain, key: pair.Key} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return chain, key
}

// port is an address's.
func port(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// whole tells whether everything is run that there is, which takes some minutes.
func whole() bool { return os.Getenv("EVENKEEL_CLIENTS") != "" }

// installed returns where a program is. The test is skipped where it is not
// installed, and where only what is fast and needs nothing is run.
func installed(t *testing.T, name, debian string) string {
	t.Helper()
	if !whole() {
		t.Skip("only with EVENKEEL_CLIENTS=1, or make e2e-clients")
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed (Debian has it in %s): %v", name, debian, err)
	}
	return path
}

// limit is how long one run of a client may take.
const limit = 2 * time.Minute

// run runs a program to its end and returns what it said. It gives it input.
func run(input, path string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", filepath.Base(path), strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// mustRun is run of what may not fail.
func mustRun(t *testing.T, path string, args ...string) string {
	t.Helper()
	out, err := run("", path, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
