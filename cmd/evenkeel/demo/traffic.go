package demo

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// requestInterval paces the demo's own clients, one per node.
const requestInterval = 100 * time.Millisecond

// client sends requests to one node and counts the answers.
type client struct {
	node *node
	http *http.Client

	mu      sync.Mutex // guards all below
	answers map[string]int
	total   int
	failed  int
	failure string // the last one
	served  *run   // the node's life that has answered
}

func newClient(n *node) *client {
	return &client{
		node:    n,
		http:    &http.Client{Transport: &http.Transport{}, Timeout: 3 * time.Second},
		answers: map[string]int{},
	}
}

// run sends requests until ctx ends.
func (c *client) run(ctx context.Context) error {
	defer c.http.CloseIdleConnections()
	tick := time.NewTicker(requestInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		life := c.node.life()
		if !life.alive() {
			continue
		}
		name, err := c.ask(ctx)
		if ctx.Err() != nil {
			return nil
		}
		c.count(name, err, life)
	}
}

// ask returns the name of the backend that answered.
func (c *client) ask(ctx context.Context) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.node.traffic+"/", nil)
	if err != nil {
		return "", err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	if err != nil {
		return "", err
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%d %s", response.StatusCode, first)
	}
	return first, nil
}

// count notes an answer. A request to a node that is still starting, or that
// was under way at a node that died, is not one that failed at a node that
// serves; the death is known a moment after the broken connection.
func (c *client) count(name string, err error, life *run) {
	if err != nil {
		select {
		case <-life.ended:
			return
		case <-time.After(300 * time.Millisecond):
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil && c.served != life {
		return
	}
	c.served = life
	c.total++
	if err != nil {
		c.failed++
		c.failure = err.Error()
		return
	}
	c.answers[name]++
}

// tally is what a client counted: answers by backend since the last tally, and
// the totals.
type tally struct {
	answers       map[string]int
	total, failed int
	failure       string
}

func (c *client) tally() tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := tally{c.answers, c.total, c.failed, c.failure}
	c.answers = map[string]int{}
	return t
}
