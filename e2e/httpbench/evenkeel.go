//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"evenkeel/e2e/harness"
)

// evenkeelProgram is a single node. All of it, the API and the cluster's part
// too, runs on the cores of the placing and is part of what is measured, as
// are its counters and the default checks of the backends.
func evenkeelProgram(path string) program {
	return program{name: nameEvenkeel, executable: []string{path, "version"}, start: startEvenkeel,
		fronts: []front{frontTLS, frontRPC, frontTCP}}
}

func startEvenkeel(ctx context.Context, b *bench, p placing) (*server, error) {
	secret, err := b.clusterSecret(ctx)
	if err != nil {
		return nil, err
	}
	s, err := b.startNode(ctx, p, secret, "")
	if err != nil {
		return nil, err
	}
	if err := b.settle(ctx, s, p.front); err != nil {
		return nil, errors.Join(err, b.end(s.process))
	}
	return b.withTwin(ctx, s, p, func(ctx context.Context, p placing) (*server, error) {
		twin, err := b.startNode(ctx, p, secret, s.cluster)
		if err == nil {
			err = b.waitServes(ctx, twin, p.front)
		}
		return twin, err
	})
}

// clusterSecret makes what the nodes of a cluster share, and returns its file.
func (b *bench) clusterSecret(ctx context.Context) (string, error) {
	text, err := exec.CommandContext(ctx, b.evenkeel, "secret").Output()
	if err != nil {
		return "", fmt.Errorf("make a cluster's secret: %w", err)
	}
	file := filepath.Join(b.dir, fmt.Sprintf("secret-%d", b.started))
	return file, os.WriteFile(file, text, 0o600)
}

// startNode starts a node, the first one or one that joins. Its traffic beside
// HTTP comes to a listener of its own, named as the bench.
func (b *bench) startNode(ctx context.Context, p placing, secret, join string) (*server, error) {
	var addresses [4]string
	for i := range addresses {
		var err error
		if addresses[i], err = b.freeAddress(); err != nil {
			return nil, err
		}
	}
	traffic, api, cluster, other := addresses[0], addresses[1], addresses[2], addresses[3]
	name := "bench-" + strconv.Itoa(b.started)
	dir := filepath.Join(b.dir, "evenkeel-"+strconv.Itoa(b.started))
	argv := []string{b.evenkeel, "serve", "--secret-file", secret,
		"--name", name, "--data-dir", dir, "--api-addr", api, "--cluster-addr", cluster, "--bind", "127.0.0.1",
		"--listener-addr", "default=" + traffic, "--listener-addr", "bench=" + other, "--loops", strconv.Itoa(p.threads)}
	if join != "" {
		argv = append(argv, "--join", join)
	}
	process, err := b.start(command{name: nameEvenkeel, cores: p.cores, argv: argv})
	if err != nil {
		return nil, err
	}
	s := &server{name: nameEvenkeel, address: traffic, process: process, api: harness.API{Address: api}, dataDir: dir, cluster: cluster}
	if p.front != frontHTTP {
		s.address = other
	}
	s.tickets = s.address
	return s, nil
}

// settle registers what the front is made of and the backends, and waits until the checks have found them up.
func (b *bench) settle(ctx context.Context, s *server, f front) error {
	if err := s.until(ctx, "is ready", s.api.Ready); err != nil {
		return err
	}
	for _, o := range b.evenkeelObjects(s, f) {
		if err := s.until(ctx, "takes "+o.path, func() error { return s.put(o.path, o.spec) }); err != nil {
			return err
		}
	}
	for i, address := range b.backends {
		path := fmt.Sprintf("/v1/pools/default/backends/b%d", i+1)
		if err := s.until(ctx, "takes "+path, func() error {
			return s.put(path, map[string]any{"address": address})
		}); err != nil {
			return err
		}
	}
	if err := s.until(ctx, "has found its backends up", s.allUp); err != nil {
		return err
	}
	return b.waitServes(ctx, s, f)
}

// object is one of the registry.
type object struct {
	path string
	spec map[string]any
}

// evenkeelObjects are what a front is made of, beside the default pool.
func (b *bench) evenkeelObjects(s *server, f front) []object {
	listener := map[string]any{"address": s.address, "protocol": "http"}
	route := map[string]any{"listeners": []string{"bench"}, "pools": []map[string]any{{"name": "default", "weight": 1}}}
	all := []object{{"/v1/listeners/bench", listener}, {"/v1/routes/bench", route}}
	switch f {
	case frontHTTP:
		return nil
	case frontTLS:
		listener["protocol"], listener["tls"] = "https", map[string]any{"certificates": []string{"bench"}}
		certificate := map[string]any{"chain": b.identity.chain, "key": b.identity.key}
		return append([]object{{"/v1/certificates/bench", certificate}}, all...)
	case frontRPC:
		return append([]object{{"/v1/pools/default", map[string]any{"protocol": "http2", "check": map[string]any{"type": "tcp"}}}}, all...)
	case frontTCP:
		listener["protocol"] = "tcp"
	}
	return all
}

// put writes an object.
func (s *server) put(path string, spec any) error {
	answer, err := s.api.Call(http.MethodPut, path, spec)
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK && answer.Status != http.StatusCreated {
		return fmt.Errorf("PUT %s: %d %s", path, answer.Status, answer.Body)
	}
	return nil
}

// allUp returns an error while a backend of the default pool is not up.
func (s *server) allUp() error {
	backends, err := s.api.Backends("default")
	if err != nil {
		return err
	}
	for name, backend := range backends {
		if backend.Status.Health != "up" {
			return fmt.Errorf("backend %s is %s", name, backend.Status.Health)
		}
	}
	return nil
}

// mallocs returns how many objects the node has allocated so far.
func (s *server) mallocs() (float64, error) {
	answer, err := s.api.Call(http.MethodGet, "/metrics", nil)
	if err != nil {
		return 0, err
	}
	return parseMetric(string(answer.Body), "go_memstats_mallocs_total")
}
