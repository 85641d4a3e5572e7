package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"evenkeel/cluster"
	"evenkeel/fsm"
	"evenkeel/httpapi"
)

func TestFailuresOfTheClusterBecomeProblems(t *testing.T) {
	for name, c := range map[string]struct {
		result fsm.Result
		err    error
		status int
		kind   string
	}{
		"no leader":                               {err: fmt.Errorf("propose: %w", cluster.ErrNoQuorum), status: 503, kind: "no-quorum"},
		"an unknown outcome":                      {err: fmt.Errorf("propose: %w", cluster.ErrOutcomeUnknown), status: 504, kind: "outcome-unknown"},
		"too many writes":                         {err: fmt.Errorf("propose: %w", cluster.ErrOverloaded), status: 503, kind: "overloaded"},
		"a node that stops":                       {err: fmt.Errorf("propose: %w", cluster.ErrStopping), status: 503, kind: "stopping"},
		"a detached node":                         {err: fmt.Errorf("propose: %w: disk hangs", cluster.ErrDetached), status: 503, kind: "detached"},
		"the handler's limit":                     {err: context.DeadlineExceeded, status: 504, kind: "outcome-unknown"},
		"an error of the node":                    {err: errors.New("boom"), status: 500, kind: "internal"},
		"more than one command holds":             {result: fsm.Result{Err: &fsm.Error{Code: fsm.CodeTooLarge, Faults: []fsm.Fault{{Message: "large"}}}}, status: 413, kind: "body-too-large"},
		"a revision that is not confirmed":        {result: fsm.Result{Err: &fsm.Error{Code: fsm.CodeUnconfirmed, Faults: []fsm.Fault{{Message: "held"}}}}, status: 409, kind: "unconfirmed"},
		"another's object":                        {result: fsm.Result{Err: &fsm.Error{Code: fsm.CodeForbidden, Faults: []fsm.Fault{{Message: "labels"}}}}, status: 403, kind: "forbidden"},
		"a full registry":                         {result: fsm.Result{Err: &fsm.Error{Code: fsm.CodeLimit, Faults: []fsm.Fault{{Message: "full"}}}}, status: 409, kind: "registry-full"},
		"a forgotten repeat":                      {result: fsm.Result{Err: &fsm.Error{Code: fsm.CodeForgotten, Faults: []fsm.Fault{{Message: "too old"}}}}, status: 504, kind: "outcome-unknown"},
		"a repeat of what has been deleted since": {result: fsm.Result{Repeat: true}, status: 504, kind: "outcome-unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newClient(t)
			api.cluster.propose = func(fsm.Operation) (fsm.Result, error) { return c.result, c.err }
			for _, got := range []answer{api.send("PUT", "/v1/pools/p", `{}`), api.send("POST", "/v1/pools", `{}`)} {
				got.wantProblem(c.status, c.kind)
				if c.kind == "no-quorum" {
					got.wantHeader("Retry-After", "1")
				}
			}
			if c.err != nil {
				api.send("DELETE", "/v1/pools/p", "").wantProblem(c.status, c.kind)
			}
			api.send("GET", "/v1/pools/default", "").want(200)
			api.send("GET", "/readyz", "").want(200)
		})
	}
}

func TestARepeatedCommandIsAnsweredWithWhatItMade(t *testing.T) {
	c := newClient(t)
	c.cluster.propose = func(op fsm.Operation) (fsm.Result, error) {
		first := c.cluster.perform(fsm.Command{Actor: "me", Op: op})
		return fsm.Result{Version: first.Version, Revision: first.Revision, Created: first.Created, Repeat: true}, nil
	}
	c.send("PUT", "/v1/pools/p", `{}`).want(201).wantAt("p", "name").wantHeader("Location", "/v1/pools/p")
}

func TestAPanicIsAProblemAndIsLogged(t *testing.T) {
	var log bytes.Buffer
	c := newClient(t, func(config *httpapi.Config) { config.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	c.cluster.members = func() []cluster.Member { panic("out of members") }
	c.send("GET", "/v1/nodes", "").wantProblem(500, "internal")
	if !strings.Contains(log.String(), "out of members") {
		t.Errorf("the log lacks the panic: %s", log.String())
	}
}

// TestAnAnswerThatHasBegunIsCutByAPanic: half a list must not look whole.
func TestAnAnswerThatHasBegunIsCutByAPanic(t *testing.T) {
	c := newClient(t)
	for i := range 400 { // more than the buffer holds
		c.cluster.apply(t, fsm.Put{Pool: "default", Name: fmt.Sprintf("b%d", i), Spec: fsm.BackendSpec{Address: fmt.Sprintf("h:%d", i+1), AdminState: fsm.AdminReady}})
	}
	w := &panickingWriter{ResponseRecorder: httptest.NewRecorder()}
	defer func() {
		if cause := recover(); cause != http.ErrAbortHandler {
			t.Errorf("panic %v, want that the connection is aborted", cause)
		}
	}()
	c.handler.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/v1/backends", nil))
}

type panickingWriter struct{ *httptest.ResponseRecorder }

func (*panickingWriter) Write([]byte) (int, error) { panic("the wire broke") }

func TestABodyOfUnknownLengthIsBoundedAndTimed(t *testing.T) {
	for name, c := range map[string]struct {
		body   io.Reader
		status int
	}{
		"a body that never ends":    {endless{}, 413},
		"a body that does not come": {iotest.ErrReader(os.ErrDeadlineExceeded), 408},
		"a body that breaks off":    {iotest.ErrReader(io.ErrUnexpectedEOF), 400},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			newClient(t).handler.ServeHTTP(w, httptest.NewRequest("PUT", "http://localhost/v1/pools/p", c.body))
			if w.Code != c.status || w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("status %d, want %d; body %s", w.Code, c.status, w.Body)
			}
		})
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}
