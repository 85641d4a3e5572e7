package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// maxAnswer bounds an answer's body: a list of 100,000 backends has some
// 60 MB.
const maxAnswer = 256 << 20

// client asks the API of one node, or of the first of several that accepts
// connections.
type client struct {
	bases []string // URLs without a slash at the end
	token string
	http  *http.Client
	// patience is how long a cluster without a leader is waited for; notice
	// tells the user of it.
	patience time.Duration
	notice   func(text string)
}

// retryPause is between two requests to a cluster without a leader. The API
// itself waits a second for one before it says so.
const retryPause = 250 * time.Millisecond

// answer is a successful response.
type answer struct {
	base   string // of the node that answered
	header http.Header
	body   []byte
}

// newTransport makes connections that serve one request each: a verb has few.
func newTransport(timeout time.Duration) *http.Transport {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true
	transport.DialContext = (&net.Dialer{Timeout: min(timeout, 3*time.Second)}).DialContext
	return transport
}

// call is one request. Header may be nil, body nil for none; raw is a body that
// is no JSON.
type call struct {
	method, path string
	header       map[string]string
	body         any
	raw          []byte
}

// do sends the request to the first node that accepts a connection. A request
// that may have reached a node is not repeated at another: it could be applied
// twice. But one that was refused for want of a leader, or by a node that stops,
// is sent again for some seconds: a cluster that lost its leader has a new one
// soon. An answer that
// is not 2xx is a [*Problem].
func (c *client) do(ctx context.Context, req call) (*answer, error) {
	body := req.raw
	if req.body != nil {
		var err error
		if body, err = json.Marshal(req.body); err != nil {
			return nil, fmt.Errorf("encode body of %s %s: %w", req.method, req.path, err)
		}
	}
	deadline := time.Now().Add(c.patience)
	for {
		got, err := c.sendFirst(ctx, req, body)
		var problem *Problem
		if !errors.As(err, &problem) || !problem.is("no-quorum") && !problem.is("stopping") || time.Now().Add(retryPause).After(deadline) {
			return got, err
		}
		// The API promises that nothing was changed. Another node may know a
		// leader when this one does not.
		why := "the cluster has no leader"
		if problem.is("stopping") {
			why = "the node stops"
		}
		c.notice(why + ", trying again")
		c.bases = append(c.bases[1:], c.bases[0])
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(retryPause):
		}
	}
}

// sendFirst sends to the first node that accepts a connection.
func (c *client) sendFirst(ctx context.Context, req call, body []byte) (*answer, error) {
	var unreached []error
	for _, base := range c.bases {
		got, err := c.send(ctx, base, req, body)
		if err == nil || !isDial(err) {
			return got, err
		}
		unreached = append(unreached, err)
	}
	return nil, fmt.Errorf("%w\nis a node running there? start one with `evenkeel serve`, or name another with --api or EVENKEEL_API",
		errors.Join(unreached...))
}

func (c *client) send(ctx context.Context, base string, req call, body []byte) (*answer, error) {
	request, err := http.NewRequestWithContext(ctx, req.method, base+req.path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request %s %s%s: %w", req.method, base, req.path, err)
	}
	request.Header.Set("Accept", "application/json, application/problem+json")
	request.Header.Set("User-Agent", "evenkeel-cli")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	for name, value := range req.header {
		request.Header.Set(name, value)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, reach(base, err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("read answer of %s %s%s: %w", req.method, base, req.path, err)
	}
	if len(data) > maxAnswer {
		return nil, fmt.Errorf("read answer of %s %s%s: longer than %d bytes", req.method, base, req.path, maxAnswer)
	}
	if response.StatusCode/100 != 2 {
		return nil, readProblem(req.method+" "+base+req.path, response.StatusCode, data)
	}
	return &answer{base: base, header: response.Header, body: data}, nil
}

// reach says in a person's words why a node was not reached.
func reach(base string, err error) error {
	var urlErr *url.Error
	if errors.As(err, &urlErr) {
		err = urlErr.Err
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("reach the API at %s: connection refused, nothing listens there%w", base, &dialError{err})
	case isDial(err):
		return fmt.Errorf("reach the API at %s: %w", base, err)
	}
	return fmt.Errorf("ask the API at %s: %w", base, err)
}

// dialError carries a cause that the message already told.
type dialError struct{ err error }

func (*dialError) Error() string   { return "" }
func (e *dialError) Unwrap() error { return e.err }

// isDial tells whether an error happened before a connection stood.
func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// get decodes an answer into value, which may be nil.
func (c *client) get(ctx context.Context, path string, value any) (*answer, error) {
	got, err := c.do(ctx, call{method: http.MethodGet, path: path})
	if err != nil || value == nil {
		return got, err
	}
	if err := json.Unmarshal(got.body, value); err != nil {
		return nil, fmt.Errorf("read answer of %s%s: not what Evenkeel sends (%w); is that address its API?", got.base, path, err)
	}
	return got, nil
}

// parseBases reads a comma separated list of URLs, HOST:PORT or HOST.
func parseBases(text string) ([]string, error) {
	var bases []string
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		base, err := parseBase(part)
		if err != nil {
			return nil, err
		}
		bases = append(bases, base)
	}
	if len(bases) == 0 {
		return nil, fmt.Errorf("API address %q names no node; write one such as 127.0.0.1:7070", text)
	}
	return bases, nil
}

func parseBase(text string) (string, error) {
	if !strings.Contains(text, "://") {
		host, port, err := net.SplitHostPort(text)
		if err != nil {
			host, port = strings.Trim(text, "[]"), "7070"
		}
		text = "http://" + net.JoinHostPort(reachable(host), port)
	}
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", fmt.Errorf("API address %q is neither HOST:PORT nor a http:// or https:// URL", text)
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// reachable turns the address of a listener on all interfaces into one to
// connect to.
func reachable(host string) string {
	switch host {
	case "", "0.0.0.0":
		return "127.0.0.1"
	case "::":
		return "::1"
	}
	return host
}
