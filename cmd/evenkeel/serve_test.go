package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"evenkeel/cmd/evenkeel/cli"
	"evenkeel/cmd/evenkeel/sample"
)

// logBuffer is a log that one goroutine writes and another reads.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// find returns the first log entry with that message, or nil.
func (l *logBuffer) find(message string) map[string]any {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		var entry map[string]any
		if json.Unmarshal([]byte(line), &entry) == nil && entry["msg"] == message {
			return entry
		}
	}
	return nil
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// eventually polls until check is content.
func eventually(t testing.TB, what string, check func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !check(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// request returns the status and body of one request.
func request(t testing.TB, method, url, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(data)
}

func TestServeIsAWorkingSingleNode(t *testing.T) {
	backend := httptest.NewServer(sample.Handler("web1"))
	defer backend.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	log := &logBuffer{}
	ended := make(chan int, 1)
	args := []string{"serve", "--name", "solo", "--data-dir", filepath.Join(t.TempDir(), "data"), "--log-format", "json",
		"--api-addr", "127.0.0.1:0", "--cluster-addr", "127.0.0.1:0", "--listener-addr", "default=127.0.0.1:0", "--drain-timeout", "5s"}
	go func() { ended <- run(ctx, args, io.Discard, log) }()

	eventually(t, "the node is ready", func() bool { return log.find("ready") != nil })
	ready := log.find("ready")
	api := ready["api"].(string)
	traffic := "http://" + strings.TrimPrefix(ready["listeners"].(string), "default on ")
	if status, body := request(t, http.MethodGet, api+"/readyz", ""); status != http.StatusOK {
		t.Errorf("GET /readyz: %d %s", status, body)
	}
	if status, body := request(t, http.MethodGet, traffic+"/", ""); status != http.StatusServiceUnavailable {
		t.Errorf("without a backend: %d %s", status, body)
	}
	address := strings.TrimPrefix(backend.URL, "http://")
	if status, body := request(t, http.MethodPost, api+"/v1/backends", fmt.Sprintf(`{"address":%q}`, address)); status != http.StatusCreated {
		t.Errorf("POST /v1/backends: %d %s", status, body)
	}
	// A node's table follows its state, which the answer to the POST shows.
	eventually(t, "the backend answers", func() bool {
		_, body := request(t, http.MethodGet, traffic+"/hello", "")
		return body == "web1\nGET /hello\n"
	})
	var out bytes.Buffer
	eventually(t, "the node's own word is in what health --why says", func() bool {
		out.Reset()
		name := strings.NewReplacer(".", "-", ":", "-").Replace(address)
		code := run(ctx, []string{"health", "--why", name, "--api", api}, &out, io.Discard)
		return code == cli.ExitOK && strings.Contains(out.String(), "is used by solo.") && strings.Contains(out.String(), "its last probe, ")
	})
	if status, body := request(t, http.MethodGet, api+"/metrics", ""); status != http.StatusOK || !strings.Contains(body, "evenkeel_probes_total") || !strings.Contains(body, "evenkeel_cluster_messages_total") {
		t.Errorf("GET /metrics: %d, without the counters of all parts", status)
	}
	stop()
	select {
	case code := <-ended:
		if code != cli.ExitOK {
			t.Errorf("exit %d: %s", code, log)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("did not stop: %s", log)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestServeNamesThePartThatDoesNotStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for flag, want := range map[string]string{
		"--api-addr":     "open api: listen tcp " + taken.Addr().String(),
		"--cluster-addr": taken.Addr().String(),
	} {
		args := []string{"serve", "--data-dir", filepath.Join(t.TempDir(), "data"),
			"--api-addr", "127.0.0.1:0", "--cluster-addr", "127.0.0.1:0", flag, taken.Addr().String()}
		log := &logBuffer{}
		code := run(t.Context(), args, io.Discard, log)
		if code != cli.ExitError || !strings.Contains(log.String(), want) || !strings.Contains(log.String(), "address already in use") {
			t.Errorf("%s: exit %d, %q; want %q", flag, code, log, want)
		}
	}
}
