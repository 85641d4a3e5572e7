package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"evenkeel/fsm"
)

// Revision is one entry of the history.
type Revision struct {
	Revision uint64    `json:"revision"`
	Time     time.Time `json:"time"`
	Actor    string    `json:"actor"`
	Reason   string    `json:"reason"`
	// Kind is what made it: init, put, delete, txn, restore, lapse,
	// undo or rollback.
	Kind string `json:"kind"`
	// Count is how many objects it changed, Changes which, where they were asked
	// for and are still known.
	Count   int      `json:"count"`
	Changes []Change `json:"changes"`
	// Objects are the first of those, with their actions alone, in a list of
	// revisions. Brief and LeftOff are as in [Diff].
	Objects []Change `json:"objects"`
	Brief   int      `json:"brief"`
	LeftOff int      `json:"left_off"`
	// Undoes is the revision that it undid.
	Undoes uint64 `json:"undoes"`
	// Unconfirmed tells that it is undone unless it is confirmed in time.
	Unconfirmed bool `json:"unconfirmed"`
}

// RevisionPage is a part of the history.
type RevisionPage struct {
	Items []Revision `json:"items"`
	// Revision is the newest of the registry, Oldest the oldest that is known.
	Revision uint64 `json:"revision"`
	Oldest   uint64 `json:"oldest"`
	// Next is [Range.Before] of the part that follows; 0: none does.
	Next uint64 `json:"next"`
}

// Range is a part of the history. The zero value is its newest part.
type Range struct {
	// Limit is how many revisions are given at most; 0: as many as the node
	// gives.
	Limit int
	// Before and After bound the part, both excluded; 0: not.
	Before, After uint64
	// Kind, Pool and Name are of an object that a revision changed, Actor who made
	// it; empty: whichever.
	Kind              fsm.Kind
	Pool, Name, Actor string
}

func (r Range) query() []string {
	var q []string
	if r.Limit > 0 {
		q = append(q, "limit="+strconv.Itoa(r.Limit))
	}
	for _, bound := range []struct {
		name     string
		revision uint64
	}{{"before", r.Before}, {"after", r.After}} {
		if bound.revision > 0 {
			q = append(q, bound.name+"="+strconv.FormatUint(bound.revision, 10))
		}
	}
	for _, of := range []struct{ name, value string }{{"kind", string(r.Kind)}, {"pool", r.Pool}, {"name", r.Name}, {"actor", r.Actor}} {
		if of.value != "" {
			q = append(q, of.name+"="+url.QueryEscape(of.value))
		}
	}
	return q
}

// Revisions returns a part of the history, the newest first.
func (c *Client) Revisions(ctx context.Context, part Range) (*RevisionPage, error) {
	got, err := c.RevisionsRaw(ctx, part)
	if err != nil {
		return nil, err
	}
	return decode[RevisionPage](got)
}

// RevisionsRaw is [Client.Revisions] as JSON.
func (c *Client) RevisionsRaw(ctx context.Context, part Range) (*Answer, error) {
	return c.Do(ctx, Request{Method: http.MethodGet, Path: withQuery("/v1/revisions", part.query())})
}

// Revision returns one revision with its changes; [IsCompacted] tells of an
// error that it is no longer known.
func (c *Client) Revision(ctx context.Context, n uint64) (*Revision, error) {
	got, err := c.RevisionRaw(ctx, n)
	if err != nil {
		return nil, err
	}
	return decode[Revision](got)
}

// RevisionRaw is [Client.Revision] as JSON.
func (c *Client) RevisionRaw(ctx context.Context, n uint64) (*Answer, error) {
	return c.Do(ctx, Request{Method: http.MethodGet, Path: revisionPath(n)})
}

// DiffRevisions returns what leads from one revision to another, which may be
// the older one; to 0 is the newest.
func (c *Client) DiffRevisions(ctx context.Context, from, to uint64) (*Applied, error) {
	end := "current"
	if to > 0 {
		end = strconv.FormatUint(to, 10)
	}
	return c.applied(c.Do(ctx, Request{Method: http.MethodGet, Path: revisionPath(from) + "/diff/" + end}))
}

// Rollback makes the registry what it was at a revision, as a new revision.
func (c *Client) Rollback(ctx context.Context, to uint64, write Write) (*Applied, error) {
	return c.applied(c.writeJSON(ctx, http.MethodPost, "/v1/rollback", map[string]uint64{"to": to}, write))
}

// Confirm keeps what a revision changed that waits for its confirmation.
func (c *Client) Confirm(ctx context.Context, n uint64, write Write) (*Applied, error) {
	return c.decide(ctx, n, "confirm", write)
}

// Undo takes back at once what a revision changed that waits for its
// confirmation, as a new revision.
func (c *Client) Undo(ctx context.Context, n uint64, write Write) (*Applied, error) {
	return c.decide(ctx, n, "undo", write)
}

func (c *Client) decide(ctx context.Context, n uint64, how string, write Write) (*Applied, error) {
	return c.applied(c.write(ctx, http.MethodPost, revisionPath(n)+"/"+how, nil, write))
}

// Pending is a revision that waits for its confirmation.
type Pending struct {
	Revision uint64    `json:"revision"`
	Within   string    `json:"within"`
	Time     time.Time `json:"time"`
	Actor    string    `json:"actor"`
	Reason   string    `json:"reason"`
	Count    int       `json:"count"`
	// Objects are the first of those that it changed, with their actions alone.
	Objects []Change `json:"objects"`
}

// Pending returns the revisions that wait for their confirmation, the oldest
// first.
func (c *Client) Pending(ctx context.Context) ([]Pending, error) {
	got, err := c.Do(ctx, Request{Method: http.MethodGet, Path: "/v1/pending"})
	if err != nil {
		return nil, err
	}
	page, err := decode[struct {
		Items []Pending `json:"items"`
	}](got)
	if err != nil {
		return nil, err
	}
	return page.Items, nil
}

func revisionPath(n uint64) string { return fmt.Sprintf("/v1/revisions/%d", n) }
