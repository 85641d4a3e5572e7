package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// newFakeAPI answers the n-th write with that status.
func newFakeAPI(t *testing.T, status func(n int) int) (address string, paths func() map[string]int) {
	t.Helper()
	var mu sync.Mutex // guards seen
	seen := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // of a client that left: nobody minds
		mu.Lock()
		n := 0
		for _, count := range seen {
			n += count
		}
		seen[r.Method+" "+r.URL.Path+" "+string(body)]++
		mu.Unlock()
		w.WriteHeader(status(n))
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		return seen
	}
}

func numbered(n int) (string, string) { return fmt.Sprintf("/%d", n), fmt.Sprint(n) }

func TestEverythingIsWrittenOnce(t *testing.T) {
	api, paths := newFakeAPI(t, func(int) int { return http.StatusCreated })
	w := putAll(t.Context(), api, puts{workers: 8, count: 100, item: numbered})
	if err := w.complete(100); err != nil || w.Failed > 0 {
		t.Fatalf("%+v: %v", w, err)
	}
	for n := range 100 {
		if got := paths()[fmt.Sprintf("PUT /%d %d", n, n)]; got != 1 {
			t.Errorf("item %d was written %d times", n, got)
		}
	}
}

func TestAWriteWithoutALeaderIsRepeated(t *testing.T) {
	api, _ := newFakeAPI(t, func(n int) int {
		if n%2 == 0 {
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	})
	if w := putAll(t.Context(), api, puts{workers: 1, count: 3, item: numbered}); w.Done != 3 || w.Failed > 0 {
		t.Errorf("%+v, want 3 done", w)
	}
}

func TestARefusedWriteEndsTheFill(t *testing.T) {
	api, _ := newFakeAPI(t, func(n int) int {
		if n == 5 {
			return http.StatusConflict
		}
		return http.StatusOK
	})
	w := putAll(t.Context(), api, puts{workers: 1, count: 1000, item: numbered})
	if err := w.complete(1000); w.Done != 5 || w.Failed != 1 || !strings.Contains(fmt.Sprint(err), "409") {
		t.Errorf("%+v: %v; want 5 done and the refusal", w, err)
	}
}

func TestTheWriterChangesAtItsRateUntilItsInputEnds(t *testing.T) {
	api, paths := newFakeAPI(t, func(int) int { return http.StatusOK })
	job, err := json.Marshal(WriterJob{API: api, Rate: 100, Workers: 4, Backends: []WriterBackend{{"/a", "h:1"}, {"/b", "h:2"}}})
	if err != nil {
		t.Fatal(err)
	}
	input, hold := io.Pipe()
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	context.AfterFunc(ctx, func() { hold.Close() })
	var out bytes.Buffer
	if err := writerMain(io.MultiReader(bytes.NewReader(job), input), &out); err != nil {
		t.Fatal(err)
	}
	var w Written
	if err := json.Unmarshal(out.Bytes(), &w); err != nil {
		t.Fatal(err)
	}
	// A slow machine makes it fewer, and nothing makes it more.
	if limit := w.Elapsed.Seconds()*100 + 1; w.Done < 2 || float64(w.Done) > limit || w.Failed > 0 {
		t.Errorf("%+v; want 2 to %v writes", w, limit)
	}
	for _, write := range []string{`PUT /a {"address":"h:1","weight":1}`, `PUT /b {"address":"h:2","weight":1}`} {
		if paths()[write] == 0 {
			t.Errorf("there was no %s", write)
		}
	}
}
