package harness

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"testing"
)

// Node is one node of a cluster: what its process is started with, and the
// process while there is one.
type Node struct {
	API
	Name        string
	Dir         string // its data directory
	ClusterAddr string
	HTTP        string // address of its listener "default"; nobody listens there if it is a witness
	Witness     bool
	Extra       []string
	Env         []string // more of its environment, NAME=value
	Binary      string   // what a start runs

	namespace string // "" is the test's own
	host      string // of its listeners
	secret    string
	join      []string
	expect    int
	logName   string
	*Process
}

// Settle gives the node the addresses of a site, before its first start.
func (n *Node) Settle(at Site) {
	n.namespace, n.host = at.Namespace, at.Address
	n.API = API{Address: net.JoinHostPort(at.Address, "7070")}
	n.HTTP, n.ClusterAddr = net.JoinHostPort(at.Address, "8080"), net.JoinHostPort(at.ClusterAddr, "7071")
	n.Extra = append(n.Extra, "--insecure-api") // the namespaces are the test's
}

// Listen gives the node an address of its own for a listener, before its next
// start, and returns it.
func (n *Node) Listen(t testing.TB, listener string) string {
	t.Helper()
	address := FreeAddress(t)
	n.Extra = append(n.Extra, "--listener-addr", listener+"="+address)
	return address
}

// Args returns the node's command line.
func (n *Node) Args() []string {
	args := []string{"serve", "--name", n.Name, "--data-dir", n.Dir, "--api-addr", n.Address,
		"--cluster-addr", n.ClusterAddr}
	if n.Witness {
		args = append(args, "--witness")
	} else {
		args = append(args, "--bind", n.host, "--listener-addr", "default="+n.HTTP)
	}
	for _, address := range n.join {
		args = append(args, "--join", address)
	}
	if n.expect > 0 {
		args = append(args, "--bootstrap-expect", fmt.Sprint(n.expect))
	}
	return append(args, n.Extra...)
}

// Use makes another binary the node's, from its next start on.
func (n *Node) Use(binary string) { n.Binary = binary }

// Start starts the node's process, again after it was ended.
func (n *Node) Start(t testing.TB) {
	t.Helper()
	env := slices.Clone(n.Env)
	if n.secret != "" {
		env = append(env, "EVENKEEL_SECRET="+n.secret)
	}
	path, args := n.Binary, n.Args()
	if n.namespace != "" { // which becomes the node itself
		path, args = "ip", append([]string{"netns", "exec", n.namespace, path}, args...)
	}
	n.Process = Start(t, Command{Name: n.Name, Path: path, Args: args, Env: env, Dir: filepath.Dir(n.Dir), Log: n.logName})
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
