package httpapi

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"evenkeel/httpapi/problem"
)

// The header fields of every answer; the last one of every read.
const (
	headerNode     = "X-Evenkeel-Node"
	headerRevision = "X-Evenkeel-Revision"
	headerAge      = "X-Evenkeel-Age"
)

// handlerFunc answers a request, or returns why it did not. It writes nothing
// before it is sure to return nil.
type handlerFunc func(w http.ResponseWriter, r *http.Request) error

func (a *API) handle(h handlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			a.fail(w, r, err)
		}
	})
}

// outer is around everything: the header fields of every answer, the time a
// request may take, what becomes of a panic, and the count of answers.
func (a *API) outer(next http.Handler) http.Handler {
	// Values that all answers share, under names as http.Header has them.
	node, nosniff, noStore := []string{a.config.NodeName}, []string{"nosniff"}, []string{"no-store"}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header[headerNode] = node
		a.setRevision(w, a.config.Cluster.State().Revision())
		header["X-Content-Type-Options"] = nosniff
		header["Cache-Control"] = noStore
		ctx := newTimed(r.Context(), timeLimit(r))
		defer ctx.end()
		tracked := &trackedWriter{ResponseWriter: w}
		func() {
			defer a.recoverPanic(tracked, r)
			next.ServeHTTP(tracked, r.WithContext(ctx))
		}()
		a.metrics.answered(r.Method, tracked.sent())
	})
}

// timeLimit is how long a request may take. The handler looks at how long it is to
// wait.
func timeLimit(r *http.Request) time.Duration {
	if r.URL.RawQuery == "" {
		return requestTimeout
	}
	if query := r.URL.Query(); query.Has("wait") || query.Has("timeout") {
		return requestTimeout + maxWait
	}
	return requestTimeout
}

// toldRevision is a revision as header fields have it; it must not be changed.
type toldRevision struct {
	revision uint64
	values   []string
}

// setRevision says which revision the answer is of. The last one is kept, since
// most answers between two changes say the same, and each says it twice.
func (a *API) setRevision(w http.ResponseWriter, revision uint64) {
	told := a.told.Load()
	if told == nil || told.revision != revision {
		told = &toldRevision{revision, []string{strconv.FormatUint(revision, 10)}}
		a.told.Store(told)
	}
	w.Header()[headerRevision] = told.values
}

// setAge says how old what is read may be, in seconds, if that is known.
func setAge(w http.ResponseWriter, age time.Duration, known bool) {
	if known {
		w.Header()[headerAge] = []string{strconv.FormatFloat(age.Seconds(), 'f', 3, 64)}
	}
}

// recoverPanic turns a panic into a problem. When the answer has begun it
// cannot be taken back, so the connection is cut.
func (a *API) recoverPanic(w *trackedWriter, r *http.Request) {
	cause := recover()
	if cause == nil {
		return
	}
	if cause == http.ErrAbortHandler {
		panic(cause)
	}
	a.config.Logger.Error("api handler panicked", "method", r.Method, "path", r.URL.Path, "panic", cause, "stack", string(debug.Stack()))
	if w.begun {
		panic(http.ErrAbortHandler)
	}
	a.fail(w, r, problem.New(problem.Internal, "the handler of this path panicked; the log has the stack"))
}

// trackedWriter knows whether the answer has begun, and with which status.
type trackedWriter struct {
	http.ResponseWriter
	begun  bool
	status int // 0 until it is told
}

// sent is the status of an answer that has ended.
func (w *trackedWriter) sent() int { return cmp.Or(w.status, http.StatusOK) }

func (w *trackedWriter) WriteHeader(status int) {
	if w.begun = true; w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *trackedWriter) Write(data []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(data)
}

// Unwrap lets [http.ResponseController] reach the connection.
func (w *trackedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// fail answers with the problem that err is or stands for.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, errGone) {
		a.config.Logger.Debug("api answer not written", "path", r.URL.Path, "error", err)
		return
	}
	p := asProblem(err)
	if p.Kind == problem.Internal {
		a.config.Logger.Error("api request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	write := p.Write
	if p.Kind == problem.BodyTooLarge {
		write = func(w http.ResponseWriter) error { return refuseBody(w, r, p) }
	}
	if err := write(w); err != nil {
		a.config.Logger.Debug("api answer not written", "path", r.URL.Path, "error", err)
	}
}

// writeJSON sends value as the whole answer.
func writeJSON(w http.ResponseWriter, status int, value any) error {
	body, err := encode(value)
	if err != nil {
		return err
	}
	return writeBody(w, status, body)
}

func encode(value any) ([]byte, error) {
	body, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return append(body, '\n'), nil
}

// jsonType is shared by all answers.
var jsonType = []string{"application/json"}

// writeBody sends encoded JSON as the whole answer.
func writeBody(w http.ResponseWriter, status int, body []byte) error {
	w.Header()["Content-Type"] = jsonType
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, err := w.Write(body)
	return gone(err)
}

// errGone marks an answer that could not be sent: there is nobody left to tell.
var errGone = errors.New("the client is gone")

func gone(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errGone, err)
}

// checkQuery refuses parameters that the path does not know, so that a typing
// error is not a silent no.
func checkQuery(r *http.Request, allowed []string) error {
	if r.URL.RawQuery == "" {
		return nil
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return problem.New(problem.InvalidRequest, "query %q: %s", clip(r.URL.RawQuery), clip(err.Error()))
	}
	var wrong []string
	for name, values := range query {
		switch {
		case slices.Contains(allowed, repeated(name)):
		case !slices.Contains(allowed, name), strings.HasSuffix(name, repeatable):
			wrong = append(wrong, fmt.Sprintf("%q is not known here", clip(name)))
		case len(values) > 1:
			wrong = append(wrong, fmt.Sprintf("%q is given %d times", name, len(values)))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	known := "this path takes none"
	if len(allowed) > 0 {
		known = "this path takes " + strings.Join(allowed, ", ")
	}
	return problem.New(problem.InvalidRequest, "query parameter %s; %s", clip(strings.Join(wrong, ", ")), known)
}

// repeated is the name of a query parameter, for [API.serve], that may be given
// several times.
func repeated(name string) string { return name + repeatable }

const repeatable = " (repeatable)"

func notFound(_ http.ResponseWriter, r *http.Request) error {
	return problem.New(problem.NotFound, "there is no path %q; GET /v1/openapi.json lists all", clip(r.URL.Path))
}

// methodNotAllowed finds out what would be allowed by asking the router.
func methodNotAllowed(router *mux.Router) handlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) error {
		var allowed []string
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			asked := *r
			asked.Method = method
			if match := (mux.RouteMatch{}); router.Match(&asked, &match) && match.MatchErr == nil {
				allowed = append(allowed, method)
			}
		}
		allow := strings.Join(allowed, ", ")
		return problem.New(problem.MethodNotAllowed, "%s is not possible on %q, only %s", clip(r.Method), clip(r.URL.Path), allow).With("Allow", allow)
	}
}

// clip keeps messages readable when a client sends something absurdly long.
func clip(text string) string {
	const limit = 200
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-3], "") + "..."
}
