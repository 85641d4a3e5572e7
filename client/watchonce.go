package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Events are what one blocking request of a watch tells.
type Events struct {
	// Revision is up to which everything was told: the Since of the next request.
	Revision uint64
	Events   []*Event
}

// WatchOnce returns the events after watch.Since as soon as there are any, or none
// when wait is over: 0 to 60 s, and 0 is for those that are there. It is for
// programs that ask in turns of their own and keep no stream; [Client.Watch] is
// for all others. [IsCompacted] tells of an error that the events after Since are
// no longer known. It is not asked for a snapshot: a list has its revision.
func (c *Client) WatchOnce(ctx context.Context, watch Watch, wait time.Duration) (*Events, error) {
	switch {
	case watch.Snapshot:
		return nil, errors.New("one request of a watch takes no snapshot: list the objects, and watch from the revision of the answer on")
	case wait < 0:
		return nil, fmt.Errorf("%s is no time to wait: give one from 0s to 60s", wait)
	}
	query := append([]string{"index=" + strconv.FormatUint(watch.Since, 10), "wait=" + wait.String()}, watch.filters()...)
	got, err := c.Do(ctx, Request{Method: http.MethodGet, Path: withQuery("/v1/watch", query), Wait: wait})
	if err != nil {
		return nil, err
	}
	var document struct {
		Revision uint64            `json:"revision"`
		Events   []json.RawMessage `json:"events"`
	}
	if err := got.Decode(&document); err != nil {
		return nil, err
	}
	told := &Events{Revision: document.Revision, Events: make([]*Event, len(document.Events))}
	for i, data := range document.Events {
		event := &Event{Type: EventPut, Data: data}
		if err := json.Unmarshal(data, event); err != nil {
			return nil, fmt.Errorf("read event %d of %s: %w (%w)", i, got.Base, errGarbage, err)
		}
		if event.Action == ActionDelete {
			event.Type = EventDelete
		}
		told.Events[i] = event
	}
	return told, nil
}
