package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

// TestAWatchIsTakenUpAtAnotherNodeWhenItsNodeIsKilled reads the stream as a client
// does that knows server-sent events and nothing of ours.
func TestAWatchIsTakenUpAtAnotherNodeWhenItsNodeIsKilled(t *testing.T) {
	const writes, before = 60, 20
	cluster := harness.NewCluster(t, harness.Options{Nodes: 3})
	watched, next, written := cluster.Nodes[0], cluster.Nodes[1], cluster.Nodes[2]
	ctx, cancel := context.WithTimeout(t.Context(), 2*harness.Patience)
	defer cancel()

	first := openEvents(t, ctx, watched, "?kind=backend", "")
	first.until(t, func(e serverEvent) bool { return e.kind == "sync" })
	for i := range before {
		putNumbered(t, written, i)
	}
	told := first.names(t, before)
	id := first.lastID
	watched.Process.Kill()
	for i := before; i < writes; i++ {
		putNumbered(t, written, i)
	}
	second := openEvents(t, ctx, next, "?kind=backend", id)
	told = append(told, second.names(t, writes-before)...)
	want := make([]string, writes)
	for i := range want {
		want[i] = numberedName(i)
	}
	if !slices.Equal(told, want) {
		t.Errorf("it told of\n%v, want\n%v", told, want)
	}
}

func numberedName(i int) string { return fmt.Sprintf("watched-%d", i) }

// putNumbered writes again what met a cluster without a leader.
func putNumbered(t *testing.T, node *harness.Node, i int) {
	t.Helper()
	harness.Eventually(t, "a backend is written", func() error {
		answer, err := node.Call(http.MethodPut, "/v1/pools/default/backends/"+numberedName(i), map[string]any{"address": fmt.Sprintf("10.9.0.%d:80", i)})
		if err == nil && answer.Status != http.StatusCreated && answer.Status != http.StatusOK {
			err = fmt.Errorf("%d %s", answer.Status, answer.Body)
		}
		return err
	})
}

type serverEvent struct{ kind, data string }

// events is a stream of server-sent events.
type events struct {
	lines  *bufio.Scanner
	lastID string
}

func openEvents(t *testing.T, ctx context.Context, node *harness.Node, query, lastID string) *events {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+node.Address+"/v1/watch"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastID != "" {
		request.Header.Set("Last-Event-ID", lastID)
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true, ResponseHeaderTimeout: 30 * time.Second}}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	if response.StatusCode != http.StatusOK {
		t.Fatalf("watch at %s: %s", node.Name, response.Status)
	}
	return &events{lines: bufio.NewScanner(response.Body)}
}

// next returns the next event that has data.
func (e *events) next(t *testing.T) serverEvent {
	t.Helper()
	var event serverEvent
	for e.lines.Scan() {
		field, value, _ := strings.Cut(e.lines.Text(), ": ")
		switch {
		case e.lines.Text() == "" && event.data != "":
			return event
		case field == "id":
			e.lastID = value
		case field == "event":
			event.kind = value
		case field == "data":
			event.data = value
		}
	}
	t.Fatalf("the stream ended: %v", e.lines.Err())
	return event
}

func (e *events) until(t *testing.T, wanted func(serverEvent) bool) {
	t.Helper()
	for !wanted(e.next(t)) {
	}
}

// names returns the names of the next objects that were put.
func (e *events) names(t *testing.T, count int) []string {
	t.Helper()
	var names []string
	for len(names) < count {
		event := e.next(t)
		if event.kind == "sync" {
			continue
		}
		var change struct{ Name string }
		if err := json.Unmarshal([]byte(event.data), &change); err != nil || event.kind != "put" {
			t.Fatalf("event %+v: %v", event, err)
		}
		names = append(names, change.Name)
	}
	return names
}
