package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// start starts all processes and waits until every node is ready and knows a
// leader.
func (d *demo) start(ctx context.Context) error {
	d.progress("starting %d backends and %d nodes, their logs are in %s", len(d.backends), len(d.nodes), d.dir)
	for _, p := range d.processes() {
		if err := p.start(); err != nil {
			return err
		}
	}
	for _, b := range d.backends {
		if err := d.wait(ctx, b.process, func() error { return d.get(ctx, b.address, "/healthz", nil) }); err != nil {
			return err
		}
	}
	for _, n := range d.nodes {
		err := d.wait(ctx, n.process, func() error {
			if leader, err := d.leader(ctx, n); err != nil || leader == "" {
				return errors.Join(err, errors.New("no leader yet"))
			}
			return d.get(ctx, n.api, "/readyz", nil)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// wait polls until check is content. A process that ends instead is an error
// with the end of its log.
func (d *demo) wait(ctx context.Context, p *process, check func() error) error {
	deadline := time.Now().Add(startTimeout)
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		last := check()
		switch {
		case last == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !p.life().alive():
			return fmt.Errorf("start %s: it ended (%s); the end of its log:\n%s", p.name, p.life().cause(), p.logTail(10))
		case time.Now().After(deadline):
			return fmt.Errorf("start %s: not ready after %s: %w; the end of its log:\n%s", p.name, startTimeout, last, p.logTail(10))
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// register posts the backends to a follower, waits until every node answers
// from one of them, and returns that follower and the leader.
func (d *demo) register(ctx context.Context) (follower, leader *node, err error) {
	name, err := d.leader(ctx, d.nodes[0])
	if err != nil {
		return nil, nil, err
	}
	for _, n := range d.nodes {
		if n.name == name {
			leader = n
		} else {
			follower = n
		}
	}
	if leader == nil {
		return nil, nil, fmt.Errorf("find leader: %q is none of the demo's nodes", name)
	}
	d.progress("registering the backends through %s, a follower of %s", follower.name, leader.name)
	for _, b := range d.backends {
		body := map[string]string{"name": b.name, "address": b.address}
		if err := d.request(ctx, http.MethodPost, follower.api, "/v1/backends", body, nil); err != nil {
			return nil, nil, err
		}
	}
	for _, n := range d.nodes {
		if err := d.wait(ctx, n.process, func() error { return d.get(ctx, n.traffic, "/", nil) }); err != nil {
			return nil, nil, err
		}
	}
	return follower, leader, nil
}

// leader returns the name of the leader as a node knows it, or "".
func (d *demo) leader(ctx context.Context, n *node) (string, error) {
	var cluster struct {
		Leader string `json:"leader"`
	}
	err := d.get(ctx, n.api, "/v1/cluster", &cluster)
	return cluster.Leader, err
}

func (d *demo) get(ctx context.Context, address, path string, value any) error {
	return d.request(ctx, http.MethodGet, address, path, nil, value)
}

// request sends JSON and reads JSON into value; both may be nil.
func (d *demo) request(ctx context.Context, method, address, path string, body, value any) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var encoded []byte
	if body != nil {
		var err error
		if encoded, err = json.Marshal(body); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+address+path, bytes.NewReader(encoded))
	if err != nil {
		return err
	}
	if strings.HasPrefix(path, "/v1/") {
		request.Header.Set("Authorization", "Bearer "+d.token)
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, request.URL, err)
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, request.URL, response.Status, bytes.TrimSpace(data))
	}
	if value == nil {
		return nil
	}
	if err := json.Unmarshal(data, value); err != nil {
		return fmt.Errorf("%s %s: %w", method, request.URL, err)
	}
	return nil
}
