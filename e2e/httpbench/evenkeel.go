//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"

	"evenkeel/e2e/harness"
)

// evenkeelProgram is a single node. All of it, the API and the cluster's part
// too, runs on the cores of the placing and is part of what is measured, as
// are its counters and the default checks of the backends.
func evenkeelProgram(path string) program {
	return program{name: nameEvenkeel, executable: []string{path, "version"}, start: startEvenkeel}
}

func startEvenkeel(ctx context.Context, b *bench, p placing) (*server, error) {
	var addresses [3]string
	for i := range addresses {
		var err error
		if addresses[i], err = b.freeAddress(); err != nil {
			return nil, err
		}
	}
	traffic, api, cluster := addresses[0], addresses[1], addresses[2]
	dir := filepath.Join(b.dir, "evenkeel-"+strconv.Itoa(b.started))
	process, err := b.start(command{name: nameEvenkeel, cores: p.cores, argv: []string{b.evenkeel, "serve",
		"--name", "bench", "--data-dir", dir, "--api-addr", api, "--cluster-addr", cluster, "--bind", "127.0.0.1",
		"--listener-addr", "default=" + traffic, "--loops", strconv.Itoa(p.threads)}})
	if err != nil {
		return nil, err
	}
	s := &server{name: nameEvenkeel, address: traffic, process: process, api: harness.API{Address: api}, dataDir: dir}
	if err := b.settle(ctx, s); err != nil {
		return nil, errors.Join(err, b.end(process))
	}
	return s, nil
}

// settle registers the backends and waits until the checks have found them up.
func (b *bench) settle(ctx context.Context, s *server) error {
	if err := s.until(ctx, "is ready", s.api.Ready); err != nil {
		return err
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
	return b.waitServes(ctx, s)
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
