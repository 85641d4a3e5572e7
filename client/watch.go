package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"evenkeel/fsm"
)

// Watch is what is watched, and from when on. The zero value watches everything
// from now on.
type Watch struct {
	// Since is the revision after which events are wanted; 0: from now on.
	Since uint64
	// Snapshot begins with all objects that there are, and excludes Since.
	Snapshot bool
	Kinds    []fsm.Kind
	Pool     string
	Name     string
	Labels   []string // as in [Read]
}

// EventType is what an event tells.
type EventType string

// The types of events.
const (
	// EventPut and EventDelete tell of one object.
	EventPut    EventType = "put"
	EventDelete EventType = "delete"
	// EventSync tells once, that all that was there before has been told.
	EventSync EventType = "sync"
	// EventReset tells that a snapshot was cut off and begins anew: what it told
	// of so far may be gone.
	EventReset EventType = "reset"
)

// Event is one event of a watch. Those of one revision come one after another.
type Event struct {
	Type     EventType `json:"-"`
	Revision uint64    `json:"revision"`
	Time     time.Time `json:"time"`
	Actor    string    `json:"actor"`
	Reason   string    `json:"reason"`
	Kind     fsm.Kind  `json:"kind"`
	Pool     string    `json:"pool"`
	Name     string    `json:"name"`
	Action   Action    `json:"action"`
	// Snapshot tells that the object is one of those that there were, ByFilter that
	// the object itself was not created or deleted: it is now among what is watched,
	// or no longer.
	Snapshot bool `json:"snapshot"`
	ByFilter bool `json:"by_filter"`
	// Object is the object as it is after the event, or was before its deletion.
	Object json.RawMessage `json:"object"`
	// Data is all of this as the node wrote it.
	Data json.RawMessage `json:"-"`
}

// Ref returns the name of the event's object.
func (e *Event) Ref() fsm.Ref { return fsm.Ref{Kind: e.Kind, Pool: e.Pool, Name: e.Name} }

// The times of a watch.
const (
	// maxSilence is how long a stream may be silent. A node writes something every
	// 10 s.
	maxSilence = 30 * time.Second
	// firstBackoff and maxBackoff bound the wait before a stream that ended is
	// opened again; it doubles until an event comes.
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 10 * time.Second
)

// Watch yields the events of the registry, each once and in order, until ctx is
// done or the loop over them is left. A stream that ends is taken up again
// where it ended, at another node if need be. An error is the last thing that is
// yielded: ctx's, or what cannot be helped by trying again. [IsCompacted] tells
// of one that the events after Since are no longer known; then read everything
// anew, for which there is Snapshot.
func (c *Client) Watch(ctx context.Context, watch Watch) iter.Seq2[*Event, error] {
	return func(yield func(*Event, error) bool) {
		if watch.Snapshot && watch.Since > 0 {
			yield(nil, fmt.Errorf("a watch takes either a snapshot or what came after revision %d", watch.Since))
			return
		}
		w := &watcher{client: c, watch: watch, yield: yield, last: watch.Since, known: watch.Since > 0}
		if err := w.run(ctx); err != nil && !errors.Is(err, errLeft) {
			yield(nil, err)
		}
	}
}

// errLeft tells that nobody wants more events.
var errLeft = errors.New("the loop was left")

// watcher is one watch on its way.
type watcher struct {
	client *Client
	watch  Watch
	yield  func(*Event, error) bool
	// last is the revision all of whose events were told, if known; told is how
	// many events of the one after it were.
	last  uint64
	known bool
	told  int
	// opened tells that a stream was opened once, fresh that something came of the
	// last one.
	opened, fresh bool
	// began tells that a part of a snapshot was told, synced that the sync was.
	began, synced bool
}

// run opens one stream after another.
func (w *watcher) run(ctx context.Context) error {
	backoff := firstBackoff
	for {
		w.fresh = false
		err := w.turn(ctx)
		switch {
		case errors.Is(err, errLeft):
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !w.opened, !worthReopening(err):
			return err
		}
		if w.fresh {
			backoff = firstBackoff
		}
		wait := backoff/2 + rand.N(backoff/2)
		backoff = min(2*backoff, maxBackoff)
		w.client.config.Notice(fmt.Sprintf("the watch was cut off (%s), taking it up again", firstLine(err)))
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// turn follows the first node that gives a stream.
func (w *watcher) turn(ctx context.Context) error {
	var failed []error
	for _, base := range w.client.turn() {
		w.fresh = false
		err := w.follow(ctx, base)
		if errors.Is(err, errLeft) || ctx.Err() != nil {
			return err
		}
		if worthReopening(err) {
			w.client.leave(base)
		}
		if w.fresh || !IsUnreached(err) && !worthReopening(err) {
			return err
		}
		failed = append(failed, err)
	}
	if len(failed) == 1 {
		return failed[0]
	}
	return errors.Join(failed...)
}

// worthReopening tells whether a stream that ended so may be opened again.
func worthReopening(err error) bool {
	var problem *Problem
	switch {
	case errors.As(err, &problem):
		return problem.Status >= http.StatusInternalServerError || problem.Kind() == ProblemTooSlow
	case errors.Is(err, errEventTooLong), errors.Is(err, errTooLong), errors.Is(err, errGarbage), IsUntrusted(err):
		return false
	}
	return true
}

// errGarbage marks a stream that is none of Evenkeel's.
var errGarbage = errors.New("not what Evenkeel sends; is that address its API?")

// follow opens a stream and tells its events until it ends, which is an error.
func (w *watcher) follow(ctx context.Context, base string) error {
	timeout := w.client.config.Timeout
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := time.AfterFunc(timeout, func() { cancel(fmt.Errorf("watch at %s: no answer within %s", base, timeout)) })
	defer late.Stop()
	response, err := w.client.open(ctx, base, w.request())
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return reach(base, timeout, err)
	}
	defer response.Body.Close()
	if err := w.refused(response, base); err != nil {
		return err
	}
	late.Stop()
	return w.listen(ctx, cancel, response.Body, base)
}

// refused returns what an answer that is no stream says.
func (w *watcher) refused(response *http.Response, base string) error {
	mediaType, _, _ := strings.Cut(response.Header.Get("Content-Type"), ";")
	if response.StatusCode == http.StatusOK && strings.TrimSpace(mediaType) == "text/event-stream" {
		return nil
	}
	body, err := w.client.readBody(response.Body)
	switch {
	case err != nil:
		return fmt.Errorf("read answer of %s: %w", base, err)
	case response.StatusCode/100 == 2:
		return fmt.Errorf("read answer of %s/v1/watch: its type is %q: %w", base, mediaType, errGarbage)
	}
	return readProblem("GET "+base+"/v1/watch", response.StatusCode, response.Header, body)
}

// request asks for what has not been told yet.
func (w *watcher) request() Request {
	query := []string{}
	header := http.Header{"Accept": {"text/event-stream, application/problem+json"}}
	switch {
	case w.known:
		header.Set("Last-Event-ID", strconv.FormatUint(w.last, 10))
	case w.watch.Snapshot:
		query = append(query, "since=0", "snapshot=true")
	}
	return Request{Method: http.MethodGet, Path: withQuery("/v1/watch", append(query, w.watch.filters()...)), Header: header}
}

// filters returns the parameters that say what is watched.
func (w Watch) filters() []string {
	var query []string
	for _, filter := range []struct{ name, value string }{
		{"kind", joinKinds(w.Kinds)},
		{"pool", url.QueryEscape(w.Pool)},
		{"name", url.QueryEscape(w.Name)},
		{"label", url.QueryEscape(strings.Join(w.Labels, ","))},
	} {
		if filter.value != "" {
			query = append(query, filter.name+"="+filter.value)
		}
	}
	return query
}

// listen tells the events of a stream that is open.
func (w *watcher) listen(ctx context.Context, cancel context.CancelCauseFunc, body io.Reader, base string) error {
	w.opened = true
	skip := w.told
	if !w.known {
		skip, w.told = 0, 0
		if w.watch.Snapshot && w.began {
			w.began = false
			if !w.yield(&Event{Type: EventReset}, nil) {
				return errLeft
			}
		}
	}
	silence := w.client.silence
	dead := time.AfterFunc(silence, func() { cancel(fmt.Errorf("%s was silent for %s", base, silence)) })
	defer dead.Stop()
	events := &stream{lines: bufio.NewReaderSize(body, 64<<10), alive: func() {
		w.fresh = true
		dead.Reset(silence)
	}}
	for {
		m, err := events.next()
		if err != nil {
			return streamEnd(ctx, base, err)
		}
		dead.Stop() // what the loop takes is no silence of the node
		if err := w.take(base, m, &skip); err != nil {
			return err
		}
		dead.Reset(silence)
	}
}

// streamEnd says why a stream ended.
func streamEnd(ctx context.Context, base string, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%s ended the stream", base)
	}
	return fmt.Errorf("read the stream of %s: %w", base, err)
}

// take tells one event, unless it is among the first skip ones, which were told
// before the stream was cut off.
func (w *watcher) take(base string, m message, skip *int) error {
	garbage := func(err error) error {
		return fmt.Errorf("read event %q of %s: %w (%w)", m.name, base, errGarbage, err)
	}
	switch EventType(m.name) {
	case EventSync:
		if err := w.finish(m); err != nil {
			return garbage(err)
		}
		if !w.synced {
			w.synced = true
			return w.give(&Event{Type: EventSync, Revision: w.last, Data: m.data})
		}
	case EventPut, EventDelete:
		event := &Event{Type: EventType(m.name), Data: m.data}
		if err := json.Unmarshal(m.data, event); err != nil {
			return garbage(err)
		}
		if *skip > 0 {
			*skip--
		} else {
			w.began = true
			w.told++
			if err := w.give(event); err != nil {
				return err
			}
		}
		if err := w.finish(m); err != nil {
			return garbage(err)
		}
	case "error":
		problem := readProblem("GET "+base+"/v1/watch", http.StatusInternalServerError, nil, m.data)
		var document struct{ Status int }
		if json.Unmarshal(m.data, &document) == nil && document.Status != 0 {
			problem.Status = document.Status
		}
		return problem
	default: // a heartbeat, or an event of a later version
		if err := w.finish(m); err != nil {
			return garbage(err)
		}
	}
	return nil
}

func (w *watcher) give(event *Event) error {
	if !w.yield(event, nil) {
		return errLeft
	}
	return nil
}

// finish notes the id of an event, which stands on the last one of a revision, and
// on heartbeats: up to there nothing more will come.
func (w *watcher) finish(m message) error {
	if !m.hasID || m.id == "" {
		return nil
	}
	revision, err := strconv.ParseUint(m.id, 10, 64)
	if err != nil {
		return fmt.Errorf("its id %q is no revision", m.id)
	}
	if !w.known || revision != w.last {
		w.told = 0
	}
	w.last, w.known = revision, true
	return nil
}
