package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
)

// batchBytes is how many bytes of events are written at once, or one event that
// has more. A slow reader holds so much, and what the kernel has for it.
const batchBytes = 32 << 10

// Why a watcher was dropped, as the metric tells it.
const (
	dropBlocked   = "blocked"   // a write took too long
	dropLag       = "lag"       // it read, but too slowly
	dropCompacted = "compacted" // what came next is forgotten
	dropRefused   = "refused"   // it may not read any more
)

// dropReasons are all of these.
func dropReasons() []string { return []string{dropBlocked, dropLag, dropCompacted, dropRefused} }

// stream is one watcher that is sent events.
type stream struct {
	api     *API
	w       http.ResponseWriter
	control *http.ResponseController
	filter  *filter
	cursor  cursor
	// lastID is the revision from which on the reader would resume.
	lastID uint64
	synced bool
	// caughtUp is when the reader last had everything, or the stream's beginning.
	caughtUp time.Time
	batch    []told
	// written counts batches.
	written int
}

// stream sends events (HTML, section 9.2) until somebody ends it.
func (a *API) stream(ctx context.Context, w http.ResponseWriter, r *http.Request, q *watchRequest, s *fsm.State) error {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would keep events back
	if r.Method == http.MethodHead {
		return nil
	}
	st := &stream{
		api: a, w: w, control: http.NewResponseController(w), filter: q.filter,
		cursor: cursor{told: q.since}, lastID: q.since, caughtUp: time.Now(),
	}
	// Without this the server would take the time for reading a request for that of
	// its sender's departure.
	if err := st.control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return gone(err)
	}
	err := error(nil)
	if q.snapshot {
		err = st.snapshot(ctx, s)
	}
	s = nil // it may be kept by nobody for as long as the stream lasts
	if err == nil {
		err = st.follow(ctx)
	}
	return st.end(r, err)
}

// follow sends what comes until an error.
func (st *stream) follow(ctx context.Context) error {
	watching := st.api.watching
	heartbeat := time.NewTimer(watching.times.heartbeat)
	defer heartbeat.Stop()
	ending := time.NewTimer(st.filter.left())
	defer ending.Stop()
	for {
		now := watching.hub.current.Load()
		sent := st.written
		more, err := st.turn()
		if err != nil {
			return err
		}
		if more {
			select {
			case <-stopping(ctx):
				return errStops
			default:
				continue
			}
		}
		if st.written > sent {
			heartbeat.Reset(watching.times.heartbeat)
		}
		ending.Reset(st.filter.left())
		select {
		case <-now.replaced:
		case <-ending.C: // which the next turn finds
		case <-heartbeat.C:
			if err := st.beat(); err != nil {
				return err
			}
			heartbeat.Reset(watching.times.heartbeat)
		case <-stopping(ctx):
			return errStops
		case <-ctx.Done():
			return gone(ctx.Err())
		}
	}
}

// errStops ends a stream because the node stops.
var errStops = problem.New(problem.Stopping, "this node stops: watch on at another one, or here after a while")

// turn sends one batch. more tells that there is another at once.
func (st *stream) turn() (more bool, err error) {
	defer func() { // it keeps no events that were sent
		clear(st.batch)
		st.batch = st.batch[:0]
	}()
	if err := st.filter.valid(); err != nil {
		return false, err
	}
	more, err = st.collect()
	if err != nil {
		return false, err
	}
	if !more && !st.synced {
		if err := st.sync(); err != nil {
			return false, err
		}
	} else if err := st.send(); err != nil {
		return false, err
	}
	if !more {
		st.caughtUp = time.Now()
	} else if lag := st.api.watching.times.lag; time.Since(st.caughtUp) > lag {
		return false, problem.New(problem.TooSlow, "this watch was behind for %s without a break, at revision %d", lag, st.cursor.told)
	}
	return more, nil
}

// collect takes the next batch out of the state, which nothing keeps afterwards.
func (st *stream) collect() (more bool, err error) {
	s := st.api.config.Cluster.State()
	st.batch, more, err = st.cursor.next(s, st.filter, &st.api.watching.frames, st.batch, batchBytes, false)
	return more, err
}

// send writes the batch, if there is any.
func (st *stream) send() error {
	if len(st.batch) == 0 {
		return nil
	}
	if err := st.writeBatch(); err != nil {
		return err
	}
	return st.flush()
}

func (st *stream) writeBatch() error {
	if err := st.deadline(); err != nil {
		return err
	}
	st.written++
	for _, e := range st.batch {
		if e.id > 0 {
			if _, err := fmt.Fprintf(st.w, "id: %d\n", e.id); err != nil {
				return err
			}
			st.lastID = e.id
		}
		if _, err := st.w.Write(e.frame.text); err != nil {
			return err
		}
	}
	return nil
}

// sync tells that the reader has all that was there when it came.
func (st *stream) sync() error {
	if err := st.writeBatch(); err != nil {
		return err
	}
	st.synced, st.lastID = true, st.cursor.told
	if _, err := fmt.Fprintf(st.w, "id: %d\nevent: sync\ndata: {\"revision\":%d}\n\n", st.lastID, st.lastID); err != nil {
		return err
	}
	return st.flush()
}

// beat shows that the stream lives. An id without data is no event, but is where
// the reader resumes; without it, one whose filter lets nothing pass would one
// day ask for what is forgotten.
func (st *stream) beat() error {
	if err := st.filter.valid(); err != nil {
		return err
	}
	if err := st.deadline(); err != nil {
		return err
	}
	text := ":\n\n"
	if st.cursor.part == 0 && st.cursor.told > st.lastID {
		st.lastID = st.cursor.told
		text = fmt.Sprintf(":\nid: %d\n\n", st.lastID)
	}
	if _, err := st.w.Write([]byte(text)); err != nil {
		return err
	}
	return st.flush()
}

// deadline gives the reader time for what is written next.
func (st *stream) deadline() error {
	err := st.control.SetWriteDeadline(time.Now().Add(st.api.watching.times.write))
	if errors.Is(err, http.ErrNotSupported) { // there is no connection
		return nil
	}
	return err
}

// flush asks the innermost writer that can: those around it drop the error.
func (st *stream) flush() error {
	for w := st.w; ; {
		if inner, ok := w.(interface{ FlushError() error }); ok {
			return inner.FlushError()
		}
		outer, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		w = outer.Unwrap()
	}
	if err := st.control.Flush(); !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// snapshot tells all objects, and puts the cursor behind them.
func (st *stream) snapshot(ctx context.Context, s *fsm.State) error {
	watching := st.api.watching
	select {
	case watching.snapshots <- struct{}{}:
		defer func() { <-watching.snapshots }()
	case <-time.After(maxBehind):
		return problem.New(problem.Overloaded, "this node sends %d snapshots already: watch at another one, or again after a while", maxSnapshots)
	case <-stopping(ctx):
		return errStops
	case <-ctx.Done():
		return gone(ctx.Err())
	}
	out := bufio.NewWriterSize(unhurried{st}, batchBytes)
	until := time.Now().Add(watching.times.lag)
	for _, kind := range watchKinds() {
		for o := range s.ObjectsAfter(fsm.Ref{Kind: kind}) {
			if !st.filter.has(o) {
				continue
			}
			made, err := newFrame(eventOfObject(o))
			if err != nil {
				return err
			}
			if _, err := out.Write(made.text); err != nil {
				return err
			}
			if time.Now().After(until) {
				return problem.New(problem.TooSlow, "the snapshot was not read within %s", watching.times.lag)
			}
		}
	}
	st.cursor.told, st.caughtUp = s.Revision(), time.Now()
	return out.Flush()
}

func eventOfObject(o fsm.AnyObject) event {
	ref, meta := o.Ref(), o.GetMeta()
	return event{
		Revision: meta.Revision, Time: meta.Modified, Actor: meta.Actor,
		Kind: ref.Kind, Pool: ref.Pool, Name: ref.Name, Action: "create", Snapshot: true, Object: objectOfEvent(o),
	}
}

// unhurried gives the reader time for each write.
type unhurried struct{ *stream }

func (u unhurried) Write(data []byte) (int, error) {
	if err := u.deadline(); err != nil {
		return 0, err
	}
	return u.w.Write(data)
}

// end tells the reader why its stream ends, as far as it can be told, and counts
// and logs if it was dropped.
func (st *stream) end(r *http.Request, cause error) error {
	if errors.Is(cause, os.ErrDeadlineExceeded) { // what was written is cut somewhere
		st.dropped(r, dropBlocked)
		return gone(cause)
	}
	var p *problem.Problem
	if !errors.As(cause, &p) {
		return gone(cause)
	}
	switch p.Kind {
	case problem.Compacted:
		st.dropped(r, dropCompacted)
	case problem.TooSlow:
		st.dropped(r, dropLag)
	case problem.Unauthorized:
		st.dropped(r, dropRefused)
	}
	document, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := st.deadline(); err != nil {
		return gone(err)
	}
	if _, err := fmt.Fprintf(st.w, "event: error\ndata: %s\n\n", document); err != nil {
		return gone(err)
	}
	return gone(st.flush())
}

func (st *stream) dropped(r *http.Request, reason string) {
	st.api.metrics.watchDrops.WithLabelValues(reason).Inc()
	if missed, ok := st.api.watching.log.allow(); ok {
		st.api.config.Logger.Warn("watcher dropped", "remote", remoteHost(r), "actor", actor(r), "reason", reason,
			"revision", st.cursor.told, "more_since_last", missed)
	}
}
