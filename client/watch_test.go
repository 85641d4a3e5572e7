package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"evenkeel/fsm"
)

// streams sends a text as a stream, and ends it.
func streams(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, text)
	}
}

// put is an event; id 0: none.
func put(revision int, name string, id int) string {
	text := fmt.Sprintf("event: put\ndata: {\"revision\":%d,\"kind\":\"pool\",\"name\":%q,\"action\":\"update\"}\n", revision, name)
	if id > 0 {
		text = fmt.Sprintf("id: %d\n", id) + text
	}
	return text + "\n"
}

func synced(id int) string { return fmt.Sprintf("id: %d\nevent: sync\ndata: {}\n\n", id) }

// watched returns the first n events of a watch, and its error.
func watched(ctx context.Context, c *Client, watch Watch, n int) (told []string, err error) {
	for event, err := range c.Watch(ctx, watch) {
		if err != nil {
			return told, err
		}
		told = append(told, strings.TrimSpace(string(event.Type)+" "+event.Name+" "+strconv.FormatUint(event.Revision, 10)))
		if len(told) == n {
			return told, nil
		}
	}
	return told, nil
}

// resumes returns which event each request went on from.
func (n *node) resumes() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []string
	for _, r := range n.asked {
		all = append(all, r.Header.Get("Last-Event-ID"))
	}
	return all
}

func TestAWatchThatIsCutOffTellsEachEventOnce(t *testing.T) {
	n := newNode(t, inTurn(
		streams(synced(5)+put(6, "a", 6)+put(7, "b", 0)+put(7, "c", 0)), // cut off within revision 7
		dies,                               //
		streams(put(7, "b", 0)),            // once more, and earlier
		says(503, problemBody("stopping")), //
		streams(put(7, "b", 0)+put(7, "c", 0)+put(7, "d", 7)+put(8, "b", 8)+"event: put\ndata"), // and within an event
		streams(synced(8)+": heartbeat\n\nevent: later\ndata: x\n\n"+put(9, "e", 9)),
	))
	c := newClient(t, Config{}, n.url)
	told, err := watched(within(t), c, Watch{}, 7)
	if err != nil {
		t.Error(err)
	}
	equal(t, "told", told, "sync  5", "put a 6", "put b 7", "put c 7", "put d 7", "put b 8", "put e 9")
	equal(t, "resumed after", n.resumes(), "", "6", "6", "6", "6", "8")
}

func TestAWatchGoesOnAtAnotherNode(t *testing.T) {
	first := newNode(t, inTurn(streams(put(6, "a", 6)), dies))
	second := newNode(t, streams(put(7, "b", 7)))
	c := newClient(t, Config{}, refused(t), first.url, second.url)
	told, err := watched(within(t), c, Watch{Since: 5, Kinds: []fsm.Kind{fsm.KindPool, fsm.KindRoute}, Name: "a", Pool: "p", Labels: []string{"x=y"}}, 2)
	if err != nil {
		t.Error(err)
	}
	equal(t, "told", told, "put a 6", "put b 7")
	equal(t, "resumed after", append(first.resumes(), second.resumes()...), "5", "6")
	equal(t, "asked", second.requests(), "GET /v1/watch?kind=pool,route&pool=p&name=a&label=x%3Dy")
}

func TestAHeartbeatMovesWhereAWatchResumes(t *testing.T) {
	n := newNode(t, inTurn(
		streams(synced(5)+put(6, "a", 0)+":\nid: 5\n\n"), // within revision 6
		streams(put(6, "a", 0)+put(6, "b", 6)+":\nid: 40\n\n"),
		streams(put(41, "c", 41)),
	))
	told, err := watched(within(t), newClient(t, Config{}, n.url), Watch{}, 4)
	if err != nil {
		t.Error(err)
	}
	equal(t, "told", told, "sync  5", "put a 6", "put b 6", "put c 41")
	equal(t, "resumed after", n.resumes(), "", "5", "40")
}

func TestASnapshotThatIsCutOffBeginsAnew(t *testing.T) {
	n := newNode(t, inTurn(streams(put(1, "gone", 0)+put(2, "a", 0)), streams(put(2, "a", 0)+synced(9)), streams(put(10, "b", 10))))
	c := newClient(t, Config{}, n.url)
	told, err := watched(within(t), c, Watch{Snapshot: true}, 6)
	if err != nil {
		t.Error(err)
	}
	equal(t, "told", told, "put gone 1", "put a 2", "reset  0", "put a 2", "sync  9", "put b 10")
	equal(t, "asked", n.requests(), "GET /v1/watch?since=0&snapshot=true", "GET /v1/watch?since=0&snapshot=true", "GET /v1/watch")
}

func TestWhatEndsAWatch(t *testing.T) {
	compacted := "event: error\ndata: " + strings.Replace(problemBody("compacted"), "{", `{"status":410,`, 1) + "\n\n"
	for name, test := range map[string]struct {
		answers []http.HandlerFunc
		is      func(error) bool
		asked   int
	}{
		"what was asked for is forgotten":          {[]http.HandlerFunc{says(410, problemBody("compacted"))}, IsCompacted, 1},
		"it is forgotten meanwhile":                {[]http.HandlerFunc{streams(synced(5) + compacted)}, IsCompacted, 1},
		"a token that is not good":                 {[]http.HandlerFunc{says(401, problemBody("unauthorized"))}, IsUnauthorized, 1},
		"a page that is no stream":                 {[]http.HandlerFunc{says(200, "<html>")}, func(err error) bool { return errors.Is(err, errGarbage) }, 1},
		"an event that is no JSON":                 {[]http.HandlerFunc{streams("event: put\ndata: {\n\n")}, func(err error) bool { return errors.Is(err, errGarbage) }, 1},
		"an id that is no revision":                {[]http.HandlerFunc{streams("id: x\nevent: sync\ndata: {}\n\n")}, func(err error) bool { return errors.Is(err, errGarbage) }, 1},
		"an event without an end":                  {[]http.HandlerFunc{streams("data: " + strings.Repeat("x", maxEvent))}, func(err error) bool { return errors.Is(err, errEventTooLong) }, 1},
		"an event of many lines without an end":    {[]http.HandlerFunc{streams(strings.Repeat("data: "+strings.Repeat("x", 1<<20)+"\n", 5))}, func(err error) bool { return errors.Is(err, errEventTooLong) }, 1},
		"a node that does not watch, at the start": {[]http.HandlerFunc{says(503, problemBody("overloaded"))}, func(err error) bool { return problemOf(err).Kind() == "overloaded" }, 1},
		"forgotten while it was cut off":           {[]http.HandlerFunc{streams(synced(5)), says(410, problemBody("compacted"))}, IsCompacted, 2},
		"one that was too slow is not the end": {[]http.HandlerFunc{
			streams(synced(5) + "event: error\ndata: " + strings.Replace(problemBody("too-slow"), "{", `{"status":408,`, 1) + "\n\n"),
			says(410, problemBody("compacted"))}, IsCompacted, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, inTurn(test.answers...))
			_, err := watched(within(t), newClient(t, Config{}, n.url), Watch{Since: 3}, 1000)
			if !test.is(err) || len(n.requests()) != test.asked {
				t.Errorf("error %v after %q", err, n.requests())
			}
		})
	}
	if _, err := watched(within(t), newClient(t, Config{}, refused(t)), Watch{}, 1); !IsUnreached(err) {
		t.Error(err)
	}
	if _, err := watched(within(t), newClient(t, Config{}, "a"), Watch{Since: 1, Snapshot: true}, 1); err == nil {
		t.Error("both a snapshot and a revision")
	}
}

func TestASilentNodeIsLeft(t *testing.T) {
	silent := newNode(t, func(w http.ResponseWriter, r *http.Request) {
		streams(synced(5))(w, r)
		_ = http.NewResponseController(w).Flush()
		hangs(w, r)
	})
	mute := newNode(t, hangs)
	other := newNode(t, streams(put(6, "a", 6)))
	c := newClient(t, Config{Timeout: 300 * time.Millisecond}, silent.url, mute.url, other.url)
	c.silence = 50 * time.Millisecond
	told, err := watched(within(t), c, Watch{}, 2)
	if err != nil {
		t.Error(err)
	}
	equal(t, "told", told, "sync  5", "put a 6")
}

func TestAWatchEndsWithItsContext(t *testing.T) {
	n := newNode(t, func(w http.ResponseWriter, r *http.Request) {
		streams(synced(5))(w, r)
		_ = http.NewResponseController(w).Flush()
		hangs(w, r)
	})
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	c := newClient(t, Config{}, n.url)
	var last error
	for event, err := range c.Watch(ctx, Watch{}) {
		if last = err; event != nil {
			cancel()
		}
	}
	if !errors.Is(last, context.Canceled) {
		t.Error(last)
	}
}

func FuzzStream(f *testing.F) {
	for _, seed := range []string{put(6, "a", 6) + synced(7), "data: a\ndata:b\r\n\r\n", ":\n\n", "id\n\n", "data", "\x00\n\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := &stream{lines: bufio.NewReaderSize(strings.NewReader(text), 16), alive: func() {}}
		for range len(text) + 1 {
			m, err := s.next()
			if err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Error(err)
				}
				return
			}
			if strings.ContainsAny(m.name+m.id, "\n") {
				t.Errorf("event %q with id %q", m.name, m.id)
			}
		}
		t.Error("more events than bytes")
	})
}
