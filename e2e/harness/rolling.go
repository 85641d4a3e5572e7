package harness

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	// clientsPerNode is how many keep-alive clients have a node for their first
	// choice.
	clientsPerNode = 8
	// readyEvery is how often a client's health check asks a node's /readyz.
	readyEvery = 150 * time.Millisecond
	// postEvery is which of a client's requests have a body.
	postEvery = 4
)

// Rolling is a steady flow of GET and POST requests by keep-alive clients that
// know all nodes and follow one rule: a client leaves a node whose /readyz
// fails, and sends to another node what a node refused to connect, or what met
// a reused connection that was closed before any byte of an answer. Whatever
// else goes wrong is a failed request.
type Rolling struct {
	quit    chan struct{}
	stop    func()
	tasks   sync.WaitGroup
	doors   []*door
	begun   time.Time
	answers atomic.Int64
	refused atomic.Int64 // connects that were, and were tried elsewhere
	closed  atomic.Int64 // reused connections that were, likewise

	mu       sync.Mutex // guards what follows
	ended    time.Time
	failures []string
}

// door is one node as the clients know it.
type door struct {
	name    string
	address string
	api     API
	ready   atomic.Bool
	answers atomic.Int64
}

// StartRolling sends perSecond requests per second over all the nodes, until
// Stop or the test's end.
func StartRolling(t testing.TB, perSecond int, nodes ...*Node) *Rolling {
	t.Helper()
	r := &Rolling{quit: make(chan struct{}), begun: time.Now()}
	r.stop = sync.OnceFunc(func() {
		close(r.quit)
		r.tasks.Wait()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.ended = time.Now()
	})
	t.Cleanup(r.stop)
	for _, n := range nodes {
		d := &door{name: n.Name, address: n.HTTP, api: n.API}
		d.ready.Store(true)
		r.doors = append(r.doors, d)
		r.tasks.Go(func() { d.watch(r.quit) })
	}
	count := len(nodes) * clientsPerNode
	pause := time.Duration(count) * time.Second / time.Duration(perSecond)
	for i := range count {
		c := &rollingClient{flow: r, name: fmt.Sprintf("c%d", i), home: i % len(nodes)}
		r.tasks.Go(func() { c.run(pause*time.Duration(i)/time.Duration(count), pause) })
	}
	return r
}

// watch is the clients' health check of the node.
func (d *door) watch(quit <-chan struct{}) {
	ticker := time.NewTicker(readyEvery)
	defer ticker.Stop()
	for {
		select {
		case <-quit:
			return
		case <-ticker.C:
			d.ready.Store(d.api.Ready() == nil)
		}
	}
}

// rollingClient has at most one connection, to one node.
type rollingClient struct {
	flow *Rolling
	name string
	home int
	sent int

	at     int // the node that conn leads to
	conn   net.Conn
	reader *bufio.Reader
	used   bool // an answer came over conn
}

func (c *rollingClient) run(offset, pause time.Duration) {
	defer c.close()
	select {
	case <-c.flow.quit:
		return
	case <-time.After(offset):
	}
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		select {
		case <-c.flow.quit:
			return
		case <-ticker.C:
			c.request()
		}
	}
}

// errClosed means that a connection that was used before was closed before any
// byte of an answer came.
var errClosed = errors.New("a reused connection was closed before any byte")

// request sends one request until a node answers it, to each node at most
// once.
func (c *rollingClient) request() {
	begin := time.Now()
	method, path, body := http.MethodGet, "/", ""
	if c.sent++; c.sent%postEvery == 0 {
		method, path, body = http.MethodPost, "/echo", fmt.Sprintf("%s-%d", c.name, c.sent)
	}
	var story []string
	var tried []int
	for len(tried) < len(c.flow.doors) {
		to := c.choose(tried)
		tried = append(tried, to)
		err := c.attempt(to, method, path, body)
		switch {
		case err == nil:
			c.flow.answers.Add(1)
			c.flow.doors[to].answers.Add(1)
			return
		case errors.Is(err, errRefused):
			c.flow.refused.Add(1)
		case errors.Is(err, errClosed):
			c.flow.closed.Add(1)
		default:
			tried = make([]int, len(c.flow.doors)) // no more
		}
		story = append(story, fmt.Sprintf("%s: %v", c.flow.doors[to].name, err))
	}
	c.flow.fail(fmt.Sprintf("%s of %s at %s, after %v: %s", method, c.name, begin.Format("15:04:05.000"),
		time.Since(begin).Round(time.Millisecond), strings.Join(story, "; then ")))
}

// choose returns the client's own node, or else the next one, of those that
// were not tried; first of those that are ready.
func (c *rollingClient) choose(tried []int) int {
	other := -1
	for i := range c.flow.doors {
		at := (c.home + i) % len(c.flow.doors)
		switch {
		case slices.Contains(tried, at):
		case c.flow.doors[at].ready.Load():
			return at
		case other < 0:
			other = at
		}
	}
	return other
}

func (c *rollingClient) attempt(to int, method, path, body string) error {
	if c.conn != nil && c.at != to {
		c.close()
	}
	address := c.flow.doors[to].address
	if c.conn == nil {
		conn, err := net.DialTimeout("tcp", address, requestTimeout)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return errRefused
		}
		if err != nil {
			return err
		}
		c.conn, c.reader, c.at, c.used = conn, bufio.NewReader(conn), to, false
	}
	keep, err := c.exchange(address, method, path, body)
	if err != nil || !keep {
		c.close()
	}
	return err
}

func (c *rollingClient) exchange(address, method, path, body string) (keep bool, err error) {
	if err := c.conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return false, err
	}
	_, writeErr := fmt.Fprintf(c.conn, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", method, path, address, len(body), body)
	// An answer may be there although the request could not be written to its
	// end.
	if _, err := c.reader.Peek(1); err != nil {
		if err = errors.Join(writeErr, err); c.used && wasClosed(err) {
			err = errClosed
		}
		return false, err
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return false, fmt.Errorf("read the answer's head: %w", err)
	}
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return false, fmt.Errorf("read the answer's body: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return false, fmt.Errorf("%d %s", response.StatusCode, answer)
	}
	c.used = true
	return !response.Close, matches(method, body, answer)
}

// wasClosed tells an end of the connection, orderly or not, from a timeout.
func wasClosed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// matches makes sure that the answer is that of the request.
func matches(method, body string, answer []byte) error {
	if method == http.MethodGet {
		if len(answer) == 0 {
			return errors.New("the answer is empty")
		}
		return nil
	}
	var echo Echo
	if err := json.Unmarshal(answer, &echo); err != nil {
		return fmt.Errorf("read the answer %.80q: %w", answer, err)
	}
	if echo.Method != method || echo.Body != body {
		return fmt.Errorf("the backend got %s %q, sent was %s %q", echo.Method, echo.Body, method, body)
	}
	return nil
}

func (c *rollingClient) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

func (r *Rolling) fail(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, what)
}

// WaitAnswers returns when each of the nodes has answered that many more
// requests.
func (r *Rolling) WaitAnswers(t testing.TB, count int64, nodes ...*Node) {
	t.Helper()
	for _, n := range nodes {
		at := slices.IndexFunc(r.doors, func(d *door) bool { return d.name == n.Name })
		before := r.doors[at].answers.Load()
		Eventually(t, fmt.Sprintf("%d answers by %s", count, n.Name), func() error {
			if done := r.doors[at].answers.Load() - before; done < count {
				return fmt.Errorf("%d so far", done)
			}
			return nil
		})
	}
}

// Stop ends the flow and waits for the last answer.
func (r *Rolling) Stop() { r.stop() }

// StopClean ends the flow and fails the test if any request has failed. It
// returns how many were answered per second.
func (r *Rolling) StopClean(t testing.TB) (perSecond float64) {
	t.Helper()
	r.Stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	perSecond = float64(r.answers.Load()) / r.ended.Sub(r.begun).Seconds()
	if len(r.failures) > 0 {
		t.Errorf("%d requests failed, %d were answered:\n%s", len(r.failures), r.answers.Load(),
			strings.Join(r.failures[:min(len(r.failures), 20)], "\n"))
	}
	if r.answers.Load() == 0 {
		t.Error("no request was answered at all")
	}
	t.Logf("requests: %d answered, %.0f/s; %d connects were refused and %d reused connections closed, all repeated elsewhere",
		r.answers.Load(), perSecond, r.refused.Load(), r.closed.Load())
	return perSecond
}
