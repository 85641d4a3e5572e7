package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
)

const (
	// maxWatchers bounds those of one node, blocking ones too.
	maxWatchers = 4096
	// maxSnapshots bounds the snapshots that are sent at a time: each keeps the
	// state of its beginning.
	maxSnapshots = 8
	// maxBehind is how long a node that is asked for what comes after a revision
	// which it does not have is waited for.
	maxBehind = 5 * time.Second
)

// watching is what the watchers of a node share.
type watching struct {
	hub    hub
	frames frames
	count  atomic.Int64
	// snapshots holds one per snapshot that is sent.
	snapshots chan struct{}
	log       *logLimiter
	times     watchTimes
}

// watchTimes bound a stream.
type watchTimes struct {
	// heartbeat is how long a stream is silent at most.
	heartbeat time.Duration
	// write is how long a reader may take for one write of at most some 32 KiB or
	// one event.
	write time.Duration
	// lag is how long a reader may be behind without a break, and the most that a
	// snapshot may take.
	lag time.Duration
}

func newWatching(a *API) *watching {
	return &watching{
		hub: hub{watch: a.config.Cluster.Watch}, snapshots: make(chan struct{}, maxSnapshots), log: newLogLimiter(10 * time.Second),
		times: watchTimes{heartbeat: 10 * time.Second, write: 10 * time.Second, lag: time.Minute},
	}
}

// watchQuery are the query parameters of a watch.
var watchQuery = []string{"since", "snapshot", "index", "wait", "kind", "name", "pool", "label"}

// watchKinds are the kinds of objects whose changes are told.
func watchKinds() []fsm.Kind {
	return []fsm.Kind{fsm.KindListener, fsm.KindRoute, fsm.KindPool, fsm.KindBackend, fsm.KindCertificate, fsm.KindToken}
}

// watchRequest is what a watcher asks for.
type watchRequest struct {
	filter *filter
	// since is the revision after which events are wanted, if from is set; else
	// they are from now on.
	since uint64
	from  bool
	// snapshot has all objects told first.
	snapshot bool
	// blocking wants one answer, after at most wait.
	blocking bool
	wait     time.Duration
	until    time.Time
}

// Bounds of the parameter wait.
const (
	defaultBlocking = 30 * time.Second
	maxBlocking     = 5 * time.Minute
)

func readWatch(r *http.Request, g gate) (*watchRequest, error) {
	query := r.URL.Query()
	filter, wrong := newFilter(query, g, watchKinds())
	q := &watchRequest{filter: filter, blocking: query.Has("index"), wait: defaultBlocking}
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	number := func(what, text string) {
		var err error
		if q.since, err = strconv.ParseUint(text, 10, 64); err != nil {
			complain("%s %q: write a revision, a number from 0 on", what, clip(text))
		}
		q.from = true
	}
	last := r.Header.Get("Last-Event-ID")
	switch {
	case q.blocking:
		number("index", query.Get("index"))
		if query.Has("since") || query.Has("snapshot") {
			complain("index asks for one answer, since and snapshot for a stream: send either")
		}
	case last != "": // also where the path has since: an EventSource repeats that for ever
		number("Last-Event-ID", last)
	case query.Has("since"):
		number("since", query.Get("since"))
	}
	if query.Has("wait") {
		var err error
		if q.wait, err = readSpan(query, "wait", maxBlocking); err != nil {
			complain("%s", err)
		}
		if !q.blocking {
			complain("wait: it is of index, which is not given")
		}
	}
	switch snapshot := query.Get("snapshot"); {
	case !query.Has("snapshot"), snapshot == "false":
	case snapshot != "true":
		complain("snapshot %q: write true or false", clip(snapshot))
	case last != "": // what came before is known
	case q.since > 0:
		complain("snapshot=true begins with what is there now: since can only be 0, or left out")
	default:
		q.snapshot = true
	}
	if len(wrong) > 0 {
		return nil, queryProblem(wrong)
	}
	return q, nil
}

// queryProblem is a request whose query has those faults.
func queryProblem(wrong []string) error {
	return problem.New(problem.InvalidRequest, "%s", strings.Join(wrong, "; "))
}

// readSpan reads a time span of at most limit.
func readSpan(query url.Values, name string, limit time.Duration) (time.Duration, error) {
	text := query.Get(name)
	span, err := time.ParseDuration(text)
	if err != nil || span < 0 || span > limit {
		return 0, fmt.Errorf("%s %q: write a time span of at most %s, such as 10s", name, clip(text), limit)
	}
	return span, nil
}

// watch tells what changes.
func (a *API) watch(w http.ResponseWriter, r *http.Request) error {
	q, err := readWatch(r, a.gateOf(r))
	if err != nil {
		return err
	}
	if slices.Contains(q.filter.kinds, string(fsm.KindToken)) { // else they are left out
		if err := permit(principalOf(r), need{role: fsm.RoleAdmin, whole: true}); err != nil {
			return err
		}
	}
	if count := a.watching.count.Add(1); count > maxWatchers {
		a.watching.count.Add(-1)
		return problem.New(problem.Overloaded, "%d watchers are at this node already: watch at another one, or fewer things one by one", maxWatchers).With("Retry-After", "10")
	}
	defer a.watching.count.Add(-1)
	a.watching.hub.join()
	defer a.watching.hub.leave()
	ctx, cancel := endless(r)
	defer cancel()
	s, err := a.begun(ctx, w, q)
	if err != nil {
		return err
	}
	if q.blocking {
		return a.watchOnce(ctx, w, r, q)
	}
	return a.stream(ctx, w, r, q, s)
}

// begun returns the state with which a watch begins.
func (a *API) begun(ctx context.Context, w http.ResponseWriter, q *watchRequest) (*fsm.State, error) {
	wait := maxBehind
	if q.blocking {
		wait, q.until = q.wait, time.Now().Add(q.wait)
		if err := allow(w, time.Now().Add(wait+writeTimeout)); err != nil {
			return nil, err
		}
	}
	s, err := a.reach(ctx, q.since, wait)
	if err != nil {
		return nil, err
	}
	a.setRevision(w, s.Revision())
	switch {
	case q.snapshot:
	case !q.from:
		q.since = s.Revision()
	case q.since < s.OldestRevision():
		return nil, compactedAt(s, q.since)
	}
	return s, nil
}

// reach waits until this node has a revision.
func (a *API) reach(ctx context.Context, revision uint64, wait time.Duration) (*fsm.State, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	s, ok := a.watching.hub.reach(ctx, revision)
	if !ok {
		return nil, problem.New(problem.NotYet, "this node is at revision %d, and did not get to %d within %s", s.Revision(), revision, wait).With("Retry-After", "1")
	}
	return s, nil
}
