package harness

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
)

// Node is one node of a cluster: what its process is started with, and the
// process while there is one.
type Node struct {
	API
	Name        string
	Dir         string // its data directory
	ClusterAddr string
	HTTP        string // address of its listener "default"
	Extra       []string

	binary  string
	secret  string
	join    []string
	expect  int
	logName string
	*Process
}

// Args returns the node's command line.
func (n *Node) Args() []string {
	args := []string{"serve", "--name", n.Name, "--data-dir", n.Dir, "--api-addr", n.Address,
		"--cluster-addr", n.ClusterAddr, "--bind", "127.0.0.1", "--listener-addr", "default=" + n.HTTP}
	for _, address := range n.join {
		args = append(args, "--join", address)
	}
	if n.expect > 0 {
		args = append(args, "--bootstrap-expect", fmt.Sprint(n.expect))
	}
	return append(args, n.Extra...)
}

// Start starts the node's process, again after it was ended.
func (n *Node) Start(t testing.TB) {
	t.Helper()
	var env []string
	if n.secret != "" {
		env = append(env, "EVENKEEL_SECRET="+n.secret)
	}
	n.Process = Start(t, Command{Name: n.Name, Path: n.binary, Args: n.Args(), Env: env, Dir: filepath.Dir(n.Dir), Log: n.logName})
}

// WaitReady waits until the node serves traffic.
func (n *Node) WaitReady(t testing.TB) {
	t.Helper()
	Eventually(t, n.Name+" is ready", func() error {
		if !n.Running() {
			t.Fatalf("%s ended: %s", n.Name, tail(n.Log(t), 20))
		}
		return n.Ready()
	})
}

// CheckServes asks the node for "/" and returns the backend that answered.
func (n *Node) CheckServes() (string, error) {
	k := Keepalive{Address: n.HTTP}
	defer k.Close()
	reply, err := k.Get("/")
	if err != nil {
		return "", fmt.Errorf("%s: GET /: %w", n.Name, err)
	}
	if reply.Status != 200 {
		return "", fmt.Errorf("%s: GET /: %d %s", n.Name, reply.Status, reply.Body)
	}
	return reply.Body, nil
}

// WaitServes waits until the node answers "/" from a backend.
func (n *Node) WaitServes(t testing.TB) {
	t.Helper()
	Eventually(t, n.Name+" serves", func() error {
		_, err := n.CheckServes()
		return err
	})
}

// Role returns the node's role in the cluster as it sees itself.
func (n *Node) Role() (string, error) {
	members, err := n.Members()
	if err != nil {
		return "", err
	}
	for _, member := range members {
		if member.Name == n.Name {
			return member.Role, nil
		}
	}
	return "", errors.New("not a member of its own cluster")
}
