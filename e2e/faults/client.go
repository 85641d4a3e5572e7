package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"evenkeel/e2e/harness"
)

// operationTimeout is when a client gives an operation up: a node that is
// paused never answers, and the others answer within seconds.
const operationTimeout = 4 * time.Second

// apiClient sends operations over a keep-alive connection of its own. It is
// for one goroutine.
type apiClient struct {
	http http.Client
}

func newAPIClient() *apiClient {
	return &apiClient{http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1, DisableCompression: true}}}
}

func (c *apiClient) close() { c.http.CloseIdleConnections() }

// perform sends the operation and fills in what came of it. The error is what
// the API never promised to answer.
//
// net/http repeats a GET by itself when a kept connection has ended, and
// nothing else once a byte was sent: a read may be repeated, a write may not.
func (c *apiClient) perform(api harness.API, o *operation) error {
	ctx, cancel := context.WithTimeout(context.Background(), operationTimeout)
	defer cancel()
	request, err := newRequest(ctx, api, o)
	if err != nil {
		o.Outcome = outcomeRefused
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		o.Outcome, o.Detail = outcomeUnknown, err.Error()
		if dial := (*net.OpError)(nil); errors.As(err, &dial) && dial.Op == "dial" {
			o.Outcome = outcomeRefused // there was no connection to send it on
		}
		return nil
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		o.Outcome, o.Detail = outcomeUnknown, fmt.Sprintf("%s, and %v", response.Status, err)
		return nil
	}
	return o.answered(response, body)
}

func newRequest(ctx context.Context, api harness.API, o *operation) (*http.Request, error) {
	method, query := http.MethodPut, ""
	var body io.Reader
	switch o.Kind {
	case kindRead:
		method, query = http.MethodGet, "?consistency=linearizable"
	case kindDelete, kindDeleteAt:
		method = http.MethodDelete
	default:
		body = strings.NewReader(fmt.Sprintf(`{"labels":{%q:%q}}`, valueLabel, o.Value))
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+api.Address+"/v1/pools/"+o.Key+query, body)
	if err != nil {
		return nil, err
	}
	if api.Token != "" {
		request.Header.Set("Authorization", "Bearer "+api.Token)
	}
	switch o.Kind {
	case kindSwap, kindDeleteAt:
		request.Header.Set("If-Match", strconv.Quote(strconv.FormatUint(o.Expected, 10)))
	case kindCreate:
		request.Header.Set("If-None-Match", "*")
	}
	return request, nil
}

// valueLabel is the label that holds a key's value. A key is a pool without
// backends, so that a change of it is a change of the registry and little else.
const valueLabel = "value"

// answered fills in what an answer says.
func (o *operation) answered(response *http.Response, body []byte) error {
	o.Detail = response.Status
	o.State, _ = strconv.ParseUint(response.Header.Get("X-Evenkeel-Revision"), 10, 64) // 0: it does not say
	switch response.StatusCode {
	case http.StatusOK, http.StatusCreated:
		return o.answeredObject(response.StatusCode, body)
	case http.StatusNoContent:
		o.Outcome = outcomeDone
		return nil
	case http.StatusPreconditionFailed:
		o.Outcome = outcomeUnmet
		return nil
	}
	return o.answeredProblem(response.StatusCode, body)
}

func (o *operation) answeredObject(status int, body []byte) error {
	var object struct {
		Labels map[string]string
		Meta   harness.ObjectMeta
	}
	if err := json.Unmarshal(body, &object); err != nil || object.Meta.Revision == 0 {
		o.Outcome = outcomeUnknown
		return fmt.Errorf("no object: %v in %.200q", err, body)
	}
	o.Outcome = outcomeDone
	value := object.Labels[valueLabel]
	switch {
	case o.Kind == kindRead:
		o.Seen, o.Revision = value, object.Meta.Revision
		if value == "" {
			return fmt.Errorf("an object without a value: %.200q", body)
		}
		return nil
	case value == o.Value:
		o.Revision = object.Meta.Revision
	default:
		// A node that learned of its write by a snapshot answers with what
		// stands there by then.
		o.Detail += ", " + value
	}
	o.Before = beforePresent
	if status == http.StatusCreated {
		o.Before = beforeAbsent
	}
	return nil
}

// answeredProblem sorts refusals by whether the write may have been made.
func (o *operation) answeredProblem(status int, body []byte) error {
	var problem harness.Problem
	if err := json.Unmarshal(body, &problem); err != nil {
		o.Outcome = outcomeUnknown
		return fmt.Errorf("status %d: %w in %.200q", status, err, body)
	}
	name := path.Base(problem.Type)
	o.Detail += ", " + name
	switch {
	case name == "not-found" && o.Kind == kindRead:
		o.Outcome = outcomeDone
	case name == "no-quorum", name == "overloaded", name == "detached", name == "stopping":
		o.Outcome = outcomeRefused
	case name == "outcome-unknown":
		o.Outcome = outcomeUnknown
	default:
		o.Outcome = outcomeUnknown
		return fmt.Errorf("status %d: %.300q", status, body)
	}
	return nil
}
