package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// pause is between two requests to a cluster without a leader; a quarter of it
// is random. A node itself waits for one before it says so.
const pause = 250 * time.Millisecond

// headerKey is the field that lets a write be sent twice.
const headerKey = "Idempotency-Key"

// Request is one request of any path of the API, for what has no method.
type Request struct {
	Method string
	// Path begins with a slash, and may have a query.
	Path string
	// Header is added to what every request has; an Idempotency-Key in it allows
	// that the request is sent again.
	Header http.Header
	// Body is JSON unless Header has another Content-Type; nil: none.
	Body []byte
	// Wait is what the request tells the node to wait, beyond [Config.Timeout].
	Wait time.Duration
	// Harmless tells that a request other than GET and HEAD changes nothing,
	// such as a dry run.
	Harmless bool
}

// Answer is a successful answer.
type Answer struct {
	// Base is the node that answered.
	Base   string
	Status int
	Header http.Header
	Body   []byte
	// dry tells that the answer is of a dry run.
	dry bool
}

// Revision returns the registry's revision that the answer shows, or that the
// write made; 0 if it does not say.
func (a *Answer) Revision() uint64 {
	revision, err := strconv.ParseUint(a.Header.Get("X-Evenkeel-Revision"), 10, 64)
	if err != nil {
		return 0
	}
	return revision
}

// Node returns the name of the node that answered.
func (a *Answer) Node() string { return a.Header.Get("X-Evenkeel-Node") }

// Age returns how old what was read may be; ok is false where the node does not
// know.
func (a *Answer) Age() (age time.Duration, ok bool) {
	seconds, err := strconv.ParseFloat(a.Header.Get("X-Evenkeel-Age"), 64)
	if err != nil || !(seconds >= 0 && seconds < 1e9) {
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}

// Decode reads the answer's body, which must be JSON, into value.
func (a *Answer) Decode(value any) error {
	if err := json.Unmarshal(a.Body, value); err != nil {
		return fmt.Errorf("read answer of %s: not what Evenkeel sends (%w); is that address its API?", a.Base, err)
	}
	return nil
}

// Do sends a request as the package comment says, and returns its answer if the
// status is 2xx, else a [*Problem].
func (c *Client) Do(ctx context.Context, req Request) (*Answer, error) {
	deadline := time.Now().Add(c.config.Patience)
	lost := false // it may have been done already
	for {
		got, err := c.round(ctx, req, lost)
		wait, why := worthAnother(err, req)
		if why == "" || time.Now().Add(wait).After(deadline) {
			return got, err
		}
		lost = lost || IsOutcomeUnknown(err)
		c.config.Notice(why + ", trying again")
		c.leave(problemOf(err).base)
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(wait):
		}
	}
}

// worthAnother says why the same request may have another outcome after a
// while, or "".
func worthAnother(err error, req Request) (wait time.Duration, why string) {
	problem := problemOf(err)
	wait = pause*3/4 + rand.N(pause/4)
	switch problem.Kind() {
	case ProblemNoQuorum:
		why = "the cluster has no leader"
	case ProblemStopping:
		why = "the node stops"
	case ProblemOverloaded, ProblemOutrun:
		why = "the node has too much to do"
		if problem.Kind() == ProblemOutrun {
			why = "others kept changing the same objects"
		}
		seconds, err := strconv.Atoi(problem.header.Get("Retry-After"))
		if err == nil && seconds > 0 && seconds < 3600 {
			wait += time.Duration(seconds) * time.Second
		}
	case ProblemOutcomeUnknown:
		if req.repeatable() {
			why = "the outcome is not known"
		}
	case "":
		if problem.Status >= http.StatusBadGateway && problem.Status <= http.StatusGatewayTimeout && req.reads() {
			why = fmt.Sprintf("something before the node answers %d", problem.Status)
		}
	}
	return wait, why
}

// repeatable tells whether the request changes nothing more when it is sent
// twice, given that nodes know its key.
func (r *Request) repeatable() bool { return r.reads() || r.Header.Get(headerKey) != "" }

func (r *Request) reads() bool {
	return r.Harmless || r.Method == http.MethodGet || r.Method == http.MethodHead
}

// round asks one node after another until one answers, each at most once. After
// a node that may have got the request, lost, only a repeatable one goes on.
func (c *Client) round(ctx context.Context, req Request, lost bool) (*Answer, error) {
	var failed []error
	for _, base := range c.turn() {
		if lost && !c.knowsKeys(ctx, base, req) {
			failed = append(failed, &lostError{text: fmt.Sprintf("not sent again to %s: at its feature level the write could be made twice", base)})
			continue
		}
		got, err := c.send(ctx, base, req)
		if err == nil {
			return got, nil
		}
		failed = append(failed, err)
		var gone *lostError
		switch {
		case IsUnreached(err):
		case errors.As(err, &gone) && req.repeatable() && ctx.Err() == nil && !errors.Is(err, errTooLong):
			lost = true
		case problemOf(err).Kind() == ProblemDetached && req.reads():
		default:
			return nil, join(failed, err)
		}
		c.leave(base)
	}
	return nil, join(failed, nil)
}

// join puts the errors of several nodes into one. One that says more than that
// a node was not reached stands alone, but for a request that was lost before:
// what may have happened has to be told.
func join(failed []error, last error) error {
	lost := slices.IndexFunc(failed, func(err error) bool { return errors.As(err, new(*lostError)) })
	switch {
	case len(failed) == 1:
		return failed[0]
	case lost >= 0:
		text := errors.Join(failed...).Error()
		return &lostError{text, failed[lost]}
	case last != nil:
		return last
	}
	return errors.Join(failed...)
}

// knowsKeys tells whether a write that may have been made can be sent again at
// the node: at feature level 5 every node of the cluster remembers keys.
func (c *Client) knowsKeys(ctx context.Context, base string, req Request) bool {
	if req.reads() {
		return true
	}
	got, err := c.send(ctx, base, Request{Method: http.MethodGet, Path: "/v1/cluster"})
	return err == nil && levelOf(got) >= levelKeys
}

// levelKeys is the feature level from which on all nodes of a cluster know keys.
const levelKeys = 5

// levelOf returns the feature level that GET /v1/cluster tells; 0: it does not.
func levelOf(got *Answer) uint64 {
	var cluster struct {
		FeatureLevel uint64 `json:"feature_level"`
	}
	if got.Decode(&cluster) != nil {
		return 0
	}
	return cluster.FeatureLevel
}

// send asks one node.
func (c *Client) send(ctx context.Context, base string, req Request) (*Answer, error) {
	timeout := c.config.Timeout + req.Wait
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	response, err := c.open(bounded, base, req)
	if err != nil {
		return nil, reach(base, timeout, err)
	}
	defer response.Body.Close()
	name := req.Method + " " + base + req.Path
	body, err := c.readBody(response.Body)
	if err != nil {
		return nil, &lostError{fmt.Sprintf("read answer of %s: %s", name, err), err}
	}
	if response.StatusCode/100 != 2 {
		problem := readProblem(name, response.StatusCode, response.Header, body)
		problem.base = base
		return nil, problem
	}
	return &Answer{Base: base, Status: response.StatusCode, Header: response.Header, Body: body}, nil
}

// errTooLong marks an answer that is longer than a client takes.
var errTooLong = errors.New("the answer is too long")

func (c *Client) readBody(body io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, c.config.MaxAnswer+1))
	if err == nil && int64(len(data)) > c.config.MaxAnswer {
		err = fmt.Errorf("%w: it has more than %d bytes", errTooLong, c.config.MaxAnswer)
	}
	return data, err
}

// open sends a request to one node and returns the answer's head.
func (c *Client) open(ctx context.Context, base string, req Request) (*http.Response, error) {
	var body io.Reader
	if req.Body != nil {
		body = bytes.NewReader(req.Body)
	}
	request, err := http.NewRequestWithContext(ctx, req.Method, base+req.Path, body)
	if err != nil {
		return nil, fmt.Errorf("make request %s %s%s: %w", req.Method, base, req.Path, err)
	}
	header := request.Header
	header.Set("Accept", "application/json, application/problem+json")
	header.Set("User-Agent", c.config.UserAgent)
	if req.Body != nil {
		header.Set("Content-Type", "application/json")
	}
	if c.config.Token != "" {
		header.Set("Authorization", "Bearer "+c.config.Token)
	}
	for name, values := range req.Header {
		header[http.CanonicalHeaderKey(name)] = values
	}
	return c.config.HTTP.Do(request)
}

// withQuery returns a path with those of the parameters that are set.
func withQuery(path string, query []string) string {
	if len(query) == 0 {
		return path
	}
	return path + "?" + strings.Join(query, "&")
}
