package client

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"evenkeel/fsm"
)

// DefaultPool is the pool of backends whose pool nobody names.
const DefaultPool = "default"

// Collection is all objects of one kind, with the types of package fsm. S is
// what users want of an object, T what the cluster agreed about it.
type Collection[S fsm.Spec, T any] struct {
	client *Client
	kind   fsm.Kind
	pool   string
}

// Backends returns the backends of a pool, or of all pools if pool is empty. A
// backend that is read or written by name is of that pool; without one, of the
// object's, and else of [DefaultPool].
func (c *Client) Backends(pool string) *Collection[fsm.BackendSpec, fsm.BackendStatus] {
	return &Collection[fsm.BackendSpec, fsm.BackendStatus]{c, fsm.KindBackend, pool}
}

// Pools returns the pools.
func (c *Client) Pools() *Collection[fsm.PoolSpec, fsm.PoolStatus] {
	return &Collection[fsm.PoolSpec, fsm.PoolStatus]{c, fsm.KindPool, ""}
}

// Routes returns the routes.
func (c *Client) Routes() *Collection[fsm.RouteSpec, fsm.NoStatus] {
	return &Collection[fsm.RouteSpec, fsm.NoStatus]{c, fsm.KindRoute, ""}
}

// Listeners returns the listeners. How each fares on each node is in the raw
// answer's status only.
func (c *Client) Listeners() *Collection[fsm.ListenerSpec, fsm.NoStatus] {
	return &Collection[fsm.ListenerSpec, fsm.NoStatus]{c, fsm.KindListener, ""}
}

// Get returns one object; [IsNotFound] tells of an error that there is none.
func (x *Collection[S, T]) Get(ctx context.Context, name string, read Read) (*fsm.Object[S, T], error) {
	got, err := x.client.GetRaw(ctx, x.ref(name), read)
	if err != nil {
		return nil, err
	}
	return decode[fsm.Object[S, T]](got)
}

// Page is a part of a list, all of one revision.
type Page[S fsm.Spec, T any] struct {
	Items    []*fsm.Object[S, T] `json:"items"`
	Revision uint64              `json:"revision"`
	// Next is [Read.Page] of the next part; empty: this is the last one.
	Next string `json:"next"`
}

// List returns the objects, in the order of their names, or a page of them if
// read has a Limit.
func (x *Collection[S, T]) List(ctx context.Context, read Read) (*Page[S, T], error) {
	got, err := x.client.ListRaw(ctx, x.kind, x.pool, read)
	if err != nil {
		return nil, err
	}
	return decode[Page[S, T]](got)
}

// All yields the objects one by one, as of one revision, and reads them in
// pages of read.Limit. An error is the last thing that it yields, such as
// [IsCompacted] where the reader takes so long that the revision is forgotten.
func (x *Collection[S, T]) All(ctx context.Context, read Read) iter.Seq2[*fsm.Object[S, T], error] {
	return func(yield func(*fsm.Object[S, T], error) bool) {
		if read.Limit == 0 {
			read.Limit = 1000
		}
		for {
			page, err := x.List(ctx, read)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, object := range page.Items {
				if !yield(object, nil) {
					return
				}
			}
			if read.Page = page.Next; page.Next == "" {
				return
			}
		}
	}
}

// Written is what became of the write of one object.
type Written[S fsm.Spec, T any] struct {
	Outcome
	// Object is the object as the write left it; nil after a deletion or a dry
	// run.
	Object *fsm.Object[S, T]
}

// Create creates an object; [IsConflict] tells of an error that the name is
// taken. A backend without a name gets one. Everything of the spec is sent: use
// its SetDefaults first, where it has one, and set over that.
func (x *Collection[S, T]) Create(ctx context.Context, object *fsm.Object[S, T], write Write) (*Written[S, T], error) {
	body := map[string]any{"labels": object.Labels, "spec": object.Spec}
	if object.Name != "" {
		body["name"] = object.Name
	}
	got, err := x.client.CreateRaw(ctx, x.kind, firstOf(x.pool, object.Pool), body, write)
	return x.written(got, err)
}

// Put creates an object or replaces its labels and spec.
func (x *Collection[S, T]) Put(ctx context.Context, object *fsm.Object[S, T], write Write) (*Written[S, T], error) {
	r := x.ref(object.Name)
	r.Pool = x.poolOf(firstOf(x.pool, object.Pool))
	got, err := x.client.PutRaw(ctx, r, map[string]any{"labels": object.Labels, "spec": object.Spec}, write)
	return x.written(got, err)
}

// Patch merges a JSON document (RFC 7396), such as {"spec":{"weight":5}}, into
// an object; null removes. The node reads, merges and compares, so that nobody
// else's change is lost.
func (x *Collection[S, T]) Patch(ctx context.Context, name string, patch any, write Write) (*Written[S, T], error) {
	got, err := x.client.PatchRaw(ctx, x.ref(name), patch, write)
	return x.written(got, err)
}

// Delete removes an object. That there is none is no error, unless
// write.MustExist is set.
func (x *Collection[S, T]) Delete(ctx context.Context, name string, write Write) (*Written[S, T], error) {
	got, err := x.client.Delete(ctx, x.ref(name), write)
	return x.written(got, err)
}

func (x *Collection[S, T]) written(got *Answer, err error) (*Written[S, T], error) {
	if err != nil {
		return nil, err
	}
	outcome, err := got.Outcome()
	if err != nil {
		return nil, err
	}
	w := &Written[S, T]{Outcome: *outcome}
	if outcome.Dry == nil && len(got.Body) > 0 {
		w.Object, err = decode[fsm.Object[S, T]](got)
	}
	return w, err
}

func (x *Collection[S, T]) ref(name string) fsm.Ref {
	return fsm.Ref{Kind: x.kind, Pool: x.poolOf(x.pool), Name: name}
}

func (x *Collection[S, T]) poolOf(pool string) string {
	if x.kind == fsm.KindBackend {
		return firstOf(pool, DefaultPool)
	}
	return ""
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

func decode[T any](got *Answer) (*T, error) {
	value := new(T)
	if err := got.Decode(value); err != nil {
		return nil, err
	}
	return value, nil
}

// GetRaw returns one object as JSON.
func (c *Client) GetRaw(ctx context.Context, ref fsm.Ref, read Read) (*Answer, error) {
	path, err := Path(ref)
	if err != nil {
		return nil, err
	}
	return c.read(ctx, path, read)
}

// ListRaw returns a list of objects as JSON: items, revision and next. Pool is
// for backends, and empty for those of all pools.
func (c *Client) ListRaw(ctx context.Context, kind fsm.Kind, pool string, read Read) (*Answer, error) {
	read.pool = pool
	return c.read(ctx, "/v1/"+string(kind)+"s", read)
}

// CreateRaw creates an object from a JSON document with labels, spec, and a
// name unless one is to be made up. A backend's pool may stand in the document
// instead of in pool. Body is marshalled.
func (c *Client) CreateRaw(ctx context.Context, kind fsm.Kind, pool string, body any, write Write) (*Answer, error) {
	path := "/v1/" + string(kind) + "s"
	if kind == fsm.KindBackend && pool != "" {
		path = "/v1/pools/" + url.PathEscape(pool) + "/backends"
	}
	return c.writeJSON(ctx, http.MethodPost, path, body, write)
}

// PutRaw creates or replaces an object from a JSON document with labels and
// spec. Body is marshalled.
func (c *Client) PutRaw(ctx context.Context, ref fsm.Ref, body any, write Write) (*Answer, error) {
	return c.writeObject(ctx, http.MethodPut, ref, body, write)
}

// PatchRaw merges a JSON document into an object (RFC 7396). Patch is
// marshalled.
func (c *Client) PatchRaw(ctx context.Context, ref fsm.Ref, patch any, write Write) (*Answer, error) {
	return c.writeObject(ctx, http.MethodPatch, ref, patch, write)
}

// Delete removes an object.
func (c *Client) Delete(ctx context.Context, ref fsm.Ref, write Write) (*Answer, error) {
	return c.writeObject(ctx, http.MethodDelete, ref, nil, write)
}

func (c *Client) writeObject(ctx context.Context, method string, ref fsm.Ref, body any, write Write) (*Answer, error) {
	path, err := Path(ref)
	if err != nil {
		return nil, err
	}
	return c.writeJSON(ctx, method, path, body, write)
}

// Path returns where the API has an object.
func Path(ref fsm.Ref) (string, error) {
	switch {
	case ref.Name == "" || ref.Kind == "":
		return "", fmt.Errorf("the name of %q is incomplete: it needs a kind and a name", ref.String())
	case ref.Name == "." || ref.Name == ".." || ref.Pool == "." || ref.Pool == "..":
		return "", fmt.Errorf("%q is no name of an object", ref.String())
	case ref.Kind != fsm.KindBackend:
		return "/v1/" + string(ref.Kind) + "s/" + url.PathEscape(ref.Name), nil
	case ref.Pool == "":
		return "", fmt.Errorf("%q names no pool, and names of backends are unique within a pool only", ref.String())
	}
	return "/v1/pools/" + url.PathEscape(ref.Pool) + "/backends/" + url.PathEscape(ref.Name), nil
}

// Heartbeat renews a backend whose spec has a ttl. If uid is not empty, only the
// registration with that Meta.UID is. [IsNotFound] tells of an error that it is
// not registered, or not any more: register it again.
func (c *Client) Heartbeat(ctx context.Context, pool, name, uid string) error {
	path, err := Path(fsm.Ref{Kind: fsm.KindBackend, Pool: pool, Name: name})
	if err != nil {
		return err
	}
	path += "/heartbeat"
	if uid != "" {
		path += "?uid=" + url.QueryEscape(uid)
	}
	// Twice is as good as once.
	_, err = c.Do(ctx, Request{Method: http.MethodPut, Path: path, Harmless: true})
	return err
}

// Outcome is what became of a write.
type Outcome struct {
	// Revision is one that has the write. It may be a later one than the write
	// made; the object's own is in its Meta.
	Revision uint64
	// Created tells that the object did not exist.
	Created bool
	// Waited is how a wait for all nodes ended: WaitedAll, WaitedTimeout, or
	// empty if nobody asked for it. Lagging are the nodes that did not serve the
	// revision by then.
	Waited  string
	Lagging []string
	// Dry is, after a dry run, what would change.
	Dry *Diff
}

// How a wait for all nodes ended.
const (
	WaitedAll     = "all"
	WaitedTimeout = "timeout"
)

// Outcome reads what an answer says of the write that it answers.
func (a *Answer) Outcome() (*Outcome, error) {
	o := &Outcome{
		Revision: a.Revision(), Created: a.Status == http.StatusCreated,
		Waited: a.Header.Get("X-Evenkeel-Wait"), Lagging: splitList(a.Header.Get("X-Evenkeel-Lagging")),
	}
	if !a.dry {
		return o, nil
	}
	diff, err := decode[Diff](a)
	o.Dry = diff
	return o, err
}

// etag is how a revision stands in If-Match.
func etag(revision uint64) string { return `"` + strconv.FormatUint(revision, 10) + `"` }

func marshal(body any) ([]byte, error) {
	if raw, ok := body.([]byte); ok {
		return raw, nil
	}
	data, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode what is sent: %w", err)
	}
	return data, nil
}
