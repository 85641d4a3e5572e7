package client

import (
	"context"
	"net/http"
	"net/url"

	"evenkeel/fsm"
)

// Explain is the request of whose way one wants to know.
type Explain struct {
	// URL is what is asked for.
	URL string
	// Method is GET if it is empty.
	Method string
	// Headers are fields of the request, as NAME:VALUE.
	Headers []string
	// Client is the client's IP address, Listener where the request comes in;
	// empty: what the node supposes.
	Client, Listener string
}

// Explain returns what the asked node would do with a request, and why, without
// sending anything: an answer whose body is a JSON document.
func (c *Client) Explain(ctx context.Context, explain Explain) (*Answer, error) {
	query := []string{"url=" + url.QueryEscape(explain.URL)}
	add := func(name, value string) {
		if value != "" {
			query = append(query, name+"="+url.QueryEscape(value))
		}
	}
	add("method", explain.Method)
	for _, header := range explain.Headers {
		add("header", header)
	}
	add("client", explain.Client)
	add("listener", explain.Listener)
	return c.Do(ctx, Request{Method: http.MethodGet, Path: withQuery("/v1/explain", query)})
}

// Override puts an operator's word in place of the verdict about a backend.
type Override struct {
	// For is how long, such as "10m"; empty: until it is cleared.
	For    string     `json:"for,omitempty"`
	Health fsm.Health `json:"health"`           // up or down
	Reason string     `json:"reason,omitempty"` // why, for people
}

// Override sets an override and returns the backend as JSON.
func (c *Client) Override(ctx context.Context, pool, name string, override Override, write Write) (*Answer, error) {
	return c.override(ctx, http.MethodPut, pool, name, override, write)
}

// ClearOverride has a backend go by its verdict again.
func (c *Client) ClearOverride(ctx context.Context, pool, name string, write Write) (*Answer, error) {
	return c.override(ctx, http.MethodDelete, pool, name, nil, write)
}

func (c *Client) override(ctx context.Context, method, pool, name string, body any, write Write) (*Answer, error) {
	path, err := Path(fsm.Ref{Kind: fsm.KindBackend, Pool: pool, Name: name})
	if err != nil {
		return nil, err
	}
	return c.writeJSON(ctx, method, path+"/override", body, write)
}
