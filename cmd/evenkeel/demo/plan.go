package demo

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"evenkeel/cluster/secret"
)

const count = 3 // of nodes, and of backends

// plan chooses addresses and writes down the command lines of all processes.
func (d *demo) plan() error {
	secretFile := filepath.Join(d.dir, "cluster.secret")
	if err := os.WriteFile(secretFile, []byte(secret.New()+"\n"), 0o600); err != nil {
		return fmt.Errorf("write secret of the demo: %w", err)
	}
	d.token = secret.NewToken()
	tokenFile := filepath.Join(d.dir, "api.token")
	if err := os.WriteFile(tokenFile, []byte(d.token+"\n"), 0o600); err != nil {
		return fmt.Errorf("write token of the demo: %w", err)
	}
	ports := &ports{}
	defer ports.release()
	var nodes []*node
	var join []string
	for i := 1; i <= count; i++ {
		n := &node{api: ports.take(7080 + i), cluster: ports.take(7180 + i), traffic: ports.take(8080 + i)}
		if d.config.TLS {
			n.secure = ports.take(8480 + i)
		}
		nodes, join = append(nodes, n), append(join, n.cluster)
	}
	for i := 1; i <= count; i++ {
		b := &backend{address: ports.take(9000 + i)}
		name := "web" + strconv.Itoa(i)
		b.process = d.process(name, "sample-backend", "--addr", b.address, "--name", name)
		d.backends = append(d.backends, b)
	}
	if ports.err != nil {
		return fmt.Errorf("find free ports: %w", ports.err)
	}
	for i, n := range nodes {
		name, listeners := "n"+strconv.Itoa(i+1), "default="+n.traffic
		if n.secure != "" {
			listeners += ",secure=" + n.secure
		}
		n.process = d.process(name, "serve", "--name", name, "--data-dir", filepath.Join(d.dir, name),
			"--secret-file", secretFile, "--admin-token-file", tokenFile, "--api-addr", n.api, "--cluster-addr", n.cluster,
			"--join", strings.Join(join, ","), "--bind", "127.0.0.1", "--listener-addr", listeners,
			"--drain-timeout", "2s")
		d.nodes = append(d.nodes, n)
	}
	return nil
}

func (d *demo) process(name string, args ...string) *process {
	return &process{
		name: name, path: d.executable, args: args, launcher: d.launcher,
		log: filepath.Join(d.dir, name+".log"),
	}
}

// ports finds free ports on loopback. It holds them until all are found, so
// that none is found twice.
type ports struct {
	held []interface{ Close() error }
	err  error
}

// take returns an address with the preferred port, or with another if that is
// not free for TCP and UDP.
func (p *ports) take(preferred int) string {
	for _, port := range []int{preferred, 0, 0, 0} {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		tcp, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		address = tcp.Addr().String()
		udp, err := net.ListenPacket("udp", address)
		if err != nil {
			p.held = append(p.held, tcp)
			continue
		}
		p.held = append(p.held, tcp, udp)
		return address
	}
	p.err = errors.New("none is left on 127.0.0.1")
	return ""
}

func (p *ports) release() {
	for _, held := range p.held {
		_ = held.Close() // nothing was written
	}
}
