package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"evenkeel/client"
)

// Problem is an answer of the API that is an error.
type Problem = client.Problem

// get decodes an answer into value, which may be nil.
func get(ctx context.Context, c *client.Client, path string, value any) (*client.Answer, error) {
	got, err := c.Do(ctx, client.Request{Method: http.MethodGet, Path: path})
	if err != nil || value == nil {
		return got, err
	}
	if err := got.Decode(value); err != nil {
		return nil, fmt.Errorf("GET %s: %w", path, err)
	}
	return got, nil
}

// hinted adds to an error what a person at a command line can do about it.
func hinted(err error) error {
	switch {
	case client.IsUntrusted(err):
		return fmt.Errorf("%w\nname the file with the cluster's certificate authority, which evenkeel secret ca prints, with --ca-file or EVENKEEL_API_CA", err)
	case client.IsUnreached(err):
		return fmt.Errorf("%w\nis a node running there? start one with `evenkeel serve`, or name another with --api or EVENKEEL_API", err)
	}
	return err
}

// missing turns the answer that an object is not as the request demands, which is
// that it exists, into what that means.
func missing(err error, format string, args ...any) error {
	var problem *Problem
	if errors.As(err, &problem) && problem.Status == http.StatusPreconditionFailed {
		problem.Status, problem.Title, problem.Detail = http.StatusNotFound, fmt.Sprintf(format, args...), ""
	}
	return err
}
