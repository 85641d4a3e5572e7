package httpapi_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"evenkeel/httpapi"
)

// served is an API behind its server.
type served struct {
	*fakeCluster
	api   *httpapi.API
	addr  string
	stop  context.CancelFunc
	ended chan error
}

func serveAPI(t *testing.T) *served {
	t.Helper()
	listener := listen(t)
	ctx, stop := context.WithCancel(context.Background())
	s := &served{fakeCluster: newFakeCluster(t), addr: listener.Addr().String(), stop: stop, ended: make(chan error, 1)}
	s.api = httpapi.New(httpapi.Config{Cluster: s.fakeCluster, NodeName: "n1"})
	go func() {
		s.ended <- httpapi.Serve(ctx, s.api.Listener(listener), s.api.Handler(), slog.New(slog.DiscardHandler))
	}()
	t.Cleanup(func() {
		stop()
		if err := <-s.ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

// ask sends a request, of which the answer is read by hand.
func (s *served) ask(t *testing.T, request string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// readUntil reads lines up to one that has the text.
func readUntil(t *testing.T, r *bufio.Reader, text string) string {
	t.Helper()
	var all strings.Builder
	for !strings.Contains(all.String(), text) {
		line, err := r.ReadString('\n')
		all.WriteString(line)
		if err != nil {
			t.Fatalf("%v before %q, after %q", err, text, all.String())
		}
	}
	return all.String()
}

func (s *served) metric(t *testing.T, line string) bool {
	t.Helper()
	response, err := http.Get("http://" + s.addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(body), line+"\n")
}

func (s *served) untilMetric(t *testing.T, line string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !s.metric(t, line); {
		if time.Now().After(deadline) {
			t.Fatalf("the metrics do not have %q", line)
		}
	}
}

func TestAWatchSpeaksEveryHTTP(t *testing.T) {
	s := serveAPI(t)
	for version, chunked := range map[string]bool{"1.0": false, "1.1": true} {
		t.Run(version, func(t *testing.T) {
			r := bufio.NewReader(s.ask(t, "GET /v1/watch?kind=backend HTTP/"+version+"\r\nHost: localhost\r\n\r\n"))
			head := readUntil(t, r, "\r\n\r\n")
			if !strings.Contains(head, "Content-Type: text/event-stream") || strings.Contains(head, "Transfer-Encoding: chunked") != chunked {
				t.Errorf("the head is %q", head)
			}
			readUntil(t, r, "event: sync")
			s.putBackend(t, "default", "v"+strings.ReplaceAll(version, ".", ""), 1, nil)
			readUntil(t, r, `"action":"create"`)
		})
	}
	r := bufio.NewReader(s.ask(t, "HEAD /v1/watch HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
	all, err := io.ReadAll(r)
	if err != nil || !strings.HasSuffix(string(all), "\r\n\r\n") || !strings.Contains(string(all), "text/event-stream") {
		t.Errorf("HEAD is answered with %q, %v", all, err)
	}
}

func TestAServerThatStopsTellsItsWatchersAndWaitsForNone(t *testing.T) {
	s := serveAPI(t)
	stream := bufio.NewReader(s.ask(t, "GET /v1/watch HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	readUntil(t, stream, "event: sync")
	once := bufio.NewReader(s.ask(t, "GET /v1/watch?index=1&wait=5m HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	s.untilMetric(t, "evenkeel_api_watchers 2")
	begin := time.Now()
	s.stop()
	readUntil(t, stream, "/v1/problems/stopping")
	if rest, err := io.ReadAll(stream); err != nil || !strings.HasSuffix(string(rest), "\r\n0\r\n\r\n") {
		t.Errorf("the stream ends with %q, %v", rest, err)
	}
	readUntil(t, once, `{"revision":1,"events":[]}`)
	err := <-s.ended
	s.ended <- err
	if took := time.Since(begin); err != nil || took > 4*time.Second {
		t.Errorf("the server took %s to stop: %v", took, err)
	}
}

func TestAWatcherThatGoesAwayIsForgotten(t *testing.T) {
	s := serveAPI(t)
	conn := s.ask(t, "GET /v1/watch HTTP/1.1\r\nHost: localhost\r\n\r\n")
	readUntil(t, bufio.NewReader(conn), "event: sync")
	conn.Close()
	s.untilMetric(t, "evenkeel_api_watchers 0")
}

// TestSlowReadersCostLittleAndAreDropped has readers that take nothing while some
// 40 MB are written.
func TestSlowReadersCostLittleAndAreDropped(t *testing.T) {
	const readers, perReader = 40, 256 << 10
	s := serveAPI(t)
	s.api.Hurry(3*time.Second, time.Minute)
	large := map[string]string{}
	for i := range 32 {
		large[fmt.Sprint("label", i)] = strings.Repeat("x", 250)
	}
	heap := func() uint64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	fill := func() {
		for i := range 4300 { // the journal is full then, and stays so
			s.putBackend(t, "default", "a", i%7, large)
		}
	}
	fill()
	since := s.State().OldestRevision() + 100
	before := heap()
	for range readers {
		conn := s.ask(t, fmt.Sprintf("GET /v1/watch?since=%d HTTP/1.1\r\nHost: localhost\r\n\r\n", since))
		if err := conn.SetReadBuffer(4096); err != nil {
			t.Fatal(err)
		}
	}
	s.untilMetric(t, fmt.Sprint("evenkeel_api_watchers ", readers))
	fill()
	kept := uint64(s.api.WatchKept())
	if after := heap(); after > before+kept+readers*perReader {
		t.Errorf("%d slow readers: the heap grew from %d to %d bytes, %d of them events that all share", readers, before, after, kept)
	}
	if kept > 40<<20 {
		t.Errorf("%d bytes of events are kept", kept)
	}
	s.untilMetric(t, "evenkeel_api_watchers 0")
}

func TestAThousandWatchersHearOfOneWrite(t *testing.T) {
	const watchers = 1000
	s := serveAPI(t)
	var ready, heard sync.WaitGroup
	ready.Add(watchers)
	transport := &http.Transport{DisableKeepAlives: true}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range watchers {
		heard.Go(func() {
			request, err := http.NewRequestWithContext(ctx, "GET", "http://"+s.addr+"/v1/watch?kind=backend", nil)
			if err != nil {
				t.Error(err)
				ready.Done()
				return
			}
			response, err := transport.RoundTrip(request)
			if err != nil {
				t.Error(err)
				ready.Done()
				return
			}
			defer response.Body.Close()
			lines := bufio.NewScanner(response.Body)
			for lines.Scan() && lines.Text() != "event: sync" {
			}
			ready.Done()
			for lines.Scan() && lines.Text() != "event: put" {
			}
			if lines.Err() != nil {
				t.Error(lines.Err())
			}
		})
	}
	ready.Wait()
	begin := time.Now()
	s.putBackend(t, "default", "a", 1, nil)
	heard.Wait()
	t.Logf("all heard of it after %s", time.Since(begin))
}
