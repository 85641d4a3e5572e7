package client

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"evenkeel/fsm"
)

// Diff is what a write changes, or what lies between two revisions.
type Diff struct {
	// Revision is what the write made, or what the diff leads to.
	Revision uint64   `json:"revision"`
	Changes  []Change `json:"changes"`
	// Unchanged is how many of the objects that were written are as they were.
	Unchanged int `json:"unchanged"`
	// Owner is, after an apply, whose objects they are.
	Owner string `json:"owner,omitempty"`
	// Brief is how many of the changes, the last ones, are told without Fields,
	// Before and After, and LeftOff how many more there are that are not told.
	Brief   int `json:"brief,omitempty"`
	LeftOff int `json:"left_off,omitempty"`
}

// Change is what becomes of one object.
type Change struct {
	Kind   fsm.Kind `json:"kind"`
	Pool   string   `json:"pool,omitempty"`
	Name   string   `json:"name"`
	Action Action   `json:"action"`
	// Fields are, for an update, the fields that differ.
	Fields []Field `json:"fields,omitempty"`
	// Before and After are the object without its status; nil: there is none.
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
}

// Ref returns the name of the object.
func (c *Change) Ref() fsm.Ref { return fsm.Ref{Kind: c.Kind, Pool: c.Pool, Name: c.Name} }

// Action is what is done to an object.
type Action string

// The actions.
const (
	ActionCreate Action = "create"
	ActionUpdate Action = "update"
	ActionDelete Action = "delete"
)

// Field is one field that differs; nil is a field that there is not.
type Field struct {
	Pointer string          `json:"pointer"`
	Before  json.RawMessage `json:"before,omitempty"`
	After   json.RawMessage `json:"after,omitempty"`
}

// Operation is one part of a transaction.
type Operation struct {
	// Op is "put", "patch" or "delete".
	Op   string   `json:"op"`
	Kind fsm.Kind `json:"kind"`
	Pool string   `json:"pool,omitempty"`
	Name string   `json:"name"`
	// IfMatch is the revision that the object must have, IfNoneMatch that it must
	// not exist.
	IfMatch     uint64 `json:"if_match,omitempty"`
	IfNoneMatch bool   `json:"if_none_match,omitempty"`
	// Labels and Spec are marshalled: a spec of package fsm, or any JSON.
	Labels any `json:"labels,omitempty"`
	Spec   any `json:"spec,omitempty"`
}

// TxnResult is what became of a transaction.
type TxnResult struct {
	Outcome
	// Results has one entry per operation; none after a dry run.
	Results []OperationResult
}

// OperationResult is what became of one operation.
type OperationResult struct {
	Kind    fsm.Kind `json:"kind"`
	Pool    string   `json:"pool"`
	Name    string   `json:"name"`
	Created bool     `json:"created"`
	Changed bool     `json:"changed"`
	// Object is the object as the transaction left it; nil after a deletion.
	Object json.RawMessage `json:"object"`
}

// Txn makes all of the operations at one revision, or none of them; then the
// [*Problem] lists every fault of every operation, with pointers such as
// /operations/3/spec/weight.
func (c *Client) Txn(ctx context.Context, operations []Operation, write Write) (*TxnResult, error) {
	got, err := c.writeJSON(ctx, http.MethodPost, "/v1/txn", map[string]any{"operations": operations}, write)
	if err != nil {
		return nil, err
	}
	outcome, err := got.Outcome()
	if err != nil {
		return nil, err
	}
	result := &TxnResult{Outcome: *outcome}
	if outcome.Dry != nil {
		return result, nil
	}
	var answer struct {
		Revision uint64            `json:"revision"`
		Results  []OperationResult `json:"results"`
	}
	if err := got.Decode(&answer); err != nil {
		return nil, err
	}
	result.Revision, result.Results = answer.Revision, answer.Results
	return result, nil
}

// Apply is how a manifest is applied.
type Apply struct {
	// Owner is put on every object as its owner label; empty: what the manifest
	// says.
	Owner string
	// Prune deletes what bears the same owner and is not in the manifest.
	Prune bool
}

// Applied is a diff and what became of its write. Of a write without a change
// there is no revision of its own.
type Applied struct {
	Diff
	Outcome Outcome
	// Body is the diff as the node wrote it.
	Body []byte `json:"-"`
}

// Apply writes all objects of a manifest, YAML or JSON, at one revision or not
// at all. At most 16 MiB of JSON, or 4 MiB of YAML.
func (c *Client) Apply(ctx context.Context, manifest []byte, apply Apply, write Write) (*Applied, error) {
	if apply.Prune {
		write.query = append(write.query, "prune=true")
	}
	if apply.Owner != "" {
		write.query = append(write.query, "owner="+url.QueryEscape(apply.Owner))
	}
	write.contentType = "application/yaml"
	if looksLikeJSON(manifest) {
		write.contentType = "application/json"
	}
	if manifest == nil {
		manifest = []byte{}
	}
	return c.applied(c.write(ctx, http.MethodPost, "/v1/apply", manifest, write))
}

// looksLikeJSON tells JSON from YAML, of which it is a part: its parser gives
// better errors.
func looksLikeJSON(manifest []byte) bool {
	text := bytes.TrimLeft(manifest, " \t\r\n")
	return len(text) > 0 && (text[0] == '{' || text[0] == '[') && json.Valid(text)
}

// applied reads the answer to a write that is a diff whether or not it was a
// dry run.
func (c *Client) applied(got *Answer, err error) (*Applied, error) {
	if err != nil {
		return nil, err
	}
	diff, err := decode[Diff](got)
	if err != nil {
		return nil, err
	}
	outcome, err := got.Outcome()
	if err != nil {
		return nil, err
	}
	return &Applied{Diff: *diff, Outcome: *outcome, Body: got.Body}, nil
}

// Export is which objects are exported, and how. The zero value exports all of
// them as YAML.
type Export struct {
	// JSON asks for JSON instead.
	JSON   bool
	Labels []string // as in Read
	Owner  string
	Kinds  []fsm.Kind
	// Linearizable is as in Read.
	Linearizable bool
}

// Export returns a manifest: applied, it changes nothing. It holds no tokens and no
// keys of certificates.
func (c *Client) Export(ctx context.Context, export Export) ([]byte, error) {
	query := []string{"format=yaml"}
	if export.JSON {
		query[0] = "format=json"
	}
	if export.Owner != "" {
		query = append(query, "owner="+url.QueryEscape(export.Owner))
	}
	if kinds := joinKinds(export.Kinds); kinds != "" {
		query = append(query, "kind="+kinds)
	}
	query = append(query, Read{Labels: export.Labels, Linearizable: export.Linearizable}.query()...)
	got, err := c.Do(ctx, Request{
		Method: http.MethodGet, Path: withQuery("/v1/export", query),
		Header: http.Header{"Accept": {"application/yaml, application/json, application/problem+json"}},
	})
	if err != nil {
		return nil, err
	}
	return got.Body, nil
}

func joinKinds(kinds []fsm.Kind) string {
	text := ""
	for i, kind := range kinds {
		if i > 0 {
			text += ","
		}
		text += url.QueryEscape(string(kind))
	}
	return text
}
