package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// callTimeout bounds one call of the API. The API itself answers within a few
// seconds whatever the cluster does.
const callTimeout = 20 * time.Second

// API talks to the API of one node.
type API struct {
	Address string
	Token   string // sent as bearer token if not ""
}

// Answer is one answer of the API.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Problem is the body of an answer that refuses, after RFC 9457.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

// Object is one object of the registry as the API shows it.
type Object struct {
	Pool   string          `json:"pool"`
	Name   string          `json:"name"`
	Spec   map[string]any  `json:"spec"`
	Status ObjectStatus    `json:"status"`
	Meta   ObjectMeta      `json:"meta"`
	Local  json.RawMessage `json:"local"`
}

// ObjectStatus is the part of an object's status that the scenarios read.
type ObjectStatus struct {
	Health string            `json:"health"`
	Votes  []json.RawMessage `json:"votes"`
}

// ObjectMeta is the part of an object's meta that the scenarios read.
type ObjectMeta struct {
	UID      string `json:"uid"`
	Revision uint64 `json:"revision"`
}

// ClusterInfo is the answer to GET /v1/cluster.
type ClusterInfo struct {
	ID       string `json:"id"`
	Leader   string `json:"leader"`
	Quorum   bool   `json:"quorum"`
	Term     uint64 `json:"term"`
	Revision uint64 `json:"revision"`
	Version  uint64 `json:"version"`
	Digest   string `json:"digest"`
	// Detached is why the node has no part in Raft, or "".
	Detached string `json:"detached"`
}

// NodeInfo is one item of GET /v1/nodes.
type NodeInfo struct {
	Name    string `json:"name"`
	Witness bool   `json:"witness"`
	UID     string `json:"uid"`
	Role    string `json:"role"`
	State   string `json:"state"`
}

// client opens a connection for each call, so that a node's death costs no
// later call a stale connection.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: callTimeout}

// Call sends a request. The body is sent as JSON, but a string, []byte or nil
// as it is. header holds names and values in turn.
func (a API) Call(method, path string, body any, header ...string) (*Answer, error) {
	var content []byte
	switch body := body.(type) {
	case nil:
	case string:
		content = []byte(body)
	case []byte:
		content = body
	default:
		var err error
		if content, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://"+a.Address+path, bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	if a.Token != "" {
		request.Header.Set("Authorization", "Bearer "+a.Token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer := &Answer{Status: response.StatusCode, Header: response.Header}
	if answer.Body, err = io.ReadAll(response.Body); err != nil {
		return nil, fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	return answer, nil
}

// Get reads a path and decodes the answer, which must be 200.
func (a API) Get(path string, into any) error {
	answer, err := a.Call(http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK {
		return fmt.Errorf("GET %s: %d %s", path, answer.Status, answer.Body)
	}
	if err := json.Unmarshal(answer.Body, into); err != nil {
		return fmt.Errorf("GET %s: %w in %s", path, err, answer.Body)
	}
	return nil
}

// Cluster reads /v1/cluster.
func (a API) Cluster() (ClusterInfo, error) {
	var info ClusterInfo
	err := a.Get("/v1/cluster", &info)
	return info, err
}

// Members reads /v1/nodes.
func (a API) Members() ([]NodeInfo, error) {
	var list struct{ Items []NodeInfo }
	err := a.Get("/v1/nodes", &list)
	return list.Items, err
}

// Backends reads the backends of a pool by name.
func (a API) Backends(pool string) (map[string]Object, error) {
	var list struct{ Items []Object }
	if err := a.Get("/v1/backends?pool="+pool, &list); err != nil {
		return nil, err
	}
	byName := make(map[string]Object, len(list.Items))
	for _, object := range list.Items {
		byName[object.Name] = object
	}
	return byName, nil
}

// Ready asks /readyz.
func (a API) Ready() error {
	answer, err := a.Call(http.MethodGet, "/readyz", nil)
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK {
		return fmt.Errorf("GET /readyz: %d %s", answer.Status, answer.Body)
	}
	return nil
}

// Write sends a write until it is accepted: while there is no leader the API
// answers 503, and 504 when it does not know the outcome. Any other refusal
// fails the test.
func (a API) Write(t testing.TB, method, path string, body any) *Answer {
	t.Helper()
	var accepted *Answer
	Eventually(t, method+" "+path, func() error {
		answer, err := a.Call(method, path, body)
		if err != nil {
			return err
		}
		switch answer.Status {
		case http.StatusOK, http.StatusCreated, http.StatusNoContent:
			accepted = answer
			return nil
		case http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return fmt.Errorf("%d %s", answer.Status, answer.Body)
		}
		t.Fatalf("%s %s: %d %s", method, path, answer.Status, answer.Body)
		return nil
	})
	return accepted
}

// Add registers backends in the default pool.
func (a API) Add(t testing.TB, backends ...*Backend) {
	t.Helper()
	for _, b := range backends {
		// PUT, because the repetition of a POST whose answer was lost would be
		// a conflict.
		a.Write(t, http.MethodPut, "/v1/pools/default/backends/"+b.Name, map[string]any{"address": b.Address})
	}
}
