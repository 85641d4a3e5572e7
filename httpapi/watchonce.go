package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// maxOnce is how many bytes of events one blocking answer has about; it ends with
// the revision that goes beyond.
const maxOnce = 4 << 20

// watchOnce answers as soon as there are events after the revision that is asked
// for, or when the time is over, with those that there are.
func (a *API) watchOnce(ctx context.Context, w http.ResponseWriter, r *http.Request, q *watchRequest) error {
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", "application/json")
		return nil
	}
	over := time.NewTimer(time.Until(q.until))
	defer over.Stop()
	ending := time.NewTimer(q.filter.left())
	defer ending.Stop()
	at := cursor{told: q.since}
	for late := false; ; {
		now := a.watching.hub.current.Load()
		events, err := a.after(&at, q)
		switch {
		case err != nil:
			return err
		case len(events) > 0 || late:
			return a.writeEvents(w, at.told, events)
		}
		ending.Reset(q.filter.left())
		select {
		case <-now.replaced:
		case <-ending.C: // which the next look finds
		case <-stopping(ctx):
			late = true
		case <-over.C:
			late = true
		case <-ctx.Done():
			return gone(ctx.Err())
		}
	}
}

// after returns the events after the cursor up to now.
func (a *API) after(at *cursor, q *watchRequest) ([]told, error) {
	if err := q.filter.valid(); err != nil {
		return nil, err
	}
	s := a.config.Cluster.State()
	events, _, err := at.next(s, q.filter, &a.watching.frames, nil, maxOnce, true)
	return events, err
}

// writeEvents sends {"revision":N,"events":[…]}; the revision is what to ask for
// next.
func (a *API) writeEvents(w http.ResponseWriter, revision uint64, events []told) error {
	a.setRevision(w, revision)
	w.Header().Set("Content-Type", "application/json")
	if err := allow(w, time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	body := []byte(`{"revision":` + strconv.FormatUint(revision, 10) + `,"events":[`)
	for i, e := range events {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, e.frame.data...)
		if len(body) < listBuffer {
			continue
		}
		if _, err := w.Write(body); err != nil {
			return gone(err)
		}
		body = body[:0]
	}
	_, err := w.Write(append(body, "]}\n"...))
	return gone(err)
}
