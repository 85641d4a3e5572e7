package network

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"evenkeel/e2e/harness"
)

// Networks of RFC 2544, which nobody else uses.
const (
	clientNet  = "198.18.0."
	clusterNet = "198.19.0."
	// Host is the address of the test itself, which the nodes reach.
	Host = clientNet + "254"
)

// Lab is the network of some nodes.
type Lab struct {
	*Switch
	Sites []harness.Site
	t     testing.TB
}

// New lays the network of some nodes, until the test ends. The seed decides
// which frames a link loses.
func New(t testing.TB, nodes int, seed uint64) *Lab {
	t.Helper()
	l := &Lab{t: t}
	l.ip("link", "add", "br0", "type", "bridge")
	t.Cleanup(func() { l.ip("link", "del", "br0") })
	l.ip("address", "add", Host+"/24", "dev", "br0")
	l.ip("link", "set", "br0", "up")
	var ports []io.ReadWriteCloser
	for i := range nodes {
		ports = append(ports, l.lay(i))
	}
	l.Switch = NewSwitch(seed, ports...)
	t.Cleanup(l.Close)
	return l
}

// lay makes the namespace of one node and returns its port.
func (l *Lab) lay(i int) io.ReadWriteCloser {
	l.t.Helper()
	name, outside, number := fmt.Sprintf("n%d", i+1), fmt.Sprintf("c%d", i+1), fmt.Sprint(i+1)
	l.ip("netns", "add", name)
	l.t.Cleanup(func() { l.ip("netns", "del", name) })
	l.ip("link", "add", outside, "type", "veth", "peer", "name", "c0", "netns", name)
	l.t.Cleanup(func() { l.ip("link", "del", outside) }) // the namespace's end would take it along, but later
	l.ip("link", "set", outside, "master", "br0", "up")
	port, err := openTap(name)
	if err != nil {
		l.t.Fatal(err)
	}
	address := mac(i)
	l.ip("-n", name, "link", "set", "t0", "address", net.HardwareAddr(address[:]).String())
	l.ip("-n", name, "address", "add", clientNet+number+"/24", "dev", "c0")
	l.ip("-n", name, "address", "add", clusterNet+number+"/24", "dev", "t0")
	for _, device := range []string{"lo", "c0", "t0"} {
		l.ip("-n", name, "link", "set", device, "up")
	}
	l.Sites = append(l.Sites, harness.Site{Namespace: name, Address: clientNet + number, ClusterAddr: clusterNet + number})
	return port
}

func (l *Lab) ip(args ...string) {
	l.t.Helper()
	if err := ip(args...); err != nil {
		l.t.Fatal(err)
	}
}

// openTap makes the interface t0 within a namespace and returns its other end.
func openTap(namespace string) (*os.File, error) {
	type opened struct {
		file *os.File
		err  error
	}
	done := make(chan opened)
	go func() {
		runtime.LockOSThread() // and for ever: the thread ends, and with it its stay in the namespace
		file, err := tapWithin(namespace)
		done <- opened{file, err}
	}()
	o := <-done
	if o.err != nil {
		return nil, fmt.Errorf("make a tap in namespace %q: %w", namespace, o.err)
	}
	return o.file, nil
}

// enter has the calling thread, which must be locked, be in a namespace from now
// on.
func enter(namespace string) error {
	there, err := os.Open(filepath.Join(namespaces, namespace))
	if err != nil {
		return err
	}
	defer there.Close()
	return unix.Setns(int(there.Fd()), unix.CLONE_NEWNET)
}

func tapWithin(namespace string) (*os.File, error) {
	if err := enter(namespace); err != nil {
		return nil, err
	}
	tun, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	request, err := unix.NewIfreq("t0")
	if err == nil {
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(tun, unix.TUNSETIFF, request)
	}
	if err != nil {
		_ = unix.Close(tun)
		return nil, err
	}
	return os.NewFile(uintptr(tun), "t0"), nil
}

// Within calls a function whose sockets, made on its own goroutine, are those of
// a node's namespace.
func (l *Lab) Within(node int, call func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and for ever, as above
		err := enter(l.Sites[node].Namespace)
		if err == nil {
			err = call()
		}
		done <- err
	}()
	return <-done
}

// Isolate has links of one node be as told, those that lead to it, from it, or
// both.
func (l *Lab) Isolate(node int, in, out Link) {
	for other := range l.Sites {
		if other != node {
			l.Set(other, node, in)
			l.Set(node, other, out)
		}
	}
}

// Heal makes all links sound.
func (l *Lab) Heal() {
	for i := range l.Sites {
		l.Isolate(i, Link{}, Link{})
	}
}

// LoseClients has a node lose a percentage of what it and its clients and
// backends send each other, until the returned function is called.
func (l *Lab) LoseClients(node, percent int) (heal func()) {
	l.t.Helper()
	rule := fmt.Sprintf("numgen random mod 100 < %d drop", percent)
	l.nft(node, fmt.Sprintf("table inet lose {\n"+
		"chain in {\ntype filter hook input priority 0\niifname \"c0\" %s\n}\n"+
		"chain out {\ntype filter hook output priority 0\noifname \"c0\" %s\n}\n}\n", rule, rule))
	return func() { l.nft(node, "delete table inet lose\n") }
}

func (l *Lab) nft(node int, rules string) {
	l.t.Helper()
	command := exec.Command("ip", "netns", "exec", l.Sites[node].Namespace, "nft", "-f", "-")
	command.Stdin = strings.NewReader(rules)
	if out, err := command.CombinedOutput(); err != nil {
		l.t.Fatalf("nft: %v: %s", err, bytes.TrimSpace(out))
	}
}
