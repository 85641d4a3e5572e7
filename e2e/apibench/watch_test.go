//go:build linux

package apibench

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

const (
	watchers    = 1000
	watched     = 50 // writes that are watched
	watchPause  = 250 * time.Millisecond
	mostWatched = 50 // ms, at the 99th percentile
)

// watcher is one stream of events.
type watcher struct {
	conn   net.Conn
	reader *bufio.Reader
}

// dialWatch begins to watch one backend, and returns once the stream has begun.
func dialWatch(address string) (*watcher, error) {
	conn, err := net.DialTimeout("tcp", address, callTimeout)
	if err != nil {
		return nil, err
	}
	w := &watcher{conn, bufio.NewReader(conn)}
	if _, err := fmt.Fprintf(conn, "GET /v1/watch?kind=backend&pool=%s&name=%s HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n\r\n", readPool, readName, address); err != nil {
		return nil, err
	}
	response, err := http.ReadResponse(w.reader, nil)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET /v1/watch: %s", response.Status)
	}
	// The body is looked at line by line; chunks begin and end between lines.
	w.reader = bufio.NewReader(response.Body)
	return w, nil
}

// follow tells when each event that a revision ends with came, until the connection
// is closed.
func (w *watcher) follow(came func(revision uint64, at time.Time)) {
	put := false
	for {
		line, err := w.reader.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return
		}
		switch {
		case bytes.HasPrefix(line, []byte("event: put")):
			put = true
		case bytes.HasPrefix(line, []byte("data: ")) && put:
			if revision, ok := revisionOf(line); ok {
				came(revision, time.Now())
			}
			put = false
		}
	}
}

// revisionOf reads the first member "revision" of an event's data.
func revisionOf(data []byte) (uint64, bool) {
	_, rest, found := bytes.Cut(data, []byte(`"revision":`))
	digits := 0
	for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
		digits++
	}
	revision, err := strconv.ParseUint(string(rest[:digits]), 10, 64)
	return revision, found && err == nil
}

// arrivals are when watchers saw revisions.
type arrivals struct {
	mu   sync.Mutex // guards at
	at   map[uint64][]time.Time
	seen int
}

func (a *arrivals) came(revision uint64, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at[revision] = append(a.at[revision], at)
	a.seen++
}

// watches is from the acknowledgement of a write until each of many watchers of the
// three nodes has its event.
func (b *bed) watches(t *testing.T) {
	order := b.nodeOrder(t)
	seen := &arrivals{at: map[uint64][]time.Time{}}
	var following sync.WaitGroup
	defer following.Wait() // once all that follow are closed
	for i := range watchers {
		w, err := dialWatch(order[i%len(order)])
		if err != nil {
			t.Fatal(err)
		}
		defer w.conn.Close()
		following.Go(func() { w.follow(seen.came) })
	}
	acknowledged := map[uint64]time.Time{}
	writer, err := dialWeb(order[0])
	if err != nil {
		t.Fatal(err)
	}
	defer writer.close()
	path := "/v1/pools/" + readPool + "/backends/" + readName
	for i := range watched {
		status, body, err := writer.call(http.MethodPut, path, document(1, 2+i%100))
		if err != nil {
			t.Fatal(err)
		}
		if err := want(status, body, http.StatusOK, http.StatusCreated); err != nil {
			t.Fatal(err)
		}
		acknowledged[writer.revision] = time.Now()
		<-time.After(watchPause)
	}
	harness.Eventually(t, "every watcher has every event", func() error {
		seen.mu.Lock()
		defer seen.mu.Unlock()
		if all := len(acknowledged) * watchers; seen.seen < all {
			return fmt.Errorf("%d of %d so far", seen.seen, all)
		}
		return nil
	})
	seen.mu.Lock()
	defer seen.mu.Unlock()
	var spans []float64
	for revision, at := range acknowledged {
		for _, came := range seen.at[revision] {
			spans = append(spans, max(inMillis(came.Sub(at)), 0))
		}
	}
	p99 := quantile(spans, 0.99)
	judge(fmt.Sprintf("acknowledgement until the event at %d watchers of 3 nodes, p99", watchers), fmt.Sprintf("≤ %d ms", mostWatched),
		fmt.Sprintf("%s (p50 %s, of %d)", millis(p99), millis(quantile(spans, 0.5)), len(spans)), p99 <= mostWatched)
}

// judge adds the line of a figure of ours alone.
func judge(what, toReach, measured string, reached bool) {
	word := "no"
	if reached {
		word = "yes"
	}
	add(row{what: what, toReach: toReach, ours: measured, reached: word})
}
