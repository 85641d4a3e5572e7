//go:build linux

package health

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"evenkeel/e2e/harness"
	"evenkeel/e2e/network"
)

const (
	// trafficPort and checkPort are those of every backend: probes go to a port
	// of their own, so that a capture tells them from requests.
	trafficPort = 9000
	checkPort   = 9001
	// firstAddress is the last byte of the first backend's address.
	firstAddress = 100
)

// bed is a cluster in namespaces, whose backends have an address each.
type bed struct {
	*harness.Cluster
	t    *testing.T
	lab  *network.Lab
	used int // addresses of backends that were given out
}

// newBed starts three nodes.
func newBed(t *testing.T) *bed {
	t.Helper()
	if !network.Available() {
		t.Skip("to make networks needs root")
	}
	lab := network.New(t, 3, 1)
	return &bed{t: t, lab: lab, Cluster: harness.NewCluster(t, harness.Options{Nodes: 3, Sites: lab.Sites})}
}

// put writes an object. The new cluster may not yet be at the feature level of
// all its fields, so a refusal is tried again.
func put(t testing.TB, n *harness.Node, path string, body any) {
	t.Helper()
	harness.Eventually(t, "PUT "+path, func() error {
		answer, err := n.Call(http.MethodPut, path, body)
		if err != nil {
			return err
		}
		if answer.Status != http.StatusOK && answer.Status != http.StatusCreated {
			return fmt.Errorf("%d %s", answer.Status, answer.Body)
		}
		return nil
	})
}

// object is one of JSON.
type object = map[string]any

// pool writes a pool.
func (b *bed) pool(name string, spec object) {
	b.t.Helper()
	put(b.t, b.Nodes[0], "/v1/pools/"+name, spec)
}

// address gives the test's own host one more address, that of a backend.
func (b *bed) address() string {
	b.t.Helper()
	last := firstAddress + b.used%100
	b.used++
	ip := strings.TrimSuffix(network.Host, "254") + fmt.Sprint(last)
	if out, err := exec.Command("ip", "address", "replace", ip+"/24", "dev", "br0").CombinedOutput(); err != nil {
		b.t.Fatalf("ip address replace %s: %v: %s", ip, err, out)
	}
	return ip
}

// backend is a process behind the balancer: it answers every request with its
// name.
type backend struct {
	name, ip string
	*harness.Process
}

const (
	addressesEnv = "EVENKEEL_HEALTH_BACKEND" // where this test binary serves as a backend
	nameEnv      = "EVENKEEL_HEALTH_NAME"
)

// start starts a backend at an address of its own and registers it in a pool.
func (b *bed) start(pool, name string) *backend {
	b.t.Helper()
	s := &backend{name: name, ip: b.address()}
	s.Process = startProcess(b.t, name, address(s.ip, trafficPort), address(s.ip, checkPort))
	put(b.t, b.Nodes[0], "/v1/pools/"+pool+"/backends/"+name, object{"address": address(s.ip, trafficPort)})
	return s
}

// remove ends a backend and takes it from the registry.
func (b *bed) remove(pool string, s *backend) {
	b.t.Helper()
	s.Kill()
	b.Nodes[0].Write(b.t, http.MethodDelete, "/v1/pools/"+pool+"/backends/"+s.name, nil)
}

func address(ip string, port int) string { return net.JoinHostPort(ip, fmt.Sprint(port)) }

// startProcess runs this test binary as a backend and returns when it listens.
func startProcess(t testing.TB, name string, addresses ...string) *harness.Process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	process := harness.Start(t, harness.Command{
		Name: name, Path: self, Dir: dir, Log: filepath.Join(dir, "log"),
		Env: []string{addressesEnv + "=" + strings.Join(addresses, ","), nameEnv + "=" + name},
	})
	harness.Eventually(t, name+" listens", func() error {
		conn, err := net.Dial("tcp", addresses[len(addresses)-1]) // which it opens last
		if err != nil {
			return err
		}
		return conn.Close()
	})
	return process
}

// serve is a backend's process: it ends only by a signal.
func serve(name string, addresses []string) int {
	if name == flapName {
		return flap(addresses)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, name) })
	ended := make(chan error)
	for _, address := range addresses {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		go func() { ended <- (&http.Server{Handler: handler}).Serve(listener) }()
	}
	fmt.Fprintln(os.Stderr, <-ended)
	return 1
}
