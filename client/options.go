package client

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Read is how something is read. The zero value reads what the asked node has.
type Read struct {
	// Linearizable asks for a state that has everything that was committed before
	// the request; it needs a leader. Otherwise the node's own state is read, and
	// [Answer.Age] says how old it may be.
	Linearizable bool
	// MinRevision waits until the node has that revision, at most for Timeout
	// (0: what the node takes). A problem of kind "not-yet" says that it has not.
	MinRevision uint64
	Timeout     time.Duration
	// Labels selects objects: "a=b", "c!=d", "e" (has it), "!f" (has it not). All
	// must hold.
	Labels []string
	// Fields are the only fields that are given, such as "name" and
	// "spec.address".
	Fields []string
	// Limit is how many objects a list has at most (0: all), Page continues one:
	// it is the Next of the page before.
	Limit int
	Page  string

	pool string // of a list of backends
}

// query returns the parameters, in an order that is always the same.
func (r Read) query() []string {
	var q []string
	add := func(name, value string) { q = append(q, name+"="+url.QueryEscape(value)) }
	if r.pool != "" {
		add("pool", r.pool)
	}
	if r.Linearizable {
		add("consistency", "linearizable")
	}
	if r.MinRevision > 0 {
		add("min_index", strconv.FormatUint(r.MinRevision, 10))
	}
	if r.Timeout > 0 {
		add("timeout", r.Timeout.String())
	}
	if len(r.Labels) > 0 {
		add("label", strings.Join(r.Labels, ","))
	}
	if len(r.Fields) > 0 {
		add("fields", strings.Join(r.Fields, ","))
	}
	if r.Limit > 0 {
		add("limit", strconv.Itoa(r.Limit))
	}
	if r.Page != "" {
		add("page", r.Page)
	}
	return q
}

func (c *Client) read(ctx context.Context, path string, read Read) (*Answer, error) {
	return c.Do(ctx, Request{Method: http.MethodGet, Path: withQuery(path, read.query()), Wait: read.Timeout})
}

// Write is on which conditions something is written, and how. The zero value
// writes unconditionally and waits until the asked node has the write.
type Write struct {
	// Revision, MustExist and MustNotExist are conditions: that the object is
	// still as that revision left it, that it exists, that it does not. At most
	// one can be set. [IsStale] tells of an error that it does not hold.
	Revision     uint64
	MustExist    bool
	MustNotExist bool
	// Key lets the write be sent twice and be made once (Idempotency-Key): 1 to
	// 128 printable characters, new for each write. Empty: one is made up where
	// the write is not idempotent by itself.
	Key string
	// Reason is why, for people: at most 256 bytes. The history shows it.
	Reason string
	// DryRun tries the write and changes nothing: [Outcome.Dry] says what would
	// change.
	DryRun bool
	// WaitAll waits until every live node serves the write, at most for
	// WaitTimeout (0: 10 s, at most 60 s). [Outcome.Lagging] names those that do
	// not by then; the write stands all the same.
	WaitAll     bool
	WaitTimeout time.Duration
	// ConfirmWithin has the cluster undo the write after that time unless it is
	// confirmed: 1 s to 24 h; 0: it stands.
	ConfirmWithin time.Duration

	noKey       bool   // none is made up
	contentType string // of the body; empty: JSON
	query       []string
}

// defaultWait is how long a node waits for all others if it is not told.
const defaultWait = 10 * time.Second

// request returns the write of a body, which may be nil.
func (w Write) request(method, path string, body []byte) Request {
	req := Request{Method: method, Body: body, Header: http.Header{}, Harmless: w.DryRun}
	query := w.query
	conditional := true
	switch {
	case w.Revision > 0:
		req.Header.Set("If-Match", etag(w.Revision))
	case w.MustExist:
		req.Header.Set("If-Match", "*")
	case w.MustNotExist:
		req.Header.Set("If-None-Match", "*")
	default:
		conditional = false
	}
	idempotent := !conditional && (method == http.MethodPut || method == http.MethodDelete)
	switch {
	case w.Key != "":
		req.Header.Set(headerKey, w.Key)
	case !idempotent && !w.DryRun && !w.noKey:
		req.Header.Set(headerKey, rand.Text())
	}
	if w.Reason != "" {
		query = append(query, "reason="+url.QueryEscape(w.Reason)) // a field could not hold all characters
	}
	if w.DryRun {
		query = append(query, "dry_run=true")
	}
	if w.WaitAll {
		query = append(query, "wait=all")
		req.Wait = defaultWait
	}
	if w.WaitAll && w.WaitTimeout > 0 {
		query = append(query, "timeout="+w.WaitTimeout.String())
		req.Wait = w.WaitTimeout
	}
	if w.ConfirmWithin > 0 {
		query = append(query, "confirm_within="+w.ConfirmWithin.String())
	}
	if w.contentType != "" && body != nil {
		req.Header.Set("Content-Type", w.contentType)
	}
	req.Path = withQuery(path, query)
	return req
}

// write sends a body as it is, which may be nil.
func (c *Client) write(ctx context.Context, method, path string, body []byte, write Write) (*Answer, error) {
	if err := write.check(); err != nil {
		return nil, err
	}
	req := write.request(method, path, body)
	got, err := c.Do(ctx, req)
	if IsInvalid(err) && write.Key == "" && req.Header.Get(headerKey) != "" && c.refusesKeys(ctx) {
		req.Header.Del(headerKey)
		got, err = c.Do(ctx, req)
	}
	if got != nil {
		got.dry = write.DryRun
	}
	return got, err
}

// refusesKeys tells whether the cluster has nodes that do not know keys, so that all
// refuse them.
func (c *Client) refusesKeys(ctx context.Context) bool {
	got, err := c.Do(ctx, Request{Method: http.MethodGet, Path: "/v1/cluster"})
	if err != nil {
		return false
	}
	level := levelOf(got)
	return level > 0 && level < levelKeys
}

// writeJSON sends a value as JSON.
func (c *Client) writeJSON(ctx context.Context, method, path string, body any, write Write) (*Answer, error) {
	var data []byte
	if body != nil {
		var err error
		if data, err = marshal(body); err != nil {
			return nil, err
		}
	}
	if method == http.MethodPatch {
		write.contentType = "application/merge-patch+json"
	}
	return c.write(ctx, method, path, data, write)
}

func splitList(text string) []string {
	var parts []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

// check says which of the options contradict each other.
func (w Write) check() error {
	conditions := 0
	for _, set := range []bool{w.Revision > 0, w.MustExist, w.MustNotExist} {
		if set {
			conditions++
		}
	}
	switch {
	case conditions > 1:
		return errors.New("a write takes one condition: one of Revision, MustExist and MustNotExist")
	case w.DryRun && w.WaitAll:
		return errors.New("a dry run is served by no node: leave out WaitAll")
	case w.WaitTimeout != 0 && !w.WaitAll:
		return errors.New("WaitTimeout bounds the wait for all nodes, and WaitAll is not set")
	}
	return nil
}
