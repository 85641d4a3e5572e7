//go:build linux

package faults

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

const (
	// attemptLimit is after how long a retrying client tries another node, unless
	// a test says otherwise.
	attemptLimit = 300 * time.Millisecond
	// writePause is between two writes of such a client, retryPause between two
	// attempts that failed at once.
	writePause = 10 * time.Millisecond
	retryPause = 5 * time.Millisecond
)

// writeTarget is a server that takes writes. It is called concurrently.
type writeTarget interface {
	// write returns nil when the server has acknowledged the write.
	write(ctx context.Context, client, count int) error
}

// gapClient is one that writes on and on, stays with a server that answers and
// tries the next one when it does not. It measures for how long none of its
// writes is acknowledged.
type gapClient struct {
	number  int
	targets []writeTarget
	limit   time.Duration // of one attempt
	stop    func()

	mu   sync.Mutex // guards what follows
	acks []time.Time
	at   int // the target that it stays with
}

// startGapClient begins with the target of the client's own number.
func startGapClient(t testing.TB, number int, targets []writeTarget, limit time.Duration) *gapClient {
	ctx, cancel := context.WithCancel(context.Background())
	c := &gapClient{number: number, targets: targets, limit: limit, at: number}
	var running sync.WaitGroup
	c.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	running.Go(func() { c.run(ctx) })
	t.Cleanup(c.stop)
	return c
}

func (c *gapClient) run(ctx context.Context) {
	at := c.number
	for count := 0; ctx.Err() == nil; count++ {
		attempt, cancel := context.WithTimeout(ctx, c.limit)
		err := c.targets[at].write(attempt, c.number, count)
		cancel()
		pause := writePause
		if err == nil {
			c.mu.Lock()
			c.acks = append(c.acks, time.Now())
			c.mu.Unlock()
		} else {
			at = (at + 1) % len(c.targets)
			c.mu.Lock()
			c.at = at
			c.mu.Unlock()
			pause = retryPause
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

func (c *gapClient) acknowledged() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.acks)
}

// longest returns the longest time without an acknowledged write that overlaps
// what lies between two moments.
func (c *gapClient) longest(from, to time.Time) (longest time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := from
	for _, ack := range c.acks {
		if ack.After(from) {
			longest = max(longest, min(ack.Sub(last), to.Sub(last)))
		}
		last = ack
		if ack.After(to) {
			return longest
		}
	}
	return max(longest, to.Sub(last))
}

// staysWith returns the number of the target that the client is with.
func (c *gapClient) staysWith() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// longestOf returns the longest time of each client since a moment.
func longestOf(clients []*gapClient, from time.Time) []time.Duration {
	now, all := time.Now(), make([]time.Duration, len(clients))
	for i, client := range clients {
		all[i] = client.longest(from, now)
	}
	return all
}

// waitWrites waits until every client has had some more writes acknowledged.
func waitWrites(t testing.TB, clients []*gapClient, count int) {
	t.Helper()
	for _, client := range clients {
		before := client.acknowledged()
		harness.Eventually(t, fmt.Sprintf("%d more acknowledged writes", count), func() error {
			if now := client.acknowledged() - before; now < count {
				return fmt.Errorf("%d", now)
			}
			return nil
		})
	}
}

// apiTarget writes a pool of each client's own over the API.
type apiTarget struct {
	address string
	client  *http.Client
}

func newAPITarget(address string) *apiTarget {
	return &apiTarget{address, &http.Client{Transport: &http.Transport{}}}
}

func (a *apiTarget) write(ctx context.Context, client, count int) error {
	body := fmt.Sprintf(`{"labels":{"count":"%d"}}`, count)
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, fmt.Sprintf("http://%s/v1/pools/gap%d", a.address, client), bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	response, err := a.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %d", a.address, response.StatusCode)
	}
	return nil
}
