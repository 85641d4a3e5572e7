package e2e

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

func TestANodeWithAWrongSecretIsRefused(t *testing.T) {
	cluster := harness.NewCluster(t, harness.Options{Nodes: 3})
	backend := harness.NewBackend(t, "web1")
	cluster.Nodes[0].Add(t, backend)
	stranger := cluster.Outsider(t, "stranger", harness.NewSecret(t))
	stranger.Start(t)
	// Whoever set the secret reads that node's log first.
	for _, node := range []*harness.Node{stranger, cluster.Nodes[0]} {
		harness.Eventually(t, node.Name+" says what is wrong", func() error {
			if !strings.Contains(node.Log(t), "secret") {
				return errors.New("its log does not speak of a secret")
			}
			return nil
		})
	}
	for _, node := range cluster.Nodes {
		if state, err := stateOf(node, "stranger"); err == nil {
			t.Errorf("%s took the stranger in: it is %s", node.Name, state)
		}
		node.WaitServes(t)
	}
	if answer, err := stranger.Call(http.MethodGet, "/v1/pools/default/backends/web1", nil); err == nil && answer.Status == http.StatusOK {
		t.Errorf("the stranger got hold of the registry: %s", answer.Body)
	}
	if !stranger.Running() {
		t.Error("the stranger crashed")
	}
	cluster.Nodes[1].Write(t, http.MethodPut, "/v1/pools/untouched", map[string]any{})
	stranger.Stop(t)
	cluster.WaitSame(t)
}

func TestGarbageOnTheClusterPortIsRefused(t *testing.T) {
	cluster := harness.NewCluster(t, harness.Options{Nodes: 3})
	backend := harness.NewBackend(t, "web1")
	cluster.Nodes[0].Add(t, backend)
	target := cluster.Leader(t)
	before := len(target.Log(t))
	const rounds = 300
	for range rounds {
		for _, send := range []func(string) error{plainGarbage, openAndClose, tlsOfAnother, datagram} {
			if err := send(target.ClusterAddr); err != nil {
				t.Fatal(err)
			}
		}
	}
	cluster.WaitFormed(t)
	for _, node := range cluster.Nodes {
		node.Write(t, http.MethodPut, "/v1/pools/"+node.Name, map[string]any{})
		node.WaitServes(t)
	}
	// 1,200 refusals may not be 1,200 lines.
	if lines := strings.Count(target.Log(t)[before:], "\n"); lines > rounds/2 {
		t.Errorf("garbage made the node log %d lines:\n%.2000s", lines, target.Log(t)[before:])
	}
}

func plainGarbage(address string) error {
	conn, err := net.DialTimeout("tcp", address, harness.Patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	garbage := make([]byte, 512)
	_, _ = rand.Read(garbage)  // never fails
	_, _ = conn.Write(garbage) // the node may hang up in the middle
	return nil
}

func openAndClose(address string) error {
	conn, err := net.DialTimeout("tcp", address, harness.Patience)
	if err != nil {
		return err
	}
	return conn.Close()
}

// tlsOfAnother speaks TLS, but of no protocol that the port knows and without
// a certificate of the cluster.
func tlsOfAnother(address string) error {
	conn, err := net.DialTimeout("tcp", address, harness.Patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(harness.Patience)); err != nil {
		return err
	}
	client := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"evenkeel-raft/999"}, MinVersion: tls.VersionTLS13})
	if err := client.Handshake(); err != nil {
		return nil // refused, as it should be
	}
	// In TLS 1.3 the client has finished before the server looked at its
	// certificate, so the refusal comes with the first read.
	if n, err := io.Copy(io.Discard, client); err == nil && n > 0 {
		return fmt.Errorf("the cluster port talked to a stranger: %d bytes", n)
	}
	return nil
}

func datagram(address string) error {
	conn, err := net.Dial("udp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	garbage := make([]byte, 700)
	_, _ = rand.Read(garbage) // never fails
	_, err = conn.Write(garbage)
	return err
}

func TestAListenersPortThatIsTakenOnOneNodeIsReportedThere(t *testing.T) {
	cluster := harness.Prepare(t, harness.Options{Nodes: 3})
	unlucky := cluster.Nodes[1]
	squatter, err := net.Listen("tcp", unlucky.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	defer squatter.Close()
	for _, node := range cluster.Nodes {
		node.Start(t)
	}
	cluster.WaitFormed(t)
	backend := harness.NewBackend(t, "web1")
	unlucky.Add(t, backend) // its API works all the same
	harness.Eventually(t, "every node reads that the listener failed on "+unlucky.Name, func() error {
		for _, node := range cluster.Nodes {
			states, err := listenerStates(node)
			if err != nil {
				return err
			}
			for _, about := range cluster.Nodes {
				want := "listening"
				if about == unlucky {
					want = "failed"
				}
				if got := states[about.Name]; got.State != want || (got.Error == "") == (about == unlucky) {
					return fmt.Errorf("%s says of %s: %+v", node.Name, about.Name, got)
				}
			}
		}
		return nil
	})
	for _, node := range cluster.Without(unlucky) {
		node.WaitServes(t)
	}
	squatter.Close()
	unlucky.WaitServes(t) // it goes on trying
}

type listenerState struct{ State, Address, Error string }

func listenerStates(node *harness.Node) (map[string]listenerState, error) {
	var listener struct {
		Status struct{ Nodes map[string]listenerState }
	}
	err := node.Get("/v1/listeners/default", &listener)
	return listener.Status.Nodes, err
}
